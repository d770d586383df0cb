"""The schema of the log: what is written is read back, what is wrong is named, former names are understood."""

import dataclasses
import json
import math
from pathlib import Path
from typing import Any

import pytest
from helpers.docs import ROOT

from avalanche_ssl import logging
from avalanche_ssl.logging import EVENTS, Event, JSONLinesLogger, ProbeEvent, parse, schema_table

SAMPLES: dict[str, dict[str, Any]] = {
    "run": {"title": "a", "config": {"seed": 1}, "device": "cpu", "precision": "fp32", "versions": {}},
    "probe": {"experiences_trained": 1, "experience": 2, "probe": "ridge", "scope": "all", "accuracy": 0.5},
    "frozen_probe": {
        "experiences_trained": 3,
        "experience": 1,
        "fitted_after": 1,
        "probe": "ridge",
        "scope": "all",
        "accuracy": 0.5,
    },
    "baseline": {"name": "chance", "probe": "ridge", "scope": "all", "accuracy": 0.1},
    "curve": {
        "images_seen": 5,
        "images_trained": 9,
        "seconds": 0.5,
        "experiences_trained": 1,
        "probe": "ridge",
        "scope": "all",
        "accuracy": 1.0,
    },
    "full_test": {
        "experiences_trained": 2,
        "images_trained": 9,
        "probe": "core50",
        "scope": "all",
        "accuracy": 0.1,
        "images_tested": 100,
        "caveat": "c",
    },
    "task": {
        "experiences_trained": 2,
        "task": "object",
        "accuracy": 0.1,
        "chance": 0.02,
        "by_group": {"session": {"3": 0.5}},
        "full_test_set": True,
    },
    "consolidation": {"experiences_trained": 2, "accuracy": 0.7, "chance": 0.5},
    "experience": {
        "experiences_trained": 1,
        "images_trained": 32,
        "steps": 2,
        "loss": 1.5,
        "seconds": 0.1,
        "images_per_second": 320.0,
    },
    "representation": {"experiences_trained": 1, "images_measured": 32, "feature_dim": 8, "rankme": 3.5},
    "cost": {"views": 64, "steps": 2, "parameters": 100, "bytes_remembered": 8},
    "end": {"images_trained": 64, "train_seconds": 0.2, "seconds": 1.0},
    "fine_tuning": {"protocol": "frozen", "run": "runs/a", "settings": {"lr": 0.1}},
    "fine_tuning_epoch": {"epoch": 1, "loss": 0.5, "accuracy": 0.25},
    "fine_tuning_end": {"accuracy": 0.5, "images": 50, "images_tested": 200, "seconds": 1.5},
    "detection": {"protocol": "full", "run": "runs/a", "settings": {"detector": "fcos"}},
    "detection_epoch": {"epoch": 1, "loss": 0.5},
    "detection_end": {
        "ap": 0.2,
        "ap50": 0.4,
        "ap75": 0.1,
        "images": 50,
        "images_tested": 200,
        "epochs": 20,
        "seconds": 1.5,
    },
    "transfer": {"run": "runs/a", "settings": {"benchmark": "split-digits"}},
    "transfer_accuracy": {"encoder": "untrained", "probe": "ridge", "accuracy": 0.5},
    "transfer_end": {"chance": 0.1, "images": 50, "images_tested": 200, "seconds": 1.5},
}


def test_every_event_has_a_sample_and_a_place_in_the_schema() -> None:
    kinds = {kind for kind in vars(logging).values() if isinstance(kind, type) and issubclass(kind, Event)} - {Event}
    assert kinds == set(EVENTS.values())
    assert SAMPLES.keys() == EVENTS.keys()


@pytest.mark.parametrize("name", EVENTS)
def test_what_is_written_is_read_back(name: str, tmp_path: Path) -> None:
    event = EVENTS[name](**SAMPLES[name])
    JSONLinesLogger(tmp_path / "log.jsonl")(event)
    (line,) = (tmp_path / "log.jsonl").read_text().splitlines()
    written = json.loads(line)
    assert written.keys() == {"event"} | SAMPLES[name].keys() | _defaults(name)
    assert parse(written) == event


