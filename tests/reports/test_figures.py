"""The figures of a report show what was measured, where it was."""

import base64
import xml.etree.ElementTree
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.damaged_runs import NAME
from helpers.logs import add_tasks, representation_event, write_run
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
    figures.representation(stream, "rankme", "RankMe")
    figures.heat_map(stream.groups[0], "ridge", "all")
    anytime, rankme, heat_map = drawn
    assert anytime.lines[0].get_xdata().tolist() == [2, 4]
    assert rankme.lines[0].get_xdata().tolist() == [1, 2, 4]
    assert [text.get_text() for text in heat_map.get_yticklabels()] == ["untrained", "2", "4"]
    assert heat_map.images[0].get_array().shape == (3, 4)
    assert [(p.get_x() + 0.47, p.get_y() + 0.47) for p in heat_map.patches] == [(1, 1), (3, 2)], "trained on last"


def test_a_measure_that_no_run_has_is_no_figure(tmp_path: Path, one_stream: Any) -> None:
    stream = one_stream(write_run(tmp_path / "a"))
    assert figures.representation(stream, "drift_cka", "feature drift (CKA)") is None
    assert figures.representation(stream, "rankme", "RankMe")


def test_names_are_no_formulas_and_no_latex_in_any_figure(
    tmp_path: Path, one_stream: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[Any] = []
    svg = figures._svg
    monkeypatch.setattr(figures, "_svg", lambda figure: drawn.append(figure) or svg(figure))
    stream = one_stream(add_tasks(write_run(tmp_path / "a", strategy=NAME)))
    points = np.random.default_rng(0).normal(size=(4, 2))
    with rc_context({"text.usetex": True}):  # as a user's matplotlibrc may have it
        urls = [
            figures.anytime(stream, "ridge", "all"),
            figures.forgetting(stream, "ridge", "all"),
            figures.representation(stream, "rankme", NAME),
            figures.task(stream, "kind", 0.25),
            figures.scatter(points, np.arange(4) % 2, [NAME, "$x_{$"]),
            figures.heat_map(stream.groups[0], "ridge", "all"),
        ]
    for figure, url in zip(drawn[:5], urls, strict=False):
        texts = [text for text in figure.findobj(Text) if text.get_text() == NAME]
        assert texts and not any(text.get_usetex() or text.get_parse_math() for text in texts)
        content = base64.b64decode((url or "").partition("base64,")[2]).decode()
        assert "<script>" not in content and xml.etree.ElementTree.fromstring(content).tag.endswith("svg")
    assert len(drawn) == 6


def test_figures_are_the_same_every_time(tmp_path: Path, one_stream: Any) -> None:
    stream = one_stream(write_run(tmp_path / "a"), write_run(tmp_path / "b", seed=1, shift=0.1))
    assert figures.forgetting(stream, "ridge", "all") == figures.forgetting(stream, "ridge", "all")
