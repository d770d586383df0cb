import pytest
import torch
from helpers.encoders import tiny

from avalanche_ssl.models.encoders import ENCODERS


@pytest.fixture(autouse=True)
def small_encoder(monkeypatch: pytest.MonkeyPatch) -> None:
    """A quick default encoder; the same weights in whatever order tests run."""
    torch.manual_seed(0)
    monkeypatch.setitem(ENCODERS, "smallconv", tiny)
