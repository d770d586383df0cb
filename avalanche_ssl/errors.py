"""Errors that name the value and the remedy, and checks that raise them."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from math import inf

SHOWN = 60
"""Names in an error at most."""


class UsageError(ValueError):
    """A mistake of the user that was expected: one line with the value and the remedy.

    Commands print it without a traceback and exit with status 2.
    """


def unknown_name(kind: str, value: object, known: Iterable[object]) -> UsageError:
    """The error for an unknown name: `no strategy 'cmx': did you mean 'cmc'? (cmc, moco)`.

    Of more than `SHOWN` names only the nearest are shown.
    """
    names = [str(name) for name in known]
    lowered = {name.lower(): name for name in names}
    close = get_close_matches(str(value).lower(), lowered, n=1, cutoff=0.5)
    hint = f": did you mean '{lowered[close[0]]}'?" if close else ": choose one"
    if len(names) > SHOWN:
        near = [lowered[name] for name in get_close_matches(str(value).lower(), lowered, n=5, cutoff=0.3)]
        names = [*near, f"{len(names):,} in all"]
    return UsageError(f"no {kind} '{value}'{hint} ({', '.join(names) or 'none'})")


def require_positive(**settings: float) -> None:
    """Refuse settings that are not above 0, or not finite.

    Raises:
        UsageError: the first such setting, with its value.
    """
    for name, value in settings.items():
        if not 0 < value < inf:
            number = "a finite number" if value == inf else "a number"
            raise UsageError(f"setting '{name}' is {value}: give {number} above 0")


def require_range(low: float, high: float = inf, **settings: float) -> None:
    """Refuse settings that are not in [low, high], or not finite.

    Raises:
        UsageError: the first such setting, with its value.
    """
    for name, value in settings.items():
        if not low <= value <= high or value == inf:
            kept = f"{low:g} or more" if high == inf else f"a number from {low:g} to {high:g}"
            kept = f"a finite number, {kept}" if value == high == inf else kept
            raise UsageError(f"setting '{name}' is {value}: give {kept}")
