"""Results of a stream's probing tasks: the latest ones, and those over the stream."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from avalanche_ssl.evaluation import Matrix
from avalanche_ssl.logging import TaskEvent
from avalanche_ssl.reports.comparison import Group, Stream
from avalanche_ssl.runs import Run


@dataclass
class LatestTasks:
    """The latest results of the runs on one stream.

    Args:
        full_test_set: whether they are on all test images, of which the probe otherwise uses one in n.
        groups: groups of images of the first task, by its first grouping, as "session s3".
        chance: accuracy of guessing, by task.
        latest: for each group of runs, for each run, the accuracy of each task and group of images by name.
    """

    full_test_set: bool
    groups: list[str]
    chance: dict[str, float]
    latest: list[list[dict[str, float]]]

    @property
    def probing_tasks(self) -> list[str]:
        """Names of the tasks."""
        return list(self.chance)

    @property
    def test_set(self) -> str:
        """Which encoder was tested on which images, in words."""
        return f"last encoder on {'all test images' if self.full_test_set else 'the test images of the matrix'}"


def latest_tasks(stream: Stream) -> LatestTasks | None:
    """The latest results, on all test images if every run has them, so that runs compare; None if no run has any."""
    runs = [[run for run in group.runs if run.tasks] for group in stream.groups]
    every = [run for part in runs for run in part]
    if not every:
        return None
    full = all(run.full_test_tasks for run in every)
    latest = [[_accuracies(_latest(run, full)) for run in part] for part in runs]
    chance = {result.task: result.chance for run in every for result in _latest(run, full)}
    names = dict.fromkeys(name for part in latest for run in part for name in run)
    return LatestTasks(full, [name for name in names if name not in chance], chance, latest)


def task_curve(group: Group, task: str) -> tuple[list[int], Matrix]:
    """After how many experiences all runs of the group have a result, and the accuracies (seeds, t)."""
    found = [
        {t: result.accuracy for t, results in run.tasks.items() for result in results if result.task == task}
        for run in group.runs
        if run.tasks
    ]
    steps = sorted(set.intersection(*map(set, found))) if found else []
    return steps, np.array([[accuracies[t] for t in steps] for accuracies in found])


def _latest(run: Run, full: bool) -> list[TaskEvent]:
    """In the order of the stream's tasks; a task about training images has no result on all test images."""
    last = run.tasks[max(run.tasks)]
    on_all = {result.task: result for result in run.full_test_tasks if full}
    return [on_all.get(result.task, result) for result in last]


def _accuracies(results: Iterable[TaskEvent]) -> dict[str, float]:
    """Of the groups of the first task, then of each task."""
    first, *_ = results
    grouping = next(iter(first.by_group), "")
    groups = {f"{grouping} {group}": float(value) for group, value in first.by_group.get(grouping, {}).items()}
    return groups | {result.task: result.accuracy for result in results}
