"""SIGINT and SIGTERM end a run after a checkpoint."""

import signal


class RunInterruptedError(Exception):
    """A signal came, the step was finished and a checkpoint written; `signal` is its number."""

    def __init__(self, number: int) -> None:
        super().__init__(f"stopped by {signal.Signals(number).name}")
        self.signal = number
