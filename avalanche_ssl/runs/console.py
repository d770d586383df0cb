"""What a run prints: its state while it lasts, one line per experience, the report at the end."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from avalanche_ssl.logging import RepresentationEvent
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


def print_report(probe: ProbePlugin, chance: float, part: str = "test", start: str = "untrained") -> None:
    """Print the accuracy matrix, the probes, the curve, the probing tasks and the summary.

    Args:
        probe: after the last experience.
        chance: accuracy of guessing among all classes.
        part: of the data, that probes are scored on: "test" or "validation".
        start: what the encoder at the start is called.
    """
    import numpy as np

    from avalanche_ssl.evaluation import RawPixels
    from avalanche_ssl.runs.summary import curve_table, matrix_table, protocol_table, summary_table, task_table
    from avalanche_ssl.runs.text import wrapped

    matrix, untrained, headline = probe.matrix("all"), probe.untrained("all"), probe.probes[0]
    frozen = probe.frozen_matrix("all")
    older = not np.isnan(frozen[:-1]).all()  # than the last encoder: others were fitted on it
    below = {"frozen": frozen[-1], RawPixels.name: probe.pixels()}
    more = {name: row for name, row in below.items() if not np.isnan(row).all() and (older or name != "frozen")}
    tested = f"the one {part} set" if matrix.shape[1] < len(matrix) else f"the {part} data of each experience"
    print()
    print(wrapped(f"accuracy (%) on {tested}; {headline.name}, fitted on the training data of all"))
    print(matrix_table(matrix, untrained, chance=chance, more=more, start=start))
    if "frozen" in more:
        print(wrapped("frozen: the last encoder, read by the probe that was fitted right after each experience", 2))
    print()
    if len(probe.probes) > 1 or headline.caveat:
        print(protocol_table(probe, start), end="\n\n")
    if probe.curve:
        print(f"mean accuracy (%) by images of the stream seen; {headline.name}")
        print(curve_table(probe.curve, headline.name), end="\n\n")
    if probe.task_results:
        grouping = next(iter(probe.probing_tasks[0].groups), "")
        print(f"probing tasks (accuracy in %; {probe.probing_tasks[0].name} by {grouping} first)")
        print(task_table(probe.task_results, grouping, final=probe.full_test_results, start=start), end="\n\n")
    print(summary_table(matrix, untrained, probe.consolidation, frozen))


def print_end(progress: Progress, event: RepresentationEvent | None, clocks: Mapping[str, float]) -> None:
    """Print what is known of plugins after the last experience, and what the time went into.

    Args:
        progress: of the run.
        event: the latest measures of the representation, with those of plugins.
        clocks: seconds by what they were spent on, see `EndEvent`.
    """
    from avalanche_ssl.runs.text import wrapped

    plugins = (event.plugins if event else None) or {}
    print("".join("\n" + wrapped(f"{name}: {plugin_text(vitals)}", 2) for name, vitals in plugins.items()))
    trained = f"training {progress.seconds:.1f} s, {progress.rate:,.0f} images/s"
    everything = f"everything {clocks['seconds']:.1f} s, of it {seconds_line(clocks)}"
    print(bool(plugins) * "\n" + wrapped(f"{trained}; {everything}", 2))


def plugin_text(vitals: Mapping[str, Any]) -> str:
    """What is known of a plugin, in words, see `RepresentationEvent.plugins`."""
    words = []
    if "term" in vitals:
        words.append(f"latest term {vitals['term']:.3g} at weight {vitals.get('weight', 1.0):.3g}")
    elif "teacher_norm" in vitals:
        words.append("no term yet")
    if "gradient_ratio" in vitals:
        ratio = vitals["gradient_ratio"]
        words.append(f"its gradient at weight 1 is {ratio:.2g} times that of the method's loss")
    if "images" in vitals:
        median, oldest = vitals["age_median"], vitals["age_oldest"]
        words.append(f"{vitals['images']:,} images, of median age {median:,.0f} and {oldest:,.0f} at most")
    if "momentum" in vitals:
        momentum, steps = vitals["momentum"], vitals["steps"]
        past = "never moves" if momentum == 1 else f"is {1 / (1 - momentum):,.0f} steps behind"
        words.append(f"its copy {past} (momentum {momentum:g}), and the experience had {steps:,}")
    if "teacher_norm" in vitals:
        words.append(f"norm {vitals['teacher_norm']}")
    return "; ".join(words)


def seconds_line(clocks: Mapping[str, float]) -> str:
    """What the seconds other than those of training went into; "rest" is monitoring, figures and reports."""
    parts = {name.removesuffix("_seconds"): s for name, s in clocks.items() if name not in ("seconds", "train_seconds")}
    parts["rest"] = clocks["seconds"] - clocks["train_seconds"] - sum(parts.values())
    return ", ".join(f"{name} {seconds:.1f}" for name, seconds in parts.items())
