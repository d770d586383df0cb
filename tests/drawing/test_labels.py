"""Labels at the ends of lines: close to them, never on each other."""

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text

from avalanche_ssl.drawing import End, label_ends, shortened
from avalanche_ssl.drawing.labels import spread, wrapped


def axes_of_figure(height: float = 3.0) -> Any:
    figure = Figure(figsize=(4, height), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    axes.set(xlim=(0, 1), ylim=(0, 100))
    return axes


def boxes(axes: Any) -> list[Any]:
    axes.figure.draw_without_rendering()
    return sorted((Text.get_window_extent(text) for text in axes.texts), key=lambda box: box.y0)


def test_labels_with_room_stay_where_they_are() -> None:
    assert spread([30, 10, 20], [5, 5, 5], 0, 100) == [30, 10, 20]


def test_labels_that_would_overlap_move_by_the_same_amount() -> None:
    assert spread([50, 50], [10, 10], 0, 100) == [45, 55]
    assert spread([50, 50, 50, 90], [10, 10, 10, 10], 0, 100) == [40, 50, 60, 90]
    assert spread([50, 52], [10, 20], 0, 100) == [43.5, 58.5], "15 between centers of 10 and 20"


def test_labels_stay_in_the_range_if_they_fit() -> None:
    assert spread([-3, 0, 101], [10, 10, 10], 0, 100) == [5, 15, 95]
    assert spread([99, 100], [10, 10], 0, 100) == [85, 95]
    assert spread([5, 5, 5], [10, 10, 10], 0, 20) == [5, 15, 25], "no room: in order, beyond the upper end"


def test_spread_is_the_closest_of_all_without_overlap() -> None:
    """No random arrangement in the range without overlap is closer."""
    rng = np.random.default_rng(0)
    for _ in range(50):
        wanted, sizes = rng.uniform(0, 100, 4), rng.uniform(5, 20, 4)
        found = np.array(spread(list(wanted), list(sizes), 0, 100))
        order = np.argsort(found)
        gaps = np.diff(found[order]) - (sizes[order][1:] + sizes[order][:-1]) / 2
        assert gaps.min() > -1e-9 and found.min() >= 0 and found.max() <= 100
        for _ in range(200):
            other = np.sort(found[order] + rng.normal(0, 3, 4))
            room = np.diff(other) - (sizes[order][1:] + sizes[order][:-1]) / 2
            inside = other[0] >= sizes[order][0] / 2 and other[-1] <= 100 - sizes[order][-1] / 2
            if room.min() >= 0 and inside:
                best = ((found - wanted) ** 2).sum()
                assert ((other - wanted[order]) ** 2).sum() >= best - 1e-9


def test_labels_do_not_overlap_in_a_figure() -> None:
    axes = axes_of_figure()
    label_ends(axes, [End(y, f"line {y}", "black", 1.0) for y in (50, 51, 52, 90)])
    assert all(low.y1 <= high.y0 + 0.5 for low, high in pairwise(boxes(axes)))
    for text in axes.texts:
        leader = text.arrow_patch.get_path().vertices
        assert leader[:, 0].max() <= Text.get_window_extent(text).x0, "no line through a label"
    assert [text.get_text() for text in axes.texts] == ["line 50", "line 51", "line 52", "line 90"]


def test_a_figure_grows_with_its_labels() -> None:
    axes = axes_of_figure(1.5)
    label_ends(axes, [End(50, f"line {i}", "black") for i in range(30)])
    found = boxes(axes)
    assert axes.figure.get_figheight() > 3
    assert all(low.y1 <= high.y0 + 0.5 for low, high in pairwise(found))
    assert found[0].y0 >= 0 and found[-1].y1 <= axes.figure.bbox.height


def test_labels_lie_within_the_figure_and_leave_room_for_the_lines() -> None:
    axes = axes_of_figure()
    label_ends(axes, [End(50, "a strategy with many settings lr=0.1 weight_decay=0.0001 epochs=7", "black")])
    (box,) = boxes(axes)
    assert box.x1 <= axes.figure.bbox.width
    assert axes.get_window_extent().width > 0.35 * axes.figure.bbox.width


def test_no_label_is_no_error() -> None:
    label_ends(axes_of_figure(), [])


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("cmc 73.1", ["cmc 73.1"]),
        ("untrained moco, simclr 43.4", ["untrained moco,", "simclr 43.4"]),
        (
            "x" * 15 + " " + "y" * 15 + " " + "z" * 90 + " end 7.5",
            ["x" * 15, "y" * 15 + " zzzz", "..." + "z" * 9 + " end 7.5"],
        ),
    ],
)
def test_long_names_keep_their_beginning_and_end(text: str, lines: list[str]) -> None:
    assert wrapped(text).split("\n") == lines


def test_a_shortened_name_keeps_its_beginning() -> None:
    assert [shortened("moco", most) for most in (5, 4, 3)] == ["moco", "moco", "mo…"]
