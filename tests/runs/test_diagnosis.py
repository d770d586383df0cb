"""A collapse beyond recovery stops a run, and where a run was stopped is said in words."""

import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from avalanche_ssl.errors import UsageError
from avalanche_ssl.logging import RepresentationEvent
from avalanche_ssl.plugins import RepresentationMonitor
from avalanche_ssl.runs.diagnosis import check_alive, check_trained, where

THRESHOLD = 0.001 / math.sqrt(16)
"""Of the feature std of 16 features."""


def monitor(*stds: float | None, untrained: float | None = 0.2, **measures: float) -> Any:
    """A monitor that has measured these values of the feature std."""
    sizes = {"images_measured": 8, "feature_dim": 16}
    found = RepresentationMonitor.__new__(RepresentationMonitor)
    found.untrained_std, found.untrained_norm = untrained, 2.0
    found.events = [
        RepresentationEvent(experiences_trained=t, feature_std=std, **sizes, **measures)
        for t, std in enumerate(stds, 1)
    ]
    return found


def strategy(weight: float = 2.0, steps: int = 17) -> Any:
    """A strategy with one weight, trained with lr 0.5."""
    model = nn.Module()
    model.weight = nn.Parameter(torch.tensor([[weight]]))
    return SimpleNamespace(
        clock=SimpleNamespace(train_iterations=steps), optimizer=SimpleNamespace(defaults={"lr": 0.5}), model=model
    )


@pytest.mark.parametrize("stds", [(), (None,), (0.25,), (THRESHOLD,), (0.0, 0.25)])
def test_features_that_differ_go_on(stds: tuple[float | None, ...]) -> None:
    check_alive(monitor(*stds), strategy())


def test_an_untrained_encoder_with_similar_features_has_not_collapsed() -> None:
    assert not monitor(0.01, untrained=0.015).collapsed()
    assert monitor(0.01, untrained=0.2).collapsed()
    assert monitor(0.01, untrained=None).collapsed()
    assert not monitor(0.06).collapsed()
    assert not monitor(None).collapsed() and not monitor().collapsed()


def test_identical_images_are_not_blamed_on_lr() -> None:
    with pytest.raises(UsageError, match=r"are the same already without training .* look at the data"):
        check_alive(monitor(0.0, untrained=1e-9), strategy())


def test_exploded_weights_stop_the_run_and_name_lr() -> None:
    check_alive(monitor(0.2), strategy(199.0))
    with pytest.raises(
        UsageError, match=r"the weights have exploded to 250 times their initial size: lower lr \(0.5\)"
    ):
        check_alive(monitor(0.2), strategy(500.0))


@pytest.mark.parametrize(
    ("weight", "steps", "stds", "message"),
    [
        (3.0, 0, (0.2,), "nothing was trained, the run has 0 steps: a step takes two images, give larger experiences"),
        (2.0, 17, (0.2,), "nothing was learned: 17 steps have changed no weight, raise lr (0.5)"),
        (
            3.0,
            17,
            (0.2, 0.01),
            "nothing was learned: the features have collapsed (std 0.01, 0.2 untrained), lower lr (0.5), or look at "
            "temperature, momentum and batch_size",
        ),
    ],
)
def test_a_run_that_has_learned_nothing_ends_with_an_error(
    weight: float, steps: int, stds: tuple[float, ...], message: str
) -> None:
    with pytest.raises(UsageError) as error:
        check_trained(strategy(weight, steps), strategy().model, monitor(*stds), None)
    assert str(error.value) == message


def test_a_run_that_has_learned_ends_well() -> None:
    check_trained(strategy(2.001), strategy().model, monitor(0.2), None)
    probe: Any = SimpleNamespace(matrix=lambda scope: np.full((2, 2), 0.6), untrained=lambda scope: np.full(2, 0.5))
    check_trained(strategy(3.0), strategy().model, monitor(0.01), probe)


@pytest.mark.parametrize("stds", [(0.0,), (0.25, math.nextafter(THRESHOLD, 0))])
def test_identical_features_stop_the_run(stds: tuple[float, ...]) -> None:
    message = f"have collapsed beyond recovery after experience {len(stds)}: lower lr .0.5., or look at temperature"
    with pytest.raises(UsageError, match=message):
        check_alive(monitor(*stds), strategy())


def test_where_in_words() -> None:
    checkpointer: Any = SimpleNamespace(saved_at=None, path="a/checkpoint")
    assert where(strategy(), monitor(), checkpointer) == (
        "stopped after step 17; representation: not measured yet; last checkpoint: none"
    )
    assert ": not measured yet; " in where(strategy(), monitor(None), checkpointer)
    checkpointer.saved_at = 0
    assert where(strategy(), monitor(0.5, 0.12345, rankme=5.0, drift_cka=1.0, embedding_std=0.5), checkpointer) == (
        "stopped after step 17; representation after experience 2: feature_std 0.123, rankme 5, drift_cka 1; "
        "last checkpoint: step 0, a/checkpoint"
    )
