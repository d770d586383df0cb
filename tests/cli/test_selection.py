"""A sweep that selects: trials on validation data, one budget for all, then test data once per seed."""

from __future__ import annotations

import csv
import sys
from pathlib import Path

import pytest
from helpers.encoders import tiny
from helpers.jobs import in_this_process
from helpers.photos import write_classes

from avalanche_ssl.cli import jobs, sweep
from avalanche_ssl.errors import UsageError
from avalanche_ssl.models.encoders import ENCODERS
from avalanche_ssl.runs import read_run

STAND_IN = """
import json, pathlib, sys
a = sys.argv
def of(name, default=None): return a[a.index(name) + 1] if name in a else default
out = pathlib.Path(of("--out"))
out.mkdir(parents=True, exist_ok=True)
settings = [a[i + 1] for i, word in enumerate(a) if word == "--set"]
with open("commands.txt", "a") as file: print(*a[1:], file=file)
if "lr=9" in settings: sys.exit("diverged")
if pathlib.Path("stop").exists() and "lr=0.2" in settings: sys.exit("no")
accuracy = {"lr=0.1": 0.4, "lr=0.2": 0.8}.get((settings or [""])[0], 0.6)
config = {"strategy": of("--strategy"), "seed": int(of("--seed")), "eval_on": of("--eval-on", "test"), "settings": {}}
import avalanche_ssl
events = [{"event": "run", "title": "", "config": config, "device": "cpu", "precision": "fp32",
           "versions": {"avalanche-ssl": avalanche_ssl.__version__}}]
events += [{"event": "probe", "experiences_trained": t, "experience": 1, "probe": "ridge", "scope": "all",
            "accuracy": accuracy * t} for t in (0, 1)]
events += [{"event": "end", "images_trained": 1, "train_seconds": 1.0, "seconds": 1.0}]
with (out / "log.jsonl").open("w") as log: log.writelines(json.dumps(event) + "\\n" for event in events)
(out / ".avalanche-ssl-run").touch()
"""
"""Instead of the command of a run: its accuracy depends on its first setting, and lr=9 fails."""
MODE = jobs._mode


@pytest.fixture(autouse=True)
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "run.py").write_text(STAND_IN)
    monkeypatch.setattr(jobs, "RUN", [sys.executable, str(tmp_path / "run.py")])
    monkeypatch.setattr(jobs, "_mode", lambda out, words, _: "" if (out / "log.jsonl").exists() else "--resume")
    monkeypatch.chdir(tmp_path)


def commands() -> list[str]:
    """What was run, without the way it is started."""
    return Path("commands.txt").read_text().replace(" --resume", "").splitlines()


GIVEN = ["--strategy", "simclr,moco", "--grid", "lr=0.1,0.2", "--select", "val", "--out", "out"]


def test_trials_come_first_and_the_best_are_reported(capsys: pytest.CaptureFixture[str]) -> None:
    assert sweep.main([*GIVEN, "--seeds", "0,1", "--select-seeds", "7,8", "--", "--epochs", "2"]) == 0
    trials, reported = commands()[:8], commands()[8:]
    assert all(line.startswith("--epochs 2 --strategy ") and " --eval-on val " in line for line in trials)
    assert "--strategy moco --seed 8 --set lr=0.2 --eval-on val --out out/trials/moco-lr=0.2-s8" in trials[-1]
    assert reported == [
        f"--epochs 2 --strategy {name} --seed {seed} --set lr=0.2 --eval-on test --out out/{name}-s{seed}"
        for name in ("simclr", "moco")
        for seed in (0, 1)
    ]
    rows = list(csv.DictReader(Path("out/selection.csv").read_text().splitlines()))
    assert len(rows) == 8 and {r["settings"] for r in rows if r["chosen"] == "1"} == {"lr=0.2"}
    assert {r["accuracy"] for r in rows} == {"0.4", "0.8"}
    assert "2 trials of each strategy, on seeds 7, 8, scored on val" in Path("out/selection.md").read_text()
    said = capsys.readouterr().out
    assert "chosen for simclr: lr=0.2 (80.0 % on val)" in said and "report out/*-s*/" in said


