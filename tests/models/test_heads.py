"""Heads: the layers of an mlp."""

import pytest
import torch
from torch import nn

from avalanche_ssl.errors import UsageError
from avalanche_ssl.models.heads import mlp


def test_mlp() -> None:
    head = mlp(8, 16, 4, layers=3, last_norm=True)
    assert [type(m).__name__ for m in head] == [
        *("Linear", "BatchNorm1d", "ReLU") * 2,
        *("Linear", "BatchNorm1d"),
    ]
    assert all(m.bias is None for m in head if isinstance(m, nn.Linear))
    assert head(torch.randn(5, 8)).shape == (5, 4)
    plain = mlp(8, 16, 4, norm=False)
    assert [type(m).__name__ for m in plain] == ["Linear", "ReLU", "Linear"]
    assert all(m.bias is not None for m in plain if isinstance(m, nn.Linear))
    assert [type(m).__name__ for m in mlp(8, 16, 4, layers=1)] == ["Linear"]


def test_last_norm_has_a_scale_without_a_shift() -> None:
    norm = mlp(8, 16, 4, last_norm=True, last_shift=False)[-1]
    assert [name for name, _ in norm.named_parameters()] == ["weight"]
    y = norm(torch.randn(64, 4) + 5)
    assert torch.allclose(y.mean(0), torch.zeros(4), atol=1e-5) and torch.allclose(y.std(0), torch.ones(4), atol=0.02)
    assert list(mlp(8, 16, 4, last_norm=True, last_affine=False)[-1].parameters()) == []


def test_no_layers_are_refused() -> None:
    with pytest.raises(UsageError, match="cannot have 0 layers"):
        mlp(8, 16, 4, layers=0)
