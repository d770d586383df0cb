"""Signals that stop a run."""

import itertools
import os
import signal
import threading

import pytest
from crashes.small_run import few_digits
from helpers.resuming import make

from avalanche_ssl import distributed
from avalanche_ssl.checkpointing import Checkpointer, RunInterruptedError, file_format
from avalanche_ssl.checkpointing.signals import StopSignals, interrupts_deferred


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


def test_a_signal_while_processes_agree_is_for_the_next_step(monkeypatch: pytest.MonkeyPatch) -> None:
    benchmark = few_digits()
    strategy = make(benchmark)
    checkpointer = Checkpointer("checkpoint", strategy, benchmark.train_stream, every="never")

    def agreed(number: int) -> int:
        if strategy.clock.train_iterations == 1:
            os.kill(os.getpid(), signal.SIGTERM)  # when this process has said that it has none
        return number

    monkeypatch.setattr(distributed, "agreed", agreed)
    with pytest.raises(RunInterruptedError, match="stopped by SIGTERM"), checkpointer.signals():
        strategy.train(benchmark.train_stream[0], eval_streams=[])
    assert strategy.clock.train_iterations == checkpointer.saved_at == 2, "all processes stop there, with a checkpoint"


def test_interrupts_wait_for_the_end_of_a_write() -> None:
    done = []
    with pytest.raises(KeyboardInterrupt), StopSignals() as signals:
        os.kill(os.getpid(), signal.SIGINT)
        with interrupts_deferred():
            os.kill(os.getpid(), signal.SIGINT)
            done.append(1)
        done.append(2)
    assert done == [1] and signals.received == signal.SIGINT


def test_a_first_interrupt_inside_a_write_is_noted_after_it() -> None:
    with StopSignals() as signals:
        with interrupts_deferred():
            os.kill(os.getpid(), signal.SIGINT)
            assert not signals.received
        assert signals.received == signal.SIGINT


def test_threads_may_write_too() -> None:
    def body() -> None:
        with interrupts_deferred():
            written.append(1)

    written: list[int] = []
    before = signal.getsignal(signal.SIGINT)
    thread = threading.Thread(target=body)
    thread.start()
    thread.join()
    assert written and signal.getsignal(signal.SIGINT) is before


@pytest.mark.parametrize("call", [1, 2, 40])
def test_an_interrupt_inside_torchs_writer_leaves_a_whole_checkpoint(
    call: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also in a script that does not note signals."""
    calls = itertools.count(1)
    original = file_format.HashingWriter.write

    def interrupted(self: file_format.HashingWriter, data: bytes) -> int:
        if next(calls) == call:
            os.kill(os.getpid(), signal.SIGINT)
        return original(self, data)

    benchmark = few_digits()
    checkpointer = Checkpointer("checkpoint", make(benchmark), benchmark.train_stream)
    monkeypatch.setattr(file_format.HashingWriter, "write", interrupted)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's job in the background ignores it
    try:
        with pytest.raises(KeyboardInterrupt):
            checkpointer.save()
    finally:
        signal.signal(signal.SIGINT, before)
    assert next(calls) > call
    assert file_format.read(checkpointer.path)["done"] == 0
