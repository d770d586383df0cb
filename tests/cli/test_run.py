"""`avalanche-ssl run` does what README says, and refuses in one line what it cannot do."""

import csv
import json
import os
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from crashes import small_run
from helpers.encoders import tiny
from PIL import Image

from avalanche_ssl.cli import run
from avalanche_ssl.errors import UsageError
from avalanche_ssl.models.encoders import ENCODERS
from avalanche_ssl.plugins import progress
from avalanche_ssl.probes.protocols import PROTOCOLS
from avalanche_ssl.recipes.loading import load_recipe
from avalanche_ssl.runs.build import differences
from avalanche_ssl.runs.config import RunConfig
from avalanche_ssl.runs.folder import MARKER
from avalanche_ssl.streams import BENCHMARKS
from avalanche_ssl.training import precision

RUN = [sys.executable, "-m", "avalanche_ssl", "run"]
KEPT = {MARKER, "lock", "encoder.pt"}
FILES = {"config.yaml", "log.jsonl", "accuracy.csv", "accuracy.png", "correct.json", "embeddings"} | KEPT
SMALL = ["--experiences", "2", "--epochs", "1", "--benchmark-option", "size=16", "--set", "augment.size=16"]
SMALL += ["--set", "batch_size=16", "--set", "output_dim=8", "--device", "cpu"]


def save(path: Path, shade: int, rng: np.random.Generator) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.clip(rng.integers(0, 60, (16, 16, 3)) + shade, 0, 255).astype(np.uint8)
    Image.fromarray(pixels).save(path)


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four classes of gray, 20 images of each for training, 5 for testing."""
    root, rng = tmp_path_factory.mktemp("photos"), np.random.default_rng(0)
    for label in range(4):
        for part, count in (("train", 20), ("test", 5)):
            for i in range(count):
                save(root / part / f"class{label}" / f"{i}.png", 50 * label, rng)
    return root


@pytest.fixture(scope="module")
def flat(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forty images without labels."""
    root, rng = tmp_path_factory.mktemp("flat"), np.random.default_rng(0)
    for i in range(40):
        save(root / "train" / f"{i}.png", 5 * i, rng)
    return root


@pytest.fixture(autouse=True)
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to work in, and a narrow default encoder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(ENCODERS, "smallconv", tiny)
    return tmp_path


def go(photos: Path, out: str, *more: str, strategy: str = "simclr") -> dict[str, Any]:
    """A small run; its resolved configuration."""
    given = ["--strategy", strategy, "--benchmark", "folder", "--data", str(photos), "--out", out, *SMALL, *more]
    assert run.main(given) == 0
    return config(out)


def config(out: str) -> dict[str, Any]:
    return yaml.safe_load(Path(out, "config.yaml").read_text(encoding="utf-8"))  # type: ignore[no-any-return]


def events(out: str, kind: str) -> list[dict[str, Any]]:
    lines = Path(out, "log.jsonl").read_text(encoding="utf-8").splitlines()
    return [event for event in map(json.loads, lines) if event["event"] == kind]


def accuracies(out: str) -> list[tuple[Any, ...]]:
    return [(e["experiences_trained"], e["experience"], e["scope"], e["accuracy"]) for e in events(out, "probe")]


# -- a run -----------------------------------------------------------------------------------------------------------


