"""What else do the features tell? Further questions that a stream puts to the probe, and answers by group of images.

A benchmark asks them by its attribute `probing_tasks`; `ProbePlugin` answers them with its first probe whenever it
measures, from the features that it has anyway. So CORe50 (`avalanche_ssl.streams.streams.core50`) asks for its objects by
session, for categories of instances that the probe has not met, and for the session itself, which should not be told.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from avalanche_ssl.models.inference import LabeledFeatures
from avalanche_ssl.streams.tasks import Codes, ProbingTask

Fit = Callable[[LabeledFeatures, int], nn.Module]
"""A classifier of so many classes, fitted on features and labels; negative where the label is not known."""


@dataclass(frozen=True)
class TaskResult:
    """How often a question was answered rightly.

    Args:
        question: its name.
        accuracy: of all images that it was asked about.
        chance: one over the number of different answers.
        by: by name of a grouping, the accuracy of each group that has images.
    """

    question: str
    accuracy: float
    chance: float
    by: dict[str, dict[str, float]]


def evaluate_task(
    question: ProbingTask, fit: Fit, train: Sequence[LabeledFeatures], test: Sequence[LabeledFeatures]
) -> TaskResult:
    """Ask about features (N, D) of each experience; the labels that come with these are not read."""
    known, truth = _pooled(question.train), _pooled(question.tested)
    n_classes = int(torch.cat([known, truth]).max()) + 1
    x = torch.cat([x for x, _ in train])
    tested = x if question.again else torch.cat([x for x, _ in test])
    right = torch.zeros(len(truth), dtype=torch.bool)
    for left_out, asked in _folds(question):
        classifier = fit((x, torch.where(left_out, -1, known)), n_classes)
        right[asked] = classifier(tested[asked]).argmax(1).cpu() == truth[asked]
    asked = truth >= 0
    by = {name: _by_group(right, asked, values, codes) for name, (values, codes) in question.groups.items()}
    return TaskResult(question.name, float(right[asked].double().mean()), 1 / len(set(known[known >= 0].tolist())), by)


def _folds(question: ProbingTask) -> list[tuple[Tensor, Tensor]]:
    """For each classifier, which training images it may not know, and which images it is asked about."""
    if question.folds is None:
        return [(_pooled(question.train) < 0, _pooled(question.tested) >= 0)]
    of_train, of_tested = _pooled(question.folds[0]), _pooled(question.folds[1])
    return [(of_train == fold, of_tested == fold) for fold in sorted(set(of_tested.tolist())) if fold >= 0]


def _by_group(right: Tensor, asked: Tensor, values: Sequence[str], codes: Codes) -> dict[str, float]:
    groups = _pooled(codes)
    chosen = {value: asked & (groups == number) for number, value in enumerate(values)}
    return {value: float(right[rows].double().mean()) for value, rows in chosen.items() if rows.any()}


def _pooled(codes: Codes) -> Tensor:
    return torch.from_numpy(np.concatenate(codes))
