"""Intervals of means over seeds, and of paired differences over seeds and test images, with p-values.

A mean over three seeds or more has its 95 % interval by Student's t. The difference of two groups is paired by seed
and, where both kept which test images they classify correctly, by image: the images are drawn with replacement (a
paired bootstrap), and the mean over seeds varies by Student's t. Seeds are not drawn with replacement, because an
interval of three would hold the true difference in some 75 % of cases, not in 95. Without images this is the paired
t-test, with a single seed the paired bootstrap over images alone.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

ALPHA = 0.05
"""A difference with a smaller p-value counts as one; intervals hold the rest."""
MIN_SEEDS = 3
"""Seeds of which a mean has an interval."""
REPLICATES = 2000
"""Of the bootstrap."""


@dataclass(frozen=True)
class Difference:
    """The mean of paired differences; NaN where something is not defined.

    Args:
        mean: over seeds.
        low, high: ends of its 95 % interval.
        p: two-sided p-value, not corrected.
        seeds: pairs.
        images: test images that were paired, too; 0 for none.
    """

    mean: float = math.nan
    low: float = math.nan
    high: float = math.nan
    p: float = math.nan
    seeds: int = 0
    images: int = 0

    @property
    def half_width(self) -> float:
        """Half of the width of the interval."""
        return (self.high - self.low) / 2


def half_width(values: Sequence[float]) -> float:
    """Half of the width of the 95 % interval of a mean by Student's t; NaN for fewer than `MIN_SEEDS` values."""
    return _reach(len(values)) * _error(values) if len(values) >= MIN_SEEDS else math.nan


def paired_difference(by_seed: Sequence[float], by_image: Sequence[NDArray[np.float64]] = ()) -> Difference:
    """Mean, interval and p-value of paired differences.

    Args:
        by_seed: the difference of each seed.
        by_image: for each test set (n,), the difference of each image, mean over the seeds that share it; none where
            they are not known. Test sets that are those of one seed count as much: their spread is then held twice, as
            a part of that of the seeds, too, which errs on the careful side.

    Returns:
        NaN for interval and p-value where there is neither a second seed nor an image. Without images the p-value is
        NaN where all differences are the same.
    """
    n = len(by_seed)
    if not n:
        return Difference()
    mean, error = float(np.mean(by_seed)), _error(by_seed)
    images = sum(map(len, by_image))
    if images:
        spread = error * _t_scores(n - 1) if n > 1 else np.zeros(REPLICATES)
        drawn = mean + spread + _image_deviations(by_image)
        low, high = np.quantile(drawn, [ALPHA / 2, 1 - ALPHA / 2])
        p = 2 * min(float(np.mean(drawn <= 0)), float(np.mean(drawn >= 0)))
        return Difference(mean, float(low), float(high), min(1.0, max(p, 1 / REPLICATES)), n, images)
    if n < 2:
        return Difference(mean, seeds=n)
    reach = _reach(n) * error
    return Difference(mean, mean - reach, mean + reach, paired_p(by_seed), n)


def paired_p(differences: Sequence[float]) -> float:
    """The two-sided p-value of a paired t-test; NaN where all differences are the same, or fewer than two."""
    from scipy.special import stdtr

    n = len(differences)
    if n < 2 or float(np.std(differences, ddof=1)) < 1e-12:
        return math.nan
    return float(2 * stdtr(n - 1, -abs(float(np.mean(differences))) / _error(differences)))


def _error(values: Sequence[float]) -> float:
    """The standard error of the mean; NaN for fewer than two values."""
    return float(np.std(values, ddof=1)) / math.sqrt(len(values)) if len(values) > 1 else math.nan


def _reach(n: int) -> float:
    """How many standard errors an interval reaches from the mean of n values."""
    from scipy.special import stdtrit

    return float(stdtrit(n - 1, 1 - ALPHA / 2))


def _t_scores(freedom: int) -> NDArray[np.float64]:
    """(REPLICATES,) values of Student's t at equal steps of probability, in random order."""
    from scipy.special import stdtrit

    steps = (np.arange(REPLICATES) + 0.5) / REPLICATES
    scores: NDArray[np.float64] = np.random.default_rng(1).permutation(stdtrit(freedom, steps))
    return scores


def _image_deviations(by_image: Sequence[NDArray[np.float64]]) -> NDArray[np.float64]:
    """(REPLICATES,) by how much the mean over the test sets moves when their images are drawn with replacement.

    Images of equal difference are exchangeable: how many of each are drawn is multinomial.
    """
    rng = np.random.default_rng(0)
    total = np.zeros(REPLICATES)
    for differences in by_image:
        n = max(1, len(differences))
        values, counts = np.unique(differences, return_counts=True)
        if len(values) > 1:
            drawn = rng.multinomial(n, counts / n, REPLICATES)
            total += (drawn - counts) @ values / n
    return total / len(by_image)


def holm(p_values: Sequence[float]) -> list[float]:
    """The p-values corrected for their number (Holm 1979); those that are NaN stay so and do not count."""
    order = [i for i in np.argsort(p_values, kind="stable") if not math.isnan(p_values[i])]
    corrected = [math.nan] * len(p_values)
    largest = 0.0
    for rank, i in enumerate(order):
        largest = max(largest, min(1.0, (len(order) - rank) * p_values[i]))
        corrected[i] = largest
    return corrected


def p_text(p: float) -> str:
    """A p-value in words; empty where it is not defined."""
    if math.isnan(p):
        return ""
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}" if p < 0.1 else f"p = {p:.2f}"