def test_an_interrupted_selection_goes_on(capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing is chosen while a trial is missing, and what is there is not run again."""
    Path("stop").touch()
    assert sweep.main(GIVEN) == 2
    assert "2 of 4 trials failed, out/trials/simclr-lr=0.2-s999 first" in capsys.readouterr().err
    assert not Path("out/selection.md").exists() and len(commands()) == 4
    Path("stop").unlink()
    assert sweep.main(GIVEN) == 0
    again = commands()[4:]
    assert [line.split("--out ")[1] for line in again] == [
        "out/trials/simclr-lr=0.2-s999",
        "out/trials/moco-lr=0.2-s999",
        "out/simclr-s0",
        "out/moco-s0",
    ]
    assert sweep.main(GIVEN) == 0 and len(commands()) == 8, "all is there"


def test_a_failed_trial_counts_and_is_not_chosen() -> None:
    given = ["--strategy", "simclr", "--grid", "lr=9,0.1", "--select", "val", "--out", "out"]
    assert sweep.main(given) == 2
    assert sweep.main([*given, "--skip-failed"]) == 0
    assert "| lr=9 | failed | failed |" in Path("out/selection.md").read_text()
    assert commands()[-1] == "--strategy simclr --seed 0 --set lr=0.1 --eval-on test --out out/simclr-s0"


def test_a_refused_selection_leaves_the_record_of_the_one_that_is_reported(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A smaller grid would choose otherwise, and tell of fewer trials than the reported runs were chosen among."""
    given = ["--strategy", "simclr", "--select", "val", "--out", "out", "--grid"]
    assert sweep.main([*given, "lr=0.1,0.2"]) == 0
    before = {name: Path("out", name).read_text() for name in ("selection.md", "selection.csv")}

    def mode(out: Path, words: list[str], overwrite: bool) -> str:
        if out == Path("out/simclr-s0") and "lr=0.1" in words and not overwrite:
            raise UsageError("out/simclr-s0 holds a run of other settings")
        return "" if (out / "log.jsonl").exists() else "--resume"

    monkeypatch.setattr(jobs, "_mode", mode)
    capsys.readouterr()
    assert sweep.main([*given, "lr=0.1"]) == 2
    said = capsys.readouterr()
    assert said.err.endswith("out/simclr-s0 holds a run of other settings\n") and "chosen for" not in said.out
    assert {name: Path("out", name).read_text() for name in before} == before
    assert sweep.main([*given, "lr=0.1", "--overwrite"]) == 0
    page = Path("out/selection.md").read_text()
    assert "1 trial of each strategy" in page and "other settings or seeds that lie among the trials: 1." in page


def test_a_folder_whose_test_images_follow_the_seed_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """Trials on seed 999 would train on most of the test images of seed 0."""
    write_classes(Path("apart"), {"train": 4, "test": 2}, classes=2)
    write_classes(Path("one"), {".": 4}, classes=2)
    given = ["--strategy", "simclr", "--select", "val", "--out", "out", "--", "--data"]
    assert sweep.main([*given, "one"]) == 2
    error = capsys.readouterr().err
    assert "every seed draws other test images of one, so that trials would learn from" in error
    assert error.count("\n") == 1 and not Path("out").exists()
    assert sweep.main([*given, "one", "--benchmark-option", "seed=0"]) == 0
    assert sweep.main([*given, "apart"]) == 0


def test_a_drawn_budget_and_seeds_of_the_stream() -> None:
    given = ["--strategy", "simclr,moco", "--grid", "lr=0.1,0.2", "--grid", "moco:momentum=0.9,0.99", "--trials", "1"]
    assert sweep.main([*given, "--select", "val:2", "--seeds", "0", "--stream-seeds", "3,4", "--out", "out"]) == 0
    trials, reported = commands()[:2], commands()[2:]
    assert all("--eval-on val:2" in line for line in trials)
    assert [line.split()[3:6:2] for line in reported] == [["0", "3"], ["0", "4"]] * 2
    assert [line.split("--out ")[1] for line in reported][:2] == ["out/simclr-s0-stream3", "out/simclr-s0-stream4"]
    assert "| 1 of 4 |" in Path("out/selection.md").read_text()


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (["--select", "test"], "--select test: settings are chosen on validation data"),
        (["--select", "vla"], "--eval-on 'vla': give test, val"),
        (["--select-seeds", "0"], "seed 0 is one of the runs to report: give --select-seeds other ones"),
        (["--grid", "moco:momentum=0.9,0.99"], "different numbers of settings to try (simclr 2, moco 4)"),
        (["--trials", "3"], "--trials is 3: give 1 to 2 (simclr 2, moco 2)"),
        (["--select-seeds", "x"], "seed 'x': give whole numbers, e.g. --select-seeds 0,1,2"),
        (["--", "--eval-on=val"], "a sweep gives --eval-on to its runs: leave it out after `--`"),
        (["--", "--stream-seed", "3"], "a sweep gives --stream-seed to its runs"),
        (["--", "--set", "lr=1"], "lr is among the options of all runs and in --grid"),
    ],
)
def test_mistakes_come_before_the_first_trial(wrong: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert sweep.main([*GIVEN, *wrong]) == 2
    error = capsys.readouterr().err
    assert said in error and error.count("\n") == 1 and not Path("out").exists()


def test_options_of_a_selection_need_one(capsys: pytest.CaptureFixture[str]) -> None:
    for option in (["--trials", "2"], ["--skip-failed"]):
        assert sweep.main(["--strategy", "simclr", *option]) == 2
        assert "are about a selection: give --select val, too" in capsys.readouterr().err


@pytest.mark.slow
def test_a_selection_of_real_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Trials are scored on validation images, the chosen settings train on all data and are scored on test images."""
    monkeypatch.setattr(jobs, "_mode", MODE)
    monkeypatch.setitem(ENCODERS, "tiny", tiny)
    in_this_process(monkeypatch)
    given = ["--strategy", "simclr", "--grid", "lr=0.01,0.0001", "--select", "val", "--seeds", "1", "--out", "out"]
    given += ["--", "--experiences", "2", "--epochs", "1", "--set", "encoder=tiny", "--precision", "fp32"]
    given += ["--benchmark-option", "composites=2", "--set", "augment.size=16"]
    assert sweep.main(given) == 0
    folders = [Path("out/trials", f"simclr-lr={lr}-s999") for lr in ("0.01", "0.0001")]
    scores = [float(read_run(folder).matrix("ridge", "all")[-1].mean()) for folder in folders]
    rows = list(csv.DictReader(Path("out/selection.csv").read_text().splitlines()))
    assert [float(row["accuracy"]) for row in rows] == scores
    chosen = ("0.01", "0.0001")[scores.index(max(scores))]
    trial, reported = read_run(folders[0]), read_run("out/simclr-s1")
    assert (trial.config["eval_on"], reported.config["eval_on"]) == ("val", "test")
    assert reported.settings["lr"] == float(chosen)
    assert trial.images is not None and reported.images is not None
    assert reported.images == 2 * 1198 and 0.7 * reported.images < trial.images < 0.8 * reported.images
