"""Text for a terminal: its width, wrapped lines, tables that fit and align."""

import io
import sys

import pytest

from avalanche_ssl.runs.text import BOLD, PLAIN, screen_width, shows_bold, table_lines, wrapped

COLUMNS = ["seeds", "average accuracy", "forgetting"]
ROWS = [("cmc", ["3", "61.0 ± 1.0", "20.0 ± 10.5"]), ("moco", ["10", "72.0", "-"])]


def test_columns_align_at_their_plus_minus() -> None:
    assert table_lines("strategy", COLUMNS, ROWS, width=100) == [
        "                    average",
        "strategy  seeds    accuracy   forgetting",
        "cmc           3  61.0 ± 1.0  20.0 ± 10.5",
        "moco         10  72.0           -",
    ]


def test_columns_that_do_not_fit_go_on_below() -> None:
    assert table_lines("strategy", COLUMNS, ROWS, width=39) == [
        "                    average",
        "strategy  seeds    accuracy",
        "cmc           3  61.0 ± 1.0",
        "moco         10  72.0",
        "",
        "strategy   forgetting",
        "cmc       20.0 ± 10.5",
        "moco         -",
    ]
    assert len(table_lines("strategy", COLUMNS, ROWS, width=40)) == 4, "just fits"


@pytest.mark.parametrize("width", [40, 80, 100])
def test_long_names_are_broken(width: int) -> None:
    label = "moco lr=0.001 augment.crop_scale=(0.2,1.0) " + "x" * 60
    lines = table_lines("strategy", ["task " + "y" * 120, "b"], [(label, ["1.0", "2.0"])], width=width)
    assert max(map(len, lines)) <= width
    text = "".join("".join(line.split()) for line in lines)
    assert text.count("x") == 2 * 60 and text.count("y") == 120 + 2, "nothing is left out"


def test_the_numbers_of_a_cell_are_bold_and_its_width_is_as_before() -> None:
    plain, bold = (
        table_lines("s", ["a"], ROWS, width=100)[1:],
        table_lines("s", ["a"], ROWS, width=100, bold={(1, 0)})[1:],
    )
    assert bold[0] == plain[0] and bold[1] == f"moco  {BOLD}10{PLAIN}"
    assert bold[1].replace(BOLD, "").replace(PLAIN, "") == plain[1]


def test_lines_are_wrapped(monkeypatch: pytest.MonkeyPatch) -> None:
    assert wrapped("gain   5.0 %   a b", 15, width=17) == "gain   5.0 %   a\n        b", "half the width at most"
    assert wrapped("path/that-is-longer/than-it a", width=10) == "path/that-is-longer/than-it\na"
    assert wrapped("") == ""
    text = "word " * 100
    monkeypatch.setenv("COLUMNS", "80")
    assert (screen_width(), max(map(len, wrapped(text).splitlines()))) == (80, 79)
    monkeypatch.setenv("COLUMNS", "300")
    assert (screen_width(), max(map(len, wrapped(text).splitlines()))) == (300, 99)
    monkeypatch.setenv("COLUMNS", "5")
    assert screen_width() == 40
    monkeypatch.delenv("COLUMNS")
    monkeypatch.setattr(sys, "__stdout__", io.StringIO())
    assert screen_width() == 100


def test_bold_is_for_terminals_whose_user_lets_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    assert not shows_bold()
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    assert shows_bold()
    monkeypatch.setenv("TERM", "dumb")
    assert not shows_bold()
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", "1")
    assert not shows_bold()
