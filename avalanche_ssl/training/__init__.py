"""The Avalanche template that trains every method."""

from avalanche_ssl.training.avalanche_fixes import allow_save_checkpoint
from avalanche_ssl.training.nonfinite import DivergedError
from avalanche_ssl.training.strategy import SelfSupervised

__all__ = [
    "DivergedError",
    "SelfSupervised",
    "allow_save_checkpoint",
]
