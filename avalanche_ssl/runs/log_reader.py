"""Read the events of a log that anything may have happened to, in bounded time and memory."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path
from typing import Any

from avalanche_ssl.errors import UsageError
from avalanche_ssl.files import read_bounded
from avalanche_ssl.logging import BaselineEvent, Event, FrozenProbeEvent, FullTestEvent, ProbeEvent, TaskEvent, parse

MAX_BYTES = 2**27
"""Of a log; with ten probes on a stream of 391 experiences one has 2 ** 26.5."""
MAX_LINE = 2**18
"""Bytes of a line; the longest have the accuracy of each group of images."""
MAX_EVENTS = 600_000
MAX_BROKEN = 1000
"""Broken lines, after which the rest is not read."""
MAX_GROUPS = 1000
"""Groups of images in one event."""
MAX_DEPTH = 20
"""Levels of nested lists and mappings."""
MAX_TEXT = 4096
"""Characters of a text, such as a path."""
MAX_NAME = 100
"""Characters of the name of a probe, scope, task or group of images."""

NAMED = ProbeEvent | FrozenProbeEvent | BaselineEvent | FullTestEvent | TaskEvent
"""Events with names that are shown."""
UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]")
"""Control characters, which move the cursor of a terminal and are not allowed in XML, and halves of characters."""


@dataclass
class LogContent:
    """What a log holds.

    Args:
        events: those that could be read, in order.
        notes: what is wrong with the others.
        digest: SHA-256 of the file.
    """

    events: list[Event]
    notes: list[str]
    digest: str


def read_log(folder: Path) -> LogContent:
    """The events in the `log.jsonl` of a folder, and one note on all lines that are none.

    The last line may have been cut off by a crash.

    Raises:
        UsageError: there is no log, or it is none of ours.
    """
    try:
        content = read_bounded(folder / "log.jsonl", MAX_BYTES)
    except ValueError as error:
        raise UsageError(f"{printable(str(folder))} holds no run (log.jsonl: {error})") from error
    events: list[Event] = []
    first, broken, cut, read = "", 0, False, 0
    for number, line in enumerate(BytesIO(content), 1):
        read += len(line)
        try:
            event = _event(line)
        except (ValueError, RecursionError, OverflowError) as error:
            json_error = isinstance(error, json.JSONDecodeError | RecursionError)
            if json_error and read == len(content):
                cut = True
                continue
            broken += 1
            first = first or f"line {number} is broken: {'it is not JSON' if json_error else error}"
            if broken > MAX_BROKEN:
                break
            continue
        events += [event] if event else []
        if len(events) > MAX_EVENTS:
            raise UsageError(f"{printable(str(folder))}: log.jsonl has more than {MAX_EVENTS:,} events: no run has")
    several = f"{broken} lines are broken" if broken <= MAX_BROKEN else f"more than {MAX_BROKEN} lines are broken"
    notes = [] if not broken else [first if broken == 1 else f"{several}, the first: {first}"]
    notes += ["the last line was cut off"] if cut else []
    return LogContent(events, notes, hashlib.sha256(content).hexdigest())


def printable(text: str) -> str:
    """The text with a mark in place of characters that a terminal, a page or a figure cannot show."""
    return UNPRINTABLE.sub("\ufffd", text)


def _event(line: bytes) -> Event | None:
    """The event of a line; None for one of another program.

    Raises:
        ValueError: it is no event of ours; why.
        RecursionError: its lists are nested so deeply that Python does not read them.
    """
    if len(line) > MAX_LINE:
        raise ValueError(f"it has more than {MAX_LINE // 1024} KiB")
    return _checked(parse(_clean(json.loads(line.decode("utf-8", "replace")))))


def _clean(value: Any, depth: int = 0) -> Any:
    """The value with texts that can be shown.

    Raises:
        ValueError: it is nested too deeply, or a text is too long.
    """
    if depth > MAX_DEPTH:
        raise ValueError(f"its values are nested more than {MAX_DEPTH} levels deep")
    if isinstance(value, str):
        if len(value) > MAX_TEXT:
            raise ValueError(f"it holds a text of more than {MAX_TEXT} characters")
        return printable(value)
    if isinstance(value, dict):
        return {_clean(key): _clean(inner, depth + 1) for key, inner in value.items()}
    return [_clean(inner, depth + 1) for inner in value] if isinstance(value, list) else value


def _checked(event: Event | None) -> Event | None:
    """The event, if what the schema leaves open is right too.

    Raises:
        ValueError: names the field that is not.
    """
    if isinstance(event, ProbeEvent | FrozenProbeEvent) and event.experience is not None and event.experience < 1:
        raise ValueError("field 'experience' is 0, out of its range")
    for name in ("name", "probe", "scope", "task") if isinstance(event, NAMED) else ():
        if len(getattr(event, name, "")) > MAX_NAME:
            raise ValueError(f"field '{name}' has more than {MAX_NAME} characters")
    return replace(event, by_group=_groups(event.by_group)) if isinstance(event, TaskEvent) else event


def _groups(by_group: dict[str, Any]) -> dict[str, dict[str, float]]:
    """Accuracies by group; null is one that was not measured."""
    found: dict[str, dict[str, float]] = {}
    for grouping, groups in by_group.items():
        if not isinstance(groups, dict):
            raise ValueError("field 'by_group' holds no accuracies by group")
        found[grouping] = {group: _accuracy(value) for group, value in groups.items()}
        if any(len(name) > MAX_NAME for name in (grouping, *groups)):
            raise ValueError(f"field 'by_group' has a name of more than {MAX_NAME} characters")
    if sum(map(len, found.values())) > MAX_GROUPS:
        raise ValueError(f"field 'by_group' has more than {MAX_GROUPS} groups")
    return found


def _accuracy(value: Any) -> float:
    if value is None:
        return float("nan")
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise ValueError("field 'by_group' holds no accuracies by group")
    return float(value)
