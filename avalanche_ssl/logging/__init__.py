"""The log of a run, `log.jsonl`: one JSON object per line, and its schema."""

from avalanche_ssl.logging.events import (
    ConsolidationEvent,
    CostEvent,
    CurveEvent,
    EndEvent,
    Event,
    ExperienceEvent,
    FineTuningEpochEvent,
    FineTuningEvent,
    FullTestEvent,
    ProbeEvent,
    RepresentationEvent,
    RunEvent,
    TaskEvent,
)
from avalanche_ssl.logging.jsonl import JSONLinesLogger, Log
from avalanche_ssl.logging.schema import EVENTS, parse, schema_table

__all__ = [
    "EVENTS",
    "ConsolidationEvent",
    "CostEvent",
    "CurveEvent",
    "EndEvent",
    "Event",
    "ExperienceEvent",
    "FineTuningEpochEvent",
    "FineTuningEvent",
    "FullTestEvent",
    "JSONLinesLogger",
    "Log",
    "ProbeEvent",
    "RepresentationEvent",
    "RunEvent",
    "TaskEvent",
    "parse",
    "schema_table",
]
