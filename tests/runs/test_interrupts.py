"""Signals to the whole process group of a run with loader processes, as a terminal and a batch system send them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from crashes import comparison, small_run

from avalanche_ssl.checkpointing import file_format

pytestmark = pytest.mark.slow

RUN = """
import itertools, sys
from avalanche_ssl.checkpointing.file_format import HashingWriter
from avalanche_ssl.cli import run
from avalanche_ssl.methods import SimCLR
from crashes import small_run

def pause(owner, name, call):
    original, calls = getattr(owner, name), itertools.count(1)
    def slow(*arguments):
        if next(calls) == call:
            for _ in range(2):
                print("now", file=sys.__stdout__, flush=True)
                sys.stdin.readline()
            if name == "update" and sys.argv[1] == "write":
                pause(HashingWriter, "write", 5)
        return original(*arguments)
    setattr(owner, name, slow)

small_run.prepare_process()
pause(SimCLR, "update", 3)
sys.exit(run.main(sys.argv[2:]))
"""
"""A run that says twice that it is in its third step, and for `write` that it writes the next checkpoint.

It waits for a line or the end of its input each time. The signals that came before the line have been handled then.
"""


def options(out: str) -> list[str]:
    return [*small_run.run_options("simclr", num_workers=2), "--out", out]


def start(place: str, folder: Path, *options: str) -> subprocess.Popen[str]:
    """The run in a process of its own, not a fork: loader processes of other tests would get in its way."""
    root = Path(__file__).parents[2]
    return subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", RUN, place, *options],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": f"{root / 'benchmarks'}{os.pathsep}{root}"},
        start_new_session=True,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that got no signal."""
    folder = tmp_path_factory.mktemp("undisturbed")
    run = start("step", folder, *options("a"))
    _, errors = run.communicate(timeout=600)
    assert run.returncode == 0, errors
    return folder / "a"


@pytest.mark.parametrize(
    ("place", "numbers", "status", "said"),
    [
        ("step", [signal.SIGINT], 130, "stopped by SIGINT, everything is saved; continue with: "),
        ("step", [signal.SIGTERM], 143, "stopped by SIGTERM, everything is saved; continue with: "),
        ("step", [signal.SIGINT, signal.SIGINT], 130, "interrupted\n"),
        ("write", [signal.SIGINT, signal.SIGINT], 130, "interrupted\n"),
    ],
)
def test_signals_to_the_group_end_the_run_and_lose_nothing(
    place: str, numbers: list[int], status: int, said: str, tmp_path: Path, undisturbed: Path
) -> None:
    run = start(place, tmp_path, *options("b"))
    assert run.stdout and run.stdin

    def wait() -> None:
        """Until the run says where it is."""
        while (line := run.stdout.readline()) != "now\n":
            assert line, run.communicate()[1]

    def go_on() -> None:
        run.stdin.write("\n")
        run.stdin.flush()

    wait()
    os.killpg(run.pid, numbers[0])
    go_on()
    wait()  # so that the first signal is handled, because two at once would be one
    if place == "write":
        go_on()
        wait()
    for number in numbers[1:]:
        os.killpg(run.pid, number)
    _, errors = run.communicate(timeout=600)
    assert run.returncode == status, errors
    last = errors.split("\r")[-1]
    assert last.startswith(f"avalanche-ssl run: {said}") and last.count("\n") == 1, errors
    assert "Traceback" not in errors and "loader process" not in errors
    assert file_format.read(tmp_path / "b" / "checkpoint")["loader"] is not None, "inside an epoch"
    resumed = start("step", tmp_path, "--resume", "--keep-checkpoints", "--out", "b")
    _, errors = resumed.communicate(timeout=600)
    assert resumed.returncode == 0, errors
    assert not comparison.differences(undisturbed, tmp_path / "b")
