"""Logits by label, as Avalanche's metrics read them, of a classifier whose classes are numbered."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from avalanche_ssl.errors import UsageError
from avalanche_ssl.streams import ClassIndex

MAX_LABEL = 10_000
"""Largest label that logits have a column for."""


class ClassLogits(nn.Module):
    """Logits (B, largest label + 1) of features (B, D); -inf for a label that is no class.

    Where a label is another class in each task, the logits are those of the classes of the image's own task.

    Args:
        classifier: scores (B, K) of features (B, D).
        classes: label, and task where it matters, of each class.
    """

    labels: Tensor
    tasks: Tensor

    def __init__(self, classifier: nn.Module, classes: ClassIndex) -> None:
        super().__init__()
        self.classifier = classifier
        self.reads_task_labels = classes.tasks is not None
        self.register_buffer("labels", torch.from_numpy(classes.labels))
        self.register_buffer("tasks", torch.from_numpy(classes.labels if classes.tasks is None else classes.tasks))

    def forward(self, features: Tensor, task_labels: Tensor | None = None) -> Tensor:
        """Logits of features (B, D); of task labels (B,) where `reads_task_labels`.

        Raises:
            UsageError: a label is too large to have a column.
        """
        largest = int(self.labels.max())
        if largest > MAX_LABEL:
            raise UsageError(
                f"label {largest} is too large for the logits of eval(), which have a column for each label up to it: "
                "number the classes 0, 1, 2, ... in the benchmark, or read the accuracies of ProbePlugin instead"
            )
        scores: Tensor = self.classifier(features)
        if self.reads_task_labels:
            assert task_labels is not None
            scores = scores.masked_fill(self.tasks != task_labels[:, None], -torch.inf)
        logits = scores.new_full((len(scores), largest + 1), -torch.inf)
        return logits.scatter_reduce_(1, self.labels.expand_as(scores), scores, "amax")
