import pytest
from speed.case import Case


@pytest.fixture
def moco():
    """MoCo on eight images of 16x16."""
    return Case("moco", "smallconv", 8, 16, "fp32", "cpu")
