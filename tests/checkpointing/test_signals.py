"""Signals that stop a run."""

import os
import signal

import pytest
from crashes.small_run import few_digits
from helpers.resuming import make

from avalanche_ssl.checkpointing import Checkpointer, RunInterruptedError
from avalanche_ssl.checkpointing.signals import StopSignals


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_is_noted_and_stops_on_request(number: signal.Signals) -> None:
    signals = StopSignals()
    with signals:
        signals.raise_if_received()
        os.kill(os.getpid(), number)
        assert signals.received == number
        with pytest.raises(RunInterruptedError, match=f"stopped by {number.name}") as error:
            signals.raise_if_received()
    assert error.value.signal == number


def test_a_second_interrupt_is_obeyed_at_once_and_handlers_are_restored() -> None:
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt), StopSignals():
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before


def test_a_second_terminate_is_noted() -> None:
    with StopSignals() as signals:
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGTERM)
    assert signals.received == signal.SIGTERM


def test_the_step_is_finished_and_saved_first() -> None:
    benchmark = few_digits()
    strategy = make(benchmark)
    checkpointer = Checkpointer("checkpoint", strategy, benchmark.train_stream, every="never")
    strategy.model.register_forward_hook(lambda *_: os.kill(os.getpid(), signal.SIGTERM))
    with pytest.raises(RunInterruptedError), checkpointer.signals():
        strategy.train(benchmark.train_stream[0], eval_streams=[])
    assert strategy.clock.train_iterations == checkpointer.saved_at == 1
