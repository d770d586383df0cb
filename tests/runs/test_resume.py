"""Whole runs that are stopped by signals, faults and full disks, and resumed."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml
from crashes import comparison, process, small_run
from helpers.encoders import tiny
from helpers.processes import fill_disk

from avalanche_ssl.checkpointing import Checkpointer, file_format
from avalanche_ssl.checkpointing.fingerprint import settings_hash
from avalanche_ssl.cli import run
from avalanche_ssl.methods import SimCLR
from avalanche_ssl.models import ENCODERS
from avalanche_ssl.runs import RunConfig
from avalanche_ssl.runs import run as run_config
from avalanche_ssl.runs.folder import MARKER, claim, remove_checkpoints
from avalanche_ssl.streams import BENCHMARKS

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to work in; the small stream and encoder; checkpoints at any cost."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(ENCODERS, "tiny", tiny)
    monkeypatch.setitem(BENCHMARKS, "few-digits", small_run.few_digits)
    monkeypatch.setitem(Checkpointer.__init__.__kwdefaults__, "share", 1.0)  # type: ignore[arg-type]
    return tmp_path


def options(out: str, *more: str, strategy: str = "simclr") -> list[str]:
    return [*small_run.run_options(strategy, plugins="replay"), "--out", out, *more]


def lines(out: str) -> list[Any]:
    return comparison.log_of(Path(out))


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that nothing stopped."""
    place = tmp_path_factory.mktemp("original")
    with pytest.MonkeyPatch.context() as m:
        m.setitem(ENCODERS, "tiny", tiny)
        m.setitem(BENCHMARKS, "few-digits", small_run.few_digits)
        assert run.main(options(str(place / "finished"))) == 0
    return place / "finished"


@pytest.fixture
def finished(original: Path, desk: Path) -> Path:
    """A copy of it."""
    return Path(shutil.copytree(original, desk / "finished"))


