"""Are references what they are called, computed once, and shown by name?"""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.encoders import tiny
from PIL import Image

from avalanche_ssl.cli import report, run
from avalanche_ssl.errors import UsageError
from avalanche_ssl.models.encoders import ENCODERS
from avalanche_ssl.reports import baselines
from avalanche_ssl.runs import reader

SHORT = ["--benchmark", "folder", "--data", "photos", "--experiences", "2", "--stream", "size=8", "--device", "cpu"]
SHORT += ["--set", "augment.size=8", "--set", "batch_size=8", "--epochs", "3", "--probes", "ncm,knn-20,cassle-online"]


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
    """A run on four classes of gray, told apart by a pixel; 64 images in two experiences."""
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
        assert run.main(["--strategy", "simclr", *SHORT, "--out", "a"]) == 0
        yield root


@pytest.fixture(autouse=True)
def here(desk, monkeypatch):
    monkeypatch.chdir(desk)
    monkeypatch.setitem(ENCODERS, "smallconv", tiny)


def test_references_are_what_they_are_called_and_computed_once(monkeypatch):
    measured, said = [], []
    original = baselines._measured
    monkeypatch.setattr(baselines, "_measured", lambda s, *rest: measured.append(s) or original(s, *rest))
    found = baselines.references("simclr", [reader.read(Path("a"))], Path("cache"), said.append)
    assert [(r.label, len(r.repeats)) for r in found] == [
        ("raw pixels, 16x16", 1),
        ("simclr: untrained", 5),
        ("simclr: iid", 1),
        ("simclr: supervised, iid", 1),
    ]
    pixels, *starts, iid, supervised = measured
    assert pixels.model.extract_features(torch.zeros(1, 3, 64, 8, dtype=torch.uint8)).shape == (1, 3 * 16 * 8)
    assert pixels.model.extract_features(torch.zeros(1, 3, 8, 8, dtype=torch.uint8)).shape == (1, 192)
    assert {s.clock.train_iterations for s in starts} == {0}
    images = reader.read(Path("a")).end["images"]
    assert [s.clock.train_iterations * 8 for s in (iid, supervised)] == [images] * 2 == [3 * 64] * 2
    assert (type(iid.model).__name__, type(supervised.model).__name__) == ("SimCLR", "Supervised")
    assert len(supervised.model.projection_head) == 1 and supervised.optimizer.param_groups[0]["initial_lr"] == 0.001
    by_name = {r.label: r for r in found}
    assert by_name["raw pixels, 16x16"].averages("ncm", "all") == [1.0], "four shades of gray"
    assert np.std(by_name["simclr: untrained"].averages("ncm", "all")) > 0
    first = reader.read(Path("a")).untrained("ncm", "all").mean()
    assert by_name["simclr: untrained"].averages("ncm", "all")[0] == pytest.approx(first), "seed 0 is the run's"
    assert {scope for _, scope in by_name["simclr: iid"].repeats[0]} == {"all", "seen", "task"}
    assert by_name["simclr: iid"].averages("cassle-online", "all") == [], "it would have to be trained along"
    assert len(said) == 8
    again = baselines.references("simclr", [reader.read(Path("a"))], Path("cache"), said.append)
    assert len(said) == 8 and len(measured) == 8
    assert [r.averages("knn-20", "task") for r in again] == [r.averages("knn-20", "task") for r in found]


def test_only_settings_that_matter_are_in_the_names_of_the_cache():
    a = reader.read(Path("a"))

    def names(**changed):
        settings = a.config["settings"] | changed.pop("settings", {})
        b = reader.read(Path("a"))
        b.config = a.config | {"settings": settings} | changed
        return {(j.label, json.dumps(j.key, sort_keys=True, default=str)) for j in baselines._jobs("x", b)}

    def differing(**changed):
        return {label for label, _ in names(**changed) - names()}

    assert differing(device="cuda", workers=3) == set()
    assert differing(settings={"lr": 0.5}) == {"x: iid"}
    assert differing(settings={"temperature": 0.5}) == {"x: iid", "x: untrained"}
    assert differing(seed=5) == {"x: iid", "x: supervised, iid"}
    assert differing(probes="ridge") == {"raw pixels, 16x16", "x: untrained", "x: iid", "x: supervised, iid"}


def test_a_damaged_file_of_the_cache_is_written_anew():
    run_a, said = reader.read(Path("a")), []
    baselines.references("simclr", [run_a], Path("cache2"), said.append)
    (path,) = Path("cache2").glob("pixels-*.json")
    whole = path.read_text()
    for broken in ("", whole[:50], "[]", whole.replace('"rows"', '"lines"'), whole.replace('"size": 8', '"size": 9')):
        path.write_text(broken)
        said.clear()
        baselines.references("simclr", [run_a], Path("cache2"), said.append)
        assert len(said) == 1 and path.read_text() == whole


def test_the_report_shows_them_by_name(capsys):
    given = ["a", "--references", "--cache", "cache", "--out", "r.html"]
    assert report.main(given) == 0
    table = capsys.readouterr().out
    (row,) = [line for line in table.splitlines() if line.startswith("raw pixels")]
    assert row.split()[3:5] == ["1", "100.0"]
    assert "simclr: untrained" in table and "simclr: iid" in table and "odd about cassle-online" in table
    page = Path("r.html").read_text(encoding="utf-8")
    assert "<th>raw pixels, 16x16</th>" in page, "under every protocol, too"
    assert page.count('class="reference"') == 4 and "<small>reference</small> raw pixels" in page


def test_what_stands_in_the_way_is_said(capsys):
    Path("file").write_text("")
    with pytest.raises(UsageError, match="give another --cache"):
        baselines.references("x", [reader.read(Path("a"))], Path("file/b"), lambda _: None)
    Path("b").mkdir()
    lines = Path("a/log.jsonl").read_text().splitlines()
    Path("b/log.jsonl").write_text("\n".join(line for line in lines if '"event": "end"' not in line))
    assert report.main(["b", "--references", "--out", "r.html"]) == 0
    assert "no references of simclr (unfinished: 2 of 2): b is unfinished" in capsys.readouterr().out
