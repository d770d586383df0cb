"""Baselines and frozen probes in a log: names, and what is left out."""

import json
from pathlib import Path

import pytest

from avalanche_ssl.logging import BaselineEvent, FrozenProbeEvent, JSONLinesLogger, parse


def test_a_baseline_has_its_name_beside_that_of_the_event(tmp_path: Path) -> None:
    event = BaselineEvent(name="raw pixels 16x16", probe="ridge", scope="all", accuracy=0.25, precision="fp32")
    JSONLinesLogger(tmp_path / "log.jsonl")(event)
    line = json.loads((tmp_path / "log.jsonl").read_text())
    assert line["event"] == "baseline" and line["name"] == "raw pixels 16x16"
    assert parse(line) == event
    chance = BaselineEvent(name="chance", probe="ridge", scope="all", accuracy=0.1)
    assert chance.fields().keys() == {"name", "probe", "scope", "accuracy"}, "no features were computed"


def test_a_frozen_probe_says_when_it_was_fitted() -> None:
    numbers = {"experiences_trained": 3, "experience": 1, "fitted_after": 2}
    event = FrozenProbeEvent(**numbers, probe="ridge", scope="all", accuracy=0.5)
    line = {"event": "frozen_probe"} | event.fields()
    assert parse(line) == event
    with pytest.raises(ValueError, match="has no field 'fitted_after'"):
        parse({name: value for name, value in line.items() if name != "fitted_after"})
