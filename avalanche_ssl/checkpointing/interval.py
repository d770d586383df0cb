"""`SaveInterval`: how often a checkpoint is written."""

import re
from dataclasses import dataclass

from avalanche_ssl.errors import UsageError

SECONDS = {"s": 1.0, "min": 60.0, "h": 3600.0}


@dataclass(frozen=True)
class SaveInterval:
    """How often: every so many iterations or seconds, whichever is given."""

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
