"""A run whose numbers are not finite is stopped with one line that says what to do, or skips such steps."""

import pytest
import torch
from crashes.small_run import few_digits
from helpers.strategies import small, state

from avalanche_ssl.errors import UsageError
from avalanche_ssl.training import DivergedError
from avalanche_ssl.training.nonfinite import NonFiniteGuard


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_loss_that_is_not_finite_stops_the_run_at_its_step(bad: float) -> None:
    strategy = small(lambda call, loss: loss * bad if call == 3 else loss)
    with pytest.raises(UsageError, match=r"the loss of step 3 is not finite: lower lr \(0\.05\)"):
        strategy.train(few_digits().train_stream[0], eval_streams=[])
    assert all(t.isfinite().all() for t in state(strategy).values())


def test_such_steps_can_be_skipped_and_leave_nothing() -> None:
    seen: list[dict[str, torch.Tensor]] = []
    strategy = small(lambda call, loss: loss * float("nan") if call == 3 else loss, on_nan="skip")
    strategy.after_step = lambda: seen.append(state(strategy))
    strategy.train(few_digits().train_stream[0], eval_streams=[])
    assert strategy.nonfinite_guard.skipped == 1
    assert all(torch.equal(seen[1][name], seen[2][name]) for name in seen[1])
    assert any(not torch.equal(seen[2][name], seen[3][name]) for name in seen[2])


def test_a_run_that_only_skips_is_stopped() -> None:
    strategy = small(lambda call, loss: loss * float("nan"), on_nan="skip")
    strategy.train_epochs = 20
    with pytest.raises(UsageError, match="50 steps up to step 50 were not finite"):
        strategy.train(few_digits().train_stream[0], eval_streams=[])


def test_a_gradient_that_is_not_finite_can_be_skipped() -> None:
    seen: list[dict[str, torch.Tensor]] = []
    strategy = small(on_nan="skip")
    strategy.after_step = lambda: seen.append(state(strategy))
    calls = iter(range(1, 999))
    weight = strategy.model.encoder.stages[0][0].weight
    weight.register_hook(lambda gradient: gradient * float("nan") if next(calls) == 3 else gradient)
    strategy.train(few_digits().train_stream[0], eval_streams=[])
    assert strategy.nonfinite_guard.skipped == 1
    assert all(torch.equal(seen[1][name], seen[2][name]) for name in seen[1])


def test_weights_that_are_not_finite_are_not_worth_a_checkpoint() -> None:
    strategy = small()
    strategy.nonfinite_guard.check(strategy)
    strategy.model.encoder.stages[0][0].weight.data.fill_(float("inf"))
    with pytest.raises(DivergedError, match=r"after step 0 1 of \d+ weights are not finite: lower lr"):
        strategy.nonfinite_guard.check(strategy)


def test_other_reactions_are_refused() -> None:
    with pytest.raises(UsageError, match=r"no value for 'on_nan' 'stop': .*raise, skip"):
        NonFiniteGuard("stop", torch.device("cpu"))
