"""Cells as text."""

import math

import pytest

from avalanche_ssl.reports.cells import Cell, difference_cell, number_cell, percent_cell
from avalanche_ssl.reports.significance import Difference


@pytest.mark.parametrize(
    ("values", "text"),
    [([], "-"), ([0.5], "50.0"), ([0.5, 0.6], "55.0"), ([0.4, 0.5, 0.6], "50.0 ± 24.8"), ([math.nan], "-")],
)
def test_a_mean_has_an_interval_of_three_seeds_or_more(values: list[float], text: str) -> None:
    assert str(percent_cell(values)) == text


def test_whole_numbers() -> None:
    assert [str(number_cell(v)) for v in ([], [1234.6], [1000.0, 1000.0, 1000.0])] == ["-", "1,235", "1,000 ± 0"]


def test_a_difference_has_a_sign_and_its_p_value() -> None:
    assert difference_cell(Difference(0.05, 0.01, 0.08, 0.01, 3), 0.02) == Cell("+5.0", "3.5", "p = 0.020")
    assert str(difference_cell(Difference(-0.05, seeds=1), math.nan)) == "-5.0"
    assert str(difference_cell(Difference(), math.nan)) == "-"
