"""Lines over the stream, and the levels that they are compared with."""

from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure

from avalanche_ssl.drawing import COLORS, REFERENCE, draw_band, draw_levels


@pytest.fixture
def axes() -> Any:
    axes = Figure().subplots()
    axes.set_ylim(0, 100)
    return axes


def test_a_band_is_one_standard_deviation_around_the_mean(axes: Any) -> None:
    values = np.array([[10.0, np.nan, 40.0], [20.0, 30.0, 40.0]])
    low, high = draw_band(axes, [1, 2, 3], values, (COLORS[0], "s")) or (0, 0)
    (line,), (band,) = axes.lines, axes.collections
    assert line.get_xdata().tolist() == [1, 3] and line.get_ydata().tolist() == [15, 40]
    assert (line.get_color(), line.get_marker()) == (COLORS[0], "s")
    assert (low, high) == pytest.approx((15 - 50**0.5, 40))
    assert band.get_paths()[0].vertices[:, 1].min() == pytest.approx(15 - 50**0.5)


def test_a_band_does_not_go_where_no_value_can_be(axes: Any) -> None:
    """Below zero, unless a value is."""
    assert draw_band(axes, [1], np.array([[0.0], [2.0]]), (COLORS[0], "o")) == pytest.approx((0, 1 + 2**0.5))
    assert draw_band(axes, [1], np.array([[-1.0], [1.0]]), (COLORS[0], "o")) == pytest.approx((-(2**0.5), 2**0.5))


def test_one_seed_has_no_spread_and_nothing_measured_no_line(axes: Any) -> None:
    assert draw_band(axes, [1, 2], np.array([[5.0, 7.0]]), (COLORS[0], "o")) == (5, 7)
    assert draw_band(axes, [1, 2], np.full((2, 2), np.nan), (COLORS[0], "o")) is None
    assert len(axes.lines) == 1


def test_a_long_line_has_some_markers_and_one_at_its_end(axes: Any) -> None:
    draw_band(axes, range(100), np.zeros((1, 100)), (COLORS[0], "o"))
    marked = range(100)[axes.lines[0].get_markevery()]
    assert 10 < len(marked) <= 26 and marked[0] == 99


def test_levels_apart_have_labels_of_their_own(axes: Any) -> None:
    ends = draw_levels(axes, "untrained", {"cmc": (57.0, COLORS[0]), "moco": (43.0, COLORS[1])})
    assert [(end.y, end.text, end.color) for end in ends] == [
        (43.0, "untrained moco 43", COLORS[1]),
        (57.0, "untrained cmc 57", COLORS[0]),
    ]


def dashes(line: Any, until: float) -> set[float]:
    """Places, in line widths along the line, that it covers."""
    offset, (on, off) = line._unscaled_dash_pattern
    places = np.arange(0, until, 0.5)
    return set(places[(places + offset) % (on + off) < on].tolist())


def test_levels_on_each_other_take_turns(axes: Any) -> None:
    levels = {"cmc": (57.0, COLORS[0]), **{name: (43.0, color) for name, color in zip("abcd", COLORS[1:])}}
    ends = draw_levels(axes, "untrained", levels)
    assert [end.text for end in ends] == ["untrained a, b and 2 more 43", "untrained cmc 57"]
    assert ends[0].color == REFERENCE
    shared = [line for line in axes.lines if line.get_ydata()[0] == 43]
    covered = [dashes(line, until=96) for line in shared]
    assert len(shared) == 4 and all(len(places) == 32 for places in covered), "each is seen as much as the others"
    assert len(set.union(*covered)) == 4 * 32, "no place is covered twice"


def test_levels_all_in_one_place_need_no_names(axes: Any) -> None:
    (end,) = draw_levels(axes, "untrained", {"a": (43.0, COLORS[0]), "b": (43.5, COLORS[1])})
    assert (end.y, end.text) == (43.25, "untrained 43.2")
    assert draw_levels(axes, "untrained", {}) == []
