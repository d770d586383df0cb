"""What a run prints: its state while it lasts, one line per experience, the report at the end."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from avalanche_ssl.plugins import ProbePlugin, Progress


@contextmanager
def status(text: str) -> Iterator[None]:
    """Show on a terminal what is being done while the block lasts; elsewhere nothing."""
    shown = sys.stderr.isatty()
    if shown:
        print(f"{text} ...", end="\r", file=sys.stderr, flush=True)  # what is printed meanwhile takes its place
    try:
        yield
    finally:
        if shown:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)


def experience_head(progress: Progress, probe: ProbePlugin | None) -> str:
    """The line above those of experiences: what their numbers are."""
    name = "experience".ljust(_name_width(progress))
    scopes = "".join(f"{scope + ' %':>8}" for scope in _scopes(probe))
    return f"{name}{'images':>12}{'seconds':>10}{'images/s':>10}{'loss':>9}{scopes}{'time left':>11}"


def experience_line(progress: Progress, probe: ProbePlugin | None) -> str:
    """What the latest experience cost, the accuracies of the headline probe, and the time left with all probing."""
    import numpy as np

    from avalanche_ssl.runs.summary import percent

    event = progress.last
    assert event is not None
    name = f"experience {event.experiences_trained}/{progress.experiences}".ljust(_name_width(progress))
    row = probe.rows[-1] if probe and probe.measured else {}
    accuracies = "".join(f"{percent(float(np.nanmean(row[s]))) if s in row else '':>8}" for s in _scopes(probe))
    return (
        f"{name}{event.images_trained:>12,}{event.seconds:>10.1f}{event.images_per_second:>10,.0f}{event.loss:>9.3f}"
        f"{accuracies}{progress.time_left if event.experiences_trained < progress.experiences else '':>11}"
    ).rstrip()


def _name_width(progress: Progress) -> int:
    return len(f"experience {progress.experiences}/{progress.experiences}")


def _scopes(probe: ProbePlugin | None) -> list[str]:
    """The scopes of the headline probe."""
    return [scope for scope in probe.scopes if scope in probe.probes[0].scopes] if probe else []


def print_report(probe: ProbePlugin, chance: float) -> None:
    """Print the accuracy matrix, the probes, the curve, the probing tasks and the summary.

    Args:
        probe: after the last experience.
        chance: accuracy of guessing among all classes.
    """
    from avalanche_ssl.runs.summary import curve_table, matrix_table, protocol_table, summary_table, task_table
    from avalanche_ssl.runs.text import wrapped

    matrix, untrained, headline = probe.matrix("all"), probe.untrained("all"), probe.probes[0]
    tested = "the one test set" if matrix.shape[1] < len(matrix) else "the test data of each experience"
    print()
    print(wrapped(f"accuracy (%) on {tested}; {headline.name}, fitted on the training data of all"))
    print(matrix_table(matrix, untrained, chance=chance), end="\n\n")
    if len(probe.probes) > 1 or headline.caveat:
        print(protocol_table(probe), end="\n\n")
    if probe.curve:
        print(f"mean accuracy (%) by images of the stream seen; {headline.name}")
        print(curve_table(probe.curve, headline.name), end="\n\n")
    if probe.task_results:
        grouping = next(iter(probe.probing_tasks[0].groups), "")
        print(f"probing tasks (accuracy in %; {probe.probing_tasks[0].name} by {grouping} first)")
        print(task_table(probe.task_results, grouping, final=probe.full_test_results), end="\n\n")
    print(summary_table(matrix, untrained, probe.consolidation))


def seconds_line(clocks: Mapping[str, float]) -> str:
    """What the seconds other than those of training went into; "rest" is monitoring, figures and reports."""
    parts = {name.removesuffix("_seconds"): s for name, s in clocks.items() if name not in ("seconds", "train_seconds")}
    parts["rest"] = clocks["seconds"] - clocks["train_seconds"] - sum(parts.values())
    return ", ".join(f"{name} {seconds:.1f}" for name, seconds in parts.items())
