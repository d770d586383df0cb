"""The figures of a report show what was measured, where it was."""

import base64
import re
import xml.etree.ElementTree
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.damaged_runs import NAME
from helpers.logs import add_evidence, add_tasks, append, representation_event, write_run
from matplotlib import rc_context
from matplotlib.text import Text

from avalanche_ssl.reports import comparison, figures
from avalanche_ssl.runs import read_run


def test_figures_of_a_long_stream_show_what_was_measured_where_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of four experiences the second and the last were measured, by probes and monitor."""
    rows = np.full((5, 4), np.nan)
    rows[[0, 2, 4]] = 0.5
    run = read_run(write_run(tmp_path / "a"))
    run.accuracies["ridge", "all"] = rows
    run.representation = [representation_event(t, rankme=5.0) for t in (1, 2, 4)]
    (stream,) = comparison.streams([run])
    drawn: list[Any] = []
    monkeypatch.setattr(figures, "_svg", lambda figure: drawn.append(figure.axes[0]) or "data:")
    figures.anytime(stream, "ridge", "all")
    figures.representation(stream, "rankme")
    figures.heat_map(stream, stream.groups[0], "ridge", "all")
    anytime, rankme, heat_map = drawn
    assert anytime.lines[0].get_xdata().tolist() == [2, 4]
    assert rankme.lines[0].get_xdata().tolist() == [1, 2, 4]
    assert [text.get_text() for text in heat_map.get_yticklabels()] == ["untrained", "2", "4"]
    assert heat_map.images[0].get_array().shape == (3, 4)
    stream.groups[0].runs[0].config["init"] = "e.pt"
    figures.heat_map(stream, stream.groups[0], "ridge", "all")
    assert drawn[-1].get_yticklabels()[0].get_text() == "at the start", "it was given, and is not untrained"
    assert len(heat_map.patches) == 2, "frames of the experiences trained on last"


def test_a_measure_that_no_run_has_is_no_figure(tmp_path: Path, one_stream: Any) -> None:
    stream = one_stream(write_run(tmp_path / "a"))
    assert figures.representation(stream, "drift_cka") is None
    assert figures.representation(stream, "rankme")


@pytest.fixture
def axes(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The axes of the figures that are made, the first of each."""
    made: list[Any] = []
    monkeypatch.setattr(figures, "_svg", lambda figure: made.append(figure.axes[0]) or "data:")
    return made


def labels(axes: Any) -> list[str]:
    return [text.get_text().replace("\n", " ") for text in axes.texts]


def test_lines_are_named_at_their_ends(tmp_path: Path, one_stream: Any, axes: list[Any]) -> None:
    """Three strategies, two of them with one untrained encoder, on ten classes."""
    folders = [write_run(tmp_path / name, strategy=name, classes=10) for name in ("cmc", "moco")]
    stream = one_stream(*folders, write_run(tmp_path / "swav", strategy="swav", shift=0.1, classes=10))
    figures.anytime(stream, "ridge", "all")
    (anytime,) = axes
    found = ["cmc 60", "moco 60", "swav 70", "untrained cmc, moco 40", "untrained swav 50", "chance 10"]
    assert labels(anytime) == found
    assert anytime.get_legend() is None and anytime.get_ylim()[0] == 0
    assert len({line.get_marker() for line in anytime.lines[:3]}) == 3


def test_one_run_needs_no_name(tmp_path: Path, one_stream: Any, axes: list[Any]) -> None:
    stream = one_stream(write_run(tmp_path / "a"))
    figures.anytime(stream, "ridge", "all")
    figures.forgetting(stream, "ridge", "all")
    figures.representation(stream, "rankme")
    anytime, _, rankme = axes
    assert labels(anytime) == ["60", "untrained 40"]
    assert labels(rankme)[-1] == "8" and rankme.get_ylabel() == "", "the page has it as a heading"
    assert not [part for part in axes if part.get_legend()]


def test_an_axis_that_does_not_start_at_zero_says_so(tmp_path: Path, one_stream: Any, axes: list[Any]) -> None:
    folder = write_run(tmp_path / "a")
    append(folder, *(representation_event(t, rankme=58.0 + t) for t in (1, 2, 3)))
    figures.representation(one_stream(folder), "rankme")
    assert any(label.startswith("axis starts at 5") for label in labels(axes[0]))


def test_bars_show_zero_and_their_spread_ends_there(tmp_path: Path, one_stream: Any, axes: list[Any]) -> None:
    """The second experience loses 30 points, the first 10 in one seed and none in the other."""
    other = read_run(write_run(tmp_path / "b", seed=1))
    other.accuracies["ridge", "all"][3, 0] = 0.8
    (stream,) = comparison.streams([read_run(write_run(tmp_path / "a")), other])
    figures.forgetting(stream, "ridge", "all")
    (bars,) = axes
    heights = [bar.get_height() for bar in bars.patches]
    assert heights == pytest.approx([5, 30])
    (errors,) = bars.containers[1:]
    assert errors.lines[0].get_ydata() == pytest.approx([5, 30]), "a marker at each value"
    low, high = errors.lines[2][0].get_segments()[0][:, 1]
    assert (low, high) == pytest.approx((0, 5 + 50**0.5))
    assert bars.get_ylim()[0] == 0


