"""A collapse beyond recovery stops a run, and where a run was stopped is said in words."""

import math
from types import SimpleNamespace
from typing import Any

import pytest

from avalanche_ssl.errors import UsageError
from avalanche_ssl.logging import RepresentationEvent
from avalanche_ssl.runs.diagnosis import check_alive, where

THRESHOLD = 0.001 / math.sqrt(16)
"""Of the feature std of 16 features."""


def monitor(*stds: float | None, **measures: float) -> Any:
    """A monitor that has measured these values of the feature std."""
    sizes = {"images_measured": 8, "feature_dim": 16}
    return SimpleNamespace(
        events=[
            RepresentationEvent(experiences_trained=t, feature_std=std, **sizes, **measures)
            for t, std in enumerate(stds, 1)
        ]
    )


@pytest.mark.parametrize("stds", [(), (None,), (0.25,), (THRESHOLD,), (0.0, 0.25)])
def test_features_that_differ_go_on(stds: tuple[float | None, ...]) -> None:
    check_alive(monitor(*stds))


@pytest.mark.parametrize("stds", [(0.0,), (0.25, math.nextafter(THRESHOLD, 0))])
def test_identical_features_stop_the_run(stds: tuple[float, ...]) -> None:
    message = f"have collapsed beyond recovery after experience {len(stds)}: lower lr, or look at temperature"
    with pytest.raises(UsageError, match=message):
        check_alive(monitor(*stds))


def test_where_in_words() -> None:
    strategy: Any = SimpleNamespace(clock=SimpleNamespace(train_iterations=17))
    checkpointer: Any = SimpleNamespace(saved_at=None, path="a/checkpoint")
    assert where(strategy, monitor(), checkpointer) == (
        "stopped after step 17; representation: not measured yet; last checkpoint: none"
    )
    assert ": not measured yet; " in where(strategy, monitor(None), checkpointer)
    checkpointer.saved_at = 0
    assert where(strategy, monitor(0.5, 0.12345, rankme=5.0, drift_cka=1.0, embedding_std=0.5), checkpointer) == (
        "stopped after step 17; representation after experience 2: feature_std 0.123, rankme 5, drift_cka 1; "
        "last checkpoint: step 0, a/checkpoint"
    )
