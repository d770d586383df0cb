"""Tables and figure of a finished run: `accuracy.csv`, `curve.csv`, `accuracy.png`."""

from __future__ import annotations

import textwrap
from pathlib import Path

import numpy as np

from avalanche_ssl.evaluation import accuracy_curve
from avalanche_ssl.plugins import ProbePlugin
from avalanche_ssl.runs.csv_files import write_accuracies, write_curve
from avalanche_ssl.runs.plots import draw


def write_artifacts(out: Path, title: str, probe: ProbePlugin, chance: float, start: str = "untrained") -> None:
    """Write what a run has measured.

    Args:
        out: the folder of the run.
        title: what was run.
        probe: after the last experience.
        chance: accuracy of guessing among all classes.
        start: what the encoder at the start is called.
    """
    headline = probe.probes[0]
    caveats, one_test_set = {p.name: p.caveat for p in probe.probes}, probe.history.one_test_set
    write_accuracies(out / "accuracy.csv", probe.rows, headline.name, caveats, one_test_set)
    if probe.curve:
        write_curve(out / "curve.csv", probe.curve)
    if headline.caveat:
        title = "\n".join([title, *textwrap.wrap(f"{headline.name}: {headline.caveat}", 110)])
    matrices = {scope: probe.matrix(scope) for scope in probe.scopes if scope in headline.scopes}
    curves = {scope: accuracy_curve(probe.curve, headline.name, scope) for scope in matrices} if probe.curve else None
    levels = {"chance": chance, "pixels": float(np.mean(probe.pixels()))}
    draw(out / "accuracy.png", title, matrices, probe.untrained("all"), curves, **levels, start=start)
