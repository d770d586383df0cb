"""What did runs answer to a stream's further questions? The latest answers, and those over the stream."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from avalanche_ssl.evaluation.tasks import TaskResult
from avalanche_ssl.reports.comparison import Group, Matrix, Stream
from avalanche_ssl.runs.reader import Run


@dataclass
class Asked:
    """The latest answers of runs on one stream.

    Args:
        whole: whether they are about all test images, of which the probe otherwise looks at some.
        groups: of the first question's first grouping, as "session s3".
        chance: by question.
        latest: for each group of runs, for each run, the accuracy of each question and group by name.
    """

    whole: bool
    groups: list[str]
    chance: dict[str, float]
    latest: list[list[dict[str, float]]]

    @property
    def probing_tasks(self) -> list[str]:
        """Their names."""
        return list(self.chance)


def asked(stream: Stream) -> Asked | None:
    """None if no run was asked anything. About all test images if every run was, so that runs compare."""
    runs = [[run for run in group.runs if run.task_results] for group in stream.groups]
    every = [run for part in runs for run in part]
    if not every:
        return None
    whole = all(run.full_test_results for run in every)
    latest = [[_accuracies(_latest(run, whole)) for run in part] for part in runs]
    chance = {found.question: found.chance for run in every for found in _latest(run, whole)}
    names = dict.fromkeys(name for part in latest for run in part for name in run)
    return Asked(whole, [name for name in names if name not in chance], chance, latest)


def over_stream(group: Group, question: str) -> tuple[list[int], Matrix]:
    """After how many experiences all runs of the group were asked, and the accuracies (seeds, t)."""
    found = [
        {
            t: one.accuracy
            for t, task_results in run.task_results.items()
            for one in task_results
            if one.question == question
        }
        for run in group.runs
        if run.task_results
    ]
    steps = sorted(set.intersection(*map(set, found))) if found else []
    return steps, np.array([[accuracies[t] for t in steps] for accuracies in found])


def _latest(run: Run, whole: bool) -> list[TaskResult]:
    """In the order of the stream's questions, of which those about training images have no answer about all others."""
    last = run.task_results[max(run.task_results)]
    final = {found.question: found for found in run.full_test_results if whole}
    return [final.get(found.question, found) for found in last]


def _accuracies(task_results: Iterable[TaskResult]) -> dict[str, float]:
    """Of the groups of the first question, then of each question."""
    first, *_ = task_results
    grouping = next(iter(first.by), "")
    groups = {f"{grouping} {group}": value for group, value in first.by.get(grouping, {}).items()}
    return groups | {found.question: found.accuracy for found in task_results}
