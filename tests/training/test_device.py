"""Devices by name, and those that are not there."""

import pytest
import torch
from helpers.strategies import make

from avalanche_ssl.errors import UsageError
from avalanche_ssl.training.device import get_device


def test_known_devices() -> None:
    assert get_device("cpu") == get_device(torch.device("cpu")) == torch.device("cpu")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("gpu", "no device 'gpu': give cuda for a GPU, cuda:1 for the second one, or cpu"),
        (
            "cuda:99",
            f"device 'cuda:99': torch finds {torch.cuda.device_count()} CUDA devices here; give another, or cpu",
        ),
    ],
)
def test_other_devices_are_refused_in_one_line(name: str, message: str) -> None:
    for use in (get_device, lambda device: make(device=device)):
        with pytest.raises(UsageError) as error:
            use(name)
        assert str(error.value) == message
