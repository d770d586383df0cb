"""What probes are fitted and scored on: the benchmark's images, or one in n of them."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from avalanche.benchmarks.utils import AvalancheDataset, DataAttribute
from helpers.probing import corner

from avalanche_ssl import streams
from avalanche_ssl.errors import UsageError
from avalanche_ssl.evaluation import Evaluator
from avalanche_ssl.evaluation.probing_data import probing_data, thinned
from avalanche_ssl.probes import get_protocol

pytestmark = pytest.mark.filterwarnings(r"ignore:.*of CORe50's 164,866 frames:UserWarning")


def stream(train: Any, test: Any) -> Any:
    """A benchmark as a probe sees it: labels of train and test experiences."""
    return SimpleNamespace(
        train_stream=[SimpleNamespace(dataset=labeled(t)) for t in train],
        test_stream=[SimpleNamespace(dataset=labeled(t)) for t in test],
    )


def labeled(targets: Any) -> Any:
    return AvalancheDataset([list(range(len(targets)))], data_attributes=[DataAttribute(targets, "targets")])


@pytest.mark.parametrize(
    ("train", "test", "message"),
    [
        ([[0], [1], [2]], [[0], [1]], "3 training but 2 test experiences: a probe needs test data for each or one"),
        ([[0]], [[0], [1]], "1 training but 2 test experiences"),
        ([[0], [1]], [], "no test stream to score probes on: make one with test data"),
        ([[-1, -1]], [[-1]], "no labels to fit and score a probe on: run it without ProbePlugin"),
        ([[-1, -1]], [[0]], "no labels"),
        ([[0]], [[-1]], "no labels"),
        ([], [[0]], "no labels"),
    ],
)
def test_streams_that_cannot_be_probed(train: Any, test: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        probing_data(stream(train, test), [])


def test_a_benchmark_without_a_test_stream_or_targets_cannot_be_probed() -> None:
    """Targets are asked for by name: a dataset may be one of pairs, or of images alone."""
    benchmark = stream([[0], [1]], [[0]])
    benchmark.train_stream[1].dataset = [0, 1]
    with pytest.raises(UsageError, match=r"no targets .*: make them with as_classification_dataset"):
        probing_data(benchmark, [])
    with pytest.raises(UsageError, match=r"probes need a benchmark, .* not a list: give the benchmark that the stream"):
        probing_data([benchmark.train_stream], [])
    del benchmark.test_stream
    with pytest.raises(UsageError, match="no test stream to score probes on"):
        probing_data(benchmark, [])


def test_one_test_set_is_for_all_experiences() -> None:
    assert probing_data(stream([[0], [1], [2]], [[0, 1]]), []).one_test_set
    assert not probing_data(stream([[0], [1]], [[0], [1]]), []).one_test_set
    assert not probing_data(stream([[0, 1]], [[0]]), []).one_test_set, "a single experience has its own"


def test_classes_are_counted_over_training_and_test_data() -> None:
    data = probing_data(stream([[0, 1], [2]], [[10**9], [-1]]), [])
    assert data.classes.labels.tolist() == [0, 1, 2, 10**9]
    assert [list(d.targets) for d in (*data.train, *data.test)] == [[0, 1], [2], [3], [-1]]


@pytest.mark.parametrize(
    ("targets", "message"),
    [
        (["cat"], "label 'cat' is a string: number the classes"),
        (np.eye(2), "labels are vectors of 2 numbers: a probe predicts one class per image"),
        ([0.5], "label 0.5 is not a whole number"),
    ],
)
def test_labels_that_are_no_class_are_refused(targets: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        probing_data(stream([targets], [targets]), [])


def test_images_are_left_out_only_if_all_probes_use_the_same(core50_root: Path) -> None:
    data = probing_data(streams.core50_stream("nic", core50_root, size=16), ["core50"])
    assert data.full_test_set is not None and len(data.full_test_set.images) == 300
    sparse, dense = get_protocol("core50"), get_protocol("ridge")
    assert thinned(data, [sparse, dense]) == (data, [sparse, dense])
    thin, (probe,) = thinned(data, [sparse])
    assert [len(d) for d in thin.train] == [-(-len(d) // 20) for d in data.train]
    assert [len(d) for d in thin.test] == [-(-len(d) // 20) for d in data.test]
    assert [t.train_labels[0].tolist() for t in thin.tasks] == [t.train_labels[0][::20].tolist() for t in data.tasks]
    assert thin.full_test_set is not None
    for task, every in zip(thin.full_test_set.tasks, data.full_test_set.tasks, strict=True):
        assert task.test_labels[0].tolist() == every.test_labels[0].tolist(), "the full test set stays complete"
        assert task.train_labels[0].tolist() == every.train_labels[0][::20].tolist()
    assert (probe.name, probe.every) == ("core50", 1)


def test_a_probe_on_every_20th_frame_has_no_others_encoded(core50_root: Path) -> None:
    benchmark = streams.core50_stream("nic", core50_root, size=16)
    every, thin = (Evaluator(benchmark, probes) for probes in (["core50", "ridge"], ["core50"]))
    assert sum(map(len, thin.train)) < sum(map(len, every.train)) / 10
    found, thinly = (e.evaluate(corner(), seen=()).accuracies["core50"]["all"] for e in (every, thin))
    assert np.array_equal(found, thinly)
    assert thin.probes[0].name == "core50"


def test_probes_are_fitted_on_a_part_where_the_benchmark_names_one() -> None:
    benchmark = stream([[0, 1, 2], [1, 2, 0]], [[0, 1, 2]])
    benchmark.probing_stream = [e.dataset.subset([0, 2]) for e in benchmark.train_stream]
    assert [list(dataset.targets) for dataset in probing_data(benchmark, []).train] == [[0, 2], [1, 0]]
