"""Tests of differences between groups of runs, seed by seed."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

ALPHA = 0.05
"""A difference with a smaller p-value counts as one."""


def paired_p(differences: Sequence[float]) -> float:
    """The two-sided p-value of a paired t-test; NaN where all differences are the same, or fewer than two."""
    from scipy.special import stdtr

    n = len(differences)
    std = float(np.std(differences, ddof=1)) if n > 1 else 0.0
    if std < 1e-12:
        return math.nan
    return float(2 * stdtr(n - 1, -abs(float(np.mean(differences))) / (std / math.sqrt(n))))


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
