"""Metrics of the probes' matrix, as Avalanche's loggers get them."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from avalanche.benchmarks import CLScenario
from avalanche.evaluation.metric_results import TensorImage
from avalanche.training.plugins import EvaluationPlugin
from helpers.probing import Listener, moco

from avalanche_ssl import ProbePlugin, probe_metrics
from avalanche_ssl.errors import UsageError
from avalanche_ssl.evaluation import average_accuracy, average_anytime_accuracy, forgetting
from avalanche_ssl.plugins.matrix_metrics import CELL, EmbeddingProjection, matrix_image


def test_the_values_are_those_of_the_matrix(few: Any) -> None:
    listener, probe = Listener(), ProbePlugin(few, probes=["ridge", "knn-20"])
    metrics = [*probe_metrics(matrix=False), *probe_metrics(matrix=False, scope="task", probe="knn-20")]
    learner = moco(probe, evaluator=EvaluationPlugin(*metrics, loggers=[listener]))
    for experience in few.train_stream:
        learner.train(experience, eval_streams=[])
    found = {
        key: value
        for key, value in listener.values.items()
        if "Average" in key[1] or "Any" in key[1] or "Forg" in key[1]
    }
    expected = {}
    for name, matrix in (("ridge_all", probe.matrix("all")), ("knn-20_task", probe.matrix("task", "knn-20"))):
        for t in (1, 2):
            corner = matrix[:t, :t]
            expected[2 * t, f"ProbeAverageAccuracy_{name}/eval_phase/test_stream"] = average_accuracy(corner)
            expected[2 * t, f"ProbeAnytimeAccuracy_{name}/eval_phase/test_stream"] = average_anytime_accuracy(corner)
        expected[4, f"ProbeForgetting_{name}/eval_phase/test_stream"] = forgetting(matrix)  # NaN is left out
    assert found == pytest.approx(expected)


def test_a_reversed_stream_and_a_second_pass_are_logged_row_by_row(few: Any) -> None:
    """The corner is that of the experiences trained on, whichever they are."""
    listener, probe = Listener(), ProbePlugin(few)
    learner = moco(probe, evaluator=EvaluationPlugin(*probe_metrics(matrix=False), loggers=[listener]))
    expected = {}
    for step, experience in enumerate([*reversed(few.train_stream), few.train_stream[1]], 1):
        learner.train(experience, eval_streams=[])
        seen = [1] if step == 1 else [1, 0]
        name = "ProbeAverageAccuracy_ridge_all/eval_phase/test_stream"
        expected[2 * step, name] = float(np.mean([probe.rows[-1]["all"][j] for j in seen]))
    found = {key: value for key, value in listener.values.items() if key[1].startswith("ProbeAverage")}
    assert found == pytest.approx(expected) and len(found) == 3


def test_one_test_set_has_accuracies_and_no_forgetting(few: Any) -> None:
    listener, probe = Listener(), ProbePlugin(CLScenario([few.train_stream, few.test_stream[:1]]))
    learner = moco(probe, evaluator=EvaluationPlugin(*probe_metrics(), loggers=[listener]))
    learner.train(few.train_stream, eval_streams=[])
    found = {key: value for key, value in listener.values.items() if key[1].startswith("Probe")}
    name = "ProbeAverageAccuracy_ridge_all/eval_phase/test_stream"
    assert [found[step, name] for step in (2, 4)] == [row["all"][0] for row in probe.rows[1:]]
    assert not any("Forgetting" in name for _, name in found)
    assert found[4, "ProbeMatrix_ridge_all/eval_phase/test_stream"].image.shape == (3, 2 * CELL, CELL)  # type: ignore[attr-defined]


def test_which_metrics() -> None:
    assert [str(m) for m in probe_metrics()] == [
        "ProbeAverageAccuracy",
        "ProbeAnytimeAccuracy",
        "ProbeForgetting",
        "ProbeMatrix",
    ]
    off = {"average": False, "anytime": False, "forgetting": False, "matrix": False}
    assert [str(m) for m in probe_metrics(embedding=True, **off)] == ["EmbeddingProjection"]


def test_without_a_probe_plugin_the_remedy_is_named(few: Any) -> None:
    learner = moco(evaluator=EvaluationPlugin(*probe_metrics(), loggers=[Listener()]))
    with pytest.raises(UsageError, match=r"add ProbePlugin\(benchmark\) to its plugins"):
        learner.train(few.train_stream[0], eval_streams=[])


def test_the_image_of_the_matrix() -> None:
    found = matrix_image(np.array([[1.0, np.nan], [0.25, 0.5]]))
    assert isinstance(found, TensorImage)
    image = found.image
    assert image.shape == (3, 2 * CELL, 2 * CELL)
    assert torch.allclose(image[:, 0, 0], torch.ones(3)) and torch.allclose(image[:, -1, 0], torch.full((3,), 0.25))
    assert torch.allclose(image[:, 0, -1], torch.tensor([0.6, 0.0, 0.0])), "not measured is red"


def test_the_projector_gets_features_with_their_classes(few: Any) -> None:
    added: list[Any] = []
    writer = SimpleNamespace(add_embedding=lambda x, y, **named: added.append((x, y, named)))
    plugin = ProbePlugin(few)
    learner = moco(plugin)
    plugin.measure(learner)
    strategy = SimpleNamespace(evaluator=SimpleNamespace(loggers=[SimpleNamespace(writer=writer), SimpleNamespace()]))
    EmbeddingProjection().values(strategy, plugin)
    ((x, y, named),) = added
    assert torch.equal(x, torch.cat([x for x, _ in plugin.latest]))
    assert y == [0, 0, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 3]
    assert named == {"tag": "test_features", "global_step": 0}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"probe": "knn-20"},
            r"probe_metrics\(probe='knn-20'\) reads a probe that ProbePlugin does not .* ridge, or",
        ),
        (
            {"scope": "mine"},
            r"probe_metrics\(scope='mine'\) reads a scope that ridge is not .* all, seen, task",
        ),
        ({"scope": "task"}, r"probe_metrics\(scope='task'\) reads a scope that ridge is not fitted in: .* all, seen"),
    ],
)
def test_what_is_not_measured_is_refused_before_training(few: Any, options: dict[str, str], message: str) -> None:
    scopes = ["all", "seen"] if options == {"scope": "task"} else ["all", "seen", "task"]
    metrics = EvaluationPlugin(*probe_metrics(**options), loggers=[Listener()])  # type: ignore[arg-type]
    learner = moco(ProbePlugin(few, scopes=scopes), evaluator=metrics)
    with pytest.raises(UsageError, match=message):
        learner.train(few.train_stream[0], eval_streams=[])
    assert learner.clock.train_iterations == 0
