"""A sheet of images with the boxes that a detector finds, beside those that it should find."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torchvision.ops import box_iou

from avalanche_ssl.detection.boxes import Target
from avalanche_ssl.drawing import COLORS, PAPER, STYLE

Prediction = Mapping[str, Tensor]
"""Boxes (K, 4), labels (K,) in 0, 1, ... and scores (K,) of an image."""

HIT, FALSE, MISSED = COLORS[2], COLORS[1], PAPER
WIDTH = 12.0
"""Inches of a sheet."""


def match(target: Target, prediction: Prediction, iou: float = 0.5) -> list[int]:
    """For each detection, the number of the object that it finds, or -1; the surest detection chooses first.

    It finds the free object of its class that it overlaps most, if by `iou` at least. What overlaps no free one but an
    object to ignore by that much is -2: it counts neither for nor against.
    """
    overlaps = box_iou(prediction["boxes"], torch.cat([target["boxes"], target["ignored_boxes"]]))
    labels = torch.cat([target["labels"], target["ignored_labels"]])
    found = [-1] * len(overlaps)
    free = overlaps * (prediction["labels"][:, None] == labels)
    n = len(target["labels"])
    for row in prediction["scores"].argsort(descending=True, stable=True).tolist():
        best = max(range(n), key=free[row].tolist().__getitem__, default=-1)
        if best >= 0 and free[row, best] >= iou:
            found[row] = best
            free[:, best] = 0
        elif (free[row, n:] >= iou).any():
            found[row] = -2
    return found


def draw_detections(
    path: Path,
    images: Sequence[Tensor],
    targets: Sequence[Target],
    predictions: Sequence[Prediction],
    class_names: Sequence[str],
    title: str = "",
    threshold: float = 0.5,
    columns: int = 6,
) -> None:
    """Write a PNG of images with their detections of a score of at least `threshold`.

    A detection that finds an object (the class is right, IoU at least 0.5) is green, a false one orange, both with
    their class and score; an object that none finds has a dashed frame and its class. Above are their numbers.

    Args:
        path: PNG to write.
        images: uint8 (C, H, W), with one channel or three.
        targets, predictions: of each image.
        class_names: what the labels mean.
        title: what was trained, for the line above.
        threshold: score of the detections that are drawn.
        columns: images in a row.
    """
    from matplotlib import rc_context
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # no pyplot: no display, no global state
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    columns = min(columns, len(images))
    rows, side = math.ceil(len(images) / columns), WIDTH / columns
    height = max(image.shape[1] / image.shape[2] for image in images) * side
    with rc_context(STYLE):
        layout = ConstrainedLayoutEngine(w_pad=0.03, h_pad=0.03, wspace=0, hspace=0)
        figure = Figure(figsize=(WIDTH, rows * height + 0.8), layout=layout, dpi=120)
        FigureCanvasAgg(figure)
        axes = figure.subplots(rows, columns, squeeze=False).ravel()
        counts = [0, 0, 0]
        for panel, image, target, prediction in zip(axes, images, targets, predictions, strict=False):
            sure = prediction["scores"] >= threshold
            shown = {name: values[sure].cpu() for name, values in prediction.items()}
            here = _draw_image(panel, image, target, shown, class_names)
            counts = [total + number for total, number in zip(counts, here, strict=True)]
        for panel in axes:
            panel.set_axis_off()
        _draw_legend(figure, title, threshold, counts)
        figure.savefig(path)


def _draw_image(
    axes: Any, image: Tensor, target: Target, prediction: Prediction, class_names: Sequence[str]
) -> tuple[int, int, int]:
    """Draw one image; how many objects were found, how many detections are false, and how many objects missed."""
    pixels = image.expand(3, -1, -1) if len(image) == 1 else image[:3]
    axes.imshow(pixels.permute(1, 2, 0).cpu().numpy(), interpolation="nearest")
    found = match(target, prediction)
    missed = sorted(set(range(len(target["labels"]))) - set(found))
    for number in missed:
        name = class_names[int(target["labels"][number])]
        _draw_box(axes, target["boxes"][number].tolist(), name, MISSED, below=True, linestyle=(0, (3, 2)))
    columns = (prediction["boxes"].tolist(), prediction["labels"].tolist(), prediction["scores"].tolist(), found)
    for box, label, score, number in zip(*columns, strict=True):
        if number != -2:
            _draw_box(axes, box, f"{class_names[label]} {100 * score:.0f}", HIT if number >= 0 else FALSE)
    return sum(number >= 0 for number in found), found.count(-1), len(missed)


def _draw_box(axes: Any, box: Sequence[float], text: str, color: str, below: bool = False, **look: Any) -> None:
    """A frame with a dark edge, which shows on any image, and what it is on a small plate at its corner."""
    from matplotlib.patches import Rectangle
    from matplotlib.patheffects import withStroke

    x1, y1, x2, y2 = (value - 0.5 for value in box)  # the center of the first pixel is drawn at 0
    edge = [withStroke(linewidth=3, foreground="#00000080")]
    axes.add_patch(
        Rectangle((x1, y1), x2 - x1, y2 - y1, fill=False, edgecolor=color, linewidth=1.6, path_effects=edge, **look)
    )
    axes.annotate(
        text,
        (x1, y2 if below else y1),
        xytext=(0, -1 if below else 1),
        textcoords="offset points",
        va="top" if below else "bottom",
        fontsize=7,
        color="black" if color == MISSED else "white",
        bbox={"boxstyle": "square,pad=0.15", "facecolor": color, "edgecolor": "none", "alpha": 0.85},
    )


def _draw_legend(figure: Any, title: str, threshold: float, counts: Sequence[int]) -> None:
    from matplotlib.lines import Line2D

    found, false, missed = counts
    lines = [
        (Line2D([], [], color=HIT, linewidth=2), f"{found} of {found + missed} objects found"),
        (Line2D([], [], color=FALSE, linewidth=2), f"{false} false, of score {100 * threshold:.0f} or more"),
        (Line2D([], [], color="black", linewidth=1.4, linestyle=(0, (3, 2))), f"{missed} missed"),
    ]
    handles, texts = zip(*lines, strict=True)
    figure.legend(handles, texts, loc="outside upper center", ncols=3, title=title, title_fontsize=11, fontsize=9)
