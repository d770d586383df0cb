"""Detectors on the encoder of a run: the grid, what each cell starts from, logs, pictures, and what is complete."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from crashes import small_run
from helpers.encoders import tiny

from avalanche_ssl.checkpointing import read_encoder, write_encoder
from avalanche_ssl.detection import DetectorTraining, embedded_scenes
from avalanche_ssl.errors import UsageError
from avalanche_ssl.logging import DetectionEpochEvent
from avalanche_ssl.models.encoders import ENCODERS
from avalanche_ssl.runs import detection
from avalanche_ssl.runs.build import resolve, run_of_folder
from avalanche_ssl.runs.config import RunConfig
from avalanche_ssl.runs.detection import DetectionCell, default_out, detect_run, detection_grid
from avalanche_ssl.runs.folder import write_config
from avalanche_ssl.streams import BENCHMARKS

SHORT = DetectorTraining(batch_size=4, image_size=32, device="auto")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What detection reads of a run: its configuration and its encoder, whose weights no seed gives; 20 scenes."""
    monkeypatch.setitem(ENCODERS, "tiny", tiny)
    monkeypatch.setitem(BENCHMARKS, "few-digits", small_run.few_digits)
    monkeypatch.setattr(detection, "open_detection_data", lambda path: embedded_scenes(0, 20, 1, 4))
    out = tmp_path / "run"
    out.mkdir()
    given = {"benchmark": "few-digits", "device": "cpu", "settings": {"encoder": "tiny", "output_dim": 8}}
    config, recipe = resolve(RunConfig(strategy="simclr", **given))
    write_config(out, config)
    write_encoder(out / "encoder.pt", {k: v * 1.5 for k, v in recipe.build_method().encoder.state_dict().items()})
    return out


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Method, labeled images and settings of each training, which is not done."""
    found: list[Any] = []

    def fit(method: Any, train: Any, settings: Any, on_epoch: Any) -> None:
        found.append((method, train, settings))
        on_epoch(DetectionEpochEvent(epoch=1, loss=1.0))

    nothing = {"boxes": torch.empty(0, 4), "labels": torch.empty(0, dtype=torch.long), "scores": torch.empty(0)}
    monkeypatch.setattr(detection, "fit_detector", fit)
    monkeypatch.setattr(detection, "predict", lambda detector, data, batch_size: [nothing] * len(data))
    monkeypatch.setattr(detection, "draw_detections", lambda *given: None)
    return found


def log(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.mark.slow
def test_a_detector_is_trained_logged_and_drawn(folder: Path) -> None:
    heard: list[Any] = []
    before, state = {path.name: path.read_bytes() for path in folder.iterdir()}, torch.get_rng_state()
    cells = detection_grid(["frozen", "scratch"], epochs=[2])
    found = detect_run(folder, cells, SHORT, on_epoch=lambda *given: heard.append(given), on_data=heard.append)
    assert torch.equal(torch.get_rng_state(), state)
    assert list(found) == cells and not any(tuned.before for tuned in found.values())
    assert [len(part) for part in (heard[0].train, heard[0].test)] == [20, 4]
    assert [(cell, epochs, event.epoch) for cell, epochs, event in heard[1:]] == [
        (c, 2, e) for c in cells for e in (1, 2)
    ]
    out = folder / "detection"
    assert {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()} == before
    first, *epochs, last = log(out / "detection-frozen-fcos-1.0-s0.jsonl")
    assert (first["event"], first["protocol"], first["run"]) == ("detection", "frozen", str(folder))
    assert first["settings"]["detector"] == "fcos" and first["settings"]["device"] in ("cpu", "cuda")
    assert [event["event"] for event in epochs] == ["detection_epoch"] * 2
    assert last == {"event": "detection_end", **found[cells[0]].end.fields()}
    assert (last["images"], last["images_tested"], last["epochs"]) == (20, 4, 2) and last["ap50"] >= last["ap"]
    assert (out / "detection-scratch-fcos-1.0-s0.png").read_bytes().startswith(b"\x89PNG")


def test_each_protocol_starts_from_its_encoder(folder: Path, calls: list[Any]) -> None:
    _, recipe = run_of_folder(folder)
    detect_run(folder, detection_grid(["frozen", "first-2", "full", "scratch"], seeds=[3]), SHORT)
    assert [settings.protocol for *_, settings in calls] == ["frozen", "first-2", "full", "full"]
    torch.manual_seed(3)
    untrained, trained = recipe.build_method().encoder.state_dict(), read_encoder(folder / "encoder.pt")
    for (method, *_), expected in zip(calls, (trained, trained, trained, untrained), strict=True):
        assert all(torch.equal(value, expected[name]) for name, value in method.encoder.state_dict().items())
    assert {settings.seed for *_, settings in calls} == {3}


def test_fewer_labels_bring_more_epochs_unless_they_are_given(folder: Path, calls: list[Any]) -> None:
    detect_run(folder, detection_grid(["full"], [1, 0.5]), SHORT)
    assert [(len(train), settings.epochs) for _, train, settings in calls] == [(20, 16), (10, 32)]
    detect_run(folder, detection_grid(["full"], [1, 0.5], epochs=[3, 5]), SHORT, overwrite=True)
    assert [settings.epochs for *_, settings in calls[2:]] == [3, 5]
    ends = [log(folder / f"detection/detection-full-fcos-{share}-s0.jsonl")[-1] for share in (1.0, 0.5)]
    assert [(end["images"], end["epochs"]) for end in ends] == [(20, 3), (10, 5)]


def test_what_is_complete_is_not_trained_again(folder: Path, calls: list[Any]) -> None:
    cells = detection_grid(["full"], seeds=[0, 1])
    detect_run(folder, cells[:1], SHORT)
    path = folder / "detection" / "detection-full-fcos-1.0-s0.jsonl"
    before = path.read_bytes()
    found = detect_run(folder, cells, SHORT)
    assert [settings.seed for *_, settings in calls] == [0, 1]
    assert [found[cell].before for cell in cells] == [True, False] and path.read_bytes() == before
    path.write_bytes(before[: before.rindex(b'{"event": "detection_end"') + 20])  # as a crash leaves it
    assert not detect_run(folder, cells[:1], SHORT)[cells[0]].before and path.read_bytes() != before[:-20]
    other = DetectorTraining(batch_size=4, image_size=32, device="auto", lr=0.5)
    with pytest.raises(UsageError, match=r"settings \(lr was 0.002, is 0.5\): give another --out, or --overwrite"):
        detect_run(folder, cells[:1], other)
    assert not detect_run(folder, cells[:1], other, overwrite=True)[cells[0]].before
    assert log(path)[0]["settings"]["lr"] == 0.5


@pytest.mark.parametrize(("given", "message"), [
    ({"protocols": ["full", "half"]}, r"no protocol 'half': .*\(frozen, first-K with K from 1, full, scratch\)"),
    ({"protocols": ["full", "full"]}, "--protocol full full: give each once"),
    ({"labels": [0.0]}, "--labels 0: give a share above 0 and at most 1"),
    ({"labels": [10.0]}, "--labels 10: give a share above 0 and at most 1"),
    ({"seeds": [-1]}, "seed -1: give 0 or more"),
    ({"labels": [0.1, 1], "epochs": [1, 2, 3]}, "--epochs 1 2 3: give one number, or 2, one per --labels"),
    ({"epochs": [0]}, "'epochs' is 0"),
])  # fmt: skip
def test_a_wrong_grid_is_refused(given: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        detection_grid(**{"protocols": ["full"]} | given)


def test_a_grid_has_every_combination() -> None:
    cells = detection_grid(["full", "scratch"], [0.1, 1], [0, 1], [30, 3])
    assert len(cells) == 8 and cells[0] == DetectionCell("full", 0.1, 0, 30) and cells[-1].epochs == 3
    assert cells[0].name("fcos") == "detection-full-fcos-0.1-s0"
    assert str(cells[0]) == "full, 10 % of the labels, seed 0"


def test_an_encoder_without_maps_comes_before_training(folder: Path, calls: list[Any]) -> None:
    _, recipe = run_of_folder(folder)
    settings = recipe.settings | {"encoder": "torchvision:vit_b_16", "encoder.image_size": 32}
    config, recipe = resolve(RunConfig(strategy="simclr", benchmark="few-digits", device="cpu", settings=settings))
    write_config(folder, config)
    write_encoder(folder / "encoder.pt", recipe.build_method().encoder.state_dict())
    with pytest.raises(UsageError, match="the encoder takes images of 32x32 only, and a detector larger ones"):
        detect_run(folder, detection_grid(["full"]), SHORT)
    assert not calls


def test_what_cannot_be_used_comes_before_training(folder: Path, tmp_path: Path, calls: list[Any]) -> None:
    with pytest.raises(UsageError, match="first-9: the encoder has 4 stages"):
        detect_run(folder, detection_grid(["full", "first-9"]), SHORT)
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match=r"cannot write to .*file/b \(Not a directory\): give another --out"):
        detect_run(folder, detection_grid(["full"]), SHORT, out=tmp_path / "file" / "b")
    with pytest.raises(UsageError, match=r"no run '.*nowhere', it has no config\.yaml: give the folder of a run"):
        detect_run(tmp_path / "nowhere", detection_grid(["full"]), SHORT)
    assert not calls and not (folder / "detection").exists()


def test_each_data_folder_has_a_place_of_its_own(tmp_path: Path) -> None:
    assert default_out(Path("a"), None) == Path("a/detection")
    assert default_out(Path("a"), tmp_path / "VOC2007") == Path("a/detection-VOC2007")
