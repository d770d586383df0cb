"""The figures of a report show what was measured, where it was."""

import base64
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.logs import representation_event, write_run

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


def test_a_dollar_in_a_name_is_no_formula(tmp_path: Path, one_stream: Any) -> None:
    stream = one_stream(write_run(tmp_path / "a", strategy=r"$\mine$ $x_{"))
    svg = base64.b64decode(figures.anytime(stream, "ridge", "all").partition("base64,")[2]).decode()
    assert r"<!-- $\mine$ $x_{ -->" in svg
    points = np.random.default_rng(0).normal(size=(4, 2))
    assert figures.scatter(points, np.arange(4) % 2, [r"$\a$", "$x_{$"]).startswith("data:image/svg+xml")


def test_figures_are_the_same_every_time(tmp_path: Path, one_stream: Any) -> None:
    stream = one_stream(write_run(tmp_path / "a"), write_run(tmp_path / "b", seed=1, shift=0.1))
    assert figures.forgetting(stream, "ridge", "all") == figures.forgetting(stream, "ridge", "all")
