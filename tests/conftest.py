import os

os.environ["OMP_NUM_THREADS"] = "1"  # before any library starts threads of its own: workers share the cores

import pytest
import torch
from hypothesis import HealthCheck, settings

from avalanche_ssl.streams import digits_on_photographs

os.environ["AVALANCHE_SSL_CACHE"] = "off"  # tests leave nothing in the user's folders
os.environ["COLUMNS"] = "100"  # else the width depends on whether tests run in parallel
torch.set_num_threads(1)  # two threads fight over small tensors
settings.register_profile(
    "the same everywhere", derandomize=True, database=None, deadline=None, suppress_health_check=list(HealthCheck)
)
settings.load_profile("the same everywhere")


@pytest.fixture(scope="session")
def digits():
    """Three experiences of some 800 small pictures each."""
    return digits_on_photographs(experiences=3, composites=2)
