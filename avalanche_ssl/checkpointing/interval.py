"""How often checkpoints are written inside an experience, and how much of the time that may take."""

import re
import time
from dataclasses import dataclass

from avalanche_ssl.errors import UsageError

SECONDS = {"s": 1.0, "min": 60.0, "h": 3600.0}

MAX_SHARE = 0.05
"""Largest share of the time that writing checkpoints inside an experience may take."""


@dataclass(frozen=True)
class SaveInterval:
    """Iterations or seconds between two checkpoints; infinite where not given."""

    iterations: float = float("inf")
    seconds: float = float("inf")

    @classmethod
    def parse(cls, text: str) -> "SaveInterval":
        """Read "500it", "30s", "10min", "2h" or "never".

        Raises:
            UsageError: it is none of these.
        """
        if text == "never":
            return cls()
        match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(it|s|min|h)", text)
        if not match or not float(match[1]):
            raise UsageError(f"'{text}' is no interval: give e.g. 500it, 30s, 10min, 2h, or never")
        number = float(match[1])
        return cls(iterations=number) if match[2] == "it" else cls(seconds=number * SECONDS[match[2]])


class SaveTimer:
    """Tells when the next checkpoint is due.

    Args:
        interval: time or iterations between two checkpoints.
        share: largest share of the time that writing may take.
    """

    def __init__(self, interval: SaveInterval, share: float = MAX_SHARE) -> None:
        self.interval, self.share = interval, share
        self.total = 0.0
        """Seconds that writing has taken so far."""
        self._cost = 0.0  # of the last checkpoint
        self.restart()

    def restart(self) -> None:
        """Count the time from now on."""
        self._last = time.monotonic()

    def written(self, start: float) -> None:
        """Note that a checkpoint has just been written, from `start` of `time.monotonic` on."""
        self.restart()
        self._cost = self._last - start
        self.total += self._cost

    def is_due(self, iterations: int) -> bool:
        """Whether to write the next checkpoint, `iterations` after the last one."""
        past = time.monotonic() - self._last
        wanted = past >= self.interval.seconds or iterations >= self.interval.iterations
        return wanted and past >= self._cost * (1 / self.share - 1)
