"""Intervals, paired tests and their correction, against scipy, by hand and by simulation."""

import math

import numpy as np
import pytest
from scipy.stats import norm, t, ttest_rel

from avalanche_ssl.reports.significance import half_width, holm, p_text, paired_difference, paired_p


@pytest.mark.parametrize("n", [2, 3, 10])
def test_the_p_value_is_that_of_scipy(n: int) -> None:
    rng = np.random.default_rng(n)
    a, b = rng.normal(size=n), rng.normal(0.5, size=n)
    assert paired_p((b - a).tolist()) == pytest.approx(ttest_rel(b, a).pvalue, rel=1e-9)


def test_without_two_seeds_or_any_spread_nothing_is_tested() -> None:
    assert all(math.isnan(paired_p(given)) for given in ([], [0.3], [0.0, 0.0], [0.1, 0.1, 0.1]))


def test_the_interval_of_a_mean_is_that_of_student_and_of_three_or_more() -> None:
    values = [0.4, 0.5, 0.6, 0.9]
    low, high = t.interval(0.95, 3, np.mean(values), np.std(values, ddof=1) / 2)
    assert half_width(values) == pytest.approx((high - low) / 2)
    assert half_width([0.1, 0.2, 0.3]) == pytest.approx(0.1 / 3**0.5 * 4.302652729)
    assert math.isnan(half_width([0.1, 0.2])) and math.isnan(half_width([]))


def test_without_images_a_difference_is_the_paired_t_test() -> None:
    found = paired_difference([0.1, 0.12, 0.14])
    assert (found.mean, found.seeds, found.images) == (pytest.approx(0.12), 3, 0)
    assert found.half_width == pytest.approx(half_width([0.1, 0.12, 0.14]))
    assert found.p == paired_p([0.1, 0.12, 0.14])
    assert math.isnan(paired_difference([0.1]).p) and paired_difference([0.1]).mean == pytest.approx(0.1)
    assert math.isnan(paired_difference([]).mean)


def test_of_one_seed_it_is_the_paired_bootstrap_over_images() -> None:
    """Against the normal distribution, which the mean of 4,000 images has; two test sets of other sizes."""
    rng = np.random.default_rng(0)
    sets = [rng.choice([-1.0, 0.0, 1.0], n, p=[0.2, 0.5, 0.3]) for n in (1000, 3000)]
    mean = float(np.mean([s.mean() for s in sets]))
    found = paired_difference([mean], sets)
    error = math.sqrt(sum(s.var() / len(s) for s in sets)) / 2
    assert (found.seeds, found.images) == (1, 4000)
    assert found.low == pytest.approx(mean - 1.96 * error, abs=0.1 * error)
    assert found.high == pytest.approx(mean + 1.96 * error, abs=0.1 * error)
    less = paired_difference([0.0], [s - mean for s in sets])
    assert less.p == pytest.approx(1, abs=0.1) and found.p == 1 / 2000, "the least that is distinguished"
    two = paired_difference([1.5 * error], [s - s.mean() + 1.5 * error for s in sets])
    assert two.p == pytest.approx(2 * norm.sf(1.5), abs=0.02)


def test_seeds_and_images_both_widen_the_interval() -> None:
    seeds, images = [0.1, 0.12, 0.14], [np.tile([0.0, 0.24], 50)]
    both = paired_difference(seeds, images)
    alone, one = paired_difference(seeds), paired_difference([0.12], images)
    assert both.half_width > max(alone.half_width, one.half_width)
    assert both.half_width < alone.half_width + one.half_width
    constant = paired_difference(seeds, [np.full(100, 0.12)])
    assert constant.half_width == pytest.approx(alone.half_width, rel=0.02), "images that are all alike add nothing"
    assert constant.p == pytest.approx(alone.p, abs=2e-3)


def test_it_is_the_same_each_time() -> None:
    images = [np.random.default_rng(1).choice([-1.0, 0.0, 1.0], 300)]
    assert paired_difference([0.1, 0.2], images) == paired_difference([0.1, 0.2], images)


def test_nothing_is_distinguished_too_often_where_seeds_decide() -> None:
    """Of 400 comparisons of three seeds without a difference, 5 % are distinguished; drawing seeds makes 25."""
    rng = np.random.default_rng(0)
    wrong, drawn = 0, 0
    for _ in range(400):
        seeds = rng.normal(0, 0.02, 3)
        found = paired_difference(seeds.tolist(), [rng.choice([-1.0, 0.0, 1.0], 2000, p=[0.02, 0.96, 0.02])])
        wrong += not found.low <= 0 <= found.high
        means = seeds[rng.integers(0, 3, (500, 3))].mean(1)
        drawn += not np.quantile(means, 0.025) <= 0 <= np.quantile(means, 0.975)
    assert wrong / 400 < 0.07 and drawn / 400 > 0.18


def test_holm_by_hand() -> None:
    """Three tests: the smallest times 3, the next times 2, and none below the one before."""
    assert holm([0.04, 0.01, math.nan, 0.03])[:2] == pytest.approx([0.06, 0.03])
    assert holm([0.04, 0.01, math.nan, 0.03])[3] == pytest.approx(0.06)
    assert math.isnan(holm([0.04, math.nan])[1]) and holm([0.9, 0.8]) == [1.0, 1.0] and holm([]) == []


def test_how_a_p_value_is_written() -> None:
    assert [p_text(p) for p in (0.0004, 0.0123, 0.456, math.nan)] == ["p < 0.001", "p = 0.012", "p = 0.46", ""]
