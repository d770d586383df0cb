"""The encoder of a run on another stream: the features of each row, the log, and what is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers.encoders import tiny
from helpers.streams import array_stream, images

from avalanche_ssl.checkpointing import write_encoder
from avalanche_ssl.cli.probe import table
from avalanche_ssl.data import ArrayDataset, class_labels
from avalanche_ssl.errors import UsageError
from avalanche_ssl.models.encoders import ENCODERS
from avalanche_ssl.runs import RunConfig, transfer
from avalanche_ssl.runs.build import resolve
from avalanche_ssl.runs.folder import write_config
from avalanche_ssl.runs.labeled_data import StreamChoice
from avalanche_ssl.runs.transfer import PIXELS, RUN, UNTRAINED, probe_run
from avalanche_ssl.streams import BENCHMARKS, benchmark_from_parts


def halves(seed: int = 0, noise: int = 60) -> Any:
    """Two experiences of two classes each, that pixels tell: which quarter of the image is bright."""
    rng = np.random.default_rng(seed)

    def data(n: int) -> ArrayDataset:
        labels = np.arange(n) % 4
        pixels = rng.integers(0, noise, (n, 16, 16, 3))
        for label in range(4):
            top, left = 8 * (label // 2), 8 * (label % 2)
            pixels[labels == label, top : top + 8, left : left + 8] += 150
        return ArrayDataset(pixels.astype(np.uint8), labels)

    train, test = data(64), data(24)
    parts = [[np.flatnonzero(np.isin(d.targets, group)) for group in ((0, 3), (1, 2))] for d in (train, test)]
    return benchmark_from_parts(train, parts[0], test, parts[1], [f"quarter {i}" for i in range(4)])


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run whose encoder gives nothing but zeros."""
    monkeypatch.setitem(ENCODERS, "tiny", tiny)
    monkeypatch.setitem(BENCHMARKS, "halves", halves)
    monkeypatch.setitem(BENCHMARKS, "gray", lambda: array_stream(2, size=16, n=8))
    unlabeled, parts = ArrayDataset(np.zeros((8, 16, 16, 3), np.uint8), [-1] * 8), [np.arange(4), np.arange(4, 8)]
    monkeypatch.setitem(BENCHMARKS, "unlabeled", lambda: benchmark_from_parts(unlabeled, parts, unlabeled, [], None))
    out = tmp_path / "run"
    out.mkdir()
    given = {"benchmark": "split-digits", "device": "cpu", "settings": {"encoder": "tiny", "output_dim": 8}}
    config, recipe = resolve(RunConfig(strategy="simclr", seed=3, **given))
    write_config(out, config)
    weights = recipe.build_method().encoder.state_dict()
    write_encoder(out / "encoder.pt", {name: torch.zeros_like(value) for name, value in weights.items()})
    return out


def test_each_encoder_has_its_row(folder: Path) -> None:
    """Zeros are worth chance, the corners are recognized by pixels; untrained features are those of the run's seed."""
    found = probe_run(folder, StreamChoice("halves"), "ridge,knn-20")
    assert list(found.accuracies) == [RUN, UNTRAINED, PIXELS] and PIXELS == "raw pixels 16x16"
    assert all(list(each) == ["ridge", "knn-20"] for each in found.accuracies.values())
    assert found.accuracies[RUN]["ridge"] == 0.25
    assert found.accuracies[PIXELS] == {"ridge": 1.0, "knn-20": 1.0}
    assert (found.end.chance, found.end.images, found.end.images_tested) == (0.25, 64, 24)

    recipe = resolve(RunConfig(strategy="simclr", settings={"encoder": "tiny", "output_dim": 8}))[1]
    method, benchmark = recipe.build_method(3).eval(), halves()
    parts = [torch.cat([images(e.dataset) for e in s]) for s in (benchmark.train_stream, benchmark.test_stream)]
    labels = [
        torch.cat([torch.from_numpy(class_labels(e.dataset)) for e in s])
        for s in (benchmark.train_stream, benchmark.test_stream)
    ]
    with torch.no_grad():
        x, tested = (torch.nn.functional.normalize(method.extract_features(part)) for part in parts)
    near = (tested @ x.T).topk(20).indices
    weights = (((tested @ x.T).gather(1, near)) / 0.07).exp()
    votes = torch.zeros(len(tested), 4).scatter_add_(1, labels[0][near], weights)
    right = (votes.argmax(1) == labels[1]).float()
    each = [float(right[np.isin(labels[1], group)].mean()) for group in ((0, 3), (1, 2))]
    assert found.accuracies[UNTRAINED]["knn-20"] == pytest.approx(np.mean(each))


