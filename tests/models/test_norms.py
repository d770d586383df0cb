"""Norms: split batch norm, forward passes that leave the running statistics alone."""

import pytest
import torch
from torch import nn

from avalanche_ssl.errors import UsageError
from avalanche_ssl.models.norms import SplitBatchNorm, frozen_buffers
from avalanche_ssl.models.smallconv import smallconv


def maps(count, channels=4):
    return torch.randn(count, channels, 3, 3, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("interleaved", [False, True])
@pytest.mark.parametrize("count, groups", [(64, 8), (67, 8), (33, 4), (16, 2), (8, 1), (2, 1)])
def test_split_norm_gives_each_group_its_own_statistics(count, groups, interleaved):
    layer, x = SplitBatchNorm(4), maps(count)
    layer.interleaved = interleaved
    index = torch.arange(count)
    parts = [index[i::groups] for i in range(groups)] if interleaved else index.tensor_split(groups)
    expected, means, variances = torch.empty_like(x), [], []
    for part in parts:
        expected[part] = nn.BatchNorm2d(4)(x[part])
        means.append(x[part].mean((0, 2, 3)))
        variances.append(x[part].transpose(0, 1).flatten(1).var(1))
    assert torch.allclose(layer(x), expected, atol=1e-5)
    assert torch.allclose(layer.running_mean, 0.1 * torch.stack(means).mean(0), atol=1e-6)
    assert torch.allclose(layer.running_var, 0.9 + 0.1 * torch.stack(variances).mean(0), atol=1e-6)
    assert layer.num_batches_tracked == 1


def test_permuting_the_batch_matters_only_to_split_norm():
    x, order = maps(64), torch.randperm(64, generator=torch.Generator().manual_seed(1))
    split, plain = SplitBatchNorm(4), nn.BatchNorm2d(4)
    assert not torch.allclose(split(x[order]), split(x)[order], atol=1e-3)
    assert torch.allclose(plain(x[order]), plain(x)[order], atol=1e-5)


def test_split_norm_in_eval_mode_is_batch_norm():
    split, plain = SplitBatchNorm(4), nn.BatchNorm2d(4)
    split(maps(64))
    plain.load_state_dict(split.state_dict())
    assert torch.equal(split.eval()(maps(64)), plain.eval()(maps(64)))


def test_split_norm_is_a_norm_of_every_encoder_and_learns():
    encoder = smallconv(norm="split", width=4)
    layers = [m for m in encoder.modules() if isinstance(m, nn.BatchNorm2d)]
    assert len(layers) == 4 and all(isinstance(m, SplitBatchNorm) and m.groups == 8 for m in layers)
    encoder(torch.randn(17, 3, 32, 32)).sum().backward()
    assert all(p.grad is not None for p in encoder.parameters())
    with pytest.raises(UsageError, match="split into 0 groups"):
        SplitBatchNorm(4, groups=0)


@pytest.mark.parametrize("norm", ["batch", "split"])
def test_frozen_buffers_are_as_if_there_had_been_no_forward(norm):
    """And the forward itself is the same as outside, by the statistics of its own batch (methods.md 32)."""
    torch.manual_seed(0)
    network = smallconv(width=8, norm=norm)
    before = {name: (buffer, buffer.clone()) for name, buffer in network.named_buffers()}
    x = torch.randn(16, 3, 8, 8)
    with frozen_buffers(network):
        inside = network(x)
        inside.sum().backward()
    for name, buffer in network.named_buffers():
        assert buffer is before[name][0] and torch.equal(buffer, before[name][1]), name
    assert torch.equal(network(x), inside)
    assert not torch.equal(network.stages[0][1].running_mean, before["stages.0.1.running_mean"][1])


def test_frozen_buffers_come_back_after_an_error_and_when_nested():
    network = smallconv(width=8)
    own = dict(network.named_buffers())
    with pytest.raises(RuntimeError), frozen_buffers(network), frozen_buffers(network):
        network(torch.randn(4, 3, 8, 8))
        network(torch.randn(4, 5, 8, 8))
    assert all(buffer is own[name] for name, buffer in network.named_buffers())
    assert list(network.state_dict()) == list(smallconv(width=8).state_dict())
