"""The figure of a run: its accuracy matrix, and its accuracies over the stream."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from avalanche_ssl.evaluation import Matrix

SCOPES = {
    "task": ("tab:green", "task: probe on one experience's classes"),
    "seen": ("tab:orange", "seen: probe on the classes so far"),
    "all": ("tab:blue", "all: probe on all classes"),
}
"""Color and label of each scope."""

Curve = Sequence[tuple[int, float]]
"""Images seen and mean accuracy."""


def draw(
    path: Path,
    title: str,
    matrices: Mapping[str, Matrix],
    untrained: Matrix,
    curves: Mapping[str, Curve] | None = None,
    chance: float | None = None,
) -> None:
    """Write a figure of the "all" matrix, and of the mean accuracy of each scope over the stream.

    Args:
        path: PNG to write.
        title: what was run.
        matrices: R (T, T), or (T, 1), by scope.
        untrained: accuracies (T,) of the untrained encoder with the "all" probe.
        curves: accuracy curves by scope, to draw instead of the means after each experience.
        chance: accuracy of guessing among all classes.
    """
    from matplotlib import rc_context

    with rc_context({"text.parse_math": False, "text.usetex": False}):  # names may have a $
        _draw(path, title, matrices, untrained, curves or {}, chance)


def _draw(
    path: Path,
    title: str,
    matrices: Mapping[str, Matrix],
    untrained: Matrix,
    curves: Mapping[str, Curve],
    chance: float | None,
) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # no pyplot: no display, no global state
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 4.2), layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2, width_ratios=(1, 1.15))
    figure.suptitle(title)
    measured = [t for t, row in enumerate(matrices["all"]) if not np.isnan(row).all()]
    image = _draw_matrix(left, 100 * np.vstack([untrained, matrices["all"][measured]]), measured)
    figure.colorbar(image, ax=left, fraction=0.046)
    if curves:
        _draw_curves(right, curves)
    else:
        _draw_means(right, {scope: matrix[measured] for scope, matrix in matrices.items()}, measured)
    right.axhline(100 * float(np.mean(untrained)), color="gray", linestyle="--", label="untrained encoder, all")
    if chance is not None:
        right.axhline(100 * chance, color="gray", linestyle=":", label="chance, all")
    right.set(ylabel="mean accuracy (%)", ylim=(0, 102), title="over the stream")
    right.grid(alpha=0.3)
    right.legend(fontsize="small")
    figure.savefig(path, dpi=120)


def _draw_matrix(axes: Any, percents: Matrix, measured: Sequence[int]) -> Any:
    """The image of the rows (1 + measured, T) of the matrix, the untrained encoder first."""
    image = axes.imshow(percents, cmap="viridis", vmin=0, vmax=100, aspect="auto")
    experiences = percents.shape[1]
    every, rows = 1 + (experiences - 1) // _most(experiences), 1 + len(measured) // 20
    names = ["untrained", *(str(t + 1) for t in measured)]
    axes.set_xticks(range(0, experiences, every), [str(j + 1) for j in range(0, experiences, every)])
    axes.set_yticks(range(0, len(names), rows), names[::rows])
    axes.set(
        xlabel="one test set" if experiences == 1 and len(measured) > 1 else "tested on experience",
        ylabel="trained up to experience",
        title="accuracy, probe on all classes (%)",
    )
    if experiences <= 12:
        for (t, j), value in np.ndenumerate(percents):
            if not np.isnan(value):
                axes.text(j, t, f"{value:.0f}", ha="center", va="center", color="white" if value < 65 else "black")
    return image


def _draw_curves(axes: Any, curves: Mapping[str, Curve]) -> None:
    for scope, (color, label) in SCOPES.items():
        seen, accuracies = zip(*curves.get(scope, [(0, np.nan)]), strict=True)
        axes.plot(seen, 100 * np.array(accuracies), ".-", color=color, label=label)
    axes.set_xlabel("images of the stream seen")


def _draw_means(axes: Any, matrices: Mapping[str, Matrix], measured: Sequence[int]) -> None:
    """The mean of each row that was measured, a line per scope."""
    steps = np.array(measured, int) + 1
    for scope, (color, label) in SCOPES.items():
        if scope in matrices and not np.isnan(matrices[scope]).all():
            means = [100 * np.nanmean(row) if not np.isnan(row).all() else np.nan for row in matrices[scope]]
            axes.plot(steps, means, "o-", color=color, label=label)
    axes.set_xticks(steps[:: 1 + len(steps) // _most(max(steps, default=0))])
    axes.set_xlabel("experiences trained")


def _most(experiences: int) -> int:
    """How many of their numbers fit on an axis."""
    return 20 if experiences < 100 else 10
