"""Events declare the range of each number, keep former names apart, and leave out what is None."""

import dataclasses
from typing import Any, get_type_hints

import pytest

from avalanche_ssl.logging import EVENTS, ProbeEvent, RepresentationEvent, RunEvent

PROBE: dict[str, Any] = {"experiences_trained": 1, "experience": 2, "probe": "ridge", "scope": "all", "accuracy": 0.5}
RUN: dict[str, Any] = {"title": "a", "config": {"seed": 1}, "device": "cpu", "precision": "fp32", "versions": {}}
SHARES = ("accuracy", "chance", "share of")
"""Beginnings of names or meanings of numbers between 0 and 1."""
FREE = {("experience", "loss"), ("fine_tuning_epoch", "loss"), ("detection_epoch", "loss")}
"""Numbers that any finite float32 may be."""


def numbers() -> list[Any]:
    """Event, field and type of all fields that are numbers."""
    found = []
    for name, kind in EVENTS.items():
        types = get_type_hints(kind)
        for field in dataclasses.fields(kind):
            kinds = getattr(types[field.name], "__args__", (types[field.name],))
            if kinds[0] in (int, float):
                found.append(pytest.param(name, field, kinds[0], id=f"{name}-{field.name}"))
    return found


def test_fields_that_are_none_are_not_written() -> None:
    assert ProbeEvent(**PROBE).fields() == PROBE
    assert ProbeEvent(**PROBE, seconds=0.0, caveat="").fields() == PROBE | {"seconds": 0.0, "caveat": ""}
    assert RunEvent(**RUN).fields() == RUN | {"processes": 1}
    sizes = {"experiences_trained": 1, "images_measured": 8, "feature_dim": 16}
    assert RepresentationEvent(**sizes, rankme=5.0, memory={}).fields() == sizes | {"rankme": 5.0, "memory": {}}


@pytest.mark.parametrize(("name", "field", "kind"), numbers())
def test_every_number_declares_its_range(name: str, field: Any, kind: type) -> None:
    low, high = field.metadata["low"], field.metadata["high"]
    if field.name.startswith(SHARES) or field.metadata["meaning"].startswith(SHARES):
        assert (kind, low, high) == (float, 0, 1)
    elif kind is int:
        assert (low, high) == (0, 2**53), "a count that a float holds exactly"
    elif field.name.endswith("seconds"):
        assert (low, high) == (0, 1e10)
    else:
        limit = 1e40 if (name, field.name) in FREE else 1e12
        assert -limit <= low < high <= limit


def test_every_field_says_what_it_means() -> None:
    for name, kind in EVENTS.items():
        assert all(len(field.metadata["meaning"]) >= 6 for field in dataclasses.fields(kind)), name


def test_events_are_not_changed_and_name_their_fields() -> None:
    event = ProbeEvent(**PROBE)
    with pytest.raises(dataclasses.FrozenInstanceError):
        event.accuracy = 1.0  # type: ignore[misc]
    with pytest.raises(TypeError, match="positional"):
        ProbeEvent(1, 2)  # type: ignore[misc]


def test_a_former_name_means_one_thing() -> None:
    former = [kind.former_name for kind in EVENTS.values() if kind.former_name]
    assert len({*former, *EVENTS}) == len(former) + len(EVENTS)
    for name, kind in EVENTS.items():
        today = {field.name for field in dataclasses.fields(kind)}
        renamed = {now: before for now, before in kind.former_fields.items() if now in today}
        assert len(set(renamed.values())) == len(renamed), name
        assert not today & set(renamed.values()), name
