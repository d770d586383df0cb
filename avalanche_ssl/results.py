"""What a run has found, for people: summary, tables, CSV and picture of the accuracy matrix."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from avalanche_ssl.evaluation.metrics import (
    average_accuracy,
    average_anytime_accuracy,
    backward_transfer,
    forgetting,
    forward_transfer,
    knowledge_gain,
)

if TYPE_CHECKING:
    from avalanche_ssl.plugins.probe import ProbePlugin

Matrix = NDArray[np.float64]

EXPLAIN = {
    "average accuracy": "mean of the last row of the matrix",
    "anytime accuracy": "mean over the stream of the average accuracy on experiences seen so far",
    "forgetting": "mean drop from the best to the last accuracy of an experience",
    "backward transfer": "mean change from just after learning an experience to the end",
    "untrained accuracy": "average accuracy of the encoder before any training",
    "forward transfer": "mean gain over the untrained encoder on an experience just before it is learnt",
    "knowledge gain": "mean gain of an experience's accuracy by learning it",
    "consolidation": "how often 200 neighbours tell which experience a test image is of, at the end",
}


def summary(matrix: Matrix, untrained: Matrix, consolidation: float = float("nan")) -> dict[str, float]:
    """The metrics of an accuracy matrix R (T, T) beside the untrained encoder's accuracies (T,), and consolidation."""
    return {
        "average accuracy": average_accuracy(matrix),
        "anytime accuracy": average_anytime_accuracy(matrix),
        "forgetting": forgetting(matrix),
        "backward transfer": backward_transfer(matrix),
        "forward transfer": forward_transfer(matrix, untrained),
        "untrained accuracy": float(np.mean(untrained)),
        "knowledge gain": knowledge_gain(matrix),
        "consolidation": consolidation,
    }


def percent(value: float) -> str:
    """Accuracy in per cent with one decimal; a dash where it is not defined."""
    return "-" if np.isnan(value) else f"{100 * value:.1f}"


def matrix_table(matrix: Matrix, untrained: Matrix, most: int = 20) -> str:
    """The matrix in per cent, a row for the untrained encoder and one for each experience learnt and measured.

    Of many rows or columns `most` are shown, among them the first and the last; the mean is over all columns.
    """
    width = max(6, len(str(len(matrix))) + 3)
    columns = _some(range(len(matrix)), most)
    head = "learnt".ljust(10) + "".join(f"e{j + 1}".rjust(width) for j in columns) + "   mean"
    measured = [t for t, row in enumerate(matrix) if not np.isnan(row).all() or t == len(matrix) - 1]
    lines = [head]
    for name, row in [("untrained", untrained), *((f"{t + 1}", matrix[t]) for t in _some(measured, most))]:
        mean = "-" if np.isnan(row).all() else percent(float(np.nanmean(row)))
        lines.append(name.ljust(10) + "".join(percent(row[j]).rjust(width) for j in columns) + mean.rjust(7))
    return "\n".join(lines)


def _some(values: Sequence[int], most: int) -> list[int]:
    """So many of the values at most, evenly spread, with the first and the last."""
    places = np.linspace(0, len(values) - 1, min(most, len(values))).round().astype(int)
    return [values[place] for place in places]


def protocol_table(probe: "ProbePlugin") -> str:
    """Mean accuracy in per cent of the last encoder under every probe and scope; a line for each probe."""
    lines = ["probe".ljust(24) + "".join(scope.rjust(8) for scope in probe.scopes)]
    for protocol in probe.probes:
        row = {s: probe.matrix(s, protocol.name)[-1] for s in probe.scopes if s in protocol.scopes}
        values = (percent(float(np.mean(row[s]))) if s in row else "-" for s in probe.scopes)
        lines.append(protocol.name.ljust(24) + "".join(v.rjust(8) for v in values))
        lines += (
            [f"  on all test images: {percent(probe.final[protocol.name])}"] if protocol.name in probe.final else []
        )
        lines += [f"  odd: {protocol.odd}"] if protocol.odd else []
    return "\n".join(lines)


