"""The picture of a run's accuracy matrix."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    pass
from avalanche_ssl.runs.summary import Matrix


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
    for scope, color in [("task", "tab:green"), ("seen", "tab:orange"), ("all", "tab:blue")]:
        if curves:
            seen, accuracies = zip(*curves.get(scope, [(0, np.nan)]), strict=True)
            right.plot(seen, 100 * np.array(accuracies), ".-", color=color, label=labels[scope])
        elif scope in matrices and not np.isnan(matrices[scope]).all():
            mean = [100 * np.nanmean(r) if not np.isnan(r).all() else np.nan for r in matrices[scope]]
            right.plot(steps, mean, "o-", color=color, label=labels[scope])
    right.axhline(100 * float(np.mean(untrained)), color="gray", linestyle="--", label="untrained encoder, all")
    if not curves:
        right.set_xticks(steps[:: 1 + len(kept) // most])
    learnt = "images of the stream seen" if curves else "experiences learnt"
    right.set(xlabel=learnt, ylabel="mean accuracy (%)", ylim=(0, 102), title="over the stream")
    right.grid(alpha=0.3)
    right.legend(fontsize="small")
    figure.savefig(path, dpi=120)
