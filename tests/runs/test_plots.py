"""The figure of a run: what it shows, of how long a stream."""

import math
from pathlib import Path
from typing import Any

import matplotlib.figure
import numpy as np
import pytest
from helpers.damaged_runs import NAME
from matplotlib import rc_context
from matplotlib.text import Text
from PIL import Image

from avalanche_ssl.runs import plots


def matrices(experiences: int) -> dict[str, Any]:
    rng = np.random.default_rng(0)
    found = {scope: rng.random((experiences, experiences)) for scope in ("all", "seen", "task")}
    found["all"][0, -1] = math.nan
    found["seen"][np.triu_indices(experiences, 1)] = math.nan
    return found


@pytest.fixture
def axes(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The axes of the figures that are saved."""
    saved: list[Any] = []
    original = matplotlib.figure.Figure.savefig

    def save(self: Any, *given: Any, **named: Any) -> None:
        saved.extend(self.axes)
        original(self, *given, **named)

    monkeypatch.setattr(matplotlib.figure.Figure, "savefig", save)
    return saved


@pytest.mark.parametrize("experiences", [1, 3, 30])
def test_figure(tmp_path: Path, experiences: int) -> None:
    plots.draw(tmp_path / "a.png", "a title", matrices(experiences), np.full(experiences, 0.5))
    with Image.open(tmp_path / "a.png") as picture:
        assert (picture.format, picture.size) == ("PNG", (1200, 504))
        assert len(picture.convert("RGB").getcolors(2**24) or []) > 50, "not blank"


def labels(axes: Any) -> list[str]:
    return [text.get_text().replace("\n", " ") for text in axes.texts]


def test_chance_is_a_dotted_line_and_the_lower_end_of_the_colors(tmp_path: Path, axes: list[Any]) -> None:
    plots.draw(tmp_path / "a.png", "a title", matrices(3), np.full(3, 0.5), chance=0.1)
    plots.draw(tmp_path / "a.png", "a title", matrices(3), np.full(3, 0.5))
    _, with_chance, bar, _, without, other_bar = axes
    (line,) = [line for line in with_chance.lines if line.get_linestyle() == ":"]
    assert set(line.get_ydata()) == {10.0} and "chance, all 10" in labels(with_chance)
    assert not [line for line in without.lines if line.get_linestyle() == ":"]
    assert "chance 10" in labels(bar) and labels(other_bar)[1].startswith("lowest")


def test_lines_have_labels_instead_of_a_legend(tmp_path: Path, axes: list[Any]) -> None:
    found = {scope: np.full((3, 3), value) for scope, value in {"all": 0.6, "seen": 0.7, "task": 0.9}.items()}
    plots.draw(tmp_path / "a.png", "a title", found, np.full(3, 0.5), chance=0.1)
    right = axes[1]
    assert labels(right) == [
        "all 60: probe on all classes",
        "seen 70: probe on those seen",
        "task 90: probe on one task",
        "untrained, all 50",
        "chance, all 10",
    ]
    assert right.get_legend() is None and right.get_ylim()[0] == 0
    lines = {(line.get_color(), line.get_marker()) for line in right.lines[:3]}
    assert len({color for color, _ in lines}) == len({marker for _, marker in lines}) == 3


def test_raw_pixels_are_a_line_of_their_own(tmp_path: Path, axes: list[Any]) -> None:
    plots.draw(tmp_path / "a.png", "a title", matrices(3), np.full(3, 0.5), chance=0.1, pixels=0.25)
    plots.draw(tmp_path / "a.png", "a title", matrices(3), np.full(3, 0.5), chance=0.1)
    _, with_pixels, _, _, without, _ = axes
    (line,) = [line for line in with_pixels.lines if line.get_linestyle() == "-."]
    assert set(line.get_ydata()) == {25.0} and "raw pixels 16x16, all 25" in labels(with_pixels)
    assert not [line for line in without.lines if line.get_linestyle() == "-."]


def test_an_encoder_that_was_given_is_not_called_untrained(tmp_path: Path, axes: list[Any]) -> None:
    plots.draw(tmp_path / "a.png", "a title", matrices(2), np.full(2, 0.5), start="at the start")
    left, right, *_ = axes
    assert left.get_yticklabels()[0].get_text() == "at the start"
    texts = [text.get_text() for text in left.figure.findobj(Text)]
    assert "at the start 50" in texts and "at the start, all 50" in labels(right)
    assert not [text for text in texts if "untrained" in text]


def test_curves_are_drawn_over_the_images_seen(tmp_path: Path, axes: list[Any]) -> None:
    curves = {"all": [(0, 0.1), (40, 0.2)], "seen": [(40, 0.3)]}
    plots.draw(tmp_path / "a.png", "a title", matrices(3), np.full(3, 0.5), curves)
    of_all, seen = axes[1].lines[:2]
    assert list(of_all.get_xdata()) == [0, 40] and list(of_all.get_ydata()) == [10.0, 20.0]
    assert list(seen.get_xdata()) == [40]
    assert axes[1].get_xlabel() == "images of the stream seen"


def test_rows_that_were_not_measured_are_left_out(tmp_path: Path, axes: list[Any]) -> None:
    found = matrices(4)
    for matrix in found.values():
        matrix[[0, 2]] = math.nan
    plots.draw(tmp_path / "a.png", "a title", found, np.full(4, 0.5))
    left, right, *_ = axes
    assert [label.get_text() for label in left.get_yticklabels()] == ["untrained", "2", "4"]
    assert right.lines[0].get_xdata().tolist() == [2, 4]


def test_one_test_set_and_more_rows_than_columns(tmp_path: Path, axes: list[Any]) -> None:
    plots.draw(tmp_path / "a.png", "a title", {"all": np.full((3, 1), 0.6)}, np.full(1, 0.5), chance=0.1)
    plots.draw(tmp_path / "a.png", "a title", {"all": np.full((6, 3), 0.6)}, np.full(3, 0.5), chance=0.1)
    one, _, _, two, line, _ = axes
    assert one.images[0].get_array().shape == (4, 1) and one.get_xlabel() == "one test set"
    assert two.images[0].get_array().shape == (7, 3)
    assert line.lines[0].get_xdata().tolist() == [1, 2, 3, 4, 5, 6]


def test_a_name_is_no_formula_and_no_latex(tmp_path: Path, axes: list[Any]) -> None:
    with rc_context({"text.usetex": True}):  # as a user's matplotlibrc may have it
        plots.draw(tmp_path / "a.png", NAME, matrices(2), np.full(2, 0.5))
    texts = axes[0].figure.findobj(Text)
    assert NAME in [text.get_text() for text in texts]
    assert not any(text.get_usetex() or text.get_parse_math() for text in texts)
