"""Paired tests and their correction, against scipy and by hand."""

import math

import numpy as np
import pytest
from scipy.stats import ttest_rel

from avalanche_ssl.reports.significance import holm, p_text, paired_p


@pytest.mark.parametrize("n", [2, 3, 10])
def test_the_p_value_is_that_of_scipy(n: int) -> None:
    rng = np.random.default_rng(n)
    a, b = rng.normal(size=n), rng.normal(0.5, size=n)
    assert paired_p((b - a).tolist()) == pytest.approx(ttest_rel(b, a).pvalue, rel=1e-9)


def test_without_two_seeds_or_any_spread_nothing_is_tested() -> None:
    assert all(math.isnan(paired_p(given)) for given in ([], [0.3], [0.0, 0.0], [0.1, 0.1, 0.1]))


def test_holm_by_hand() -> None:
    """Three tests: the smallest times 3, the next times 2, and none below the one before."""
    assert holm([0.04, 0.01, math.nan, 0.03])[:2] == pytest.approx([0.06, 0.03])
    assert holm([0.04, 0.01, math.nan, 0.03])[3] == pytest.approx(0.06)
    assert math.isnan(holm([0.04, math.nan])[1]) and holm([0.9, 0.8]) == [1.0, 1.0] and holm([]) == []


def test_how_a_p_value_is_written() -> None:
    assert [p_text(p) for p in (0.0004, 0.0123, 0.456, math.nan)] == ["p < 0.001", "p = 0.012", "p = 0.46", ""]
