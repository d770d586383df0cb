"""The tables and the figure of a finished run, with and without a curve and a caveat."""

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from avalanche.benchmarks import CLScenario
from helpers.probing import few_images, moco

from avalanche_ssl import ProbePlugin
from avalanche_ssl.evaluation import ProbeSchedule
from avalanche_ssl.runs import artifacts
from avalanche_ssl.runs.artifacts import write_artifacts
from avalanche_ssl.runs.console import print_report
from avalanche_ssl.streams import online_stream


def trained(schedule: ProbeSchedule | None = None, *probes: str) -> ProbePlugin:
    """Probes of a small run: one call of `train` for each experience, cut into mini-batches."""
    benchmark = few_images()
    probe = ProbePlugin(benchmark, probes=probes or ("ridge", "ncm"), schedule=schedule)
    strategy = moco(probe)
    probe.measure(strategy)
    for experience in benchmark.train_stream:
        strategy.train(online_stream(experience, 10), eval_streams=[])
    return probe


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What `draw` is given instead of a figure: its arguments in order, then the named ones."""
    found: list[Any] = []
    monkeypatch.setattr(artifacts, "draw", lambda *given, **named: found.extend([*given, *named.values()]))
    return found


def test_without_a_curve(tmp_path: Path) -> None:
    probe = trained()
    write_artifacts(tmp_path, "a run", probe, 0.25)
    assert names(tmp_path) == {"accuracy.csv", "accuracy.png"}
    assert (tmp_path / "accuracy.png").read_bytes().startswith(b"\x89PNG")
    rows = table(tmp_path / "accuracy.csv")
    assert {(row["probe"], row["scope"]) for row in rows} == {
        (name, scope) for name in ("ridge", "ncm") for scope in ("all", "seen", "task")
    }
    last = [float(row["accuracy"]) for row in rows if (row["experiences_trained"], row["scope"]) == ("2", "all")]
    expected = [*probe.matrix("all")[-1], *probe.matrix("all", "ncm")[-1]]
    np.testing.assert_allclose(last, expected, atol=1e-6)


def test_one_test_set_is_a_column_without_the_name_of_an_experience(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    benchmark = few_images()
    probe = ProbePlugin(CLScenario([benchmark.train_stream, benchmark.test_stream[:1]]))
    moco(probe).train(benchmark.train_stream, eval_streams=[])
    write_artifacts(tmp_path, "a run", probe, 0.25)
    assert (tmp_path / "accuracy.png").read_bytes().startswith(b"\x89PNG")
    rows = [row for row in table(tmp_path / "accuracy.csv") if row["scope"] == "all"]
    assert [(row["experiences_trained"], row["experience"]) for row in rows] == [("0", ""), ("1", ""), ("2", "")]
    np.testing.assert_allclose([float(row["accuracy"]) for row in rows[1:]], probe.matrix("all")[:, 0], atol=1e-6)
    print_report(probe, 0.25)
    printed = capsys.readouterr().out
    assert "accuracy (%) on the one test set" in printed and "e2" not in printed
    last = f"{100 * probe.matrix('all')[1, 0]:.1f}"
    assert f"2         {last:>6}{last:>7}\n" in printed


def test_with_a_curve(tmp_path: Path, drawn: list[Any]) -> None:
    probe = trained(ProbeSchedule(every=10))
    probe.history.pixels = {"ridge": np.array([0.25, 0.5]), "ncm": np.array([1.0, 1.0])}
    write_artifacts(tmp_path, "a run", probe, 0.25, "at the start")
    assert names(tmp_path) == {"accuracy.csv", "curve.csv"}
    assert len(table(tmp_path / "curve.csv")) == len(probe.curve)
    assert {row["images_seen"] for row in table(tmp_path / "curve.csv")} == {"0", "10", "20", "30", "40"}
    path, title, matrices, untrained, curves, chance, pixels, start = drawn
    assert (path, title, chance, pixels) == (tmp_path / "accuracy.png", "a run", 0.25, 0.375)
    assert start == "at the start"
    assert matrices.keys() == curves.keys() == {"all", "seen", "task"}
    np.testing.assert_array_equal(matrices["task"], probe.matrix("task"))
    np.testing.assert_array_equal(untrained, probe.untrained("all"))
    points = {p.images_seen: p.accuracy for p in probe.curve if (p.probe, p.scope) == ("ridge", "all")}
    assert list(curves["all"]) == sorted(points.items()) and len(points) == 5


def test_the_title_says_the_caveat_and_the_figure_has_the_scopes_of_the_headline(
    tmp_path: Path, drawn: list[Any]
) -> None:
    probe = trained(None, "cassle-online-leak", "ridge")
    write_artifacts(tmp_path, "a run", probe, 0.25)
    _, title, matrices, _, curves, _, pixels, start = drawn
    assert start == "untrained"
    assert np.isnan(pixels), "they were not measured"
    first, *caveat = title.split("\n")
    assert first == "a run" and all(len(line) <= 110 for line in caveat)
    assert " ".join(caveat) == f"cassle-online-leak: {probe.probes[0].caveat}"
    assert set(matrices) == {"all"} and curves is None
    caveats = {row["probe"]: row["caveat"] for row in table(tmp_path / "accuracy.csv")}
    assert caveats == {"cassle-online-leak": probe.probes[0].caveat, "ridge": ""}
