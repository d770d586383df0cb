"""The accuracy matrix: its colors, marks and numbers, of short and long streams."""

from typing import Any

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from numpy.typing import NDArray

from avalanche_ssl.drawing import Scale, draw_matrix, fit_numbers
from avalanche_ssl.drawing.palette import contrast


def drawn(percents: NDArray[np.float64], measured: list[int] | None = None, chance: float | None = 10.0) -> Any:
    """Axes with a matrix, and those of its color bar."""
    figure = Figure(figsize=(6, 4.5), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    draw_matrix(axes, percents, measured or list(range(1, len(percents))), Scale.of([percents], chance))
    figure.draw_without_rendering()
    return figure.axes


def rising(rows: int, columns: int) -> NDArray[np.float64]:
    return np.linspace(20.0, 80.0, (rows + 1) * columns).reshape(rows + 1, columns)


def numbers(axes: Any) -> dict[tuple[int, int], str]:
    return {(int(text.get_position()[1]), int(text.get_position()[0])): text.get_text() for text in axes.texts}


def test_the_scale_goes_from_chance_to_the_best_of_all_matrices() -> None:
    first, second = np.array([[30.0, np.nan]]), np.array([[70.0, 5.0]])
    assert Scale.of([first, second], chance=10) == Scale(10, 70, 10, lower=True)
    assert Scale.of([first], chance=10) == Scale(10, 30, 10, lower=False)
    assert Scale.of([first, second]) == Scale(5, 70, None, lower=False)
    assert Scale.of([np.array([[10.0]])], chance=10) == Scale(10, 11, 10), "never empty"


def test_the_bar_says_what_its_ends_are() -> None:
    _, bar = drawn(rising(5, 5))
    assert [text.get_text() for text in bar.texts] == ["best 80", "chance 10", "untrained 24"]
    _, bar = drawn(rising(5, 5), chance=None)
    assert [text.get_text() for text in bar.texts] == ["best 80", "lowest 20", "untrained 24"]


def test_numbers_are_legible_on_their_colors() -> None:
    axes, _ = drawn(rising(5, 5))
    assert numbers(axes)[0, 0] == "20" and numbers(axes)[5, 4] == "80" and len(axes.texts) == 30
    for text in axes.texts:
        column, row = map(int, text.get_position())
        background = axes.images[0].to_rgba(rising(5, 5)[row, column])
        assert contrast(background, to_rgb(text.get_color())) >= 4.5


def test_the_diagonal_has_frames_that_are_visible() -> None:
    axes, _ = drawn(rising(5, 5))
    assert [(round(p.get_x() + 0.46), round(p.get_y() + 0.46)) for p in axes.patches] == [(t, t + 1) for t in range(5)]
    for t, patch in enumerate(axes.patches):
        assert contrast(axes.images[0].to_rgba(rising(5, 5)[t + 1, t]), patch.get_edgecolor()) >= 4.5


def test_rows_that_were_not_measured_are_left_out_of_the_diagonal() -> None:
    axes, _ = drawn(rising(2, 4), measured=[2, 4])
    assert [label.get_text() for label in axes.get_yticklabels()] == ["untrained", "2", "4"]
    assert [(round(p.get_x() + 0.46), round(p.get_y() + 0.46)) for p in axes.patches] == [(1, 1), (3, 2)]


def test_twenty_experiences_keep_their_numbers() -> None:
    axes, _ = drawn(rising(20, 20))
    size = axes.texts[0].get_fontsize()
    assert len(axes.texts) == 420 and size >= 5
    left, right = (axes.texts[j].get_window_extent() for j in (0, 1))
    assert left.x1 < right.x0, "numbers are apart"
    assert [label.get_text() for label in axes.get_xticklabels()] == [str(j) for j in range(2, 21, 2)]


def test_numbers_of_several_matrices_have_one_size_that_fits_all() -> None:
    """Each was written when those to its right were not there yet, and took no room."""
    figure = Figure(figsize=(12, 4), layout="constrained", dpi=150)
    FigureCanvasAgg(figure)
    maps = []
    for number in (1, 2, 3):
        maps.append(figure.add_subplot(1, 3, number))
        draw_matrix(maps[-1], rising(10, 10), list(range(1, 11)), Scale.of([rising(10, 10)]))
    assert len({axes.texts[0].get_fontsize() for axes in maps}) > 1
    fit_numbers(figure, maps)
    (size,) = {text.get_fontsize() for axes in maps for text in axes.texts}
    assert 5 <= size < 8 and all(text.get_visible() for axes in maps for text in axes.texts)
    for axes in maps:
        left, right = (axes.texts[j].get_window_extent() for j in (0, 1))
        assert left.x1 < right.x0, "numbers are apart"


def test_a_hundred_experiences_have_a_line_instead_of_frames_and_numbers() -> None:
    measured = list(range(5, 101, 5))
    axes, _ = drawn(rising(20, 100), measured)
    assert not axes.texts and not axes.patches
    staircase = axes.lines[-1]
    assert staircase.get_xdata().tolist() == [t - 0.5 for t in measured for _ in range(2)], "right of all trained on"
    assert [label.get_text() for label in axes.get_xticklabels()] == [str(j) for j in range(10, 101, 10)]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["untrained", *map(str, range(10, 101, 10))]


def test_one_test_set_is_one_column_without_diagonal() -> None:
    axes, _ = drawn(rising(5, 1))
    assert axes.get_xlabel() == "one test set" and not axes.patches
    assert numbers(axes)[5, 0] == "80"
    axes, _ = drawn(rising(1, 1))
    assert axes.get_xlabel() == "tested on experience" and len(axes.patches) == 1


def test_more_rows_than_columns() -> None:
    axes, _ = drawn(rising(6, 3))
    assert len(axes.patches) == 3 and len(axes.texts) == 21


def test_entries_not_measured_have_no_number() -> None:
    percents = rising(2, 2)
    percents[1, 1] = np.nan
    axes, _ = drawn(percents)
    assert len(axes.texts) == 5


@pytest.mark.parametrize("chance", [10.0, None])
def test_an_untrained_encoder_that_was_not_measured(chance: float | None) -> None:
    percents = rising(2, 2)
    percents[0] = np.nan
    _, bar = drawn(percents, chance=chance)
    assert len(bar.texts) == 2
