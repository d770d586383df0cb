"""Results of probing tasks: classifiers of further labels that a stream defines, scored by group of images.

A benchmark defines them in its attribute `probing_tasks`; `ProbePlugin` evaluates them with its first probe whenever it
measures, on the features that it has anyway. CORe50 (`avalanche_ssl.streams.core50_stream`) defines its objects, by
session; categories of instances that the probe was not fitted on; and the session itself, which features should not
reveal.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from avalanche_ssl.models import LabeledFeatures
from avalanche_ssl.streams import Codes, ProbingTask

Fit = Callable[[LabeledFeatures, int], nn.Module]
"""A classifier of so many classes, fitted on features and labels; negative where the label is unknown."""


@dataclass(frozen=True)
class TaskResult:
    """The result of a probing task.

    Args:
        task: its name.
        accuracy: over all images that it tests.
        chance: one over the number of classes.
        by_group: by name of a grouping, the accuracy of each group that has images.
    """

    task: str
    accuracy: float
    chance: float
    by_group: dict[str, dict[str, float]]


def evaluate_task(
    task: ProbingTask, fit: Fit, train: Sequence[LabeledFeatures], test: Sequence[LabeledFeatures]
) -> TaskResult:
    """Evaluate a task on features (N, D) of each experience; the labels that come with these are not read."""
    known, truth, n_classes = _numbered(_pooled(task.train_labels), _pooled(task.test_labels))
    x = torch.cat([x for x, _ in train])
    tested = x if task.on_training_images else torch.cat([x for x, _ in test])
    correct = torch.zeros(len(truth), dtype=torch.bool)
    for left_out, rows in _folds(task):
        classifier = fit((x, torch.where(left_out, -1, known)), n_classes)
        correct[rows] = classifier(tested[rows]).argmax(1).cpu() == truth[rows]
    rows = truth >= 0
    return TaskResult(
        task=task.name,
        accuracy=float(correct[rows].double().mean()),
        chance=1 / len(set(known[known >= 0].tolist())),
        by_group={name: _by_group(correct, rows, values, codes) for name, (values, codes) in task.groups.items()},
    )


def _numbered(known: Tensor, truth: Tensor) -> tuple[Tensor, Tensor, int]:
    """Labels (N,) and (M,) as numbers below the third value, in their order; -1 where unknown."""
    both = torch.cat([known, truth])
    values = torch.unique(both[both >= 0])
    numbers = torch.where(both < 0, -1, torch.searchsorted(values, both))
    return numbers[: len(known)], numbers[len(known) :], len(values)


def _folds(task: ProbingTask) -> list[tuple[Tensor, Tensor]]:
    """For each classifier, which training images it may not use, and which images it is tested on."""
    if task.folds is None:
        return [(_pooled(task.train_labels) < 0, _pooled(task.test_labels) >= 0)]
    of_train, of_tested = _pooled(task.folds[0]), _pooled(task.folds[1])
    return [(of_train == fold, of_tested == fold) for fold in sorted(set(of_tested.tolist())) if fold >= 0]


def _by_group(correct: Tensor, rows: Tensor, values: Sequence[str], codes: Codes) -> dict[str, float]:
    """Accuracy of each group that has any of these rows."""
    groups = _pooled(codes)
    members = {value: rows & (groups == number) for number, value in enumerate(values)}
    return {value: float(correct[group].double().mean()) for value, group in members.items() if group.any()}


def _pooled(codes: Codes) -> Tensor:
    return torch.from_numpy(np.concatenate(codes))
