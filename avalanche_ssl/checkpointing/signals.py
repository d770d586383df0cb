"""SIGINT and SIGTERM stop a run after its present step."""

import signal
from types import FrameType
from typing import Any


class RunInterruptedError(Exception):
    """A signal came, the step was finished and a checkpoint written; `signal` is its number."""

    def __init__(self, number: int) -> None:
        super().__init__(f"stopped by {signal.Signals(number).name}")
        self.signal = number


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
