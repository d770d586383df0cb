"""Runs in processes of their own, and ways to kill them at chosen moments."""

from __future__ import annotations

import itertools
import os
import random
import signal
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from multiprocessing import util
from pathlib import Path
from typing import Any

from avalanche_ssl.checkpointing.file_format import HashingWriter
from avalanche_ssl.cli import run
from avalanche_ssl.probes import ProbeProtocol
from avalanche_ssl.training import SelfSupervised


def launch(arguments: Sequence[str], folder: Path, prepare: Callable[[], None] | None = None) -> int:
    """Start `avalanche-ssl run` in a fork of this process, which has all modules imported already.

    Args:
        arguments: of the command.
        folder: where its output goes, see `last_output`.
        prepare: called in the new process before the command.

    Returns:
        The id of the process.
    """
    sys.stdout.flush()
    child = os.fork()
    if child:
        return child
    status = 70
    try:
        os.setpgid(0, 0)
        util._run_after_forkers()  # type: ignore[attr-defined]  # as after its own forks
        sys.stdout = sys.stderr = (folder / "output").open("w", encoding="utf-8", buffering=1)
        if prepare:
            prepare()
        status = run.main(list(arguments))
    except BaseException:
        traceback.print_exc()
    finally:
        try:
            sys.stdout.flush()
        finally:
            os._exit(status)  # also where the disk of the output is full: the fork must never return


def last_output(folder: Path) -> str:
    """The end of what the latest process in the folder printed."""
    return (folder / "output").read_text(encoding="utf-8")[-2000:]


def wait(child: int) -> int:
    """Exit status of the process; minus the signal that killed it."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def die_at(owner: Any, name: str, call: int, before: Callable[..., Any] | None = None) -> None:
    """Make this process kill itself in a call of a function.

    Args:
        owner, name: where the function is found.
        call: the number of the call, counted from 1.
        before: called first, with the function and its arguments.
    """
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
        yield "fsync", partial(die_at, os, "fsync", rng.randint(3, 8))
    elif spot == "replace":
        yield "replace", partial(die_at, os, "replace", rng.randint(3, 8))
    else:
        yield "step", partial(die_at, SelfSupervised, "_after_update", rng.randint(1, 5))
    for _ in range(count - 2):
        hook = rng.choice(["_after_update", "forward", "_after_training_iteration", "_before_training_iteration"])
        yield hook, partial(die_at, SelfSupervised, hook, rng.randint(1, max(2, steps // count)))


def _write_half(write: Callable[[Any, bytes], Any], sink: Any, data: bytes) -> None:
    write(sink, data[: len(data) // 2])
    sink.file.flush()