def test_a_run_leaves_its_files_and_a_table(photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    go(photos, "a/b")
    out = capsys.readouterr().out
    assert {p.name for p in Path("a/b").iterdir()} == FILES
    for text in (
        "simclr on folder, seed 0 (cpu, ",
        "untrained encoder: all ",
        "experience 2/2 ",
        "\nuntrained ",
        "average accuracy ",
        "forgetting ",
        "backward transfer ",
        "forward transfer ",
        "untrained accuracy ",
        "images/s; everything ",
        "\nchance             25.0  25.0   25.0",
        "files in a/b: .avalanche-ssl-run, accuracy.csv, accuracy.png, config.yaml, correct.json, embeddings/, ",
        "encoder.pt, lock, log.jsonl\n",
    ):
        assert text in out, text
    with Image.open("a/b/accuracy.png") as picture:
        assert picture.format == "PNG" and min(picture.size) > 400


def test_the_log_has_the_fields_that_readme_promises(photos: Path) -> None:
    settings = go(photos, "a")
    (first,) = events("a", "run")
    assert first.keys() - {"commit"} == {"event", "title", "config", "device", "precision", "versions", "classes"} | {
        "images",
        "stream",
        "processes",
    }
    assert first["config"] == settings
    assert first["versions"].keys() >= {"avalanche-ssl", "python", "torch", "avalanche-lib"}
    probes = events("a", "probe")
    assert all(
        e.keys()
        == {
            "event",
            "experiences_trained",
            "experience",
            "probe",
            "scope",
            "accuracy",
            "images_trained",
            "seconds",
            "precision",
        }
        for e in probes
    )
    assert {e["probe"] for e in probes} == {"ridge"}
    assert all(0 <= e["accuracy"] <= 1 for e in probes)
    found = {(e["experiences_trained"], e["scope"]): e["images_trained"] for e in probes}
    assert found == {
        (0, "all"): 0,
        (0, "task"): 0,
        (1, "all"): 32,
        (1, "seen"): 32,
        (1, "task"): 32,
        (2, "all"): 64,
        (2, "seen"): 64,
        (2, "task"): 64,
    }
    assert [(e["experiences_trained"], e["experience"]) for e in probes if e["scope"] == "seen"] == [
        (1, 1),
        (2, 1),
        (2, 2),
    ]
    assert [(e["experiences_trained"], e["experience"]) for e in probes if e["scope"] == "all"] == [
        (t, j) for t in range(3) for j in (1, 2)
    ]
    trained = events("a", "experience")
    assert [(e["experiences_trained"], e["images_trained"], e["steps"]) for e in trained] == [(1, 32, 2), (2, 64, 2)]
    assert all(e.keys() >= {"loss", "seconds", "images_per_second"} for e in trained)
    (last,) = events("a", "end")
    assert last["images_trained"] == 64
    assert 0 < last["train_seconds"] <= last["seconds"]
    assert all(last[f"{part}_seconds"] > 0 for part in ("checkpoint", "data", "probe", "import"))
    parts = ("train", "checkpoint", "data", "probe", "import")
    assert sum(last[f"{part}_seconds"] for part in parts) < last["seconds"]
    names = [json.loads(line)["event"] for line in Path("a/log.jsonl").read_text(encoding="utf-8").splitlines()]
    assert names[0] == "run" and names[-1] == "end"


def test_the_csv_holds_what_the_log_does(photos: Path) -> None:
    go(photos, "a")
    with Path("a/accuracy.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert all(row["probe"] == "ridge" for row in rows)
    table = {(int(r["experiences_trained"]), int(r["experience"]), r["scope"]): float(r["accuracy"]) for r in rows}
    assert table == {(t, j, s): pytest.approx(a, abs=1e-6) for t, j, s, a in accuracies("a")}


def test_the_caveat_of_a_protocol_is_in_every_output(photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With a headline that has one scope only."""
    go(photos, "a", "--probes", "cassle-online-leak")
    caveat = PROTOCOLS["cassle-online-leak"].caveat
    assert "LEAK" in caveat and f" caveat: {caveat}" in " ".join(capsys.readouterr().out.split())
    assert {e["caveat"] for e in events("a", "probe")} == {caveat}
    with Path("a/accuracy.csv").open(encoding="utf-8", newline="") as file:
        assert {(row["scope"], row["caveat"]) for row in csv.DictReader(file)} == {("all", caveat)}
    (logged,) = events("a", "consolidation")
    assert logged["experiences_trained"] == 2 and 0 <= logged["accuracy"] <= 1 and logged["chance"] == 0.5


@pytest.mark.slow
@pytest.mark.parametrize(
    "more", [(), ("--online-batch-size", "8"), ("--seed", "3", "--benchmark-option", "incremental=data")]
)
def test_config_yaml_repeats_the_run(photos: Path, more: tuple[str, ...], desk: Path) -> None:
    first = go(photos, "a", *more, strategy="moco")
    (desk / "elsewhere").mkdir()
    os.chdir("elsewhere")
    assert run.main(["--config", "../a/config.yaml", "--out", "b"]) == 0
    assert config("b") == first
    assert Path("b/config.yaml").read_bytes() == Path("../a/config.yaml").read_bytes()
    assert accuracies("b") == accuracies("../a")
    assert [e["loss"] for e in events("b", "experience")] == [e["loss"] for e in events("../a", "experience")]


def test_config_yaml_is_resolved(photos: Path, desk: Path) -> None:
    found = go(Path(os.path.relpath(photos)), "a", "--device", "auto", "--precision", "auto")
    assert found["data"] == os.path.normpath(str(photos)) or Path(found["data"]).samefile(photos)
    assert Path(found["data"]).is_absolute()
    assert found["device"] == ("cuda" if torch.cuda.is_available() else "cpu")
    assert found["precision"] == precision.fastest_precision(torch.device(found["device"]))
    stream = {"experiences": 2, "size": 16, "incremental": "class", "class_order": None}
    stream |= {"labels": "auto", "test_fraction": 0.2, "damaged": "refuse", "value_range": None}
    assert found["benchmark_options"] == stream | {"imbalance": 1.0, "leak": 0.1, "repeats": 2}
    assert found["settings"]["temperature"] == load_recipe("simclr").settings["temperature"]


def test_the_command_line_overrules_the_config(photos: Path) -> None:
    go(photos, "a")
    again = [
        "--config",
        "a/config.yaml",
        "--out",
        "b",
        "--set",
        "lr=1e-3",
        "--set",
        "augment.hflip_prob=0",
        "--seed",
        "4",
    ]
    assert run.main([*again, "--epochs", "2", "--encoder", "resnet9", "--experiences", "4"]) == 0
    expected = config("a") | {"seed": 4}
    expected["benchmark_options"]["experiences"] = 4
    expected["settings"] |= {"lr": 1e-3, "epochs": 2, "encoder": "resnet9"}
    expected["settings"]["augment"]["hflip_prob"] = 0.0
    assert config("b") == expected


def test_a_short_config_is_enough(photos: Path, desk: Path) -> None:
    text = {"strategy": "simclr", "benchmark": "folder", "benchmark_options": {"data": str(photos), "experiences": 1}}
    (desk / "mine.yaml").write_text(yaml.safe_dump(text | {"settings": {"lr": "1e-3", "epochs": 1, "output_dim": 4}}))
    assert run.main(["--config", "mine.yaml"]) == 0
    assert config("runs/simclr-folder-s0")["settings"]["lr"] == 1e-3


def test_online_is_one_step_a_mini_batch(photos: Path) -> None:
    given = ["--strategy", "simclr", "--benchmark", "folder", "--data", str(photos), "--out", "a"]
    assert run.main([*given, "--experiences", "2", "--online-batch-size", "8"]) == 0
    settings = config("a")["settings"]
    assert (settings["batch_size"], settings["epochs"], settings["schedule"]["kind"]) == (8, 1, "constant")
    assert [(e["steps"], e["images_trained"]) for e in events("a", "experience")] == [(5, 40), (5, 80)]
    assert {t for t, *_ in accuracies("a")} == {0, 1, 2}, "probes wait for the boundary of the experience"


def test_settings_beside_online_win(photos: Path) -> None:
    go(photos, "a")
    again = ["--config", "a/config.yaml", "--out", "b", "--online-batch-size", "8"]
    assert run.main([*again, "--set", "batch_size=4", "--set", "schedule.warmup=0.5", "--epochs", "3"]) == 0
    settings = config("b")["settings"]
    assert (settings["batch_size"], settings["epochs"]) == (4, 3)
    assert settings["schedule"] == {"kind": "constant", "warmup": 0.5, "final": 0.0}
    assert [e["steps"] for e in events("b", "experience")] == [30, 30]
    assert run.main(["--config", "b/config.yaml", "--out", "c"]) == 0, "and are kept when the run is repeated"
    assert config("c") == config("b")
    assert accuracies("c") == accuracies("b")


def test_online_of_ten_by_default(photos: Path) -> None:
    assert go(photos, "a", "--online-batch-size")["online_batch_size"] == 10


def test_a_strategy_of_ones_own(photos: Path, desk: Path) -> None:
    (desk / "my-own.py").write_text(
        "from avalanche_ssl import Recipe\nfrom avalanche_ssl.methods import SimCLR\n"
        "class Mine(SimCLR):\n    pass\nrecipe = Recipe(Mine, lr=0.01)\n"
    )
    given = ["--strategy", "my-own.py", "--benchmark", "folder", "--data", str(photos), *SMALL]
    assert run.main(given) == 0
    out = "runs/my-own-folder-s0"
    assert events(out, "run")[0]["title"] == "my-own on folder, seed 0"
    assert config(out)["strategy"] == str(desk / "my-own.py")
    (desk / "below").mkdir()
    os.chdir("below")
    assert run.main(["--config", f"../{out}/config.yaml", "--trust-strategy"]) == 0
    assert accuracies(out) == accuracies(f"../{out}")


def test_num_workers_says_where_it_has_no_effect(
    photos: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    line = "--num-workers has no effect on this stream: its images are read from arrays\n"
    go(photos, "a")
    assert line not in capsys.readouterr().out
    go(photos, "b", "--num-workers", "1")
    assert line in capsys.readouterr().out
    monkeypatch.setitem(BENCHMARKS, "few-digits", small_run.few_digits)
    given = ["--strategy", "simclr", "--benchmark", "few-digits", "--epochs", "1", "--out", "c", "--num-workers", "1"]
    assert run.main([*given, "--benchmark-option", "decode=true"]) == 0
    assert line not in capsys.readouterr().out, "images are decoded there"


@pytest.mark.parametrize("test_images", [False, True])
def test_a_stream_without_labels_runs_to_the_end(
    flat: Path, test_images: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = tmp_path / "data"
    data.mkdir()
    for part in ("train", "test")[: 1 + test_images]:
        (data / part).symlink_to(flat / "train")
    go(data, "a", "--benchmark-option", "incremental=data")
    assert {p.name for p in Path("a").iterdir()} == {"config.yaml", "log.jsonl"} | KEPT
    assert not events("a", "probe")
    assert [e["experiences_trained"] for e in events("a", "experience")] == [1, 2]
    out = capsys.readouterr().out
    assert "no labels" in out
    assert "files in a: .avalanche-ssl-run, config.yaml, encoder.pt, lock, log.jsonl\n" in out


@pytest.mark.slow
@pytest.mark.parametrize("layout", ["classes", "flat", "list"])
def test_data_alone_is_enough(layout: str, photos: Path, flat: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Folders as people have them: classes without train and test, loose images, a list."""
    data, said = {
        "classes": (
            photos / "train",
            "4 classes in '{}' (class0, class1, class2, class3): 20 % of each for testing",
        ),
        "flat": (flat / "train", "40 images without labels in '{}'"),
        "list": (Path("list.txt").absolute(), "2 classes in '{}' (dark, light): 20 % of each for testing"),
    }[layout]
    if layout == "list":
        lines = [f"{photos}/train/class{i}/{n}.png\t{'light' if i else 'dark'}" for i in (0, 3) for n in range(20)]
        data.write_text("\n".join(lines))
    assert run.main(["--strategy", "simclr", "--data", str(data), "--set", "batch_size=4", "--device", "cpu"]) == 0
    out, err = capsys.readouterr()
    experiences = {"classes": 4, "flat": 10, "list": 2}[layout]
    fewer = "" if layout == "flat" else f"{experiences} experiences, as there are no more classes (default: 10)\n"
    assert f"found {said.format(data)}\n{fewer}" in err
    assert f"experience {experiences}/{experiences} " in out
    folder = "runs/simclr-folder-s0"
    assert "simclr on folder, seed 0 (cpu, " in out and f"-> {folder}\n" in out
    saved = config(folder)
    assert (saved["benchmark"], saved["data"]) == ("folder", str(data))
    decided = {name: saved["benchmark_options"][name] for name in ("experiences", "incremental")}
    assert decided == {"experiences": experiences, "incremental": "data" if layout == "flat" else "class"}
    options = RunConfig(strategy="simclr", data=str(data), settings={"batch_size": 4}, device="cpu")
    assert not differences(Path(folder), options), "a run of the same options, which leave that open"
    assert Path(folder, "accuracy.csv").exists() == (layout != "flat")
    assert len(events(folder, "experience")) == experiences
    assert run.main(["--config", f"{folder}/config.yaml", "--out", "again"]) == 0
    assert accuracies("again") == accuracies(folder)
    assert [e["loss"] for e in events("again", "experience")] == [e["loss"] for e in events(folder, "experience")]
    assert run.main(["--resume", "--out", folder]) == 0
    assert f"{folder} is finished" in capsys.readouterr().out


def test_points_of_a_stream_without_labels_are_refused(flat: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = ["--strategy", "simclr", "--benchmark", "folder", "--data", str(flat), "--out", "a"]
    assert (
        run.main(
            [*given, "--benchmark-option", "incremental=data", "--online-batch-size", "--probe-every-images", "20"]
        )
        == 2
    )
    *_, refused = capsys.readouterr().err.splitlines()  # after the bar of decoding
    assert (
        refused
        == "avalanche-ssl run: --probe-every-images: the stream has no labels to fit and score probes on; leave it out"
    )
    assert not Path("a").exists(), "before training"


@pytest.mark.slow
def test_a_warning_is_one_line_too(desk: Path) -> None:
    """Of a recipe that warns twice, before another mistake."""
    (desk / "mine.py").write_text(
        "import warnings\nfrom avalanche_ssl import Recipe\nfrom avalanche_ssl.methods import SimCLR\n"
        "for _ in range(2):\n    warnings.warn('careful,\\ntwo lines')\nrecipe = Recipe(SimCLR)\n"
    )
    given = ["--strategy", "mine.py", "--experiences", "11"]
    done = subprocess.run([*RUN, *given], capture_output=True, timeout=600)
    first, *rest = done.stderr.decode().splitlines()
    assert first == "avalanche-ssl run: warning: careful, two lines"
    assert len(rest) == 1 and rest[0].startswith("avalanche-ssl run: cannot split 10 classes")


def test_warnings_are_as_before_after_a_run(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []

    def stopped(options: object) -> int:
        seen.append(warnings.formatwarning("a", UserWarning, "x.py", 1))
        raise KeyboardInterrupt

    monkeypatch.setattr(run, "_run", stopped)
    before = warnings.formatwarning
    assert run.main(["--strategy", "cmc"]) == 130
    assert seen == ["avalanche-ssl run: warning: a\n"] and warnings.formatwarning is before


@pytest.mark.slow
def test_the_default_stream(capsys: pytest.CaptureFixture[str]) -> None:
    small = [
        "--benchmark-option",
        "composites=2",
        "--experiences",
        "2",
        "--epochs",
        "1",
        "--set",
        "output_dim=8",
        "--device",
        "cpu",
    ]
    assert run.main(["--strategy", "cmc", *small, "--set", "capacity=4096", "--set", "count=64"]) == 0
    assert "files in runs/cmc-split-digits-s0: " in capsys.readouterr().out
    stream = {"experiences": 2, "composites": 2, "class_order": None}
    kind = {"incremental": "class", "imbalance": 1.0, "leak": 0.1, "repeats": 2}
    assert config("runs/cmc-split-digits-s0")["benchmark_options"] == stream | kind


# -- what is there is kept -------------------------------------------------------------------------------------------


def test_a_finished_run_is_replaced_only_when_told(photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    go(photos, "a")
    before = {p: p.read_bytes() for p in Path("a").rglob("*.*")}
    given = ["--strategy", "moco", "--benchmark", "folder", "--data", str(photos), "--out", "a", *SMALL]
    capsys.readouterr()
    assert run.main(given) == 2
    refused = "avalanche-ssl run: a already holds a run: give another --out, or --overwrite to replace it\n"
    assert capsys.readouterr().err == refused
    assert run.main([*given, "--overwrite", "--set", "queue_size=0"]) == 2
    assert {p: p.read_bytes() for p in Path("a").rglob("*.*")} == before, "a refused run replaces nothing"
    assert run.main([*given, "--overwrite"]) == 0
    assert config("a")["strategy"] == "moco"
    assert len(events("a", "run")) == 1


def test_an_interruption_is_one_line(
    photos: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(progress.Progress, "after_training_epoch", interrupt)
    given = ["--strategy", "simclr", "--benchmark", "folder", "--data", str(photos), "--out", "a", *SMALL]
    assert run.main(given) == 130
    assert capsys.readouterr().err.split("\r")[-1] == "avalanche-ssl run: interrupted\n"
    assert events("a", "probe"), "what was written stays"


def test_a_run_that_diverges_is_stopped(photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = ["--strategy", "simclr", "--benchmark", "folder", "--data", str(photos), "--out", "a", *SMALL]
    assert run.main([*given, "--set", "lr=1e30"]) == 2
    err = capsys.readouterr().err.split("\r")[-1]
    assert err.startswith("avalanche-ssl run: the loss of step 2 is not finite: lower lr (1e+30)")
    assert err.endswith(
        "stopped after step 1; representation: not measured yet; last checkpoint: step 0, a/checkpoint\n"
    )
    assert err.count("\n") == 1


# -- bad input -------------------------------------------------------------------------------------------------------

BAD: dict[str, tuple[list[str], str]] = {
    "nothing": ([], "no strategy: give --strategy NAME (see --list) or --strategy PATH"),
    "option": (["--stratgy", "cmc"], "unrecognized arguments: --stratgy cmc; see --help"),
    "setting as option": (
        ["--strategy", "cmc", "--batch-size", "32"],
        "no option '--batch-size': give --set batch_size=32",
    ),
    "setting with =": (["--strategy", "cmc", "--lr=0.1"], "no option '--lr': give --set lr=0.1"),
    "setting without a strategy": (["--lr"], "no option '--lr': give --set lr=VALUE"),
    "nested setting as option": (["--strategy", "cmc", "--augment.size", "8"], "give --set augment.size=8"),
    "option of the benchmark": (
        ["--strategy", "cmc", "--composites", "2"],
        "no option '--composites': give --benchmark-option composites=2",
    ),
    "schedule": (
        ["--strategy", "cmc", "--set", "schedule=step"],
        "setting 'schedule' is 'step': give its parts, e.g. schedule.kind=VALUE "
        "(schedule.kind, schedule.warmup, schedule.final)",
    ),
    "number": (["--strategy", "cmc", "--seed", "x"], "argument --seed: invalid int value: 'x'"),
    "value": (["--strategy"], "argument --strategy: expected one argument"),
    "strategy": (["--strategy", "cmx"], "no strategy 'cmx': did you mean 'cmc'?"),
    "strategy file": (["--strategy", "a/b.py"], "no strategy file '"),
    "benchmark": (["--strategy", "cmc", "--benchmark", "splitdigits"], "did you mean 'split-digits'?"),
    "benchmark of before": (["--strategy", "cmc", "--benchmark", "digits-domain"], "is gone: give rotated-digits"),
    "option of before": (
        ["--strategy", "cmc", "--benchmark-option", "ground=color"],
        "split-digits has no option 'ground', each is a stream of its own: give --benchmark split-digits (color)",
    ),
    "encoder": (["--strategy", "cmc", "--encoder", "resnt18"], "no encoder 'resnt18': did you mean 'resnet18'?"),
    "setting": (["--strategy", "cmc", "--set", "temprature=1"], "did you mean 'temperature'?"),
    "nested setting": (["--strategy", "cmc", "--set", "augment.blurr=1"], "did you mean 'augment.blur_prob'?"),
    "setting without value": (["--strategy", "cmc", "--set", "lr"], "--set lr has no value"),
    "setting type": (["--strategy", "cmc", "--set", "lr=fast"], "setting 'lr' is 'fast': give a number"),
    "setting range": (["--strategy", "cmc", "--set", "lr=-1"], "lr -1.0 must be above 0"),
    "setting NaN": (["--strategy", "cmc", "--set", "lr=.nan"], "setting 'lr' is nan: give a number"),
    "settings of the method": (["--strategy", "cmc", "--set", "views=[l]"], "two or more of l, ab, edges"),
    "epochs": (["--strategy", "cmc", "--epochs", "0"], "setting 'epochs' is 0: give 1 or more"),
    "stream option": (["--strategy", "cmc", "--benchmark-option", "composits=2"], "did you mean 'composites'?"),
    "stream option type": (
        ["--strategy", "cmc", "--benchmark-option", "composites=x"],
        "'composites' is 'x': give a whole",
    ),
    "stream option range": (["--strategy", "cmc", "--benchmark-option", "composites=0"], "cannot draw composites=0"),
    "stream seed": (["--strategy", "cmc", "--benchmark-option", "seed=-1"], "these options make no stream"),
    "experiences": (["--strategy", "cmc", "--experiences", "11"], "cannot split 10 classes into 11 experiences"),
    "no experiences": (["--strategy", "cmc", "--experiences", "0"], "cannot split 10 classes into 0 experiences"),
    "online": (["--strategy", "cmc", "--online-batch-size", "-5"], "online_batch_size is -5: give 0 or more"),
    "seed": (["--strategy", "cmc", "--seed", "-5"], "seed is -5: give 0 or more"),
    "huge seed": (["--strategy", "cmc", "--seed", str(2**64)], "seed is 18446744073709551616"),
    "device": (["--strategy", "cmc", "--device", "gpu"], "no device 'gpu': give cuda for a GPU"),
    "device kind": (["--strategy", "cmc", "--device", "meta"], "no device 'meta'"),
    "device number": (["--strategy", "cmc", "--device", "cuda:99"], "CUDA devices here; give another, or cpu"),
    "precision": (["--strategy", "cmc", "--precision", "fp16"], "no precision 'fp16': did you mean 'bf16'?"),
    "needless data": (
        ["--strategy", "cmc", "--benchmark", "split-digits", "--data", "x"],
        "benchmark 'split-digits' needs no --data: leave it out",
    ),
    "data alone": (["--strategy", "cmc", "--data", "nowhere"], "no folder '"),
    "needed data": (["--strategy", "cmc", "--benchmark", "folder"], "benchmark 'folder' needs --data PATH"),
    "missing data": (["--strategy", "cmc", "--benchmark", "folder", "--data", "nowhere"], "no folder '"),
    "missing config": (["--config", "nowhere.yaml"], "cannot read nowhere.yaml"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_one_line(name: str, desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given, message = BAD[name]
    assert run.main(given) == 2
    out, err = capsys.readouterr()
    assert message in err
    assert err.startswith("avalanche-ssl run: ") and err.endswith("\n") and err.count("\n") == 1
    assert not out
    assert not list(desk.iterdir()), "nothing is made"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("strategy: cmc\nseed: [", "line 2"),
        ("just words", "c.yaml holds no options: give the config.yaml of a run"),
        ("", "c.yaml holds no options"),
        ("strategie: cmc", "no option in c.yaml 'strategie': did you mean 'strategy'?"),
        ("strategy: 5", "setting 'strategy' is 5: give a word"),
        ("strategy: cmc\nseed: x", "setting 'seed' is 'x': give a whole number"),
        ("strategy: cmc\nseed: 1.5", "setting 'seed' is 1.5: give a whole number"),
        ("strategy: cmc\ndevice: 5", "setting 'device' is 5: give a word"),
        ("strategy: cmc\nprecision: [fp32]", "setting 'precision' is ['fp32']: give a word"),
        ("strategy: cmc\ndata: 5", "setting 'data' is 5: give a word or null"),
        ("strategy: cmc\nbenchmark_options: {5: 1}", "no option of split-digits '5'"),
        ("strategy: cmc\nsettings: [1]", "'settings' is [1]: give KEY: VALUE lines"),
        ("strategy: cmc\nsettings:", "'settings' is None: give KEY: VALUE lines"),
        ("strategy: cmc\nsettings: {5: 1}", "no setting '5'"),
        ("strategy: cmc\nsettings: {lr: fast}", "setting 'lr' is 'fast': give a number"),
        ("strategy: cmc\nsettings: {schedule: {warm: 1}}", "did you mean 'schedule.warmup'?"),
        ("strategy: cmc\nseed: 2024-99-99", "cannot read c.yaml"),
    ],
)
def test_a_bad_config_is_one_line(text: str, message: str, desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (desk / "c.yaml").write_text(text)
    assert run.main(["--config", "c.yaml"]) == 2
    err = capsys.readouterr().err
    assert message in err
    assert err.count("\n") == 1
    assert [p.name for p in desk.iterdir()] == ["c.yaml"]


def damaged(photos: Path, root: Path, name: str) -> str:
    """A copy of the photos with one thing wrong; what must be said of it."""
    for part in ("train", "test"):
        for label in range(4):
            (root / part / f"class{label}").mkdir(parents=True)
            for path in sorted((photos / part / f"class{label}").iterdir())[:3]:
                (root / part / f"class{label}" / path.name).symlink_to(path)
    victim = root / "train/class1/0.png"
    if name == "corrupt image":
        victim.unlink()
        victim.write_bytes(b"no image at all")
        return f"cannot read image '{victim}'"
    if name == "class without test image":
        for path in (root / "test/class2").iterdir():
            path.unlink()
        (root / "test/class2").rmdir()
        return "class 'class2' has no test image"
    if name == "empty class":
        (root / "train/empty").mkdir()
        return f"no image in '{root / 'train/empty'}'"
    for path in sorted(root.rglob("*"), reverse=True):
        path.unlink() if path.is_symlink() else path.rmdir()
    if name == "empty train":
        (root / "train").mkdir()
        return f"no image in '{root / 'train'}'"
    return f"no image in '{root}'"


@pytest.mark.parametrize(
    "name", ["corrupt image", "class without test image", "empty class", "empty train", "empty folder"]
)
def test_a_bad_folder_is_one_line(
    name: str, photos: Path, desk: Path, tmp_path_factory: pytest.TempPathFactory, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path_factory.mktemp("damaged")
    message = damaged(photos, root, name)
    assert run.main(["--strategy", "simclr", "--benchmark", "folder", "--data", str(root), *SMALL]) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1, "a bar may have been there, and is wiped out"
    assert err.split("\r")[-1].startswith(f"avalanche-ssl run: {message}")
    assert not list(desk.iterdir())


def test_more_experiences_than_classes(photos: Path, desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = ["--strategy", "simclr", "--benchmark", "folder", "--data", str(photos), *SMALL, "--experiences", "5"]
    assert run.main(given) == 2
    assert capsys.readouterr().err == "avalanche-ssl run: cannot split 4 classes into 5 experiences: give 1 to 4\n"
    assert not list(desk.iterdir())


@pytest.mark.parametrize("out", ["file", "file/below/it", "/proc/avalanche-ssl/x", "x" * 300])
def test_a_place_that_cannot_be_written(out: str, desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (desk / "file").write_text("mine")
    small = ["--benchmark-option", "composites=2", "--experiences", "1", "--set", "output_dim=8"]
    assert run.main(["--strategy", "simclr", "--out", out, *small]) == 2
    err = capsys.readouterr().err
    assert "give another --out" in err and err.count("\n") == 1
    assert [p.name for p in desk.iterdir()] == ["file"]
    assert (desk / "file").read_text() == "mine"


def test_no_permission_to_write(
    desk: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    assert run.main(["--strategy", "simclr", "--out", "below/a"]) == 2
    assert capsys.readouterr().err == f"avalanche-ssl run: no permission to write in {desk}: give another --out\n"
    assert not list(desk.iterdir())


# -- as a command ----------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize(
    ("option", "texts"),
    [
        ("--help", ["--strategy NAME|PATH", "--overwrite", "avalanche-ssl run --strategy cmc"]),
        ("--list", ["  cmc  ", "  moco  ", "  simclr  ", "  split-digits  ", "experiences, seed, composites"]),
    ],
)
def test_help_and_list_need_nothing_heavy(option: str, texts: list[str]) -> None:
    code = (
        "import sys\n"
        "from avalanche_ssl.cli.command import main\n"
        "try:\n"
        f"    sys.exit(main(['run', '{option}']))\n"
        "finally:\n"
        "    heavy = {'torch', 'avalanche', 'numpy', 'yaml', 'PIL', 'sklearn'} & set(sys.modules)\n"
        "    assert not heavy, heavy\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=600)
    assert (done.returncode, done.stderr) == (0, "")
    for text in texts:
        assert text in done.stdout, text


def test_a_strategy_without_documentation_is_listed(
    desk: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (desk / "bare.py").write_text("recipe = 5")
    monkeypatch.setattr(run, "recipe_files", lambda: [desk / "bare.py"])
    assert run.main(["--list"]) == 0
    assert "  bare " in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.parametrize("name", ["option", "corrupt image"])
def test_the_process_ends_with_status_2_and_one_line(name: str, photos: Path, desk: Path) -> None:
    given, message = BAD.get(name, ([], ""))
    if not given:
        message = damaged(photos, desk / "data", name)
        given = ["--strategy", "simclr", "--benchmark", "folder", "--data", "data", *SMALL]
    done = subprocess.run([*RUN, *given], capture_output=True, timeout=600)
    assert done.returncode == 2
    assert done.stdout == b""
    err = done.stderr.decode()
    assert err.count("\n") == 1
    assert err.split("\r")[-1].startswith(f"avalanche-ssl run: {message}")


def test_avalanche_is_imported_without_what_no_run_uses(
    desk: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def noted() -> None:
        raise UsageError("imported here")

    monkeypatch.setattr("avalanche_ssl.training.avalanche_import.import_avalanche", noted)
    assert run.main(["--strategy", "simclr"]) == 2
    assert capsys.readouterr().err == "avalanche-ssl run: imported here\n"