def _defaults(name: str) -> set[str]:
    """Fields with a default that is written."""
    fields = dataclasses.fields(EVENTS[name])
    return {f.name for f in fields if f.default not in (None, dataclasses.MISSING)}


OLD = [
    ({"event": "run", "name": "a", "config": {"seed": 1}, "device": "cpu", "precision": "fp32", "versions": {}}, "run"),
    ({"event": "probe", "trained": 1, "evaluated": 2, "probe": "ridge", "scope": "all", "accuracy": 0.5}, "probe"),
    (
        {
            "event": "point",
            "seen": 5,
            "images": 9,
            "seconds": 0.5,
            "trained": 1,
            "probe": "ridge",
            "scope": "all",
            "accuracy": 1.0,
        },
        "curve",
    ),
    (
        {
            "event": "final",
            "trained": 2,
            "images": 9,
            "probe": "core50",
            "scope": "all",
            "accuracy": 0.1,
            "tested": 100,
            "odd": "c",
        },
        "full_test",
    ),
    (
        {
            "event": "answer",
            "trained": 2,
            "question": "object",
            "accuracy": 0.1,
            "chance": 0.02,
            "by": {"session": {"3": 0.5}},
            "whole": True,
        },
        "task",
    ),
    ({"event": "consolidation", "trained": 2, "accuracy": 0.7, "chance": 0.5}, "consolidation"),
    (
        {
            "event": "experience",
            "trained": 1,
            "images": 32,
            "steps": 2,
            "loss": 1.5,
            "seconds": 0.1,
            "images_per_second": 320.0,
        },
        "experience",
    ),
    ({"event": "vitals", "trained": 1, "images": 32, "dim": 8, "rankme": 3.5}, "representation"),
    ({"event": "spent", "views": 64, "steps": 2, "parameters": 100, "bytes_remembered": 8}, "cost"),
    ({"event": "end", "images": 64, "train_seconds": 0.2, "seconds": 1.0}, "end"),
]


@pytest.mark.parametrize(("line", "name"), OLD, ids=lambda value: value if isinstance(value, str) else "")
def test_logs_of_commit_546cabf_are_understood(line: dict[str, Any], name: str) -> None:
    assert parse(line) == EVENTS[name](**SAMPLES[name])


PROBE = {"event": "probe"} | SAMPLES["probe"]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ([], "no field 'event'"),
        ({"event": 5}, "no field 'event'"),
        ({"event": "probe"}, "has no field 'experiences_trained'"),
        (PROBE | {"experiences_trained": "1"}, "field 'experiences_trained' is '1', not of type int"),
        (PROBE | {"experiences_trained": True}, "not of type int"),
        (PROBE | {"experiences_trained": 1.5}, "not of type int"),
        (PROBE | {"experiences_trained": -1}, "out of its range"),
        (PROBE | {"experiences_trained": 10**400}, "out of its range"),
        (PROBE | {"experiences_trained": None}, "field 'experiences_trained' is null"),
        (PROBE | {"accuracy": -5}, "field 'accuracy' is -5, out of its range"),
        (PROBE | {"accuracy": "0.5"}, "not of type float"),
        (PROBE | {"scope": 5}, "not of type str"),
        ({"event": "run"} | SAMPLES["run"] | {"config": []}, "not of type dict"),
    ],
)
def test_a_wrong_line_is_named(line: Any, message: str) -> None:
    with pytest.raises(ValueError) as caught:
        parse(line)
    assert message in str(caught.value)


def test_a_number_that_was_not_finite_comes_back_as_nan() -> None:
    event = parse(PROBE | {"accuracy": None})
    assert isinstance(event, ProbeEvent) and math.isnan(event.accuracy)


def test_unknown_events_and_fields_are_left_out() -> None:
    assert parse({"event": "tomorrow", "a": 1}) is None
    assert parse(PROBE | {"tomorrow": 1}) == ProbeEvent(**SAMPLES["probe"])


def test_every_field_is_a_line_of_the_table_in_benchmarks_readme() -> None:
    text = (ROOT / "benchmarks" / "README.md").read_text(encoding="utf-8")
    assert schema_table() in text, "write the table again: it is schema_table()"
    count = sum(1 + len(dataclasses.fields(kind)) for kind in EVENTS.values())
    assert len(schema_table().splitlines()) == 2 + count
