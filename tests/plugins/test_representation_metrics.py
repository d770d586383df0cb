"""The measures of the representation reach Avalanche's loggers."""

import math
from typing import Any

import pytest
from avalanche.training.plugins import EvaluationPlugin
from helpers.probing import Listener, moco

from avalanche_ssl.logging import RepresentationEvent
from avalanche_ssl.plugins import RepresentationMonitor
from avalanche_ssl.plugins.representation_metrics import representation_metrics


def test_finite_measures_by_dotted_names() -> None:
    memory = {"queue": {"rows": 8, "stale": math.nan}}
    event = RepresentationEvent(experiences_trained=2, images_measured=9, feature_dim=4, rankme=2.5, memory=memory)
    found = representation_metrics(event, None, 7)
    assert [(value.name, value.value, value.x_plot) for value in found] == [
        ("Representation_rankme/train_phase/train_stream", 2.5, 7),
        ("Representation_memory.queue.rows/train_phase/train_stream", 8.0, 7),
    ]
    assert all(type(value.value) is float for value in found)


def test_loggers_get_them_after_each_experience(few: Any) -> None:
    listener, monitor = Listener(), RepresentationMonitor(few)
    strategy = moco(monitor, evaluator=EvaluationPlugin(loggers=[listener]))
    strategy.train(few.train_stream, eval_streams=[])
    for step, event in zip((2, 4), monitor.events, strict=True):
        name = "Representation_{}/train_phase/train_stream"
        assert listener.values[step, name.format("feature_std")] == event.feature_std
        assert listener.values[step, name.format("alignment")] == pytest.approx(event.alignment)
        assert (
            event.memory
            and listener.values[step, name.format("memory.queue.written")] == event.memory["queue"]["written"]
        )
    assert "Representation_drift_cka/train_phase/train_stream" in {name for _, name in listener.values}
