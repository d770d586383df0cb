"""Optimizers by name."""

import pytest
import torch

from avalanche_ssl.optim import LARS, OPTIMIZERS, match_layouts


@pytest.mark.parametrize(
    "name, cls", [("sgd", torch.optim.SGD), ("adam", torch.optim.Adam), ("adamw", torch.optim.AdamW), ("lars", LARS)]
)
def test_an_optimizer_is_built_by_its_name(name, cls):
    optimizer = OPTIMIZERS[name]([torch.nn.Parameter(torch.zeros(2))], lr=0.1, weight_decay=0.01)
    assert type(optimizer) is cls
    assert optimizer.param_groups[0]["lr"] == 0.1 and optimizer.param_groups[0]["weight_decay"] == 0.01
    assert name != "sgd" or optimizer.param_groups[0]["momentum"] == 0.9


def test_all_optimizers_are_tested():
    assert set(OPTIMIZERS) == {"sgd", "adam", "adamw", "lars"}


def weights(*layouts: torch.memory_format) -> list[torch.nn.Parameter]:
    """Parameters (8, 4, 3, 3), the same random numbers in each layout."""
    values = torch.randn(8, 4, 3, 3, generator=torch.Generator().manual_seed(0))
    return [torch.nn.Parameter(values.contiguous(memory_format=layout)) for layout in layouts]


@pytest.mark.parametrize(("name", "plain"), [("adam", torch.optim.Adam), ("adamw", torch.optim.AdamW)])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_fused_steps_are_torchs_up_to_rounding(name, plain, layout):
    ours, theirs = weights(layout, layout)
    optimizers = OPTIMIZERS[name]([ours], lr=0.01, weight_decay=0.1), plain([theirs], lr=0.01, weight_decay=0.1)
    generator = torch.Generator().manual_seed(1)
    for _ in range(5):
        gradient = torch.randn(ours.shape, generator=generator).contiguous(memory_format=layout)
        ours.grad, theirs.grad = gradient.clone(), gradient.clone()
        for optimizer in optimizers:
            optimizer.step()
    assert optimizers[0].param_groups[0]["fused"]
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-6)
    assert (ours - weights(layout)[0]).abs().mean() > 0.01


@pytest.mark.parametrize("gradient_layout", ["channels_last", "expanded"])
def test_gradients_of_another_layout_are_laid_out_as_their_parameter(gradient_layout):
    """torch's kernel would take the numbers in the order of their memory."""
    (parameter,) = weights(torch.contiguous_format)
    gradient = torch.arange(288.0).view(8, 4, 3, 3).contiguous(memory_format=torch.channels_last)
    if gradient_layout == "expanded":
        gradient = torch.arange(3.0).expand(8, 4, 3, 3)
    optimizer = OPTIMIZERS["adam"]([parameter], lr=0.01)
    parameter.grad = gradient
    match_layouts(optimizer)
    assert parameter.grad.stride() == parameter.stride() and torch.equal(parameter.grad, gradient)
    kept = parameter.grad
    match_layouts(optimizer)
    assert parameter.grad is kept


def test_an_ordinary_step_leaves_gradients_alone():
    (parameter,) = weights(torch.contiguous_format)
    parameter.grad = gradient = torch.zeros(1).expand(8, 4, 3, 3)
    match_layouts(OPTIMIZERS["sgd"]([parameter], lr=0.01))
    assert parameter.grad is gradient


def test_a_parameter_with_gaps_in_memory_gets_the_ordinary_step():
    apart = torch.nn.Parameter(torch.zeros(4, 4)[:, ::2])
    optimizer = OPTIMIZERS["adam"]([{"params": weights(torch.contiguous_format)}, {"params": [apart]}], lr=0.01)
    assert [group["fused"] for group in optimizer.param_groups] == [False, False]
    apart.grad = torch.ones(4, 2)
    optimizer.step()
    torch.testing.assert_close(apart.detach(), torch.full((4, 2), -0.01))


def test_a_state_from_before_continues_with_the_ordinary_step():
    """A checkpoint of an Adam that was not fused makes the steps that it would have made."""
    ours, theirs = weights(torch.contiguous_format, torch.contiguous_format)
    plain = torch.optim.Adam([theirs], lr=0.01)
    for parameter in (ours, theirs):
        parameter.grad = torch.ones_like(parameter) / 3
    plain.step()
    ours.data.copy_(theirs.data)
    resumed = OPTIMIZERS["adam"]([ours], lr=0.01)
    resumed.load_state_dict(plain.state_dict())
    for optimizer in (plain, resumed):
        optimizer.step()
    assert torch.equal(ours, theirs)
