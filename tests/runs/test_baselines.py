"""Chance, raw pixels and the first encoder, logged once in each run; the report has them, also of a resumed run."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from crashes import small_run
from helpers.encoders import tiny
from helpers.probing import few_images, moco

from avalanche_ssl import ProbePlugin
from avalanche_ssl.data import ArrayDataset
from avalanche_ssl.logging import Event
from avalanche_ssl.models.encoders import ENCODERS
from avalanche_ssl.plugins import Progress
from avalanche_ssl.runs import RunConfig, read_run, run
from avalanche_ssl.runs.baselines import chance_of, measure_baselines
from avalanche_ssl.streams import BENCHMARKS
from avalanche_ssl.streams.benchmark import benchmark_from_parts

SETTINGS = {"encoder": "tiny", "output_dim": 8, "batch_size": 24, "epochs": 1}


def shades(labels: bool = True) -> Any:
    """Two experiences of 24 images whose shade of gray is their class: pixels tell it."""
    targets = np.repeat(np.arange(4), 12)
    noise = np.random.default_rng(0).integers(0, 40, (48, 16, 16, 3))
    data = ArrayDataset(
        (noise + 50 * targets[:, None, None, None]).astype(np.uint8), targets if labels else targets * 0 - 1
    )
    parts = [np.flatnonzero(targets // 2 == j) for j in range(2)]
    return benchmark_from_parts(data, parts, data, parts, list("abcd") if labels else None)


@pytest.fixture(autouse=True)
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to work in, a small encoder and a small stream."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(ENCODERS, "tiny", tiny)
    monkeypatch.setitem(BENCHMARKS, "shades", shades)
    return tmp_path


def config(**more: Any) -> RunConfig:
    given = {"strategy": "simclr", "device": "cpu", "precision": "fp32", "settings": SETTINGS}
    return RunConfig(benchmark="shades", **given | more)


def logged(folder: Path, event: str) -> list[dict[str, Any]]:
    lines = map(json.loads, (folder / "log.jsonl").read_text().splitlines())
    return [line for line in lines if line["event"] == event]


def test_chance_is_one_over_the_names_or_the_classes_with_images() -> None:
    probe: Any = SimpleNamespace(classes=range(5))
    assert chance_of(SimpleNamespace(class_names=list("abcd")), probe) == 0.25
    assert chance_of(SimpleNamespace(class_names=None), probe) == 0.2


def test_baselines_of_a_plugin_that_has_measured() -> None:
    benchmark, events = few_images(), list[Event]()
    probe = ProbePlugin(benchmark, probes=["ridge", "ncm:2x2", "ncm"], log=events.append)
    strategy = moco(probe)
    probe.measure(strategy)
    before, seconds = len(events), probe.eval_seconds
    found = {(e.name, e.probe, e.scope): e.accuracy for e in measure_baselines(probe, strategy, benchmark, "untrained")}
    assert len(events) == before, "the caller writes them"
    assert probe.eval_seconds > seconds
    pixels = probe.evaluator.pixel_accuracies(strategy)
    for name in ("ridge", "ncm", "ncm:2x2"):
        assert found["chance", name, "all"] == 0.25
        for scope in ("all", "task"):
            assert found["untrained", name, scope] == pytest.approx(probe.untrained(scope, name).mean())
    assert {name: row.mean() for name, row in pixels.items()} == {
        probe: accuracy for (name, probe, _), accuracy in found.items() if name == "raw pixels 16x16"
    }
    assert len(found) == 3 + 2 + 6 and probe.pixels("ncm:2x2").tolist() != probe.pixels("ncm").tolist()
    np.testing.assert_array_equal(probe.pixels(), pixels["ridge"])


def test_a_run_logs_them_once_before_it_trains(desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = run(config(probes="ridge,ridge:2x2"), "a")
    events = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    names = [event["event"] for event in events]
    assert names.index("baseline") > names.index("probe") and names.count("baseline") == 2 + 1 + 4
    assert "experience" not in names[: len(names) - names[::-1].index("baseline")], "before any training"
    found = read_run(folder)
    assert found.baselines["chance"] == {("ridge", "all"): 0.25, ("ridge:2x2", "all"): 0.25}
    assert found.baselines["raw pixels 16x16"] == {("ridge", "all"): 1.0}
    for probe in ("ridge", "ridge:2x2"):
        mean = found.untrained(probe, "all").mean()
        assert found.baselines["untrained"][probe, "all"] == pytest.approx(mean)
    said = capsys.readouterr().out
    assert "raw pixels 16x16  100.0 100.0  100.0" in said and "pixels, all" in said
    frozen = found.frozen_matrix("ridge", "all")
    assert frozen is not None
    assert frozen[0, 0] == found.matrix("ridge", "all")[0, 0] and np.isnan(frozen[0, 1])
    assert f"frozen{100 * frozen[1, 0]:>17.1f}{100 * frozen[1, 1]:>6.1f}" in said


@pytest.mark.slow
def test_a_resumed_run_does_not_repeat_them(desk: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    whole = run(config(), "whole")
    monkeypatch.setattr(Progress, "watch", stop_at_the_second(Progress.watch))
    with pytest.raises(KeyboardInterrupt):
        run(config(), "cut", checkpoint_every="1it")
    monkeypatch.undo()
    monkeypatch.chdir(desk)
    monkeypatch.setitem(ENCODERS, "tiny", tiny)
    monkeypatch.setitem(BENCHMARKS, "shades", shades)
    capsys.readouterr()
    cut = run(config(), "cut", resume=True)
    said = capsys.readouterr().out
    assert "resumed after 1 steps" in said and "raw pixels 16x16  100.0 100.0  100.0" in said
    for event in ("baseline", "frozen_probe"):
        assert logged(cut, event) == logged(whole, event)


def stop_at_the_second(watch: Any) -> Any:
    def stopped(self: Progress, complete: int) -> Any:
        if complete:
            raise KeyboardInterrupt
        return watch(self, complete)

    return stopped


def test_without_labels_there_is_nothing_to_compare(desk: Path) -> None:
    folder = run(config(benchmark_options={"labels": False}), "a")
    assert logged(folder, "baseline") == logged(folder, "frozen_probe") == []


@pytest.mark.slow
def test_pixels_depend_on_the_stream_alone(desk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not on the seed of weights and views, as the untrained encoder does."""
    monkeypatch.setitem(BENCHMARKS, "few-digits", small_run.few_digits)
    options = {"strategy": "simclr", "device": "cpu", "precision": "fp32", "settings": SETTINGS, "stream_seed": 0}
    one, other = (read_run(run(RunConfig(benchmark="few-digits", seed=s, **options), str(s))) for s in (0, 1))
    assert one.baselines["raw pixels 16x16"] == other.baselines["raw pixels 16x16"]
    assert one.baselines["untrained"] != other.baselines["untrained"]
