"""The log of one training of a grid: whether it is complete, and of the settings that are wanted."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from avalanche_ssl.errors import UsageError
from avalanche_ssl.logging import Event, JSONLinesLogger
from avalanche_ssl.logging import parse as parse_event

Cell = TypeVar("Cell")
Result = TypeVar("Result")

INDECISIVE = ("device", "test_every")
"""Settings in which a complete training may differ: it is taken as it is."""


@dataclass(frozen=True)
class GridLog:
    """A log that begins with an event that has the settings of the training, and ends with one that says it is over.

    Args:
        path: the file.
        first: the event that it begins with, which has `settings`.
        end: class of the event that it ends with.
        indecisive: settings in which a complete training may differ.
    """

    path: Path
    first: Any
    end: type[Event]
    indecisive: Collection[str] = INDECISIVE

    def begin(self) -> JSONLinesLogger:
        """Replace what is there by the first event.

        Raises:
            UsageError: the disk refuses.
        """
        try:
            self.path.unlink(missing_ok=True)
        except OSError as error:
            raise UsageError(f"cannot write {self.path} ({error.strerror}): give another --out") from error
        write = JSONLinesLogger(self.path)
        write(self.first)
        return write

    def complete(self) -> list[Event] | None:
        """The events of a training that is complete; None if there is none, or only a part.

        Raises:
            UsageError: it is that of a training with other settings.
        """
        events = self._events()
        if not events or type(events[0]) is not type(self.first):
            return None
        if differing := self._differences(events[0].settings):
            raise UsageError(
                f"{self.path} is of other settings ({'; '.join(differing)}): give another --out, or --overwrite"
            )
        return events if isinstance(events[-1], self.end) else None

    def _events(self) -> list[Any]:
        """The events up to the first line that is none, such as one that a crash cut off."""
        found: list[Any] = []
        with suppress(OSError, ValueError):
            for line in self.path.read_text(encoding="utf-8").splitlines():
                if event := parse_event(json.loads(line)):
                    found.append(event)
        return found

    def _differences(self, old: Mapping[str, Any]) -> list[str]:
        """Decisive settings in which the training in the log differs, with both values."""
        new = {name: value for name, value in self.first.settings.items() if name not in self.indecisive}
        changed = [name for name, value in new.items() if _text(old.get(name)) != _text(value)]
        return [f"{name} was {old.get(name)}, is {new[name]}" for name in changed]


def complete_cells(
    logs: Mapping[Cell, GridLog], read: Callable[[GridLog], Result | None], overwrite: bool, out: Path
) -> dict[Cell, Result]:
    """The results of the trainings of a grid that are complete already, whose number is printed.

    Args:
        logs: of each cell.
        read: the result in a log; None if it is not complete.
        overwrite: leave all of them out.
        out: the folder, for the line that is printed.
    """
    found = {} if overwrite else {cell: before for cell, log in logs.items() if (before := read(log))}
    if found:
        print(f"{len(found)} of {len(logs)} trainings are complete already in {out}")
    return found


def make_folder(out: Path) -> None:
    """Make the folder of the logs of a grid, if it is not there.

    Raises:
        UsageError: the disk refuses.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        (out / "lock").touch()
    except OSError as error:
        raise UsageError(f"cannot write to {out} ({error.strerror}): give another --out") from error


def _text(value: Any) -> str:
    """The value as a log holds it."""
    return json.dumps(value, sort_keys=True)
