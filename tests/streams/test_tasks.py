"""Probing tasks are restricted to the images that a probe looks at."""

from __future__ import annotations

from typing import Any

import numpy as np

from avalanche_ssl.streams import ProbingTask


def codes(*parts: list[int]) -> list[Any]:
    return [np.array(part, np.int64) for part in parts]


def lists(parts: Any) -> list[list[int]]:
    return [part.tolist() for part in parts]


TASK = ProbingTask(
    "x",
    train_labels=codes([0, 1, 2], [3]),
    test_labels=codes([4, 5], [6]),
    folds=(codes([0, 1, 1], [0]), codes([1, 0], [1])),
    groups={"g": (["a", "b"], codes([0, -1], [1]))},
)


def test_every_nth_image() -> None:
    thin = TASK.every_nth(2)
    assert lists(thin.train_labels) == [[0, 2], [3]]
    assert lists(thin.test_labels) == [[4], [6]]
    assert thin.folds is not None
    assert [lists(part) for part in thin.folds] == [[[0, 1], [0]], [[1], [1]]]
    assert thin.groups["g"][0] == ["a", "b"] and lists(thin.groups["g"][1]) == [[0], [1]]


def test_every_nth_training_image_only() -> None:
    thin = TASK.every_nth(2, test=False)
    assert lists(thin.train_labels) == [[0, 2], [3]]
    assert lists(thin.test_labels) == [[4, 5], [6]]
    assert lists(thin.groups["g"][1]) == [[0, -1], [1]]


def test_some_test_images_as_one_experience() -> None:
    task = TASK.for_test_images(np.array([2, 0]))
    assert lists(task.train_labels) == [[0, 1, 2], [3]]
    assert lists(task.test_labels) == [[6, 4]]
    assert task.folds is not None and lists(task.folds[1]) == [[1, 1]]
    assert lists(task.groups["g"][1]) == [[1, 0]]
