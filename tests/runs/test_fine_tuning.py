"""Fine-tuning of a run as a function: curves by protocol, their logs, and what each protocol starts from."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from crashes import small_run
from helpers.encoders import tiny

from avalanche_ssl.checkpointing import read_encoder, write_encoder
from avalanche_ssl.data import ArrayDataset, class_labels
from avalanche_ssl.errors import UsageError
from avalanche_ssl.evaluation.fine_tuning import FineTuning
from avalanche_ssl.logging import FineTuningEpochEvent
from avalanche_ssl.models.encoders import ENCODERS
from avalanche_ssl.runs import fine_tuning
from avalanche_ssl.runs.build import resolve
from avalanche_ssl.runs.config import RunConfig
from avalanche_ssl.runs.fine_tuning import fine_tune_run
from avalanche_ssl.runs.folder import write_config
from avalanche_ssl.streams import BENCHMARKS, benchmark_from_parts

SHORT = FineTuning(epochs=2, batch_size=32, device="auto")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What fine-tuning reads of a run: its configuration and its encoder, whose weights no seed gives."""
    monkeypatch.setitem(ENCODERS, "tiny", tiny)
    monkeypatch.setitem(BENCHMARKS, "few-digits", small_run.few_digits)
    out = tmp_path / "run"
    out.mkdir()
    given = {"benchmark": "few-digits", "device": "cpu", "settings": {"encoder": "tiny", "output_dim": 8}}
    config, recipe = resolve(RunConfig(strategy="simclr", **given))
    write_config(out, config)
    write_encoder(out / "encoder.pt", {k: v * 1.5 for k, v in recipe.build_method().encoder.state_dict().items()})
    return out


def log(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_curves_by_protocol_are_returned_and_logged(folder: Path) -> None:
    heard: list[tuple[str, FineTuningEpochEvent]] = []
    before = torch.get_rng_state()
    found = fine_tune_run(folder, ["frozen", "scratch"], SHORT, on_epoch=lambda *given: heard.append(given))
    assert torch.equal(torch.get_rng_state(), before)
    assert list(found) == ["frozen", "scratch"] and all(tuned.seconds > 0 for tuned in found.values())
    assert [event.epoch for event in found["frozen"].curve] == [1, 2]
    assert heard == [(name, event) for name, tuned in found.items() for event in tuned.curve]
    assert found["frozen"].curve != found["scratch"].curve
    for name, tuned in found.items():
        first, *epochs = log(folder / f"finetune-{name}.jsonl")
        assert (first["event"], first["protocol"], first["run"]) == ("fine_tuning", name, str(folder))
        expected = {"head": "linear", "epochs": 2, "batch_size": 32, "lr": 0.001, "seed": 0, "labels": 1.0}
        device = "cuda" if torch.cuda.is_available() else "cpu"
        assert first["settings"] == expected | {"device": device}, "what was used, not 'auto'"
        assert epochs == [{"event": "fine_tuning_epoch", **event.fields()} for event in tuned.curve]


def test_logs_go_elsewhere_and_replace_earlier_ones(folder: Path, tmp_path: Path) -> None:
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    out = tmp_path / "a" / "b"
    first, again = (fine_tune_run(folder, ["full"], SHORT, out=out)["full"].curve for _ in range(2))
    assert first == again
    assert [path.name for path in out.iterdir()] == ["finetune-full.jsonl"]
    assert len(log(out / "finetune-full.jsonl")) == 3
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The arguments of each fine-tuning, which is not done."""
    found: list[Any] = []

    def spy(*given: Any, on_epoch: Any) -> Any:
        found.append(given)
        return None, []

    monkeypatch.setattr(fine_tuning, "fine_tune", spy)
    return found


def test_scratch_starts_from_an_untrained_encoder(folder: Path, calls: list[Any]) -> None:
    _, recipe = fine_tuning.run_of_folder(folder)
    fine_tune_run(folder, ["frozen", "first-2", "scratch"], FineTuning(seed=3, device="cpu"))
    assert [given[4].protocol for given in calls] == ["frozen", "first-2", "full"]
    torch.manual_seed(3)
    untrained, trained = recipe.build_method().encoder.state_dict(), read_encoder(folder / "encoder.pt")
    for (method, *_), expected in zip(calls, (trained, trained, untrained), strict=True):
        assert all(torch.equal(value, expected[name]) for name, value in method.encoder.state_dict().items())
    assert any(not torch.equal(value, untrained[name]) for name, value in trained.items())


def test_a_share_of_the_labels_is_balanced_and_the_test_images_are_all(folder: Path, calls: list[Any]) -> None:
    for share in (1.0, 0.25):
        fine_tune_run(folder, ["full"], SHORT, labels=share)
    benchmark = small_run.few_digits()
    (_, every, test, classes, _), (_, quarter, also, _, _) = calls
    assert sum(map(len, every)) == 2 * small_run.IMAGES and classes == len(benchmark.class_names)
    assert [len(d) for d in test] == [len(d) for d in also] == [40, 40]
    counts = [torch.bincount(torch.cat([torch.as_tensor(list(d.targets)) for d in data])) for data in (every, quarter)]
    assert ((counts[1] - counts[0] / 4).abs() <= 1).all()


@pytest.mark.parametrize("protocol", ["nothing", "first-0", "Scratch"])
def test_a_wrong_protocol_comes_before_anything_else(folder: Path, calls: list[Any], protocol: str) -> None:
    with pytest.raises(UsageError, match="give frozen, full, or first-K"):
        fine_tune_run(folder, ["full", protocol], SHORT)
    assert not calls and not (folder / "finetune-full.jsonl").exists()


def test_what_cannot_be_used_is_one_line(folder: Path, tmp_path: Path, calls: list[Any]) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match=r"cannot write to .*file/b \(Not a directory\): give another --out"):
        fine_tune_run(folder, ["full"], SHORT, out=tmp_path / "file" / "b")
    with pytest.raises(UsageError, match=r"cannot read .*nowhere/config\.yaml"):
        fine_tune_run(tmp_path / "nowhere", ["full"], SHORT)
    weights = read_encoder(folder / "encoder.pt")
    del weights[next(iter(weights))]
    write_encoder(folder / "encoder.pt", weights)
    with pytest.raises(UsageError, match=r"cannot use .*encoder\.pt: .*Missing key") as caught:
        fine_tune_run(folder, ["full"], SHORT)
    assert "\n" not in str(caught.value) and not calls


def unnamed(labels: Any = (7, 12, 10**9)) -> Any:
    images = np.random.default_rng(0).integers(0, 256, (24, 16, 16, 3), np.uint8)
    data = ArrayDataset(images, [labels[i % 3] for i in range(24)])
    return benchmark_from_parts(data, [np.arange(24)], data, [np.arange(24)], None)


def test_classes_without_names_are_numbered(folder: Path, monkeypatch: pytest.MonkeyPatch, calls: list[Any]) -> None:
    monkeypatch.setitem(BENCHMARKS, "few-digits", lambda experiences=2, decode=False: unnamed())
    fine_tune_run(folder, ["frozen"], SHORT)
    _, train, test, n_classes, *_ = calls[0]
    assert n_classes == 3
    assert [class_labels(d).tolist() for d in (*train, *test)] == [[0, 1, 2] * 8] * 2


def test_a_stream_without_labels_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(BENCHMARKS, "few-digits", lambda experiences=2, decode=False: unnamed([-1] * 3))
    with pytest.raises(UsageError, match="has no labels to fine-tune on: give a run on a labeled stream"):
        fine_tune_run(folder, ["frozen"], SHORT)
