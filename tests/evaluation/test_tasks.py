"""Probing tasks are evaluated on the right images, by group, and only where they have labels."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers.probing import corner
from torch import Tensor, nn

from avalanche_ssl import streams
from avalanche_ssl.evaluation import Evaluator, TaskResult, evaluate_task
from avalanche_ssl.streams.tasks import ProbingTask


def codes(*parts: list[int]) -> list[Any]:
    return [np.array(part, np.int64) for part in parts]


class Read(nn.Module):
    """Names the class that the feature says, among those of the labels it was fitted on."""

    def __init__(self, data: Any) -> None:
        super().__init__()
        self.known = data[1][data[1] >= 0]

    def forward(self, x: Tensor) -> Tensor:
        scores = torch.full((len(x), 10), -1.0)
        scores[:, self.known] = 0.0
        scores[torch.arange(len(x)), x[:, 0].long()] += 0.5
        return scores


def features(*parts: list[int]) -> list[tuple[Tensor, Tensor]]:
    return [(torch.tensor(part)[:, None].float(), torch.zeros(len(part))) for part in parts]


def test_a_result_by_hand() -> None:
    task = ProbingTask(
        "kind",
        train_labels=codes([0, 1, -1], [2]),
        test_labels=codes([0, 1, 2], [2, -1, 1]),
        groups={"place": (["here", "there", "nowhere"], codes([0, 0, 1], [1, 1, -1]))},
    )
    fitted: list[Any] = []

    def fit(data: Any, n_classes: int) -> nn.Module:
        fitted.append((data[1].tolist(), n_classes))
        return Read(data)

    # the features say 0 2 2 | 2 0 1 where 0 1 2 | 2 ? 1 are right
    found = evaluate_task(task, fit, features([0, 1, 5], [2]), features([0, 2, 2], [2, 0, 1]))
    assert fitted == [([0, 1, -1, 2], 3)]
    assert found == TaskResult("kind", 4 / 5, 1 / 3, {"place": {"here": 1 / 2, "there": 1.0}})


def test_labels_of_any_size_are_numbered() -> None:
    """By hand: 3, 70 and 10^9 are classes 0, 1 and 2, of which the features name 0 2 | 2 where 0 1 | 2 are right."""
    task = ProbingTask("kind", train_labels=codes([3, 10**9]), test_labels=codes([3, 70, -1], [10**9]))
    fitted: list[Any] = []

    def fit(data: Any, n_classes: int) -> nn.Module:
        fitted.append((data[1].tolist(), n_classes))
        return Read(data)

    found = evaluate_task(task, fit, features([0, 2]), features([0, 2, 2], [2]))
    assert fitted == [([0, 2], 3)]
    assert found == TaskResult("kind", 2 / 3, 1 / 2, {})


def test_a_fold_is_predicted_by_a_classifier_of_the_others() -> None:
    fold = codes([0, 1, 0], [1])
    task = ProbingTask(
        "kind", codes([0, 1, 2], [3]), codes([0, 1, 2], [3]), on_training_images=True, folds=(fold, fold)
    )
    fitted: list[Any] = []

    def fit(data: Any, n_classes: int) -> nn.Module:
        fitted.append(data[1].tolist())
        return Read(data)

    train = features([0, 1, 2], [3])
    found = evaluate_task(task, fit, train, features([9, 9], [9]))
    assert fitted == [[-1, 1, -1, 3], [0, -1, 2, -1]]
    assert found.accuracy == 0.0  # each label is known to the other fold's classifier only
    assert found.chance == 1 / 4


@pytest.mark.filterwarnings(r"ignore:.*of CORe50's 164,866 frames:UserWarning")
def test_core50_has_tasks_about_objects_and_about_the_background(core50_root: Path) -> None:
    """The middle of the fake images has a color of the object, the rest one of the session."""
    evaluator = Evaluator(streams.core50_stream("nc", core50_root, size=16), ["knn-20"], ["all"])

    def results(part: slice) -> dict[str, TaskResult]:
        return {result.task: result for result in evaluator.evaluate(corner(part=part), seen=()).task_results}

    of_object, of_session = results(slice(5, 6)), results(slice(12, 16))
    assert list(of_object) == ["object", "category", "new instance", "background"]
    assert [round(1 / found.chance) for found in of_object.values()] == [50, 10, 10, 8]
    assert of_object["object"].accuracy > 0.9 > 0.3 > of_object["background"].accuracy
    assert of_session["background"].accuracy > 0.9 > 0.1 > of_session["object"].accuracy
    assert of_object["category"].accuracy > 0.9 > 0.4 > of_object["new instance"].accuracy
    found = of_object["object"].by_group
    assert {name: len(groups) for name, groups in found.items()} == {
        "session": 3,
        "object": 50,
        "category": 10,
        "experience": 9,
    }
    assert list(found["session"]) == ["s3", "s7", "s10"]
    for groups in (found["session"], found["object"], found["category"]):
        assert np.mean(list(groups.values())) == pytest.approx(of_object["object"].accuracy)
