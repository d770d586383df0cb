"""Optimizers and the schedule of the learning rate."""

from avalanche_ssl.optim.lars import LARS
from avalanche_ssl.optim.lr_schedule import LRSchedule
from avalanche_ssl.optim.optimizers import OPTIMIZERS, match_layouts

__all__ = [
    "LARS",
    "OPTIMIZERS",
    "LRSchedule",
    "match_layouts",
]
