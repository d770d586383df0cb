"""`OPTIMIZERS`: optimizers by name."""

from collections.abc import Callable
from functools import partial

import torch

from avalanche_ssl.optim.lars import LARS

OPTIMIZERS: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "sgd": partial(torch.optim.SGD, momentum=0.9),
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
    "lars": LARS,
}
