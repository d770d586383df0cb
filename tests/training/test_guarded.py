"""A training that makes no step, and weights that are not finite, end in one line before anything is measured."""

from typing import Any

import pytest
import torch
from crashes.small_run import few_digits
from helpers.strategies import Spy, assert_same, make, moco, small, state

from avalanche_ssl.errors import UsageError
from avalanche_ssl.optim import OPTIMIZERS
from avalanche_ssl.streams import online_stream
from avalanche_ssl.training import DivergedError


def test_experiences_of_single_images_train_nothing() -> None:
    strategy = make(train_mb_size=16)
    parts = online_stream(few_digits().train_stream[0], 1, seed=0)
    with pytest.warns(UserWarning, match="a single image is skipped"), pytest.raises(UsageError) as error:
        strategy.train(parts, eval_streams=[])
    count = len(few_digits().train_stream[0].dataset)
    assert str(error.value) == (
        f"nothing was trained: none of {count} experiences has two images, which a step takes; give larger "
        "mini-batches, or a replay memory"
    )


def test_training_without_an_experience_is_refused() -> None:
    used = iter(few_digits().train_stream)
    list(used)
    for nothing in ([], used):
        with pytest.raises(UsageError, match=r"nothing was trained: train\(\) got no experience"):
            make().train(nothing)


def test_a_training_of_skipped_steps_is_refused() -> None:
    strategy = small(lambda call, loss: loss * float("nan"), on_nan="skip", train_epochs=1)
    with pytest.raises(DivergedError, match=r"none of \d+ steps was finite, so nothing was trained: lower lr \(0.05\)"):
        strategy.train(few_digits().train_stream[0], eval_streams=[])


def test_weights_are_checked_before_plugins_measure() -> None:
    measured: list[object] = []

    def spoil(strategy: object) -> None:
        strategy.model.encoder.stages[0][0].weight.data.fill_(float("inf"))  # type: ignore[attr-defined]

    strategy = small(plugins=[Spy(after_training_epoch=spoil, after_training_exp=measured.append)], train_epochs=1)
    with pytest.raises(DivergedError, match=r"1 of \d+ weights are not finite: lower lr"):
        strategy.train(few_digits().train_stream[0], eval_streams=[])
    assert not measured


def test_a_gradient_that_a_plugin_lays_out_otherwise_makes_the_same_step() -> None:
    """A fused step would take its numbers in the order of their memory."""

    def lay_out_otherwise(strategy: Any) -> None:
        for parameter in strategy.model.parameters():
            if parameter.grad is not None and parameter.ndim == 4:
                parameter.grad = parameter.grad.contiguous(memory_format=torch.channels_last)

    trained = []
    for plugins in ([], [Spy(before_update=lay_out_otherwise)]):
        model = moco()
        optimizer = OPTIMIZERS["adam"](model.parameters(), lr=0.01)
        strategy = make(model, optimizer=optimizer, train_mb_size=16, plugins=plugins)
        strategy.train(few_digits().train_stream[0], eval_streams=[])
        trained.append(state(strategy))
    assert_same(*trained)
