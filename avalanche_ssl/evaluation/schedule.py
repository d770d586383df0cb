"""When to probe between the boundaries of experiences: `ProbeSchedule`."""

from collections.abc import Sequence
from dataclasses import dataclass

from avalanche_ssl.errors import UsageError


@dataclass(frozen=True)
class ProbeSchedule:
    """Numbers of images seen.

    Args:
        every: distance between two of them; 0 for none.
        at: further ones.
    """

    every: int = 0
    at: Sequence[int] = ()

    @classmethod
    def parse(cls, text: str) -> "ProbeSchedule":
        """Parse "5000" (every 5,000 images), "100,1000,10000" (at these), or "" (never).

        Raises:
            UsageError: it is none of these.
        """
        try:
            numbers = [int(word) for word in text.split(",")] if text else []
        except ValueError:
            numbers = [0]
        if any(number < 1 for number in numbers):
            raise UsageError(f"'{text}' is no probe schedule: give e.g. 5000 (every so many images) or 100,1000")
        return cls(every=numbers[0]) if len(numbers) == 1 else cls(at=tuple(numbers))

    @classmethod
    def check(cls, schedule: "ProbeSchedule | None") -> "ProbeSchedule | None":
        """The schedule, or None for none.

        Raises:
            UsageError: it is neither.
        """
        if schedule is not None and not isinstance(schedule, cls):
            raise UsageError(f"schedule is {schedule!r}: give ProbeSchedule(every=5000), or ProbeSchedule(at=[100])")
        return schedule

    def passed(self, before: int, now: int) -> bool:
        """Whether one of the numbers lies in (before, now]."""
        crossed = self.every > 0 and now // self.every > before // self.every
        return crossed or any(before < images <= now for images in self.at)

    def count(self, before: int, now: int) -> int:
        """How many of the numbers lie in (before, now]."""
        regular = now // self.every - before // self.every if self.every else 0
        return regular + sum(before < images <= now for images in self.at)