def test_a_legend_of_long_names_fits_into_the_figure(tmp_path: Path, one_stream: Any, axes: list[Any]) -> None:
    names = [f"a_long_name_of_a_strategy_{letter}" for letter in "abcdef"]
    figures.forgetting(one_stream(*(write_run(tmp_path / name, strategy=name) for name in names)), "ridge", "all")
    (bars,) = axes
    box = bars.get_legend().get_window_extent()
    assert box.x0 >= 0 and box.x1 <= bars.figure.bbox.width
    assert bars.get_window_extent().width > 0.7 * bars.figure.bbox.width, "the axes were not pressed together"


def test_a_color_is_one_accuracy_in_all_matrices(tmp_path: Path, one_stream: Any, axes: list[Any]) -> None:
    """From chance to the best of all strategies; chance is not known of runs of older versions."""
    folders = [write_run(tmp_path / name, strategy=name, shift=s, classes=10) for name, s in (("a", 0), ("b", 0.05))]
    for group in (stream := one_stream(*folders)).groups:
        figures.heat_map(stream, group, "ridge", "all")
    assert [part.images[0].get_clim() for part in axes] == [(10, 95), (10, 95)]
    old = one_stream(write_run(tmp_path / "old"))
    figures.heat_map(old, old.groups[0], "ridge", "all")
    assert axes[-1].images[0].get_clim() == (30, 90)


def test_many_bars_become_lines(tmp_path: Path, axes: list[Any]) -> None:
    run = read_run(write_run(tmp_path / "a"))
    run.accuracies["ridge", "all"] = np.linspace(0.9, 0.1, 101 * 100).reshape(101, 100)
    figures.forgetting(*comparison.streams([run]), "ridge", "all")
    assert not axes[0].patches and len(axes[0].lines[0].get_xdata()) == 99


def test_figures_have_other_colors_in_dark_mode(tmp_path: Path, one_stream: Any) -> None:
    """Every color that lines, text and background have in a figure is replaced."""
    url = figures.anytime(one_stream(write_run(tmp_path / "a", classes=10)), "ridge", "all")
    svg = base64.b64decode(url.partition("base64,")[2]).decode()
    style = svg[svg.index("<style>@media (prefers-color-scheme: dark)") : svg.index("</style>")]
    used = set(re.findall(r"(fill|stroke): (#[0-9a-f]{6})", svg.replace(style, "")))
    assert len(used) >= 6
    assert not [(kind, color) for kind, color in used if f'[style*="{kind}: {color}"]' not in style]


def test_names_are_no_formulas_and_no_latex_in_any_figure(
    tmp_path: Path, one_stream: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[Any] = []
    svg = figures._svg
    monkeypatch.setattr(figures, "_svg", lambda figure: drawn.append(figure) or svg(figure))
    folders = [write_run(tmp_path / "a", strategy=NAME), write_run(tmp_path / "b", strategy="other")]
    stream = one_stream(*map(add_tasks, folders))
    with rc_context({"text.usetex": True}):  # as a user's matplotlibrc may have it
        urls = [
            figures.anytime(stream, "ridge", "all"),
            figures.forgetting(stream, "ridge", "all"),
            figures.representation(stream, "rankme"),
            figures.task(stream, "kind", 0.25),
            figures.heat_map(stream, stream.groups[0], "ridge", "all"),
        ]
    for figure, url in zip(drawn[:4], urls, strict=False):
        texts = [text for text in figure.findobj(Text) if NAME[:8] in text.get_text()]
        assert texts and not any(text.get_usetex() or text.get_parse_math() for text in texts)
        content = base64.b64decode((url or "").partition("base64,")[2]).decode()
        assert "<script>" not in content and xml.etree.ElementTree.fromstring(content).tag.endswith("svg")
    assert len(drawn) == 5


def test_figures_are_the_same_every_time(tmp_path: Path, one_stream: Any) -> None:
    stream = one_stream(write_run(tmp_path / "a"), write_run(tmp_path / "b", seed=1, shift=0.1))
    assert figures.forgetting(stream, "ridge", "all") == figures.forgetting(stream, "ridge", "all")


@pytest.mark.parametrize("shape", [(2, 1), (6, 1)])
def test_one_experience_and_one_test_set(
    tmp_path: Path, one_stream: Any, axes: list[Any], shape: tuple[int, int]
) -> None:
    """The rows of one experience, and of five that share one test set."""
    run = read_run(write_run(tmp_path / "a", classes=10))
    run.accuracies = {("ridge", "all"): np.linspace(0.2, 0.8, shape[0] * shape[1]).reshape(shape)}
    (stream,) = comparison.streams([run])
    figures.heat_map(stream, stream.groups[0], "ridge", "all")
    figures.forgetting(stream, "ridge", "all")
    heat_map, forgetting = axes
    assert heat_map.images[0].get_array().shape == shape
    assert len(heat_map.patches) == {(2, 1): 1, (6, 1): 0}[shape]
    assert not forgetting.patches, "nothing to forget, or nothing known of it"


def test_raw_pixels_are_a_line_of_their_own(tmp_path: Path, one_stream: Any, axes: list[Any]) -> None:
    figures.anytime(one_stream(add_evidence(write_run(tmp_path / "a", classes=8))), "ridge", "all")
    figures.anytime(one_stream(write_run(tmp_path / "b", classes=8)), "ridge", "all")
    with_pixels, without = axes
    (line,) = [line for line in with_pixels.lines if line.get_linestyle() == "-."]
    assert set(line.get_ydata()) == {25.0} and "raw pixels 16x16 25" in labels(with_pixels)
    (chance,) = [line for line in with_pixels.lines if line.get_linestyle() == ":"]
    assert set(chance.get_ydata()) == {12.5} and "chance 12.5" in labels(with_pixels)
    assert not [line for line in without.lines if line.get_linestyle() == "-."]
