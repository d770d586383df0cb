"""Runs in processes of their own, and ways to kill them at chosen moments."""

from __future__ import annotations

import contextlib
import itertools
import multiprocessing
import os
import random
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from importlib import import_module
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

from crashes.small_run import prepare_process

from avalanche_ssl.checkpointing.file_format import HashingWriter
from avalanche_ssl.cli import run
from avalanche_ssl.probes import ProbeProtocol
from avalanche_ssl.training import SelfSupervised

_server = multiprocessing.get_context("forkserver")
_server.set_forkserver_preload([f"avalanche_ssl.{name}" for name in ("cli.run", "runs.runner", "probes")])


def launch(arguments: Sequence[str], folder: Path, prepare: Callable[[], None] | None = None) -> ForkServerProcess:
    """Start `avalanche-ssl run` in a process of its own, where small runs are known and the slow imports are done.

    It is the fork of a server that does nothing else, not of this process: a process that has computed gradients may
    have threads, with which a fork cannot train.

    Args:
        arguments: of the command.
        folder: where its output goes, see `last_output`.
        prepare: called in the new process before the command; found by name, as pickle does.

    Returns:
        The process, for `wait`.
    """
    child = _server.Process(target=_run, args=(list(arguments), folder, prepare))
    child.start()
    return child


def _run(arguments: list[str], folder: Path, prepare: Callable[[], None] | None) -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # outside the command; else Python ends with status 1
    os.setpgid(0, 0)
    multiprocessing.set_start_method(None, force=True)  # its own processes start as usual, not as it did
    sys.stdout = sys.stderr = (folder / "output").open("w", encoding="utf-8", buffering=1)
    prepare_process()
    if prepare:
        prepare()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    status = run.main(arguments)
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    sys.exit(status)


def last_output(folder: Path) -> str:
    """The end of what the latest process in the folder printed."""
    return (folder / "output").read_text(encoding="utf-8")[-2000:]


def wait(process: ForkServerProcess) -> int | None:
    """Exit status of the process; minus the signal that killed it."""
    process.join()
    return process.exitcode


def interrupt(process: ForkServerProcess, number: signal.Signals) -> None:
    """Send a signal to the process and all processes that it started, unless it has ended."""
    if process.pid:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)


def die_at(owner: Any, name: str, call: int, before: Callable[..., Any] | None = None) -> None:
    """Make this process kill itself in a call of a function.

    Args:
        owner, name: where the function is found; a module by its name, for pickle.
        call: the number of the call, counted from 1.
        before: called first, with the function and its arguments.
    """
    owner = import_module(owner) if isinstance(owner, str) else owner
    original, calls = getattr(owner, name), itertools.count(1)

    def deadly(*args: Any, **kwargs: Any) -> Any:
        if next(calls) == call:
            if before:
                before(original, *args, **kwargs)
            os.kill(os.getpid(), signal.SIGKILL)
        return original(*args, **kwargs)

    setattr(owner, name, deadly)


def kills(rng: random.Random, count: int, steps: int) -> Iterator[tuple[str, Callable[[], None]]]:
    """Ways to die with their names: while a probe is fitted, while a checkpoint is written, then in any step."""
    yield "fit", partial(die_at, ProbeProtocol, "fit", rng.randint(1, 2))  # untrained, or after one experience
    spot = rng.choice(["write", "fsync", "replace", "step"])
    if spot == "write":
        yield "write", partial(die_at, HashingWriter, "write", rng.randint(3, 60), _write_half)
    elif spot == "fsync":
        yield "fsync", partial(die_at, "os", "fsync", rng.randint(3, 8))
    elif spot == "replace":
        yield "replace", partial(die_at, "os", "replace", rng.randint(3, 8))
    else:
        yield "step", partial(die_at, SelfSupervised, "_after_update", rng.randint(1, 5))
    for _ in range(count - 2):
        hook = rng.choice(["_after_update", "forward", "_after_training_iteration", "_before_training_iteration"])
        yield hook, partial(die_at, SelfSupervised, hook, rng.randint(1, max(2, steps // count)))


def _write_half(write: Callable[[Any, bytes], Any], sink: Any, data: bytes) -> None:
    write(sink, data[: len(data) // 2])
    sink.file.flush()
