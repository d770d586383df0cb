"""Optimizers by name."""

import pytest
import torch

from avalanche_ssl.optim import LARS, OPTIMIZERS


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
