"""How do images become a benchmark?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from avalanche.benchmarks import CLScenario, benchmark_from_datasets, with_classes_timeline, with_task_labels
from avalanche.benchmarks.utils import AvalancheDataset, DataAttribute, TaskLabels
from avalanche.benchmarks.utils.classification_dataset import TaskAwareSupervisedClassificationDataset
from avalanche.benchmarks.utils.flat_data import ConstantSequence

from avalanche_ssl.data.datasets import Indices, LabeledDataset, concat_datasets


def assemble(
    train: LabeledDataset,
    train_parts: Sequence[Indices],
    test: LabeledDataset | None,
    test_parts: Sequence[Indices],
    class_names: Sequence[str] | None,
) -> CLScenario:
    """The benchmark whose experience j holds the images `train_parts[j]` and `test_parts[j]`."""
    benchmark = benchmark_from_datasets(
        train=_experiences(train, train_parts), test=[] if test is None else _experiences(test, test_parts)
    )
    benchmark = with_task_labels(with_classes_timeline(benchmark))
    benchmark.class_names = None if class_names is None else list(class_names)
    return benchmark


def _experiences(dataset: LabeledDataset, parts: Sequence[Indices]) -> list[AvalancheDataset]:
    """Task labels are 0 throughout, so that batches are the (x, y, t) that Avalanche's plugins expect."""
    attributes = [
        DataAttribute(dataset.targets, "targets"),
        TaskLabels(ConstantSequence(0, len(dataset))),
    ]
    whole = TaskAwareSupervisedClassificationDataset([dataset], data_attributes=attributes)
    return [whole.subset(part.tolist()) for part in parts]


def joint_experience(benchmark: CLScenario) -> Any:
    """All training experiences of a benchmark as a single one, for joint (iid) training."""
    dataset = concat_datasets([experience.dataset for experience in benchmark.train_stream])
    return benchmark_from_datasets(train=[dataset], test=[]).train_stream[0]
