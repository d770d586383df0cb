"""Points of classes as paths of an SVG that fill its panel, each class with a color, a shape and its name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from avalanche_ssl.drawing import COLORS, shortened

WIDTH, HEIGHT, MARGIN = 400, 300, 12
"""Of the panel, in units of the SVG; a point is some eight units wide."""

SHAPES = {
    "dot": "h0",
    "square": "m-3-3h6v6h-6z",
    "triangle": "m0-5l4.5 8h-9z",
    "diamond": "m0-5l4 5-4 5-4-5z",
    "plus": "m-4 0h8m-4-4v8",
    "arrow": "m0 5l4.5-8h-9z",
    "ring": "m-3 0a3 3 0 1 0 6 0a3 3 0 1 0-6 0",
}
"""What a point of each shape adds to a path."""

LETTER, LINE = 8, 15
"""Width of a letter and height of a line of labels."""

LONGEST = 16
"""Letters of a label."""


@dataclass(frozen=True)
class Look:
    """How the points of a class are drawn; 56 classes differ in color or shape, and neighbors in number in both."""

    color: int
    """Place in `COLORS`."""
    shape: str
    """One of `SHAPES`."""

    @classmethod
    def of(cls, number: int) -> Look:
        """The look of a class by its number."""
        color = number % len(COLORS)
        return cls(color, list(SHAPES)[(color + number // len(COLORS)) % len(SHAPES)])

    @property
    def mark(self) -> str:
        """The path of one point, in the middle of a square of 12 units."""
        return f"M6 6{SHAPES[self.shape]}"


@dataclass(frozen=True)
class ClassPoints:
    """The points of a class.

    Args:
        name: of the class.
        look: color and shape.
        path: all points, as the `d` of a path.
        label: where its name stands; None if the class is scattered among others, or there is no room.
    """

    name: str
    look: Look
    path: str
    label: tuple[int, int] | None


def class_points(points: NDArray[np.float64], labels: NDArray[np.int64], names: Sequence[str]) -> list[ClassPoints]:
    """The points (N, 2) by class, placed so that each axis fills the panel.

    Names stand where their class is the most common, those of compact classes first, where they cover no other.

    Args:
        points: in any units.
        labels: (N,) places in `names`.
        names: of the classes.
    """
    low, reach = points.min(axis=0), np.ptp(points, axis=0)
    share = (points - low) / np.where(reach > 0, reach, 1.0)
    size = np.array([WIDTH - 2 * MARGIN, HEIGHT - 2 * MARGIN])
    places = MARGIN + np.where(reach > 0, share, 0.5) * size
    found = _labels(places, labels, names)
    drawn = []
    for c, name in enumerate(names):
        look = Look.of(c)
        path = "".join(f"M{x:.0f} {y:.0f}{SHAPES[look.shape]}" for x, y in places[labels == c])
        drawn.append(ClassPoints(name, look, path, found.get(c)))
    return drawn


def shown_name(name: str) -> str:
    """The name as a label shows it."""
    return shortened(name, LONGEST)


def _labels(places: NDArray[np.float64], labels: NDArray[np.int64], names: Sequence[str]) -> dict[int, tuple[int, int]]:
    """Where names stand, by number of the class: above its closest points, a third, if most there are its."""
    distances = np.linalg.norm(places[:, None] - places[None], axis=2)
    cores: dict[int, tuple[float, NDArray[np.float64]]] = {}
    for c in range(len(names)):
        own = np.flatnonzero(labels == c)
        nearest = len(own) // 3
        if nearest < 1:
            continue
        radii = np.sort(distances[np.ix_(own, own)], axis=1)[:, nearest]
        middle, radius = own[radii.argmin()], float(radii.min())
        inside = distances[middle] <= radius
        if (labels[inside] == c).mean() > 0.5:
            cores[c] = radius, places[inside & (labels == c)]
    placed: dict[int, tuple[float, float, float]] = {}
    for c in sorted(cores, key=lambda c: cores[c][0]):
        core, half = cores[c][1], LETTER * len(shown_name(names[c])) / 2 + 2
        x = float(np.clip(np.median(core[:, 0]), half, WIDTH - half))
        y = float(core[:, 1].min()) - LINE * 0.7
        if y < LINE / 2:
            y = float(core[:, 1].max()) + LINE * 0.8
        if all(abs(x - a) > half + b or abs(y - at) > LINE for a, at, b in placed.values()):
            placed[c] = x, y, half
    return {c: (round(x), round(y)) for c, (x, y, _) in placed.items()}
