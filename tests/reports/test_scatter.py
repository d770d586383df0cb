"""Points fill their panel, and classes differ in color or shape and have their names where they are most common."""

import re
from itertools import pairwise

import numpy as np
import pytest

from avalanche_ssl.reports.scatter import HEIGHT, MARGIN, WIDTH, Look, class_points, shown_name


def clusters(classes: int, spread: float) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Twelve points of each class around places on a grid."""
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(classes), 12)
    centers = np.stack([np.arange(classes) % 4, np.arange(classes) // 4], axis=1) * 10.0
    return centers[labels] + spread * rng.normal(size=(len(labels), 2)), labels, [f"class {c}" for c in range(classes)]


def starts(path: str) -> np.ndarray:
    """The places of the points of a path."""
    return np.array([[int(x), int(y)] for x, y in re.findall(r"M(-?\d+) (-?\d+)", path)])


@pytest.mark.parametrize("stretch", [(1.0, 0.01), (0.01, 1.0)])
def test_points_fill_the_panel_however_they_lie(stretch: tuple[float, float]) -> None:
    points, labels, names = clusters(8, 0.5)
    places = np.concatenate([starts(c.path) for c in class_points(points * stretch, labels, names)])
    assert places.min(axis=0).tolist() == [MARGIN, MARGIN]
    assert places.max(axis=0).tolist() == [WIDTH - MARGIN, HEIGHT - MARGIN]


def test_points_that_are_all_the_same_lie_in_the_middle() -> None:
    (drawn,) = class_points(np.ones((3, 2)), np.zeros(3, int), ["a"])
    assert starts(drawn.path).tolist() == [[WIDTH // 2, HEIGHT // 2]] * 3


def test_fifty_six_classes_differ_and_neighbors_in_number_in_both() -> None:
    looks = [Look.of(c) for c in range(56)]
    assert len(set(looks)) == 56
    assert all(a.color != b.color and a.shape != b.shape for a, b in pairwise(looks) if b.color)


def test_names_stand_at_their_points_and_cover_no_other() -> None:
    points, labels, names = clusters(12, 0.4)
    drawn = class_points(points, labels, names)
    for part in drawn:
        assert part.label and np.abs(np.median(starts(part.path), axis=0) - part.label).max() < 40
    places = [part.label for part in drawn if part.label]
    assert all(abs(a[0] - b[0]) > 60 or abs(a[1] - b[1]) >= 15 for i, a in enumerate(places) for b in places[:i])


def test_a_class_that_is_scattered_among_others_has_no_name_in_the_figure() -> None:
    points = np.random.default_rng(0).normal(size=(120, 2))
    assert sum(c.label is not None for c in class_points(points, np.arange(120) % 10, [str(c) for c in range(10)])) <= 2


def test_long_names_are_cut() -> None:
    assert shown_name("a" * 16) == "a" * 16 and shown_name("a" * 17) == "a" * 15 + "…"
