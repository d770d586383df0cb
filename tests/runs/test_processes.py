"""A run under torchrun: files and log of one run, one line for a mistake, and state that no kill takes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from crashes import comparison, small_run
from torch.testing import assert_close

from avalanche_ssl import distributed
from avalanche_ssl.checkpointing import file_format
from avalanche_ssl.cli import run
from avalanche_ssl.distributed.processes import _Group
from avalanche_ssl.errors import UsageError
from avalanche_ssl.runs import processes
from avalanche_ssl.runs.processes import NoLog, joined

ROOT = Path(__file__).parents[2]


def test_without_a_launcher_nothing_happens(capsys: pytest.CaptureFixture[str]) -> None:
    with joined("cpu"):
        print("printed")
    assert capsys.readouterr().out == "printed\n"
    assert distributed.size() == 1
    log = NoLog()
    log.rewind(log.position())


def test_the_end_of_another_process_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also outside of training, where a process may fail alone, such as one whose data are not there."""
    monkeypatch.setattr(distributed, "launched", lambda: 2)
    monkeypatch.setattr(distributed, "start", lambda device: device)
    monkeypatch.setattr(_Group, "size", 2)
    with pytest.raises(UsageError, match=r"^another process has ended: torchrun"), joined("cpu"):
        raise RuntimeError("[pair.cc:534] Connection closed by peer [127.0.0.1]:1234")
    with pytest.raises(RuntimeError, match=r"^shapes$"), joined("cpu"):
        raise RuntimeError("shapes")


def test_the_digest_of_the_code_is_that_of_its_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a.py", "b.py"):
        (tmp_path / "runs").mkdir(exist_ok=True)
        (tmp_path / "runs" / name).write_text(name)
    monkeypatch.setattr(processes, "__file__", str(tmp_path / "runs" / "processes.py"))
    before = processes._code_digest()
    assert processes._code_digest() == before
    (tmp_path / "runs" / "b.py").write_text("changed")
    assert processes._code_digest() != before


def torchrun(folder: Path, *options: str, signaled: str = "", restarts: int = 0) -> subprocess.CompletedProcess[str]:
    """A small run of two processes in a folder."""
    paths = [ROOT, ROOT / "benchmarks", ROOT / "tests"]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(map(str, paths)), "GLOO_SOCKET_IFNAME": "lo"}
    environment |= {"OMP_NUM_THREADS": "1"} | ({"SIGNAL": signaled} if signaled else {})
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", f"--max-restarts={restarts}"]
    return subprocess.run(
        [sys.executable, "-W", "ignore", *launcher, str(ROOT / "tests/helpers/torchrun_run.py"), *options],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=600,
    )


def small(out: str) -> list[str]:
    return [*small_run.run_options("moco"), "--out", out]


def said(result: subprocess.CompletedProcess[str]) -> list[str]:
    """What the command says of a mistake or a signal, without torchrun's own report."""
    return [line for line in result.stderr.splitlines() if line.startswith("avalanche-ssl")]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two processes."""
    folder = tmp_path_factory.mktemp("two")
    result = torchrun(folder, *small("run"))
    assert result.returncode == 0, result.stderr
    assert result.stdout.count("untrained encoder: all") == 1, "process 0 prints, and no other"
    return folder / "run"


@pytest.mark.slow
def test_files_and_log_are_those_of_one_process(
    undisturbed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    small_run.register()
    assert run.main(small("run")) == 0
    one = tmp_path / "run"
    assert sorted(p.name for p in one.iterdir()) == sorted(p.name for p in undisturbed.iterdir())
    first, second = comparison.log_of(one), comparison.log_of(undisturbed)
    assert [event["event"] for event in first] == [event["event"] for event in second]
    assert (first[0].pop("processes"), second[0].pop("processes")) == (1, 2)
    assert first[0] == second[0]
    for a, b in zip(first, second, strict=True):
        if a["event"] == "experience":
            assert a.pop("loss") == pytest.approx(b.pop("loss"), rel=0.01)
            assert a == b, "images and steps are those of the whole batch"
        if a["event"] == "probe" and a["experiences_trained"] == 0:
            assert a == b, "the untrained encoder is the same"
        if a["event"] == "cost":
            assert a == b


@pytest.mark.slow
def test_a_killed_process_costs_nothing(undisturbed: Path, tmp_path: Path) -> None:
    result = torchrun(tmp_path, *small("run"), "--resume", signaled=f"1 11 {signal.SIGKILL.value}", restarts=1)
    assert result.returncode == 0, result.stderr
    assert "resumed after 10 steps" in result.stdout
    assert comparison.differences(undisturbed, tmp_path / "run") == []


@pytest.mark.slow
def test_a_signal_to_one_process_stops_all_and_one_process_goes_on(
    undisturbed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = torchrun(tmp_path, *small("run"), signaled=f"1 11 {signal.SIGTERM.value}")
    assert result.returncode != 0
    assert [line.partition(", ")[0] for line in said(result)] == ["avalanche-ssl run: stopped by SIGTERM"]
    state = file_format.read(tmp_path / "run" / "checkpoint")
    assert state["strategy"]["progress"]["step"] and state["loader"] is not None, "inside an epoch"
    monkeypatch.chdir(tmp_path)
    small_run.register()
    assert run.main(["--resume", "--keep-checkpoints", "--out", "run"]) == 0
    weights = [file_format.read(f / "checkpoint")["strategy"]["model"] for f in (undisturbed, tmp_path / "run")]
    for name, value in weights[0].items():
        assert_close(weights[1][name], value, rtol=0.05, atol=0.05, msg=name)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "found"),
    [
        (["--strategy", "mocco"], "no strategy 'mocco': did you mean 'moco'?"),
        (["--strategy", "moco", "--set", "batch_size=1"], "batch_size is 1"),
        (["--strategy", "moco", "--out", "taken"], "taken already holds a run: give another --out, or --overwrite"),
    ],
)
def test_a_mistake_is_one_line_once(tmp_path: Path, options: list[str], found: str) -> None:
    (tmp_path / "taken").mkdir()
    for name in (".avalanche-ssl-run", "log.jsonl"):
        (tmp_path / "taken" / name).write_text("{}")
    result = torchrun(tmp_path, *options)
    assert result.returncode != 0
    assert len(said(result)) == 1 and found in said(result)[0], result.stderr
    assert "exitcode  : 2" in result.stderr
