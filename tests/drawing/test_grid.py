"""The picture of groups of rows: every value where it is, those that are not known left out, room for numbers."""

import math
from typing import Any

import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from avalanche_ssl.drawing import Measure, draw_grid, grid_size

GROUPS = [("cmc", ["no plugin", "replay"]), ("moco", ["no plugin", "replay", "cassle"])]
NAN = math.nan


def drawn(*measures: Measure) -> Any:
    figure = Figure(figsize=grid_size(GROUPS, len(measures)), layout="constrained")
    FigureCanvasAgg(figure)
    draw_grid(figure, GROUPS, measures)
    figure.draw_without_rendering()
    return figure


BARS = Measure("cost (s)", [(1.0, NAN), (2.0, 0.5), (4.0, NAN), (NAN, NAN), (8.0, 1.0)], "{:.0f} s".format)
POINTS = Measure("accuracy (%)", [(v, NAN) for v in (41.0, 42.0, 43.0, 44.0, 45.0)], "{:.1f}".format, False)


def test_every_value_has_its_row_and_its_number() -> None:
    points, bars = drawn(POINTS, BARS).axes
    names = [text.get_text() for text in points.get_yticklabels()]
    assert names == ["no plugin", "replay", "no plugin", "replay", "cassle"]
    rows = [float(y) for y in points.get_yticks()]
    assert rows == sorted(rows) and points.yaxis_inverted(), "top down"
    assert rows[2] - rows[1] > 1, "a gap between groups"
    assert [bar.get_width() for bar in bars.patches] == [1, 2, 4, 8], "none for the value that is not known"
    assert [bar.get_y() + bar.get_height() / 2 for bar in bars.patches] == pytest.approx(
        [rows[i] for i in (0, 1, 2, 4)]
    )
    assert [text.get_text() for text in bars.texts] == ["1 s", "2 s", "4 s", "8 s"]
    assert [text.get_text() for text in points.texts[-2:]] == ["cmc", "moco"] and not points.patches


def test_a_name_has_one_color_and_the_first_row_is_the_reference() -> None:
    (bars,) = drawn(BARS).axes
    plain, replay, plain_again, cassle = (bar.get_facecolor() for bar in bars.patches)
    assert plain == plain_again and len({plain, replay, cassle}) == 3
    dashed = [line.get_xdata() for line in bars.lines if line.get_linestyle() == "--"]
    assert [list(x) for x in dashed] == [[1, 1], [4, 4]]


def test_bars_start_at_zero_and_numbers_have_room() -> None:
    points, bars = drawn(POINTS, BARS).axes
    assert bars.get_xlim()[0] == 0 and bars.get_xlim()[1] > 9 * 1.3, "beyond the whisker, too"
    assert 40 < points.get_xlim()[0] < 41, "points need no zero"


@pytest.mark.parametrize("value", [0.0, NAN, -3.0])
def test_values_that_are_all_the_same_or_unknown_or_negative(value: float) -> None:
    (axes,) = drawn(Measure("x", [(value, NAN)] * 5, str)).axes
    low, high = axes.get_xlim()
    assert low < high and low <= min(0.0, value if value == value else 0.0)


def test_long_names_end_in_dots_and_size_follows_the_rows() -> None:
    groups = [("cmc", ["x" * 99])]
    figure = Figure(figsize=grid_size(groups, 1), layout="constrained")
    draw_grid(figure, groups, [Measure("x", [(1.0, NAN)], str)])
    assert figure.axes[0].get_yticklabels()[0].get_text().endswith("x…")
    assert grid_size(GROUPS, 1)[1] > grid_size(groups, 1)[1] and grid_size(groups, 3)[0] > grid_size(groups, 1)[0]
