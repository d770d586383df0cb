"""The worker processes of a loader: their signals, and what is said of one that has died."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager


def is_dead_worker(error: Exception) -> bool:
    """Whether torch reports by this error that a process of a DataLoader was killed or ended by itself."""
    return "DataLoader worker (pid" in str(error)


def dead_worker_message(error: Exception) -> str:
    """The message to the user about such an error."""
    reason = " ".join(str(error).split()).partition(" It is possible")[0].rstrip(".")
    return f"a loader process died ({reason}): if memory is short, give fewer --num-workers, which changes no result"


@contextmanager
def signals_blocked() -> Iterator[None]:
    """A block whose new processes begin with signals blocked: one could come before `leave_signals_to_parent`."""
    if not hasattr(signal, "sigwaitinfo"):  # macOS, Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def leave_signals_to_parent(worker: int) -> None:
    """In a worker process: outlive signals to the whole process group, as Ctrl-C sends, until the parent has saved."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if hasattr(signal, "sigwaitinfo"):
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """End this process when its parent sends SIGTERM, and ignore the SIGTERM of others."""
    while signal.sigwaitinfo({signal.SIGTERM}).si_pid != os.getppid():
        pass
    os._exit(0)
