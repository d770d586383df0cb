"""Optimizers and the schedule of the learning rate."""

from avalanche_ssl.optim.lars import LARS
from avalanche_ssl.optim.lr_schedule import LRSchedule
from avalanche_ssl.optim.optimizers import OPTIMIZERS

__all__ = [
    "LARS",
    "OPTIMIZERS",
    "LRSchedule",
]
