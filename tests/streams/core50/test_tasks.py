"""The probing tasks of CORe50 are about the frames that their names say."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from helpers.core50 import frame_names, ours

from avalanche_ssl.streams.core50.index import CATEGORIES

pytestmark = pytest.mark.filterwarnings(r"ignore:.*of CORe50's 164,866 frames:UserWarning")


def test_groups_are_those_of_their_names(plain: Path) -> None:
    """Checked against the names of the frames."""
    benchmark = ours(plain, "nc")
    task = benchmark.probing_tasks[0]
    for j, names in enumerate(frame_names(benchmark, plain)[1]):
        frames = [name.split("/") for name in names]
        for grouping, part in (("session", 0), ("object", 1)):
            values, groups = task.groups[grouping]
            assert [values[code] for code in groups[j]] == [frame[part] for frame in frames]
        assert {task.groups["experience"][0][code] for code in task.groups["experience"][1][j]} == {f"e{j + 1}"}
    categories = ours(plain, "ni", labels="category").probing_tasks
    assert [asked.name for asked in categories] == ["category", "new instance", "background"]


def test_labels_are_those_of_the_names(plain: Path) -> None:
    benchmark = ours(plain, "ni")
    tasks = {task.name: task for task in benchmark.probing_tasks}
    assert list(tasks) == ["object", "category", "new instance", "background"]
    train, test = frame_names(benchmark, plain)
    for names, labels in (
        *zip(train, tasks["object"].train_labels, strict=True),
        *zip(test, tasks["object"].test_labels, strict=True),
    ):
        assert [int(name.split("/")[1][1:]) - 1 for name in names] == labels.tolist()
    for name in ("category", "new instance"):
        for labels, objects in zip(tasks[name].test_labels, tasks["object"].test_labels, strict=True):
            assert np.array_equal(labels, objects // 5) and labels.max() < len(CATEGORIES)
    background = tasks["background"]
    assert background.on_training_images
    for names, labels in zip(train, background.test_labels, strict=True):
        assert [int(name.split("/")[0][1:]) for name in names] == labels.tolist()


def test_folds_keep_the_instances_of_a_category_apart(plain: Path) -> None:
    tasks = {task.name: task for task in ours(plain, "ni").probing_tasks}
    objects = tasks["object"]
    for name, tested in (("new instance", objects.test_labels), ("background", objects.train_labels)):
        folds = tasks[name].folds
        assert folds is not None
        for fold, labels in ((folds[0], objects.train_labels), (folds[1], tested)):
            assert all(np.array_equal(numbers, part % 5) for numbers, part in zip(fold, labels, strict=True))
