"""Log events of the results of one encoder."""

import math

import numpy as np

from avalanche_ssl.evaluation import FullTestResult, TaskResult, curve_events, full_test_events, task_events
from avalanche_ssl.logging import FullTestEvent, TaskEvent
from avalanche_ssl.probes import PROTOCOLS

RESULT = TaskResult("object", 0.5, 0.25, {"session": {"s3": 0.5}})
COUNTS = {"experiences_trained": 2, "images_trained": 40}


def test_a_point_of_the_curve_is_the_mean_of_what_is_known() -> None:
    rows = {"all": np.array([0.25, 0.75]), "seen": np.array([0.5, math.nan]), "task": np.full(2, math.nan)}
    found = curve_events({"ridge": rows}, [PROTOCOLS["ridge"]], images_seen=20, seconds=1.5, **COUNTS)
    assert [(e.probe, e.scope, e.accuracy) for e in found] == [("ridge", "all", 0.5), ("ridge", "seen", 0.5)]
    assert {(e.images_seen, e.images_trained, e.experiences_trained, e.seconds) for e in found} == {(20, 40, 2, 1.5)}
    assert all("caveat" not in e.fields() for e in found)


def test_results_of_tasks() -> None:
    (found,) = task_events([RESULT], "ridge", full_test_set=True, **COUNTS)
    fields = {"task": "object", "accuracy": 0.5, "chance": 0.25, "by_group": {"session": {"s3": 0.5}}}
    assert found == TaskEvent(probe="ridge", full_test_set=True, **COUNTS, **fields)


def test_the_full_test_has_an_event_for_each_probe_that_took_it() -> None:
    result = FullTestResult({"core50": 0.5}, 300, [RESULT])
    (found,) = full_test_events(result, [PROTOCOLS["ridge"], PROTOCOLS["core50"]], **COUNTS)
    fields = {"probe": "core50", "scope": "all", "accuracy": 0.5, "images_tested": 300}
    assert found == FullTestEvent(caveat=PROTOCOLS["core50"].caveat, **COUNTS, **fields)