def test_readouts_are_of_the_encoders_alone(folder: Path) -> None:
    """Pixels have no maps to pool; the quarters of an image are recognized by 2x2 maps of untrained features."""
    found = probe_run(folder, StreamChoice("halves"), "ridge,ridge:2x2")
    assert list(found.accuracies[UNTRAINED]) == ["ridge", "ridge:2x2"] and found.accuracies[PIXELS] == {"ridge": 1.0}
    assert found.accuracies[RUN]["ridge:2x2"] == 0.25 < found.accuracies[UNTRAINED]["ridge:2x2"]
    assert probe_run(folder, StreamChoice("halves"), "ridge,ridge:2x2") == replace(found, before=True)
    row = next(line for line in table(found, folder).splitlines() if line.startswith(PIXELS))
    assert row.split()[-2:] == ["100.0", "-"]


def test_what_is_complete_is_read_from_the_log(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = probe_run(folder, StreamChoice("halves"))
    lines = [json.loads(line) for line in first.path.read_text().splitlines()]
    assert [line["event"] for line in lines] == ["transfer", *["transfer_accuracy"] * 3, "transfer_end"]
    settings = lines[0]["settings"]
    assert (settings["benchmark"], settings["benchmark_options"], settings["probes"]) == (
        "halves",
        {"noise": 60, "seed": 0},
        ["ridge"],
    )
    assert first.path.parent == folder / "probe" and first.path.name.startswith("halves-")
    with monkeypatch.context() as broken:
        broken.setattr(transfer, "build_benchmark", lambda config: pytest.fail("the data are read"))
        assert probe_run(folder, StreamChoice("halves")) == replace(first, before=True)
        with pytest.raises(pytest.fail.Exception):
            probe_run(folder, StreamChoice("halves"), overwrite=True)
        with pytest.raises(pytest.fail.Exception):
            probe_run(folder, StreamChoice("halves", options={"noise": 50}))
    first.path.write_text("\n".join(first.path.read_text().splitlines()[:-1]) + "\n")
    again = probe_run(folder, StreamChoice("halves"))
    assert not again.before and again.accuracies == first.accuracies, "a part is probed again"
    other = probe_run(folder, StreamChoice("halves", options={"seed": 1}), out=folder / "x")
    assert other.path.parent == folder / "x" and other.path.name != first.path.name


@pytest.mark.parametrize(
    ("stream", "probes", "said"),
    [
        (StreamChoice("halves"), "rigde", "did you mean 'ridge'"),
        (StreamChoice("halves"), "cassle-online", "is not fitted on all data of frozen features"),
        (StreamChoice("halvse"), "", "did you mean 'halves'"),
        (
            StreamChoice("unlabeled"),
            "",
            "^the stream unlabeled has no labels to probe on: give --benchmark or --data of",
        ),
        (StreamChoice("gray"), "", "have 2 channels, and the encoder of the run takes 3"),
    ],
)
def test_what_cannot_be_probed_is_refused(folder: Path, stream: StreamChoice, probes: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        probe_run(folder, stream, probes, device="cpu")
    assert not list(folder.glob("probe/*.jsonl"))


def test_a_folder_without_a_run_is_refused(tmp_path: Path, folder: Path) -> None:
    with pytest.raises(UsageError, match="it has no config"):
        probe_run(tmp_path / "x", StreamChoice("halves"))
    (folder / "encoder.pt").unlink()
    with pytest.raises(UsageError, match="the run is not over"):
        probe_run(folder, StreamChoice("halves"))
