"""The task of detection in the command that fine-tunes: options, table, pictures, and what is refused."""

import csv
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from helpers.encoders import tiny

from avalanche_ssl.cli import finetune, run
from avalanche_ssl.detection import embedded_scenes
from avalanche_ssl.logging import DetectionEndEvent
from avalanche_ssl.models.encoders import ENCODERS
from avalanche_ssl.runs import detection


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What is to be trained; each training ends with an AP50 of its seed's tenths."""
    found: list[Any] = []

    def fake(folder: Path, cells: Any, settings: Any, **given: Any) -> Any:
        found.append((folder, cells, settings, given))
        return {
            cell: detection.Detected(
                DetectionEndEvent(
                    ap=0.1, ap50=cell.seed / 10, ap75=0.0, images=50, images_tested=200, epochs=20, seconds=1.0
                )
            )
            for cell in cells
        }

    monkeypatch.setattr(detection, "detect_run", fake)
    return found


def test_the_table_has_mean_and_interval_over_seeds(
    tmp_path: Path, calls: list[Any], capsys: pytest.CaptureFixture[str]
) -> None:
    given = ["--protocol", "full", "first-2", "--labels", "0.1", "1", "--seeds", "1", "2", "3", "--out", str(tmp_path)]
    assert finetune.main(["a", "--task", "detection", *given]) == 0
    out = capsys.readouterr().out
    assert "average precision of boxes in percent on 200 test" in " ".join(out.split())
    assert "mean ± 95 % interval (of three or more) over seeds 1, 2, 3" in " ".join(out.split())
    lines = {" ".join(line.split()[:2]): line for line in out.splitlines() if line.startswith(("full,", "first-2,"))}
    assert list(lines) == [f"{p}, {m}" for m in ("AP50", "AP", "AP75") for p in ("full", "first-2")]
    assert "20.0 ± 24.8" in lines["full, AP50"] and "10.0 ± 0.0" in " ".join(lines["first-2, AP"].split())
    rows = list(csv.DictReader((tmp_path / "detection-fcos.csv").read_text().splitlines()))
    assert len(rows) == 12 and (rows[0]["head"], rows[0]["metric"], rows[0]["mean"]) == ("fcos", "AP50", "0.200000")
    assert f"-> {tmp_path}/detection-*.png" in out


def test_the_options_are_those_of_the_training(calls: list[Any], tmp_path: Path) -> None:
    out = ["--out", str(tmp_path)]
    assert finetune.main(["a", "--task", "detection", *out]) == 0
    folder, cells, settings, given = calls[0]
    assert folder == Path("a") and [(c.protocol, c.labels, c.seed, c.epochs) for c in cells] == [
        ("full", 1.0, 0, None),
        ("scratch", 1.0, 0, None),
    ]
    assert settings == detection.DetectorTraining(device="auto") and not settings.flip, "digits are not mirrored"
    assert given["data"] is None and not given["overwrite"] and given["on_data"]
    more = ["--detector", "retinanet", "--image-size", "96", "--lr", "0.5", "--batch-size", "3", "--epochs", "7"]
    assert finetune.main(["a", "--task", "detection", *more, "--data", "VOC", "--overwrite", *out]) == 0
    _, cells, settings, given = calls[1]
    expected = {"detector": "retinanet", "image_size": 96, "lr": 0.5, "batch_size": 3, "flip": True, "device": "auto"}
    assert settings == detection.DetectorTraining(**expected)
    assert given["on_data"] is None, "what a folder holds is said once, when it is read"
    assert given["data"] == Path("VOC") and given["overwrite"] and {cell.epochs for cell in cells} == {7}
    assert finetune.main(["a", "--task", "detection", "--data", "VOC", "--no-flip", *out]) == 0
    assert not calls[2][2].flip


@pytest.mark.parametrize(("wrong", "message"), [
    (["--task", "detection", "--head", "mlp"], "--head is of --task classification: leave it out"),
    (["--task", "detection", "--test-every", "5"], "--test-every is of --task classification: leave it out"),
    (["--task", "detection", "--benchmark", "folder"], "--benchmark is of --task classification: leave it out"),
    (["--detector", "retinanet"], "--detector is of --task detection: leave it out"),
    (["--no-flip"], "--flip is of --task detection: leave it out"),
    (["--task", "detection", "--detector", "yolo"], "no detector 'yolo'"),
    (["--task", "detection", "--protocol", "frozn"], "no protocol 'frozn': did you mean 'frozen'?"),
    (["--task", "detection", "--labels", "2"], "--labels 2: give a share above 0 and at most 1"),
])  # fmt: skip
def test_what_is_wrong_is_one_line(
    wrong: list[str], message: str, calls: list[Any], capsys: pytest.CaptureFixture[str]
) -> None:
    assert finetune.main(["a", *wrong]) == 2 and not calls
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line


@pytest.mark.slow
def test_the_command_from_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(ENCODERS, "smallconv", partial(tiny))
    monkeypatch.setattr(detection, "open_detection_data", lambda path: embedded_scenes(0, 20, 1, 4))
    short = ["--experiences", "2", "--epochs", "1", "--benchmark-option", "composites=2", "--out", "a"]
    assert run.main(["--strategy", "simclr", *short]) == 0
    capsys.readouterr()
    given = ["a", "--task", "detection", "--labels", "0.5", "--epochs", "2", "--batch-size", "4"]
    assert finetune.main(given) == 0
    out = capsys.readouterr().out
    assert "embedded scenes: 20 images" in out and "full, 50 % of the labels, seed 0: epoch   2 of 2  loss" in out
    assert finetune.main(given) == 0
    before = capsys.readouterr().out.split("average precision")[0]
    assert "epoch" not in before, "what is complete is not trained again"
    assert "2 of 2 trainings are complete already in a/detection" in before
    names = {path.name for path in Path("a/detection").iterdir()}
    assert {"detection-scratch-fcos-0.5-s0.png", "detection-scratch-fcos-0.5-s0.jsonl", "detection-fcos.md"} <= names
