"""How groups of runs differ: seed by seed, and image by image where both kept which ones they classify correctly."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from avalanche_ssl.reports.comparison import Group, Stream
from avalanche_ssl.reports.significance import ALPHA, Difference, holm, paired_difference
from avalanche_ssl.runs import Correctness, Run, read_correctness

BY_IMAGE = "average accuracy"
"""The metric that is paired by test image, too: those of the headline probe, in the scope "all", at the end."""


def difference(first: Group, second: Group, metric: str, probe: str, scope: str) -> Difference:
    """Second minus first, over the seeds that both have."""
    a, b = first.values(metric, probe, scope), second.values(metric, probe, scope)
    seeds = [seed for seed in a if seed in b]
    by_image = _by_image(first, second, seeds, probe) if metric == BY_IMAGE and scope == "all" else []
    return paired_difference([b[seed] - a[seed] for seed in seeds], by_image)


def corrected(found: Sequence[Difference]) -> list[float]:
    """Their p-values, corrected for their number (Holm)."""
    return holm([each.p for each in found])


def best_group(groups: Sequence[Group], metric: str, probe: str, scope: str, sign: int = 1) -> Group | None:
    """The finished group with the best mean of a metric; None where fewer than two have one.

    Args:
        groups: to choose from.
        metric, probe, scope: which mean.
        sign: -1 where the least is best.
    """
    entered = [g for g in groups if g.runs[0].finished and not math.isnan(g.mean(metric, probe, scope))]
    return max(entered, key=lambda g: sign * g.mean(metric, probe, scope)) if len(entered) > 1 else None


def apart_notes(stream: Stream, probe: str, scope: str) -> list[str]:
    """Which groups are not distinguished from the best one by average accuracy, and which could not be tested.

    References do not count. The p-values are corrected for the number of groups (Holm).
    """
    groups = [group for group in stream.groups if not group.reference]
    best = best_group(groups, BY_IMAGE, probe, scope)
    if best is None:
        return []
    others = [group for group in groups if group is not best and group.runs[0].finished]
    found = [difference(best, group, BY_IMAGE, probe, scope) for group in others]
    p_values = corrected(found)
    tested = [(group, p) for group, p in zip(others, p_values, strict=True) if not math.isnan(p)]
    alike = [group.label for group, p in tested if p >= ALPHA]
    untested = [group.label for group, p in zip(others, p_values, strict=True) if math.isnan(p)]
    notes = []
    if alike:
        notes.append(f"not distinguished from {best.label}, the best: {', '.join(alike)} (p of {ALPHA} or more)")
    if untested:
        notes.append(
            f"not tested against {best.label}, the best: {', '.join(untested)} (no two seeds in common that "
            "differ, nor one whose test images are known)"
        )
    if any(each.images and each.seeds == 1 for each in found):
        notes.append("one seed in common: what is distinguished are these encoders, not their methods")
    return notes


def _by_image(first: Group, second: Group, seeds: Sequence[int | None], probe: str) -> list[NDArray[np.float64]]:
    """For each test set (n,) the difference of each image; empty where they cannot be paired.

    Seeds of one stream share their test images, whose differences are averaged; those with a stream of their own have
    test sets of their own.
    """
    pairs = [(_run(first, seed), _run(second, seed)) for seed in seeds]
    kept = [(_correctness(a, probe), _correctness(b, probe)) for a, b in pairs if a.stream == b.stream != ""]
    known = [(a, b) for a, b in kept if a is not None and b is not None and a.images == b.images]
    if len(known) < len(pairs):
        return []
    differences = [b.shares - a.shares for a, b in known]
    if len({a.stream for a, _ in pairs}) == 1:
        differences = [np.mean(differences, axis=0)]
    return [part for each, (a, _) in zip(differences, known, strict=False) for part in np.split(each, _bounds(a))]


def _bounds(correctness: Correctness) -> NDArray[np.int64]:
    """Where the images of the second and later test sets begin."""
    bounds: NDArray[np.int64] = np.cumsum(correctness.images)[:-1]
    return bounds


def _run(group: Group, seed: int | None) -> Run:
    """The run that `Group.values` takes for a seed: the last one."""
    return next(run for run in reversed(group.runs) if run.seed == seed)


def _correctness(run: Run, probe: str) -> Correctness | None:
    """Of the last encoder of a run, if it agrees with the log."""
    found = _read(run.folder) if run.finished else None
    if found is None or found.probe != probe or (probe, "all") not in run.accuracies:
        return None
    parts = np.split(found.shares, _bounds(found))
    last = run.accuracies[probe, "all"][-1]
    if len(last) != len(parts) or not all(map(len, parts)):
        return None
    return found if np.allclose(sorted(map(np.mean, parts)), sorted(last), atol=1e-6) else None


_read = lru_cache(maxsize=1000)(read_correctness)
