"""MoCo: the queue, the momentum encoder, heads, split batch norm."""

import math
from functools import partial

import pytest
import torch
from helpers.methods import make, sgd, step
from torch import nn

from avalanche_ssl.checks.harness import textured
from avalanche_ssl.functional import l2_normalize
from avalanche_ssl.methods import MoCo
from avalanche_ssl.models.norms import SplitBatchNorm

moco = partial(make, MoCo)


def cross_entropy(query, key, rows, temperature):
    """InfoNCE of MoCo eq. 1, one query at a time."""
    losses = []
    for q, k in zip(query, key):
        scores = torch.stack([q @ k, *(q @ row for row in rows)]) / temperature
        losses.append(scores.logsumexp(0) - scores[0])
    return torch.stack(losses).mean()


@pytest.mark.parametrize("symmetric", [False, True])
def test_moco_queue_holds_the_keys_of_the_last_steps(symmetric):
    method = moco(symmetric=symmetric, queue_size=40)
    optimizer, keys = sgd(method), []
    for _ in range(4):
        outputs, _ = step(method, textured(8), optimizer)
        keys += [outputs["key"], outputs["key2"]] if symmetric else [outputs["key"]]
    keys = torch.cat(keys)[-40:]
    oldest_first = method.queue.ages().argsort(descending=True)[: len(keys)]
    assert torch.equal(method.queue.rows[oldest_first], keys)
    assert method.queue.n_enqueued == (64 if symmetric else 32)


def test_moco_keys_of_a_step_take_the_next_slots():
    method = moco(queue_size=10)
    optimizer = sgd(method)
    step(method, textured(8), optimizer)
    outputs, _ = step(method, textured(5), optimizer)
    assert torch.equal(method.queue.rows[[8, 9, 0, 1, 2]], outputs["key"])


@pytest.mark.parametrize("symmetric", [False, True])
def test_moco_loss_is_against_the_queue_before_the_step(symmetric):
    method = moco(symmetric=symmetric, temperature=0.2)
    optimizer = sgd(method)
    for _ in range(3):
        old = method.queue.rows.clone()
        outputs, loss = step(method, textured(8), optimizer)
        expected = cross_entropy(outputs["query"], outputs["key"], old, 0.2)
        if symmetric:
            expected = expected + cross_entropy(outputs["query2"], outputs["key2"], old, 0.2)
        assert loss == pytest.approx(expected.item(), rel=1e-5)
        assert not torch.equal(method.queue.rows, old)


def test_moco_own_key_is_never_a_negative():
    """Queries equal to their keys, and a queue of the opposite: any own key in the queue would cost ln 2."""
    method = moco(queue_size=8, temperature=0.05)
    row = l2_normalize(torch.ones(1, 16)).expand(8, 16)
    method.queue.enqueue(-row)
    outputs = {"query": row, "key": row}
    assert method.loss(outputs) < 1e-6
    method.update(outputs)
    assert method.loss(outputs).item() == pytest.approx(math.log(9))


@pytest.mark.parametrize("momentum", [0.0, 0.9, 0.999, 1.0])
def test_moco_momentum_encoder_moves_towards_the_updated_encoder(momentum):
    method = moco(momentum=momentum)
    optimizer = sgd(method)
    for _ in range(3):
        averaged = [p.clone() for p in method.momentum_encoder.copy.parameters()]
        step(method, textured(8), optimizer)
        online = list(method.online_network().parameters())
        for old, new, target in zip(averaged, method.momentum_encoder.copy.parameters(), online):
            assert torch.allclose(new, momentum * old + (1 - momentum) * target, atol=1e-7)
    if momentum == 0:
        assert all(torch.equal(a, b) for a, b in zip(method.momentum_encoder.copy.parameters(), online))


def test_moco_momentum_encoder_starts_equal_and_shares_nothing():
    method = moco()
    for online, averaged in zip(method.online_network().parameters(), method.momentum_encoder.copy.parameters()):
        assert torch.equal(online, averaged) and online.data_ptr() != averaged.data_ptr()
        assert online.requires_grad and not averaged.requires_grad


def test_moco_keys_and_queue_have_no_gradient():
    method = moco(symmetric=True)
    outputs = method(textured(8))
    assert not outputs["key"].requires_grad and not outputs["key2"].requires_grad
    method.loss(outputs).backward()
    assert all(p.grad is None for p in method.momentum_encoder.parameters())
    assert not method.queue.rows.requires_grad


def test_moco_gradient_does_not_survive_an_early_update():
    method = moco()
    loss = method.loss(method(textured(8)))
    with pytest.raises(RuntimeError, match="inplace"):  # why `update` comes after the optimizer step
        method.queue.enqueue(torch.zeros(8, 16))
        loss.backward()


def test_moco_momentum_batch_norm_keeps_its_own_statistics():
    method = moco(momentum=1.0)
    step(method, textured(8), sgd(method))
    online, averaged = (
        next(m for m in n.modules() if isinstance(m, nn.BatchNorm2d))
        for n in (method.online_network(), method.momentum_encoder)
    )
    assert averaged.num_batches_tracked == 1 and not torch.equal(online.running_mean, averaged.running_mean)
    assert averaged.running_mean.abs().sum() > 0


def test_moco_heads_of_both_versions():
    first, second = moco(hidden_dim=0), moco()
    assert [type(layer) for layer in first.projection_head] == [nn.Linear] and first.projection_head[0].bias is not None
    assert [type(layer) for layer in second.projection_head] == [nn.Linear, nn.ReLU, nn.Linear]
    assert second.projection_head[0].weight.shape == (64, 64) and second.projection_head[2].weight.shape == (16, 64)


def test_moco_extracts_features_with_the_online_encoder():
    method = moco().eval()
    for parameter in method.momentum_encoder.parameters():
        parameter.zero_()
    images = textured(8)
    assert torch.equal(method.extract_features(images), method.encoder(method.augment.normalize_only(images)))
    assert method.extract_features(images).count_nonzero() > 0


@pytest.mark.parametrize("hidden_dim", [0, 16])
def test_head_norm_centers_embeddings_in_each_batch(hidden_dim):
    """Whatever the weights: those of barely trained networks point in similar directions."""
    method, images = moco(hidden_dim=hidden_dim, head_norm=True), textured(16)
    rows = method.online_network()(method.augment.normalize_only(images))
    assert torch.allclose(rows.mean(0), torch.zeros(16), atol=1e-5)


def test_moco_normalizes_keys_in_other_groups_than_queries():
    method = moco(split_norm=True)
    online = [m.interleaved for m in method.online_network().modules() if isinstance(m, SplitBatchNorm)]
    averaged = [m.interleaved for m in method.momentum_encoder.modules() if isinstance(m, SplitBatchNorm)]
    assert online == [False] * 4 and averaged == [True] * 4
    assert not any(isinstance(m, SplitBatchNorm) for m in moco().modules())
