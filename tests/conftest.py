import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # two threads fight over small tensors
os.environ.setdefault("MPLBACKEND", "Agg")

import warnings
from functools import partial

import pytest
import torch

torch.set_num_threads(1)

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # Avalanche's imports warn about optional packages
    import avalanche  # noqa: F401

from avalanche_ssl.encoders import smallconv
from avalanche_ssl.streams import split_digits

tiny = partial(smallconv, width=4)


@pytest.fixture(scope="session")
def digits():
    """Three experiences of some 800 small pictures each."""
    return split_digits(experiences=3, composites=2)
