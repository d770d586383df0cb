"""Log events of the results of one encoder."""

import math
from collections.abc import Sequence

import numpy as np

from avalanche_ssl.evaluation import (
    FrozenAccuracy,
    FullTestResult,
    TaskResult,
    baseline_events,
    curve_events,
    frozen_probe_events,
    full_test_events,
    probe_events,
    task_events,
)
from avalanche_ssl.logging import FullTestEvent, ProbeEvent, TaskEvent
from avalanche_ssl.probes import PROTOCOLS

RESULT = TaskResult("object", 0.5, 0.25, {"session": {"s3": 0.5}})
COUNTS = {"experiences_trained": 2, "images_trained": 40}


def entries(row: Sequence[float], order: Sequence[int], one_test_set: bool = False) -> list[ProbeEvent]:
    accuracies = {"ridge": {"all": np.array(row)}}
    given = {"order": order, "one_test_set": one_test_set, "images_trained": 40, "seconds": 1.5, "precision": "bf16"}
    return probe_events(accuracies, [PROTOCOLS["ridge"]], **given)  # type: ignore[arg-type]


def test_the_entries_of_a_row_that_were_measured() -> None:
    fields = {"experiences_trained": 2, "probe": "ridge", "scope": "all", "images_trained": 40, "seconds": 1.5}
    fields |= {"precision": "bf16"}
    expected = [{"experience": 1, "accuracy": 0.5, **fields}, {"experience": 3, "accuracy": 0.25, **fields}]
    assert [event.fields() for event in entries([0.5, math.nan, 0.25], [0, 1])] == expected


def test_entries_say_what_was_trained_on_where_it_was_not_the_first_experiences() -> None:
    assert [(e.experience, e.trained_on) for e in entries([0.1, 0.2, 0.3], [2])] == [(1, False), (2, None), (3, True)]
    assert [e.trained_on for e in entries([0.1, 0.2, 0.3], [2, 0, 1])] == [None] * 3


def test_entries_of_one_test_set_name_no_experience() -> None:
    (event,) = entries([0.5], [2], one_test_set=True)
    assert (event.experiences_trained, event.experience, event.trained_on) == (1, None, None)


def test_a_point_of_the_curve_is_the_mean_of_what_is_known() -> None:
    rows = {"all": np.array([0.25, 0.75]), "seen": np.array([0.5, math.nan]), "task": np.full(2, math.nan)}
    given = {"images_seen": 20, "seconds": 1.5, "precision": "bf16"} | COUNTS
    found = curve_events({"ridge": rows}, [PROTOCOLS["ridge"]], **given)  # type: ignore[arg-type]
    assert [(e.probe, e.scope, e.accuracy) for e in found] == [("ridge", "all", 0.5), ("ridge", "seen", 0.5)]
    assert {e.precision for e in found} == {"bf16"}
    assert {(e.images_seen, e.images_trained, e.experiences_trained, e.seconds) for e in found} == {(20, 40, 2, 1.5)}
    assert all("caveat" not in e.fields() for e in found)


def test_results_of_tasks() -> None:
    (found,) = task_events([RESULT], "ridge", full_test_set=True, **COUNTS)
    fields = {"task": "object", "accuracy": 0.5, "chance": 0.25, "by_group": {"session": {"s3": 0.5}}}
    assert found == TaskEvent(probe="ridge", full_test_set=True, **COUNTS, **fields)


def test_the_full_test_has_an_event_for_each_probe_that_took_it() -> None:
    result = FullTestResult({"core50": 0.5}, 300, [RESULT])
    (found,) = full_test_events(result, [PROTOCOLS["ridge"], PROTOCOLS["core50"]], **COUNTS, precision="bf16")
    fields = {"probe": "core50", "scope": "all", "accuracy": 0.5, "images_tested": 300, "precision": "bf16"}
    assert found == FullTestEvent(caveat=PROTOCOLS["core50"].caveat, **COUNTS, **fields)


def test_baselines_by_name_probe_and_scope() -> None:
    nan = math.nan
    untrained = {
        "ridge": {"all": np.array([0.25, 0.75]), "seen": np.array([nan, nan]), "task": np.array([0.5, nan])},
        "lump": {"task": np.array([0.5, 1.0])},
    }
    pixels = {"ridge": np.array([0.25, 0.5])}
    found = baseline_events(untrained, pixels, start="encoder at the start", chance=0.1, precision="bf16")
    assert [(e.name, e.probe, e.scope, e.accuracy, e.precision) for e in found] == [
        ("chance", "ridge", "all", 0.1, None),
        ("raw pixels 16x16", "ridge", "all", 0.375, "fp32"),
        ("encoder at the start", "ridge", "all", 0.5, "bf16"),
        ("encoder at the start", "ridge", "task", 0.5, "bf16"),
        ("encoder at the start", "lump", "task", 0.75, "bf16"),
    ]


def test_frozen_probes_that_were_measured() -> None:
    entries = [FrozenAccuracy("all", 0, 1, 0.5), FrozenAccuracy("task", 2, 3, math.nan)]
    (event,) = frozen_probe_events(entries, "ridge", experiences_trained=3, precision="bf16")
    fields = {"experiences_trained": 3, "experience": 1, "fitted_after": 1, "probe": "ridge", "scope": "all"}
    assert event.fields() == fields | {"accuracy": 0.5, "precision": "bf16"}
