"""Baselines are what they are called, computed once, and shown by name."""

import dataclasses
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers.encoders import tiny
from PIL import Image

from avalanche_ssl.cli import report
from avalanche_ssl.errors import UsageError
from avalanche_ssl.models import ENCODERS
from avalanche_ssl.reports import baselines
from avalanche_ssl.reports.baseline_cache import CacheEntry
from avalanche_ssl.runs import Run, RunConfig, read_run, run

pytestmark = pytest.mark.slow

CONFIG = RunConfig(
    strategy="simclr",
    benchmark="folder",
    data="photos",
    benchmark_options={"experiences": 2, "size": 8},
    probes="ncm,knn-20,cassle-online",
    device="cpu",
    settings={"augment": {"size": 8}, "batch_size": 8, "epochs": 3},
)


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A run on four classes of gray, which differ in a pixel; 64 images in two experiences."""
    with pytest.MonkeyPatch.context() as patch:
        root = tmp_path_factory.mktemp("desk")
        patch.chdir(root)
        patch.setitem(ENCODERS, "smallconv", tiny)
        rng = np.random.default_rng(0)
        for label, part, i in ((c, p, i) for c in range(4) for p, n in (("train", 16), ("test", 5)) for i in range(n)):
            folder = Path("photos", part, f"class{label}")
            folder.mkdir(parents=True, exist_ok=True)
            pixels = rng.integers(0, 20, (8, 8, 3)) + 60 * label
            Image.fromarray(pixels.astype(np.uint8)).save(folder / f"{i}.png")
        run(CONFIG, "a")
        yield root


@pytest.fixture(autouse=True)
def here(desk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(desk)
    monkeypatch.setitem(ENCODERS, "smallconv", tiny)


def of(found: Run, cache: str = "cache", said: list[str] | None = None) -> list[baselines.Baseline]:
    return baselines.baselines("simclr", [found], Path(cache), ([] if said is None else said).append)


def test_baselines_are_what_they_are_called_and_computed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.rmtree("cache", ignore_errors=True)  # of another test
    measured: list[Any] = []
    said: list[str] = []
    original = baselines.Subject.measure
    monkeypatch.setattr(baselines.Subject, "measure", lambda self, s: measured.append(s) or original(self, s))
    found = of(read_run(Path("a")), said=said)
    assert [(baseline.label, len(baseline.repeats)) for baseline in found] == [
        ("raw pixels 16x16", 1),
        ("simclr: untrained", 5),
        ("simclr: iid", 1),
        ("simclr: supervised, iid", 1),
    ]
    pixels, *starts, iid, supervised = measured
    assert pixels.model.extract_features(torch.zeros(1, 3, 64, 8, dtype=torch.uint8)).shape == (1, 3 * 16 * 8)
    assert pixels.model.extract_features(torch.zeros(1, 3, 8, 8, dtype=torch.uint8)).shape == (1, 192)
    assert {s.clock.train_iterations for s in starts} == {0}
    end = read_run(Path("a")).end
    assert end and end.images_trained == 3 * 64
    assert [s.clock.train_iterations * 8 for s in (iid, supervised)] == [3 * 64, 6 * 64], "as many views, one a step"
    assert (type(iid.model).__name__, type(supervised.model).__name__) == ("SimCLR", "Supervised")
    assert len(supervised.model.projection_head) == 1 and supervised.optimizer.param_groups[0]["initial_lr"] == 0.001
    by_name = {baseline.label: baseline for baseline in found}
    assert by_name["raw pixels 16x16"].averages("ncm", "all") == [1.0], "four shades of gray"
    assert np.std(by_name["simclr: untrained"].averages("ncm", "all")) > 0
    first = read_run(Path("a")).untrained("ncm", "all").mean()
    assert by_name["simclr: untrained"].averages("ncm", "all")[0] == pytest.approx(first), "seed 0 is the run's"
    assert {scope for _, scope in by_name["simclr: iid"].repeats[0]} == {"all", "seen", "task"}
    assert by_name["simclr: iid"].averages("cassle-online", "all") == [], "it would have to be trained along"
    assert len(said) == 8
    again = of(read_run(Path("a")), said=said)
    assert len(said) == 8 and len(measured) == 8
    assert [b.averages("knn-20", "task") for b in again] == [b.averages("knn-20", "task") for b in found]


def test_only_settings_that_matter_are_in_the_names_of_the_cache() -> None:
    def names(**changed: Any) -> set[tuple[str, str]]:
        other = read_run(Path("a"))
        settings = other.settings | changed.pop("settings", {})
        other.config = other.config | {"settings": settings} | changed
        jobs = baselines.jobs("x", other)
        return {(job.label, json.dumps(job.key, sort_keys=True, default=str)) for job in jobs}

    def differing(**changed: Any) -> set[str]:
        return {label for label, _ in names(**changed) - names()}

    assert differing(device="cuda", num_workers=3, logger="tensorboard") == set()
    assert differing(settings={"lr": 0.5}) == {"x: iid"}
    assert differing(settings={"temperature": 0.5}) == {"x: iid", "x: untrained"}
    assert differing(seed=5) == {"x: iid", "x: supervised, iid", "x: untrained", "raw pixels 16x16"}, "another stream"
    assert differing(seed=5, stream_seed=0) == {"x: iid", "x: supervised, iid"}
    other = {"fp32": "bf16", "bf16": "fp32"}[read_run(Path("a")).config["eval_precision"]]
    assert differing(eval_precision=other) == {"x: iid", "x: untrained", "x: supervised, iid"}
    assert differing(probes="ridge") == {"raw pixels 16x16", "x: untrained", "x: iid", "x: supervised, iid"}


def test_other_data_and_other_code_are_other_baselines(tmp_path: Path) -> None:
    def names(**changed: Any) -> dict[str, str]:
        run = read_run(Path("a"))
        run.config = run.config | changed
        found = {
            job.label: CacheEntry.of(tmp_path, job.kind, job.key).path.name for job in baselines.jobs("x", run, True)
        }
        assert len(found) == 4
        return found

    before = names()
    shutil.copytree("photos", tmp_path / "moved")
    assert names(data=str(tmp_path / "moved")) == before, "where they lie does not matter"
    image = next((tmp_path / "moved" / "train" / "class0").glob("*.png"))
    Image.fromarray(np.full((8, 8, 3), 255, np.uint8)).save(image)
    assert not set(names(data=str(tmp_path / "moved")).values()) & set(before.values())
    shutil.rmtree(tmp_path / "moved")
    shutil.copytree("photos", tmp_path / "moved")
    (tmp_path / "moved" / "train" / "class0").rename(tmp_path / "moved" / "train" / "class9")
    (tmp_path / "moved" / "test" / "class0").rename(tmp_path / "moved" / "test" / "class9")
    assert not set(names(data=str(tmp_path / "moved")).values()) & set(before.values()), "labels are permuted"

    file = {"strategy": "/one/mine.py", "strategy_sha256": "1" * 64}
    one = names(**file)
    assert names(**file | {"strategy": "/two/mine.py"}) == one
    other = names(**file | {"strategy_sha256": "2" * 64})
    assert {label for label in one if one[label] != other[label]} == {"x: untrained", "x: iid"}


def test_a_log_that_contradicts_itself_trains_nothing() -> None:
    run = read_run(Path("a"))
    assert run.end
    run.end = dataclasses.replace(run.end, images_trained=2**53)
    with pytest.raises(UsageError, match="contradicts itself on how many images"):
        of(run, "cache3")


def test_a_damaged_file_of_the_cache_is_written_again() -> None:
    said: list[str] = []
    of(read_run(Path("a")), "cache2", said)
    (path,) = Path("cache2").glob("pixels-*.json")
    good = path.read_text()
    path.write_text(good[:50])
    said.clear()
    of(read_run(Path("a")), "cache2", said)
    assert len(said) == 1 and path.read_text() == good


def test_the_report_shows_them_by_name(capsys: pytest.CaptureFixture[str]) -> None:
    assert report.main(["a", "--baselines", "--cache", "cache", "--out", "r.html"]) == 0
    table = capsys.readouterr().out
    row, *_ = [line for line in table.splitlines() if line.startswith("raw pixels")]
    assert row.split()[3:5] == ["1", "100.0"]
    assert "simclr: untrained" in table and "simclr: iid" in table and "caveat of cassle-online" in table
    page = Path("r.html").read_text(encoding="utf-8")
    assert '<th scope="col">raw pixels 16x16</th>' in page, "under every protocol, too"
    assert page.count('class="baseline"') == 4 and "baseline</a></small> raw pixels" in page


def test_what_stands_in_the_way_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    Path("file").write_text("")
    with pytest.raises(UsageError, match="give another --cache"):
        of(read_run(Path("a")), "file/b")
    Path("b").mkdir()
    lines = Path("a/log.jsonl").read_text().splitlines()
    Path("b/log.jsonl").write_text("\n".join(line for line in lines if '"event": "end"' not in line))
    assert report.main(["b", "--baselines", "--out", "r.html"]) == 0
    assert "no baselines of simclr (unfinished: 2 of 2): b is unfinished" in capsys.readouterr().out


def test_a_strategy_that_is_gone_is_a_usage_error(tmp_path: Path) -> None:
    shutil.copytree("a", tmp_path / "c")
    found = read_run(tmp_path / "c")
    found.config = found.config | {"strategy": "/nowhere/mine.py"}
    with pytest.raises(UsageError, match="nowhere"):
        of(found, str(tmp_path / "cache"))


def test_pixels_are_read_without_readouts_and_encoders_with_them() -> None:
    run = read_run(Path("a"))
    run.config["probes"] = "ridge,ridge:stages"
    pixels, untrained, *_ = baselines.jobs("x", run)
    for job, names in ((pixels, {"ridge"}), (untrained, {"ridge", "ridge:stages"})):
        assert {probe for probe, _ in job.subject.measure(job.strategy())} == names