def write_csv(path: Path, rows: list[dict[str, Matrix]], probe: str, odd: Mapping[str, str] | None = None) -> None:
    """All accuracies, one a line: trained, evaluated, probe, scope, accuracy, odd.

    A key of a row is a scope of the probe, or "NAME/SCOPE" of another one; `odd` says of probes what is odd.
    """
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["trained", "evaluated", "probe", "scope", "accuracy", "odd"])
        for trained, row in enumerate(rows):
            for key, accuracies in row.items():
                name, _, scope = key.rpartition("/")
                for j, accuracy in enumerate(accuracies):
                    if not np.isnan(accuracy):
                        note = (odd or {}).get(name or probe, "")
                        table.writerow([trained, j + 1, name or probe, scope, f"{accuracy:.6f}", note])


def draw(
    path: Path,
    title: str,
    matrices: Mapping[str, Matrix],
    untrained: Matrix,
    curves: Mapping[str, Sequence[tuple[int, float]]] | None = None,
) -> None:
    """A picture of the "all" matrix, and of the mean accuracy of each scope over the stream.

    Args:
        path: PNG to write.
        title: what was run.
        matrices: R (T, T) by scope.
        untrained: accuracies (T,) of the untrained encoder with the "all" probe.
        curves: by scope, images seen and mean accuracy at points of the stream: to be drawn instead of the means after
            each experience.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # no pyplot: no display, no global state
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 4.2), layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2, width_ratios=(1, 1.15))
    figure.suptitle(title)
    kept = [t for t, row in enumerate(matrices["all"]) if not np.isnan(row).all()]  # what was measured
    matrices = {scope: matrix[kept] for scope, matrix in matrices.items()}
    table = 100 * np.vstack([untrained, matrices["all"]])
    experiences, steps = len(untrained), np.array(kept, int) + 1
    image = left.imshow(table, cmap="viridis", vmin=0, vmax=100, aspect="auto")
    most = 20 if experiences < 100 else 10  # numbers that fit
    every, rows = 1 + (experiences - 1) // most, 1 + len(kept) // 20
    left.set_xticks(range(0, experiences, every), [str(j + 1) for j in range(0, experiences, every)])
    left.set_yticks(range(0, len(kept) + 1, rows), ["untrained", *map(str, steps)][::rows])
    left.set(
        xlabel="tested on experience", ylabel="learnt up to experience", title="accuracy, probe on all classes (%)"
    )
    if experiences <= 12:
        for (t, j), value in np.ndenumerate(table):
            if not np.isnan(value):
                left.text(j, t, f"{value:.0f}", ha="center", va="center", color="white" if value < 65 else "black")
    figure.colorbar(image, ax=left, fraction=0.046)
    labels = {
        "task": "task: probe on one experience's classes",
        "seen": "seen: probe on the classes so far",
        "all": "all: probe on all classes",
    }
    for scope, colour in [("task", "tab:green"), ("seen", "tab:orange"), ("all", "tab:blue")]:
        if curves:
            seen, accuracies = zip(*curves.get(scope, [(0, np.nan)]), strict=True)
            right.plot(seen, 100 * np.array(accuracies), ".-", color=colour, label=labels[scope])
        elif scope in matrices and not np.isnan(matrices[scope]).all():
            mean = [100 * np.nanmean(r) if not np.isnan(r).all() else np.nan for r in matrices[scope]]
            right.plot(steps, mean, "o-", color=colour, label=labels[scope])
    right.axhline(100 * float(np.mean(untrained)), color="gray", linestyle="--", label="untrained encoder, all")
    if not curves:
        right.set_xticks(steps[:: 1 + len(kept) // most])
    learnt = "images of the stream seen" if curves else "experiences learnt"
    right.set(xlabel=learnt, ylabel="mean accuracy (%)", ylim=(0, 102), title="over the stream")
    right.grid(alpha=0.3)
    right.legend(fontsize="small")
    figure.savefig(path, dpi=120)
