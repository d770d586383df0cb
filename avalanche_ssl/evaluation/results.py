"""What the evaluation of one encoder gives."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor, nn

from avalanche_ssl.evaluation.metrics import Matrix
from avalanche_ssl.evaluation.tasks import TaskResult
from avalanche_ssl.models import LabeledFeatures
from avalanche_ssl.probes import Probes

Accuracies = dict[str, dict[str, Matrix]]
"""Accuracies (T,) on the test data of each experience, or (1,) on the one test set, by probe and scope."""


@dataclass(frozen=True)
class FullTestResult:
    """Results on all test images, each once.

    Args:
        accuracies: by name of the probe, in the scope "all".
        images: how many there are.
        task_results: of the probing tasks.
    """

    accuracies: dict[str, float]
    images: int
    task_results: list[TaskResult]


@dataclass(frozen=True)
class Evaluation:
    """Results of one encoder.

    Args:
        accuracies: by probe and scope.
        classifier: of the first probe in the scope "all", or of ridge if that probe has none; its logits are by label.
        test: features and labels of each experience's test data, or of the one test set.
        task_results: of the benchmark's probing tasks.
        consolidation: see `avalanche_ssl.probes.consolidation`; None if it was not measured.
        full_test: None if it was not asked for, or every probe uses all test images anyway.
        correct: of the first probe in the scope "all", for each test set which of its labeled images are classified
            correctly, (F, n) of bool for F fits on several draws of the labels; None if it was not asked for.
        headline: the fits of the first probe, one for each draw of the labels; none of one that is trained online.
    """

    accuracies: Accuracies
    classifier: nn.Module
    test: list[LabeledFeatures]
    task_results: list[TaskResult]
    consolidation: float | None
    full_test: FullTestResult | None
    correct: list[Tensor] | None = None
    headline: Sequence[Probes] = ()
