"""Features of one pass are given out for the same images by the same weights only."""

from collections.abc import Callable

import pytest
import torch
from torch import nn

from avalanche_ssl.evaluation.feature_pass import FeaturePass, weights_sha256


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))


def write_data(model: nn.Module) -> None:
    """A write that tensors do not count as a version."""
    model[0].weight.data[0, 0] += 1e-6  # type: ignore[index]


def step(model: nn.Module) -> None:
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
    model(torch.randn(5, 3)).sum().backward()
    optimizer.step()


CHANGES: dict[str, Callable[[nn.Module], object]] = {
    "a step": step,
    "a write to data": write_data,
    "running statistics": lambda model: model.train()(torch.randn(5, 3)),
    "a parameter more": lambda model: model.append(nn.Linear(4, 4)),  # type: ignore[operator]
    "another type": lambda model: model.double(),
    "sign of zero": lambda model: model[1].bias.data.mul_(-1),  # type: ignore[index]
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_pass_is_of_the_weights_that_gave_it(change: str) -> None:
    model, datasets = network(), [object(), object()]
    features = [(torch.zeros(2, 4), torch.zeros(2)), (torch.ones(3, 4), torch.zeros(3))]
    found = FeaturePass.by(model, datasets, features)
    assert found.of(model, datasets) is features and found.of(network(), list(datasets)) is features
    CHANGES[change](model)
    assert found.of(model, datasets) is None


def test_a_pass_is_of_these_images_in_this_order() -> None:
    model, (one, other) = network(), ([1], [1])
    found = FeaturePass.by(model, [one, other], [])
    assert found.of(model, [one, other]) == []
    assert found.of(model, [other, one]) is found.of(model, [one]) is found.of(model, [one, other, one]) is None


def test_computing_changes_neither_weights_nor_digest() -> None:
    model = network().eval()
    before = weights_sha256(model)
    with torch.no_grad():
        model(torch.randn(5, 3))
    assert weights_sha256(model) == before
    assert weights_sha256(model.to(torch.bfloat16)) != before
