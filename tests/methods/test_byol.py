"""BYOL: its loss in both directions."""

import pytest
from helpers.lcg import lcg
from helpers.methods import make

from avalanche_ssl.methods import BYOL


def test_byol_sums_both_directions_golden():
    """The method's own loss: each prediction with the target that `embed` pairs it with."""
    outputs = {"prediction": lcg(11, 8, 16), "target": lcg(2, 8, 16)}
    outputs |= {"prediction2": lcg(12, 8, 16), "target2": lcg(1, 8, 16)}
    assert make(BYOL).loss(outputs).item() == pytest.approx(3.992898533977, abs=1e-9)
