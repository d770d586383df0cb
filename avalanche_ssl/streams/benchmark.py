"""Benchmarks from datasets and the images of each experience."""

from __future__ import annotations

from collections.abc import Sequence

from avalanche.benchmarks import CLScenario, benchmark_from_datasets, with_classes_timeline, with_task_labels
from avalanche.benchmarks.utils import AvalancheDataset, DataAttribute, TaskLabels
from avalanche.benchmarks.utils.classification_dataset import TaskAwareSupervisedClassificationDataset
from avalanche.benchmarks.utils.flat_data import ConstantSequence

from avalanche_ssl.data import Indices, LabeledDataset


def benchmark_from_parts(
    train: LabeledDataset,
    train_parts: Sequence[Indices],
    test: LabeledDataset | None,
    test_parts: Sequence[Indices],
    class_names: Sequence[str] | None,
    base_objects: Indices | None = None,
) -> CLScenario:
    """The benchmark whose experience j holds the images `train_parts[j]` and `test_parts[j]` of the two datasets.

    Args:
        train, train_parts, test, test_parts: the datasets, and positions in them.
        class_names: in the order of the labels.
        base_objects: for each training image the number of what it shows, where several show the same: a validation
            part keeps these together.
    """
    benchmark = benchmark_from_datasets(
        train=_experiences(train, train_parts), test=[] if test is None else _experiences(test, test_parts)
    )
    benchmark = with_task_labels(with_classes_timeline(benchmark))
    benchmark.class_names = None if class_names is None else list(class_names)
    if base_objects is not None:
        benchmark.base_objects = [base_objects[part] for part in train_parts]
    return benchmark


def _experiences(dataset: LabeledDataset, parts: Sequence[Indices]) -> list[AvalancheDataset]:
    """The parts as Avalanche datasets; with task label 0, batches are the (x, y, t) that Avalanche's plugins expect."""
    attributes = [
        DataAttribute(dataset.targets, "targets"),
        TaskLabels(ConstantSequence(0, len(dataset))),
    ]
    labeled = TaskAwareSupervisedClassificationDataset([dataset], data_attributes=attributes)
    return [labeled.subset(part.tolist()) for part in parts]
