"""Rates that are set between steps are refused, where the schedule would overrule them."""

from typing import Any

import pytest
import torch
from helpers.strategies import Spy, make, state, train
from torch.optim import SGD
from torch.optim.lr_scheduler import StepLR

from avalanche_ssl.errors import UsageError
from avalanche_ssl.optim import LRSchedule

REFUSED = "lr of the optimizer was set to 0.005, which the strategy's schedule overrules: give SelfSupervised"


def rates(strategy: Any) -> list[float]:
    return [group["lr"] for group in strategy.optimizer.param_groups]


def test_a_rate_that_is_set_between_experiences_is_refused(digits: Any) -> None:
    strategy = train(make(schedule=LRSchedule("constant")), digits, 1)
    strategy.optimizer.param_groups[0]["lr"] = 0.005
    before = state(strategy)["encoder.stages.0.0.weight"]
    with pytest.raises(UsageError, match=REFUSED):
        strategy.train(digits.train_stream[1])
    assert torch.equal(state(strategy)["encoder.stages.0.0.weight"], before)


def test_the_initial_rate_may_change_between_experiences(digits: Any) -> None:
    used: list[float] = []
    spy = Spy(before_forward=lambda strategy: used.append(rates(strategy)[0]))
    strategy = train(make(schedule=LRSchedule("constant"), plugins=[spy]), digits, 1)
    strategy.optimizer.param_groups[0]["initial_lr"] = 0.01
    strategy.train(digits.train_stream[1])
    assert used == [0.05] * 12 + [0.01] * 12


def test_schedulers_of_torch_are_refused_where_they_change_a_rate(digits: Any) -> None:
    strategy = make(train_epochs=2, schedule=LRSchedule("constant"))
    scheduler = StepLR(strategy.optimizer, 1)
    strategy.plugins.append(Spy(after_training_epoch=lambda _: scheduler.step()))
    with pytest.raises(UsageError, match=REFUSED):
        strategy.train(digits.train_stream[0])
    assert strategy.clock.train_iterations == 12


def test_plugins_may_set_the_rate_of_a_step(digits: Any) -> None:
    def slow(strategy: Any) -> None:
        strategy.optimizer.param_groups[0]["lr"] = 0.001

    used: list[float] = []
    spies = [Spy(before_training_iteration=slow), Spy(before_forward=lambda strategy: used.append(rates(strategy)[0]))]
    train(make(plugins=spies), digits)
    assert used == [0.001] * 24


def test_loaded_and_added_groups_are_taken_as_they_are(digits: Any) -> None:
    strategy, other = train(make(), digits, 1), make()
    assert rates(strategy)[0] < 0.01, "the end of a cosine"
    other.optimizer.load_state_dict(strategy.optimizer.state_dict())
    other.optimizer.add_param_group({"params": [torch.nn.Parameter(torch.zeros(1))], "lr": 0.4})
    train(other, digits, 1)
    assert rates(other) == [rates(strategy)[0], pytest.approx(8 * rates(strategy)[0])]


def test_a_rate_set_back_to_the_initial_one_is_where_the_schedule_starts(digits: Any) -> None:
    strategy, plain = (train(make(), digits, 1) for _ in range(2))
    strategy.optimizer.param_groups[0]["lr"] = 0.05
    for each in (strategy, plain):
        each.train(digits.train_stream[1])
    assert rates(strategy) == rates(plain)


def test_another_strategy_starts_from_the_initial_rate_of_its_optimizer(digits: Any) -> None:
    first = train(make(), digits, 1)
    used: list[float] = []
    spy = Spy(before_forward=lambda strategy: used.append(rates(strategy)[0]))
    optimizer = SGD(first.model.parameters(), lr=0.05)
    optimizer.param_groups[0]["initial_lr"], optimizer.param_groups[0]["lr"] = 0.05, rates(first)[0]
    train(make(first.model, optimizer=optimizer, plugins=[spy]), digits, 1)
    assert used[0] == 0.05
