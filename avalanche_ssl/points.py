"""At which points of a stream is it probed? `Points`, and the table of what was found there."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from avalanche_ssl.errors import UsageError


@dataclass(frozen=True)
class Points:
    """Numbers of images seen.

    Args:
        every: distance of points; 0 for none.
        at: further points.
    """

    every: int = 0
    at: Sequence[int] = ()

    @classmethod
    def parse(cls, text: str) -> "Points":
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


@dataclass(frozen=True)
class Measured:
    """What one probe found at one point, as mean accuracy over the test data of all experiences that it can score.

    Args:
        seen: images of the stream so far, each counted once: neither passes nor replayed ones.
        images: learnt so far, passes and replayed ones included.
        seconds: of training so far.
        trained: experiences that were complete.
        probe: its name.
        scope: see `ProbePlugin`.
        accuracy: 0 to 1.
    """

    seen: int
    images: int
    seconds: float
    trained: int
    probe: str
    scope: str
    accuracy: float


def curve(points: Sequence[Measured], probe: str, scope: str) -> list[tuple[int, float]]:
    """Images seen and accuracy, over the stream; of what was measured twice at a point, the latter."""
    found = {p.seen: p.accuracy for p in points if (p.probe, p.scope) == (probe, scope)}
    return sorted(found.items())


def table(points: Sequence[Measured], probe: str, rows: int = 20) -> str:
    """Accuracies in per cent by images seen, at most so many lines: the first, the last, and some between."""
    scopes = list(dict.fromkeys(p.scope for p in points if p.probe == probe))
    curves = {scope: dict(curve(points, probe, scope)) for scope in scopes}
    seen = sorted({point for found in curves.values() for point in found})
    chosen = [seen[i] for i in np.unique(np.linspace(0, len(seen) - 1, rows).round().astype(int))]
    lines = ["images seen".rjust(12) + "".join(scope.rjust(8) for scope in scopes)]
    for point in chosen:
        values = (curves[scope].get(point) for scope in scopes)
        lines.append(f"{point:>12,}" + "".join(("-" if v is None else f"{100 * v:.1f}").rjust(8) for v in values))
    return "\n".join(lines)


def write(path: Path, points: Sequence[Measured]) -> None:
    """All points as CSV."""
    with path.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(Measured.__annotations__)
        rows.writerows([getattr(p, name) for name in Measured.__annotations__] for p in points)
