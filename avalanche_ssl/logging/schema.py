"""All events of `log.jsonl` by name: read a line back into its event, and describe them in a table.

The table in `benchmarks/README.md` is `schema_table()`. Logs written before the names of events and fields changed
(commit 546cabf) are understood: `parse` translates them.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import MISSING
from functools import cache
from typing import Any, get_type_hints

from avalanche_ssl.logging.detection_events import DetectionEndEvent, DetectionEpochEvent, DetectionEvent
from avalanche_ssl.logging.events import (
    ConsolidationEvent,
    CostEvent,
    CurveEvent,
    EndEvent,
    Event,
    ExperienceEvent,
    FineTuningEndEvent,
    FineTuningEpochEvent,
    FineTuningEvent,
    FullTestEvent,
    ProbeEvent,
    RepresentationEvent,
    RunEvent,
    TaskEvent,
)
from avalanche_ssl.logging.probe_events import BaselineEvent, FrozenProbeEvent
from avalanche_ssl.logging.transfer_events import TransferAccuracyEvent, TransferEndEvent, TransferEvent

EVENTS: dict[str, type[Event]] = {
    kind.event: kind
    for kind in (
        RunEvent,
        ProbeEvent,
        FrozenProbeEvent,
        BaselineEvent,
        CurveEvent,
        FullTestEvent,
        TaskEvent,
        ConsolidationEvent,
        ExperienceEvent,
        RepresentationEvent,
        CostEvent,
        EndEvent,
        FineTuningEvent,
        FineTuningEpochEvent,
        FineTuningEndEvent,
        DetectionEvent,
        DetectionEpochEvent,
        DetectionEndEvent,
        TransferEvent,
        TransferAccuracyEvent,
        TransferEndEvent,
    )
}
"""All events by name."""

_FORMER = {kind.former_name: kind for kind in EVENTS.values() if kind.former_name}


def parse(line: Any) -> Event | None:
    """The event of one line, as `json.loads` gives it; None for an event of another program.

    Fields that the schema does not know are left out.

    Raises:
        ValueError: the line is no event, a field is missing, or a value has a wrong type or range.
    """
    if not isinstance(line, dict) or not isinstance(line.get("event"), str):
        raise ValueError("it has no field 'event'")
    kind = EVENTS.get(line["event"]) or _FORMER.get(line["event"])
    if kind is None:
        return None
    types = _types(kind.event)
    values = {}
    for f in dataclasses.fields(kind):
        former = kind.former_fields.get(f.name, f.name)
        key = f.name if f.name in line else former
        if key in line:
            values[f.name] = _value(line[key], types[f.name], f)
        elif f.default is MISSING:
            raise ValueError(f"event '{kind.event}' has no field '{f.name}'")
    return kind(**values)


@cache
def _types(name: str) -> dict[str, Any]:
    """Type of each field of an event; cached, because a log of a long stream has many thousand lines."""
    return get_type_hints(EVENTS[name])


def _value(value: Any, kind: Any, f: dataclasses.Field[Any]) -> Any:
    """A value of a field: its type and range are checked; null is a number that was not finite."""
    kinds = getattr(kind, "__args__", (kind,))
    if kind == dict[str, Any]:
        kinds = (dict,)
    if value is None:
        if type(None) in kinds or float in kinds:
            return None if type(None) in kinds else math.nan
        raise ValueError(f"field '{f.name}' is null")
    wanted = next(getattr(k, "__origin__", k) for k in kinds if k is not type(None))
    fits = isinstance(value, int | float) if wanted is float else isinstance(value, wanted)
    if not fits or (isinstance(value, bool) and wanted is not bool):
        raise ValueError(f"field '{f.name}' is {str(value)[:40]!r}, not of type {wanted.__name__}")
    if wanted in (int, float):
        if not f.metadata["low"] <= value <= f.metadata["high"]:
            raise ValueError(f"field '{f.name}' is {str(value)[:40]}, out of its range")
        return wanted(value)
    return value


def schema_table() -> str:
    """The schema as a table in Markdown: a row for each field of each event."""
    lines = ["| event | field | meaning |", "|---|---|---|"]
    for kind in EVENTS.values():
        about = (kind.__doc__ or "").partition("\n")[0]
        lines.append(f"| `{kind.event}` | | {about} |")
        lines += [f"| | `{f.name}` | {f.metadata['meaning']} |" for f in dataclasses.fields(kind)]
    return "\n".join(lines)
