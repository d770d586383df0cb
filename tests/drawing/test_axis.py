"""Axes: zero where that shows what differs, a note where it does not."""

import pytest
from matplotlib.figure import Figure

from avalanche_ssl.drawing import start_axis


@pytest.mark.parametrize(
    ("low", "high", "limits"),
    [
        (10, 60, (0, 62.4)),
        (0, 0, (0, 1)),
        (40, 60, (0, 62.4)),
        (-60, -10, (-62.4, 0)),
        (-10, 50, (-13.6, 53.6)),
    ],
)
def test_an_axis_contains_zero(low: float, high: float, limits: tuple[float, float]) -> None:
    axes = Figure().subplots()
    assert start_axis(axes, low, high) == ""
    assert axes.get_ylim() == pytest.approx(limits)
    assert not axes.texts and not axes.lines


@pytest.mark.parametrize(
    ("low", "high", "note"),
    [
        (58, 63, "axis starts at 56"),
        (0.9, 0.98, "axis starts at 0.88"),
        (-3.3, -2.6, "axis ends at -2.4"),
        (5, 5, "axis starts at 4.4"),
    ],
)
def test_an_axis_that_is_cut_says_so(low: float, high: float, note: str) -> None:
    axes = Figure().subplots()
    assert start_axis(axes, low, high) == note
    bottom, top = axes.get_ylim()
    assert bottom < low <= high < top
    assert [text.get_text() for text in axes.texts] == [note]
    assert len(axes.lines) == 2, "the mark of the cut"
    assert f"{bottom if high > 0 else top:g}" == note.split()[-1]
