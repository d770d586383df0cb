"""What Avalanche's users bring is checked when the strategy is made."""

import pytest
from avalanche.evaluation.metrics import accuracy_metrics, loss_metrics
from avalanche.training import plugins as av
from helpers.avalanche_parts import evaluator
from helpers.strategies import Spy, make

from avalanche_ssl.errors import UsageError


def test_evaluators_among_the_plugins_are_checked_too():
    with pytest.raises(UsageError, match="EpochAccuracy needs class logits"):
        make(plugins=[evaluator(accuracy_metrics(epoch=True))])
    other = evaluator(loss_metrics(stream=True))
    assert make(plugins=[other]).plugins[0] is other


def test_an_evaluator_may_be_made_by_a_function():
    made = []

    def make_evaluator():
        made.append(evaluator(loss_metrics(stream=True)))
        return made[0]

    assert make(evaluator=make_evaluator).evaluator is made[0] and len(made) == 1


def test_nothing_is_trained_before_a_refusal(digits):
    steps = []
    strategy = make(
        plugins=[av.EarlyStoppingPlugin(1, "valid_stream"), Spy(before_training_iteration=steps.append)],
        evaluator=evaluator(accuracy_metrics(stream=True)),
        eval_every=1,
    )
    with pytest.raises(UsageError, match="watches 'valid_stream'"):
        strategy.train(digits.train_stream, eval_streams=[digits.test_stream])
    assert not steps