@pytest.fixture
def stopped(finished: Path) -> Path:
    """A run that was stopped after its last experience: the same folder without the last line of its log."""
    log = finished / "log.jsonl"
    log.write_text("".join(log.read_text().splitlines(keepends=True)[:-1]))
    return finished


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_saves_and_says_how_to_resume(
    number: int, status: int, finished: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    updates = []

    def update(self: Any, outputs: Any) -> None:
        updates.append(1)
        if len(updates) in (3, 9):
            os.kill(os.getpid(), number)

    monkeypatch.setattr(SimCLR, "update", update)
    capsys.readouterr()
    assert run.main(options("a", "--checkpoint-every", "never")) == status
    said = capsys.readouterr().err.split("\r")[-1]
    name = signal.Signals(number).name
    assert said.startswith(f"avalanche-ssl run: stopped by {name}, everything is saved; continue with: ")
    assert said.endswith(": avalanche-ssl run --resume --out a\n") and said.count("\n") == 1
    assert len(updates) == 3, "the step was finished, and no other begun"
    assert run.main(["--resume", "--out", "a"]) == status
    assert run.main(["--resume", "--out", "a", "--keep-checkpoints"]) == 0
    assert len(updates) == sum(e["steps"] for e in lines("a") if e["event"] == "experience"), "none was repeated"
    assert not comparison.differences(finished, Path("a"))
    assert "resumed after 9 steps, 1 experiences complete" in capsys.readouterr().out


def test_a_second_interrupt_stops_at_once(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def update(self: Any, outputs: Any) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)

    before = signal.getsignal(signal.SIGINT)
    monkeypatch.setattr(SimCLR, "update", update)
    assert run.main(options("a")) == 130
    assert capsys.readouterr().err.endswith("avalanche-ssl run: interrupted\n")
    assert signal.getsignal(signal.SIGINT) is before


def test_a_finished_run_is_left_as_it_is(finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = {p: p.read_bytes() for p in finished.rglob("*") if p.is_file()}
    assert run.main(["--resume", "--out", "finished"]) == 0
    assert "finished is finished: nothing is left to train" in capsys.readouterr().out
    assert before == {p: p.read_bytes() for p in finished.rglob("*") if p.is_file()}


def test_a_run_that_was_stopped_at_its_end_can_be_resumed(original: Path, stopped: Path) -> None:
    (stopped / "accuracy.csv").unlink()
    assert run.main(["--resume", "--out", "finished"]) == 0
    assert lines("finished") == comparison.log_of(original)
    assert (stopped / "accuracy.csv").exists()


def test_a_run_of_digits_of_before_there_was_a_choice_of_grounds_goes_on(capsys: pytest.CaptureFixture[str]) -> None:
    """Its files name a benchmark that is another one today, and no seed of the stream."""
    given = ["--benchmark", "digits-on-photographs", "--experiences", "2", "--benchmark-option", "composites=2"]
    small = ["--strategy", "simclr", "--encoder", "tiny", "--epochs", "1", "--set", "augment.size=8"]
    machine = ["--precision", "fp32", "--device", "cpu", "--keep-checkpoints"]
    assert run.main([*given, *small, *machine, "--out", "a"]) == 0
    log, config, checkpoint = (Path("a", name) for name in ("log.jsonl", "config.yaml", "checkpoint"))
    whole = lines("a")
    log.write_text("".join(log.read_text().splitlines(keepends=True)[:-1]))
    values = yaml.safe_load(config.read_text())
    for name in ("stream_seed", "eval_on", "eval_precision"):
        del values[name]
    config.write_text(yaml.safe_dump(values | {"benchmark": "split-digits"}))
    state = file_format.read(checkpoint)
    saved = state["config"] | {"benchmark": "split-digits"}
    file_format.write(checkpoint, state | {"config": saved, "hash": settings_hash(saved)})
    assert run.main(["--resume", "--out", "a"]) == 0, capsys.readouterr().err
    assert lines("a") == whole and yaml.safe_load(config.read_text())["benchmark"] == "digits-on-photographs"


def test_resume_starts_what_never_began(finished: Path) -> None:
    assert run.main(options("b", "--resume")) == 0
    assert not comparison.differences(finished, Path("b"))


def test_a_resume_with_other_settings_is_refused(stopped: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def content() -> dict[str, bytes]:
        return {p.name: p.read_bytes() for p in stopped.rglob("*") if p.is_file() and p.name != "lock"}

    before = content()
    assert run.main(["--resume", "--out", "finished", "--set", "lr=0.5", "--seed", "3"]) == 2
    said = capsys.readouterr().err
    assert "seed was 0, is 3; settings.lr was 0.003, is 0.5" in said and said.count("\n") == 1
    assert content() == before
    assert run.main(["--resume", "--out", "finished", "--num-workers", "1"]) == 0, "which changes no result"


def test_resume_without_a_run(capsys: pytest.CaptureFixture[str]) -> None:
    assert run.main(["--resume", "--out", "nowhere"]) == 2
    assert capsys.readouterr().err.startswith("avalanche-ssl run: no strategy")
    assert run.main(options("a", "--checkpoint-every", "5 days")) == 2
    assert "'5 days' is no interval" in capsys.readouterr().err


def test_a_second_run_on_one_folder_is_refused(desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    claim(desk / "a")
    code = "import fcntl, os; f = open('a/lock', 'a+'); fcntl.lockf(f, fcntl.LOCK_EX); f.write(str(os.getpid()))"
    code += "; f.flush(); print(flush=True); input()"
    holder = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stdin=subprocess.PIPE)
    assert holder.stdout and holder.stdin
    holder.stdout.readline()
    try:
        for more in ([], ["--overwrite"], ["--resume"]):
            assert run.main(options("a", *more)) == 2
            said = capsys.readouterr().err
            assert said == f"avalanche-ssl run: a is in use by process {holder.pid}: give another --out, or wait\n"
        assert {p.name for p in (desk / "a").iterdir()} == {"lock", MARKER}
    finally:
        holder.kill()
        holder.communicate()
    assert run.main(options("a")) == 0, "the lock went with its holder"


@pytest.mark.parametrize("place", ["log", "checkpoint", "embeddings"])
def test_a_full_disk_stops_the_run_in_one_line(place: str, finished: Path) -> None:
    limit = (finished / ("log.jsonl" if place == "log" else "checkpoint")).stat().st_size
    assert process.wait(process.launch(options("a"), Path(), partial(fill_disk, place, limit))) == 2
    said = process.last_output(Path()).split("\r")[-1].strip().splitlines()[-1]
    assert said.startswith("avalanche-ssl run: cannot write a/") and "make room" in said and "then --resume" in said
    assert process.wait(process.launch(options("a", "--resume"), Path())) == 0, process.last_output(Path())
    assert not comparison.differences(finished, Path("a"))


def test_a_damaged_checkpoint_costs_an_experience_at_most(original: Path, stopped: Path) -> None:
    path = stopped / "checkpoint"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.warns(UserWarning, match="was damaged"):
        assert run.main(["--resume", "--out", "finished"]) == 0
    assert lines("finished") == comparison.log_of(original)
    assert json.loads((stopped / "log.jsonl").read_text().splitlines()[-1])["event"] == "end"


def test_a_changed_log_is_refused(stopped: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = stopped / "log.jsonl"
    log.write_text(log.read_text().replace("probe", "prove", 1))
    assert run.main(["--resume", "--out", "finished"]) == 2
    assert "log.jsonl is not what the checkpoint left" in capsys.readouterr().err


def test_collapsed_features_stop_the_run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """In the second experience the last layer dies: all images have the same features from then on."""

    def update(self: Any, outputs: Any) -> None:
        self.encoder.stages[-1][1].weight.data *= 0 if len(lines("a")) >= before else 1

    monkeypatch.setattr(SimCLR, "update", update)
    before = 10**9
    assert run.main(options("a", "--checkpoint-every", "never")) == 0, "features as they should be"
    before = next(i for i, e in enumerate(lines("a"), 1) if e["event"] == "experience")
    steps = sum(e["steps"] for e in lines("a") if e["event"] == "experience")
    capsys.readouterr()
    with pytest.warns(UserWarning, match="COLLAPSED after experience 2"):
        assert run.main(options("a", "--checkpoint-every", "never", "--overwrite")) == 2
    said = capsys.readouterr().err.split("\r")[-1]
    assert said.startswith(
        "avalanche-ssl run: the features have collapsed beyond recovery after experience 2: lower lr ("
    )
    assert re.search(rf"; stopped after step {steps}; representation after experience 2: feature_std \S+e-\d+, ", said)
    assert said.endswith(f"; last checkpoint: step {steps // 2}, a/checkpoint\n") and said.count("\n") == 1


def test_a_finished_run_without_checkpoints_is_not_trained_anew(
    finished: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """In a script, too."""
    remove_checkpoints(finished)
    before = {p: p.read_bytes() for p in finished.rglob("*") if p.is_file()}
    assert run_config(RunConfig(strategy="simclr", benchmark="few-digits"), finished, resume=True) == finished
    assert "finished is finished: nothing is left to train" in capsys.readouterr().out
    assert before == {p: p.read_bytes() for p in finished.rglob("*") if p.is_file()}
