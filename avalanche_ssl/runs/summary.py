"""The metrics of a run by name, each with its explanation, and a run's accuracies as tables of text."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from avalanche_ssl.evaluation import Matrix, TaskResult, accuracy_curve, metrics
from avalanche_ssl.runs.text import screen_width, table_lines, wrapped

if TYPE_CHECKING:
    from avalanche_ssl.logging import CurveEvent
    from avalanche_ssl.plugins import ProbePlugin

Item = TypeVar("Item")


@dataclass(frozen=True)
class Metric:
    """A number of the accuracy matrix R (T, T) and the untrained encoder's accuracies (T,).

    Args:
        name: in every table, figure and document.
        explanation: what it is, in one sentence.
        formula: of R[t, j] and the untrained accuracies u[j]; empty for what is measured on the features.
        function: the same; None for what is measured on the features.
        frozen: whether it is given the matrix F of frozen probes in place of R, see `FrozenProbes`.
    """

    name: str
    explanation: str
    formula: str
    function: Callable[[Matrix, Matrix], float] | None
    frozen: bool = False


METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric(
            "average accuracy",
            "mean of the last row of R: the accuracy of the last encoder, mean over the experiences",
            "mean over j of R[T, j]",
            lambda R, untrained: metrics.average_accuracy(R),
        ),
        Metric(
            "gain",
            "average accuracy minus untrained accuracy",
            "mean over j of R[T, j] - u[j]",
            lambda R, untrained: metrics.average_accuracy(R) - float(np.mean(untrained)),
        ),
        Metric(
            "anytime accuracy",
            "mean accuracy on the experiences seen so far, after each experience; as one number, its mean over the "
            "stream",
            "mean over t of the mean over j <= t of R[t, j]",
            lambda R, untrained: metrics.average_anytime_accuracy(R),
        ),
        Metric(
            "forgetting (refitted probe)",
            "what the features no longer hold: mean drop of an experience's accuracy from its best to the end, where "
            "the probe is fitted again on the features of each encoder, without the last experience (CaSSLe, Osiris)",
            "mean over j < T of max over t of R[t, j] - R[T, j]",
            lambda R, untrained: metrics.forgetting(R),
        ),
        Metric(
            "forgetting (frozen probe)",
            "what an old classifier loses because the features have moved: mean drop of an experience's accuracy from "
            "its best to the end by the probe that was fitted right after training on it, and is kept as it is",
            "mean over j < T of max over t >= j of F[t, j] - F[T, j]",
            lambda F, untrained: metrics.frozen_forgetting(F),
            frozen=True,
        ),
        Metric(
            "forgetting (Chaudhry)",
            "as forgetting (refitted probe), with the best taken between training on the experience and the end; "
            "negative if the end is best",
            "mean over j < T of max over j <= t < T of R[t, j] - R[T, j]",
            lambda R, untrained: metrics.forgetting_chaudhry(R),
        ),
        Metric(
            "backward transfer",
            "mean change of an experience's accuracy from right after training on it to the end",
            "mean over j < T of R[T, j] - R[j, j]",
            lambda R, untrained: metrics.backward_transfer(R),
        ),
        Metric(
            "forward transfer",
            "mean gain over the encoder at the start on an experience right before training on it",
            "mean over j > 1 of R[j - 1, j] - u[j]",
            metrics.forward_transfer,
        ),
        Metric(
            "knowledge gain",
            "plasticity: mean gain of an experience's accuracy by training on it (Osiris)",
            "mean over j < T of R[j + 1, j + 1] - R[j, j + 1]",
            lambda R, untrained: metrics.knowledge_gain(R),
        ),
        Metric(
            "untrained accuracy",
            "accuracy of the encoder at the start: before any training, or as --init or --continue-from gave it; mean "
            "over the experiences",
            "mean over j of u[j]",
            lambda R, untrained: float(np.mean(untrained)),
        ),
        Metric(
            "consolidation",
            "share of the test images whose experience the 200 nearest training images tell, by cosine, at the end; "
            "independent of the probe, chance is 1 / T (Osiris)",
            "",
            None,
        ),
    )
}
"""All metrics by name."""

SUMMARY = (
    "average accuracy",
    "anytime accuracy",
    "forgetting (refitted probe)",
    "forgetting (frozen probe)",
    "backward transfer",
    "forward transfer",
    "untrained accuracy",
    "knowledge gain",
    "consolidation",
)
"""Metrics that are printed at the end of a run."""


def summary(
    matrix: Matrix, untrained: Matrix, consolidation: float = math.nan, frozen: Matrix | None = None
) -> dict[str, float]:
    """The metrics of `SUMMARY`.

    Args:
        matrix: R (T, T).
        untrained: the untrained encoder's accuracies (T,).
        consolidation: of the last encoder.
        frozen: F (T, T) of frozen probes; None: not measured.
    """
    unmeasured = np.full_like(matrix, np.nan)
    matrices = {False: matrix, True: unmeasured if frozen is None else frozen}
    chosen = {name: METRICS[name] for name in SUMMARY}
    return {
        name: metric.function(matrices[metric.frozen], untrained) if metric.function else consolidation
        for name, metric in chosen.items()
    }


def summary_table(
    matrix: Matrix, untrained: Matrix, consolidation: float = math.nan, frozen: Matrix | None = None
) -> str:
    """The summary in percent with explanations."""
    found = summary(matrix, untrained, consolidation, frozen)
    width = max(map(len, SUMMARY))
    numbers = {name: f"{name:<{width}} {percent(value):>6} %   " for name, value in found.items()}
    return "\n".join(wrapped(text + METRICS[name].explanation, len(text)) for name, text in numbers.items())


def metrics_table() -> str:
    """All metrics with their explanations and formulas as a table in Markdown."""
    rows = [f"| {metric.name} | {metric.explanation} | {metric.formula} |" for metric in METRICS.values()]
    return "\n".join(["| metric | meaning | formula |", "|---|---|---|", *rows])


def percent(value: float, signed: bool = False) -> str:
    """A share in percent with one decimal; a dash where it is not defined."""
    return "-" if np.isnan(value) else f"{100 * value:{'+' if signed else ''}.1f}"


def start_name(*configs: Mapping[str, Any]) -> str:
    """What the encoders before the stream are called in tables and figures: untrained, unless one was given."""
    given = any(config.get("init") or config.get("continue_from") for config in configs)
    return "at the start" if given else "untrained"


def matrix_table(
    matrix: Matrix,
    untrained: Matrix,
    most: int = 20,
    chance: float | None = None,
    more: Mapping[str, Matrix] = {},
    start: str = "untrained",
) -> str:
    """The accuracy matrix in percent: rows for the encoder at the start and each measured number of experiences.

    Args:
        matrix: R (T, T), or (T, 1) on one test set.
        untrained: accuracies (T,), or (1,), of the encoder at the start.
        most: show so many rows, and columns if the screen is wide enough, at most, among them the first and the last;
            the mean is over all columns.
        chance: accuracy of guessing, for a last row.
        more: accuracies (T,), or (1,), of further rows before it, by their names.
        start: what the encoder at the start is called, see `start_name`.
    """
    width, beside = max(6, len(str(len(matrix))) + 3), max(10, *(len(name) + 1 for name in (start, *more)))
    columns = evenly_spread(range(matrix.shape[1]), min(most, (screen_width() - beside - 7) // width))
    measured = [t for t, row in enumerate(matrix) if not np.isnan(row).all() or t == len(matrix) - 1]
    rows = {start: untrained} | {f"{t + 1}": matrix[t] for t in evenly_spread(measured, most)} | dict(more)
    rows |= {} if chance is None else {"chance": np.full(matrix.shape[1], chance)}
    lines = ["trained".ljust(beside) + "".join(f"e{j + 1}".rjust(width) for j in columns) + "   mean"]
    for name, row in rows.items():
        mean = math.nan if np.isnan(row).all() else float(np.nanmean(row))
        lines.append(
            name.ljust(beside) + "".join(percent(row[j]).rjust(width) for j in columns) + percent(mean).rjust(7)
        )
    return "\n".join(lines)


def protocol_table(probe: ProbePlugin, start: str = "untrained") -> str:
    """Mean accuracy of the last encoder in percent, one line per probe with a column per scope.

    Beside it, in the scope "all", that of the encoder at the start, under its name, and of raw pixels.
    """
    first = f"{start}, all"
    columns = {name: max(8, len(name) + 2) for name in (*probe.scopes, first, "pixels, all")}
    lines = ["probe".ljust(24) + "".join(name.rjust(width) for name, width in columns.items())]
    for protocol in probe.probes:
        row = {s: probe.matrix(s, protocol.name)[-1] for s in probe.scopes if s in protocol.scopes}
        if "all" in row:
            row |= {first: probe.untrained("all", protocol.name), "pixels, all": probe.pixels(protocol.name)}
        shown = {name: percent(float(np.mean(row[name]))) if name in row else "-" for name in columns}
        lines.append(protocol.name.ljust(24) + "".join(shown[name].rjust(width) for name, width in columns.items()))
        if protocol.name in probe.full_test_accuracies:
            lines.append(f"  on all test images: {percent(probe.full_test_accuracies[protocol.name])}")
        if protocol.caveat:
            lines.append(wrapped(f"  caveat: {protocol.caveat}", 4))
    return "\n".join(lines)


def curve_table(curve: Sequence[CurveEvent], probe: str, most: int = 20) -> str:
    """The accuracy curve of a probe in percent by images seen, one column per scope, at most so many rows."""
    scopes = list(dict.fromkeys(point.scope for point in curve if point.probe == probe))
    curves = {scope: dict(accuracy_curve(curve, probe, scope)) for scope in scopes}
    seen = sorted({images for found in curves.values() for images in found})
    lines = ["images seen".rjust(12) + "".join(scope.rjust(8) for scope in scopes)]
    for images in evenly_spread(seen, most):
        values = (percent(curves[scope].get(images, math.nan)) for scope in scopes)
        lines.append(f"{images:>12,}" + "".join(value.rjust(8) for value in values))
    return "\n".join(lines)


def task_table(
    task_results: Sequence[tuple[int, Sequence[TaskResult]]],
    grouping: str,
    most: int = 12,
    final: Sequence[TaskResult] = (),
    start: str = "untrained",
) -> str:
    """Accuracies of probing tasks in percent over the stream: a column per task, and per group of the first task.

    Args:
        task_results: with the number of experiences trained before them.
        grouping: of the first task.
        most: show so many rows at most, among them the first and the last.
        final: results on all test images, where the others are on one in n, for a row of their own.
        start: what the encoder at the start is called.
    """
    first = task_results[0][1]
    groups = list(first[0].by_group.get(grouping, {}))
    columns = [f"{grouping} {group}" for group in groups] + [result.task for result in first]

    def row(name: str, results: Sequence[TaskResult]) -> tuple[str, list[str]]:
        known = {result.task: result for result in results}
        lead = known.get(first[0].task)
        values = [lead.by_group[grouping].get(group, math.nan) if lead else math.nan for group in groups]
        values += [known[one.task].accuracy if one.task in known else math.nan for one in first]
        return name, [percent(value) for value in values]

    rows = [row(str(trained) if trained else start, results) for trained, results in evenly_spread(task_results, most)]
    rows += [row("all images", final)] if final else []
    rows += [("chance", ["" for _ in groups] + [percent(result.chance) for result in first])]
    return "\n".join(table_lines("trained", columns, rows))


def evenly_spread(values: Sequence[Item], most: int) -> list[Item]:
    """So many of the values at most, evenly spread, with the first and the last."""
    places = np.linspace(0, len(values) - 1, min(most, len(values))).round().astype(int)
    return [values[place] for place in places]
