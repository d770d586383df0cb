"""The training loop that can be entered inside an epoch, and inside a call of `train`."""

import pytest
from crashes.comparison import compare
from crashes.small_run import few_digits
from helpers.strategies import Spy, small

from avalanche_ssl.checkpointing.serialization import StreamIndex
from avalanche_ssl.checkpointing.strategy_state import capture_strategy, restore_strategy
from avalanche_ssl.errors import UsageError
from avalanche_ssl.plugins import ProbePlugin


class Killed(BaseException):
    """Stands for SIGKILL."""


def hooks():
    """A plugin that notes which hooks are called, and its notes."""
    names, notes = ("before_training", "before_training_exp", "before_training_epoch", "before_training_iteration"), []
    return Spy(**{name: lambda strategy, name=name: notes.append(name) for name in names}), notes


def interrupted(experiences, step):
    """A strategy that was stopped after a step, and its state there: that of the strategy and of its loader."""
    strategy = small()
    index = StreamIndex([e.dataset for e in experiences])
    found = {}

    def after_step():
        if strategy.clock.train_iterations == step:
            found["state"], found["loader"] = capture_strategy(strategy, index), strategy.dataloader.position()
            raise Killed

    strategy.after_step = after_step
    with pytest.raises(Killed):
        strategy.train(experiences, eval_streams=[])
    return found, index


@pytest.mark.parametrize("step", [1, 4, 6, 8, 11])
def test_a_call_of_train_goes_on_inside_an_epoch(step):
    """Of two experiences with two epochs of four steps each; 4 is the last step of an epoch, 8 of an experience."""
    experiences = list(few_digits().train_stream)
    found, index = interrupted(experiences, step)
    strategy = small()
    restore_strategy(strategy, found["state"], index)

    def reenter():
        restore_strategy(strategy, found["state"], index)
        strategy.dataloader.start_at(found["loader"])

    strategy.enter_with(reenter)
    strategy.train(experiences, eval_streams=[])
    uninterrupted = small()
    uninterrupted.train(experiences, eval_streams=[])
    assert not compare(capture_strategy(uninterrupted, index), capture_strategy(strategy, index), "")


def test_progress_is_plain_and_comes_back():
    strategy = small()
    strategy.train(few_digits().train_stream[0], eval_streams=[])
    progress = strategy.progress()
    assert progress == {
        "experiences_finished": 1,
        "step": 8,
        "steps": 8,
        "bank_hits": None,
        "steps_skipped": 0,
        "teacher_views": 0,
    }
    other = small()
    other.load_progress(progress)
    assert other.progress() == progress


def test_an_entered_epoch_does_not_begin_again():
    experiences = list(few_digits().train_stream)
    found, index = interrupted(experiences, 2)
    strategy = small()
    spy, notes = hooks()
    restore_strategy(strategy, found["state"], index)
    strategy.plugins.insert(0, spy)
    strategy.enter_with(lambda: strategy.dataloader.start_at(found["loader"]))
    strategy.train(experiences[0], eval_streams=[])
    assert "before_training" not in notes
    assert notes.count("before_training_exp") == 1 and notes.count("before_training_epoch") == 1
    assert notes.count("before_training_iteration") == 6
    strategy.train(experiences[1], eval_streams=[])
    assert notes.count("before_training") == 1, "only the interrupted call is continued"


def test_data_that_cannot_be_read_are_reported_between_two_steps():
    from avalanche_ssl.data import DataError

    strategy, calls = small(), []

    def fail(s):
        if s.clock.train_iterations == 3:
            raise DataError("gone")

    strategy.plugins.insert(0, Spy(before_training_iteration=fail))
    strategy.after_data_error = lambda: calls.append(strategy.clock.train_iterations)
    with pytest.raises(DataError, match="gone"):
        strategy.train(few_digits().train_stream[0], eval_streams=[])
    assert calls == [3]


def test_an_iterator_of_experiences_is_trained_on():
    """Avalanche first lists the experiences to evaluate on, by default those of training, and so used it up."""
    by_stream, by_iterator = small(), small()
    by_stream.train(few_digits().train_stream)
    by_iterator.train(experience for experience in few_digits().train_stream)
    assert by_iterator.clock.train_iterations == by_stream.clock.train_iterations == 16


def test_an_iterator_of_experiences_to_evaluate_on_is_refused():
    strategy = small(eval_every=1)
    with pytest.raises(UsageError, match=r"eval_every=1 evaluates on the training experiences, which an iterator"):
        strategy.train(iter(few_digits().train_stream))
    strategy = small(eval_every=1, plugins=[ProbePlugin(few_digits())])
    strategy.train(iter(few_digits().train_stream), eval_streams=[])
    assert strategy.clock.train_iterations == 16
