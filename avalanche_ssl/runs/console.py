"""What a run prints."""

import textwrap
from collections.abc import Mapping
from pathlib import Path

from avalanche_ssl.evaluation.history import curve
from avalanche_ssl.plugins.probe import ProbePlugin
from avalanche_ssl.runs.csv_files import write_csv, write_curve
from avalanche_ssl.runs.plots import draw
from avalanche_ssl.runs.summary import EXPLAIN, curve_table, matrix_table, percent, protocol_table, summary, task_table


def _parts(clocks: Mapping[str, float]) -> str:
    """What the seconds beside those of training went into; "rest" is health, pictures and reports."""
    parts = {name.removesuffix("_seconds"): s for name, s in clocks.items() if name not in ("seconds", "train_seconds")}
    parts["rest"] = clocks["seconds"] - clocks["train_seconds"] - sum(parts.values())
    return ", ".join(f"{name} {seconds:.1f}" for name, seconds in parts.items())


def _report(probe: ProbePlugin, out: Path, name: str) -> None:
    """Print the matrix and the summary; write the CSV and the picture."""
    matrix, untrained = probe.matrix("all"), probe.untrained("all")
    headline = probe.probes[0]
    print(f"\naccuracy (%) on the test data of each experience; {headline.name}, fitted on the training data of all")
    print(matrix_table(matrix, untrained))
    print()
    if len(probe.probes) > 1 or headline.caveat:
        print(protocol_table(probe))
        print()
    if probe.curve:
        print(f"mean accuracy (%) by images of the stream seen; {headline.name}")
        print(curve_table(probe.curve, headline.name))
        print()
    if probe.task_results:
        grouping = next(iter(probe.probing_tasks[0].groups), "")
        print(
            f"further questions to the probe (accuracy in %; {probe.task_results[0][1][0].question} by {grouping} first)"
        )
        print(task_table(probe.task_results, grouping, final=probe.full_test_results))
        print()
    for metric, value in summary(matrix, untrained, probe.consolidation).items():
        print(f"{metric:<20} {percent(value):>6} %   {EXPLAIN[metric]}")
    write_csv(out / "accuracy.csv", probe.rows, headline.name, {p.name: p.caveat for p in probe.probes})
    title = "\n".join([name, *textwrap.wrap(f"{headline.name}: {headline.caveat}", 110)]) if headline.caveat else name
    matrices = {scope: probe.matrix(scope) for scope in probe.scopes if scope in headline.scopes}
    curves = {scope: curve(probe.curve, headline.name, scope) for scope in matrices} if probe.curve else None
    draw(out / "accuracy.png", title, matrices, untrained, curves)
    if probe.curve:
        write_curve(out / "points.csv", probe.curve)
