"""At which points of a stream is it probed? `ProbeSchedule`, and the table of what was found there."""

from collections.abc import Sequence
from dataclasses import dataclass

from avalanche_ssl.errors import UsageError


@dataclass(frozen=True)
class ProbeSchedule:
    """Numbers of images seen.

    Args:
        every: distance of points; 0 for none.
        at: further points.
    """

    every: int = 0
    at: Sequence[int] = ()

    @classmethod
    def parse(cls, text: str) -> "ProbeSchedule":
        """Read "5000" (every 5,000 images), "100,1000,10000" (at these), or "" (nowhere).

        Raises:
            UsageError: it is none of these.
        """
        try:
            numbers = [int(word) for word in text.split(",")] if text else []
        except ValueError:
            numbers = [0]
        if any(number < 1 for number in numbers):
            raise UsageError(f"'{text}' are no points of a stream: give e.g. 5000 (every so many images) or 100,1000")
        return cls(every=numbers[0]) if len(numbers) == 1 else cls(at=tuple(numbers))

    def passed(self, before: int, now: int) -> bool:
        """Whether a point lies in (before, now]."""
        crossed = self.every > 0 and now // self.every > before // self.every
        return crossed or any(before < point <= now for point in self.at)
