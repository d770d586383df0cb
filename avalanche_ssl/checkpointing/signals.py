"""SIGINT and SIGTERM stop a run after its present step, and never inside the write of a checkpoint."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any


class RunInterruptedError(Exception):
    """A signal came, the step was finished and a checkpoint written; `signal` is its number."""

    def __init__(self, number: int) -> None:
        super().__init__(f"stopped by {signal.Signals(number).name}")
        self.signal = number


@contextmanager
def interrupts_deferred() -> Iterator[None]:
    """A block in which SIGINT waits until the end: raised inside torch's writer, it would become an error of torch."""
    if threading.current_thread() is not threading.main_thread():  # which alone receives signals
        yield
        return
    came: list[int] = []
    former = signal.signal(signal.SIGINT, lambda number, frame: came.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, former)
        if came:
            signal.raise_signal(signal.SIGINT)


class StopSignals:
    """A context manager that notes SIGINT and SIGTERM instead of obeying them at once; for the main thread only.

    A second SIGINT raises KeyboardInterrupt. The former handlers are restored when the block ends.
    """

    def __init__(self) -> None:
        self.received = 0
        """Number of the signal that came last; 0 if none came."""
        self._former: dict[int, Any] = {}

    def __enter__(self) -> "StopSignals":
        self._former = {number: signal.signal(number, self._note) for number in (signal.SIGINT, signal.SIGTERM)}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._former.items():
            signal.signal(number, handler)

    def raise_if_received(self) -> None:
        """Stop the run if a signal came.

        Raises:
            RunInterruptedError: it did.
        """
        if self.received:
            raise RunInterruptedError(self.received)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if number == signal.SIGINT and self.received:
            raise KeyboardInterrupt
        self.received = number
