"""The log of a run, `log.jsonl`: one JSON object per line, and its schema."""

from avalanche_ssl.logging.detection_events import DetectionEndEvent, DetectionEpochEvent, DetectionEvent
from avalanche_ssl.logging.event_files import EVENT_FILES, HPARAMS, cut_event_files, event_file_sizes, event_files
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
from avalanche_ssl.logging.jsonl import JSONLinesLogger, Log, Rewindable
from avalanche_ssl.logging.probe_events import BaselineEvent, FrozenProbeEvent
from avalanche_ssl.logging.schema import EVENTS, parse, schema_table
from avalanche_ssl.logging.transfer_events import TransferAccuracyEvent, TransferEndEvent, TransferEvent

__all__ = [
    "EVENTS",
    "EVENT_FILES",
    "HPARAMS",
    "BaselineEvent",
    "ConsolidationEvent",
    "CostEvent",
    "CurveEvent",
    "DetectionEndEvent",
    "DetectionEpochEvent",
    "DetectionEvent",
    "EndEvent",
    "Event",
    "ExperienceEvent",
    "FineTuningEndEvent",
    "FineTuningEpochEvent",
    "FineTuningEvent",
    "FrozenProbeEvent",
    "FullTestEvent",
    "JSONLinesLogger",
    "Log",
    "ProbeEvent",
    "RepresentationEvent",
    "Rewindable",
    "RunEvent",
    "TaskEvent",
    "TransferAccuracyEvent",
    "TransferEndEvent",
    "TransferEvent",
    "cut_event_files",
    "event_file_sizes",
    "event_files",
    "parse",
    "schema_table",
]
