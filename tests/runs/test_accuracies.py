"""The accuracy matrices of a log: orders of training, one test set, and events that cannot be."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.logs import append, probe_event
from helpers.probing import few_images, moco

from avalanche_ssl import ProbePlugin
from avalanche_ssl.evaluation import backward_transfer
from avalanche_ssl.logging import BaselineEvent, EndEvent, Event, FrozenProbeEvent, JSONLinesLogger, ProbeEvent
from avalanche_ssl.reports import html
from avalanche_ssl.reports.comparison import streams
from avalanche_ssl.runs import read_run
from avalanche_ssl.runs.accuracies import accuracy_rows, baseline_accuracies, frozen_rows, stream_length


def one_test_set(*accuracies: float) -> list[ProbeEvent]:
    """Events of the untrained encoder and after each experience."""
    return [
        ProbeEvent(experiences_trained=t, probe="ridge", scope="all", accuracy=value)
        for t, value in enumerate(accuracies)
    ]


def test_the_length_of_a_stream_is_that_of_its_tests_or_of_its_training() -> None:
    notes: list[str] = []
    assert stream_length([probe_event(1, j, 0.5) for j in (1, 2, 3)], notes) == 3
    assert stream_length(one_test_set(0.1, 0.2, 0.3), notes) == 2
    assert stream_length([], notes) == 0 and not notes
    assert stream_length([*one_test_set(0.1, 0.2), probe_event(1, 1, 0.5), probe_event(2, 1, 0.5)], notes) == 1
    far = ProbeEvent(experiences_trained=2**50, probe="ridge", scope="all", accuracy=0.5)
    assert stream_length([*one_test_set(0.1, 0.2), far], notes) == 1
    assert notes == ["1 probe events are of experiences that the stream does not have"] * 2


def test_one_test_set_is_one_column() -> None:
    rows = accuracy_rows(one_test_set(0.1, 0.2, 0.3), 2)
    np.testing.assert_array_equal(rows["ridge", "all"], [[0.1], [0.2], [0.3]])
    named = [probe_event(0, 1, 0.5), probe_event(1, 1, 0.6)]
    rows = accuracy_rows([*named, *one_test_set(0.1)], 1)
    np.testing.assert_array_equal(rows["ridge", "all"], [[0.5], [0.6]], "not where experiences are named")


def test_the_log_of_a_reversed_stream_gives_the_matrix_of_its_plugin(tmp_path: Path) -> None:
    benchmark, log = few_images(), JSONLinesLogger(tmp_path / "log.jsonl")
    plugin = ProbePlugin(benchmark, log=log)
    learner = moco(plugin)
    for experience in reversed(benchmark.train_stream):
        learner.train(experience, eval_streams=[])
    run = read_run(tmp_path)
    for scope in ("all", "seen", "task"):
        np.testing.assert_array_equal(run.matrix("ridge", scope), plugin.matrix(scope))
        np.testing.assert_array_equal(run.frozen_matrix("ridge", scope), plugin.frozen_matrix(scope))
    np.testing.assert_array_equal(run.untrained("ridge", "all"), plugin.untrained("all"))
    assert backward_transfer(run.matrix("ridge", "all")) == backward_transfer(plugin.matrix("all"))
    assert plugin.history.columns == [1, 0]


def test_columns_stay_as_numbered_in_a_damaged_log() -> None:
    """The first experience has lost its early events; nothing says that it was trained on later."""
    events = [probe_event(1, 2, 0.1), probe_event(1, 3, 0.2), *(probe_event(3, j, j / 10) for j in (1, 2, 3))]
    np.testing.assert_array_equal(accuracy_rows(events, 3)["ridge", "all"][3], [0.1, 0.2, 0.3])


@pytest.mark.filterwarnings("error")
def test_a_run_with_one_test_set_is_reported(tmp_path: Path) -> None:
    events: list[Event] = [*one_test_set(0.1, 0.4, 0.3), EndEvent(images_trained=40, seconds=1.0, train_seconds=1.0)]
    run = read_run(append(tmp_path, *events))
    assert (run.n_experiences, run.experiences_trained, run.finished) == (2, 2, True)
    np.testing.assert_array_equal(run.matrix("ridge", "all"), [[0.4], [0.3]])
    np.testing.assert_array_equal(run.untrained("ridge", "all"), [0.1])
    assert "30.0" in html.page(streams([run]), [])


def frozen_event(trained: int, experience: int, accuracy: float, **more: Any) -> FrozenProbeEvent:
    named = {"probe": "ridge", "scope": "all", "fitted_after": experience} | more
    return FrozenProbeEvent(experiences_trained=trained, experience=experience, accuracy=accuracy, **named)


def test_frozen_probes_by_hand() -> None:
    """In the order of training; where one was tested again, the later value; what cannot be is left out."""
    probes = [probe_event(t, j, 0.5, trained_on=j == 2 or t == 2) for t in (0, 1, 2) for j in (1, 2)]
    events = [frozen_event(1, 2, 0.9), frozen_event(2, 2, 0.4), frozen_event(2, 2, 0.3), frozen_event(2, 1, 0.8)]
    events += [frozen_event(1, 9, 0.1), frozen_event(0, 1, 0.1), frozen_event(1, 1, 0.1, probe="other")]
    found = frozen_rows(events, probes, 2)
    assert found.keys() == {("ridge", "all")}
    np.testing.assert_array_equal(found["ridge", "all"], [[0.9, np.nan], [0.3, 0.8]])
    assert frozen_rows(events, one_test_set(0.1, 0.2, 0.3), 2) == {}, "no experience has test data of its own"


def test_baselines_of_probes_that_the_run_has() -> None:
    named = {"name": "chance", "probe": "ridge", "scope": "all"}
    events = [BaselineEvent(**named | more, accuracy=0.1) for more in ({}, {"name": "own"}, {"probe": "x"})]
    events += [BaselineEvent(**named, accuracy=0.2)]
    found = baseline_accuracies(events, [probe_event(0, 1, 0.5)])
    assert found == {"chance": {("ridge", "all"): 0.2}, "own": {("ridge", "all"): 0.1}}, "the later of two"
