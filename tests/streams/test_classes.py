"""Which labels are one class, by tasks, and the numbers of the classes."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from avalanche.benchmarks import nc_benchmark, ni_benchmark
from avalanche.benchmarks.utils import AvalancheDataset, DataAttribute
from helpers.datasets import PictureDataset

from avalanche_ssl.data import class_labels
from avalanche_ssl.errors import UsageError
from avalanche_ssl.streams import class_index


def part(targets: Any, tasks: Any = None) -> AvalancheDataset:
    """A dataset with these class and task labels."""
    attributes = [DataAttribute(targets, "targets")]
    if tasks is not None:
        attributes.append(DataAttribute(tasks, "targets_task_labels", use_in_getitem=True))
    return AvalancheDataset([list(range(len(targets)))], data_attributes=attributes)


def stream(*parts: Any, **attributes: Any) -> Any:
    """A benchmark of training experiences."""
    return SimpleNamespace(train_stream=[SimpleNamespace(dataset=p) for p in parts], **attributes)


def datasets(benchmark: Any) -> list[Any]:
    return [e.dataset for e in (*benchmark.train_stream, *getattr(benchmark, "test_stream", ()))]


def numbers(benchmark: Any, *args: Any) -> list[list[int]]:
    """Of the classes of each dataset's images."""
    index = class_index(benchmark, datasets(benchmark), *args)
    return [index.numbers(d).tolist() for d in datasets(benchmark)]


def test_labels_that_are_numbers_stay_and_so_do_the_datasets() -> None:
    parts = [part([2, 0, -1]), part([1])]
    index = class_index(stream(*parts), parts)
    assert index.is_identity and len(index) == 3
    assert all(index.renumbered(p) is p for p in parts)


def test_labels_with_gaps_are_numbered_in_their_order() -> None:
    parts = [part([10**9, 7, -1]), part([3.0, 7.0])]
    index = class_index(stream(*parts), parts)
    assert index.labels.tolist() == [3, 7, 10**9] and index.tasks is None and not index.is_identity
    assert [class_labels(index.renumbered(p)).tolist() for p in parts] == [[2, 1, -1], [0, 1]]
    assert [class_labels(p).tolist() for p in parts] == [[10**9, 7, -1], [3, 7]], "the benchmark stays"


TWO_TASKS = stream(part([0, 1], [4, 4]), part([1, 0, -1], [9, 9, 9]), part([1], [4]))


def test_per_task_a_label_is_another_class_in_each_task() -> None:
    assert numbers(TWO_TASKS, "per-task") == [[0, 1], [3, 2, -1], [1]], "both experiences of task 4 share classes"
    index = class_index(TWO_TASKS, datasets(TWO_TASKS), "per-task")
    assert index.tasks is not None
    assert (index.tasks.tolist(), index.labels.tolist()) == ([4, 4, 9, 9], [0, 1, 0, 1])


def test_shared_a_label_is_the_same_class_in_every_task() -> None:
    assert numbers(TWO_TASKS, "shared") == [[0, 1], [1, 0, -1], [1]]


def test_what_cannot_be_known_is_asked_for_in_one_line() -> None:
    with pytest.raises(UsageError, match=r"label 0 comes in task 4 and in task 9: .*'shared'.*'per-task'") as caught:
        numbers(TWO_TASKS)
    assert "\n" not in str(caught.value)
    with pytest.raises(UsageError, match="no class identity 'pertask': did you mean 'per-task'"):
        numbers(TWO_TASKS, "pertask")


def test_a_benchmark_can_say_it() -> None:
    parts = datasets(TWO_TASKS)
    assert numbers(stream(*parts, class_identity="shared")) == numbers(TWO_TASKS, "shared")
    assert numbers(stream(*parts, class_identity="shared"), "per-task") == numbers(TWO_TASKS, "per-task")


def test_nothing_is_asked_where_tasks_do_not_mix() -> None:
    """In the scope "task", or where no label comes twice."""
    assert numbers(TWO_TASKS, None, ["task"]) == numbers(TWO_TASKS, "per-task")
    mixed = stream(part([0, 0], [1, 2]))
    with pytest.raises(UsageError, match="label 0 comes in task 1 and in task 2"):
        numbers(mixed, None, ["task"])
    disjoint = stream(part([0, 1], [0, 0]), part([2], [1]))
    assert numbers(disjoint) == numbers(disjoint, "per-task") == [[0, 1], [2]]


def test_per_task_labels_from_zero_are_six_classes_again() -> None:
    data = PictureDataset(60), PictureDataset(30, 1)
    for pictures in data:
        pictures.targets = [i % 6 for i in range(len(pictures))]
    options: dict[str, Any] = {"n_experiences": 3, "seed": 0, "shuffle": False}
    known = nc_benchmark(*data, task_labels=True, **options)
    zero = nc_benchmark(*data, task_labels=True, class_ids_from_zero_in_each_exp=True, **options)
    assert {tuple(np.unique(class_labels(d))) for d in datasets(zero)} == {(0, 1)}
    assert numbers(zero) == numbers(known) == [class_labels(d).tolist() for d in datasets(known)]
    assert numbers(zero, "shared") == [class_labels(d).tolist() for d in datasets(zero)], "if the user insists"
    blind = nc_benchmark(*data, task_labels=False, class_ids_from_zero_in_each_exp=True, **options)
    with pytest.raises(UsageError, match=r"same label and task label: give nc_benchmark\(..., task_labels=True\)"):
        numbers(blind)


def test_new_instances_are_of_the_same_classes() -> None:
    benchmark = ni_benchmark(PictureDataset(40), PictureDataset(20), 2, task_labels=True, seed=0)
    assert numbers(benchmark) == [class_labels(d).tolist() for d in datasets(benchmark)]
