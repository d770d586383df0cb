"""What else do the features tell? Further questions that a stream puts to the probe, and answers by group of images.

A benchmark asks them by its attribute `questions`; `ProbePlugin` answers them with its first probe whenever it
measures, from the features that it has anyway. So CORe50 (`avalanche_ssl.streams.streams.core50`) asks for its objects by
session, for categories of instances that the probe has not met, and for the session itself, which should not be told.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from avalanche_ssl.models.inference import Labelled
from avalanche_ssl.streams.tasks import Codes, Question

Fit = Callable[[Labelled, int], nn.Module]
"""A classifier of so many classes, fitted on features and labels; negative where the label is not known."""


@dataclass(frozen=True)
class Answer:
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


def answer(question: Question, fit: Fit, train: Sequence[Labelled], test: Sequence[Labelled]) -> Answer:
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
    return Answer(question.name, float(right[asked].double().mean()), 1 / len(set(known[known >= 0].tolist())), by)


def _folds(question: Question) -> list[tuple[Tensor, Tensor]]:
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


def table(
    answers: Sequence[tuple[int, Sequence[Answer]]], grouping: str, rows: int = 12, final: Sequence[Answer] = ()
) -> str:
    """Accuracies in per cent over the stream: a column for each question, and for each group of the first one.

    Args:
        answers: with the number of experiences learnt before them.
        grouping: of the first question.
        rows: show no more, among them the first and the last.
        final: answers about all test images, where the others are about some; for a row of their own.
    """
    first = answers[0][1]
    groups = list(first[0].by.get(grouping, {}))
    columns = [f"{grouping} {group}" for group in groups] + [found.question for found in first]
    width = max(len(column) for column in columns) + 2
    chosen = np.unique(np.linspace(0, len(answers) - 1, min(rows, len(answers))).round().astype(int))
    lines = ["learnt".ljust(10) + "".join(column.rjust(width) for column in columns)]

    def line(name: str, found: Sequence[Answer]) -> str:
        known = {one.question: one for one in found}
        lead = known.get(first[0].question)
        values = [lead.by[grouping].get(group) if lead else None for group in groups]
        values += [known[one.question].accuracy if one.question in known else None for one in first]
        cells = ["-" if value is None else f"{100 * value:.1f}" for value in values]
        return name.ljust(10) + "".join(cell.rjust(width) for cell in cells)

    lines += [line(str(learnt) if learnt else "untrained", found) for learnt, found in (answers[i] for i in chosen)]
    lines += [line("all images", final)] if final else []
    chances = ["" for _ in groups] + [f"{100 * found.chance:.1f}" for found in first]
    return "\n".join([*lines, "chance".ljust(10) + "".join(text.rjust(width) for text in chances)])
