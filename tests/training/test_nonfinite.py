"""Is a run that goes wrong stopped with one line that says what to do, and without losing its state?"""

import os
from pathlib import Path
from typing import Any

import pytest
import torch
from crashes import comparison, small_run
from helpers.encoders import tiny
from torch.optim import SGD

from avalanche_ssl import SelfSupervised
from avalanche_ssl.checkpointing.checkpointer import Checkpointer
from avalanche_ssl.data.readers import DataError
from avalanche_ssl.errors import UsageError
from avalanche_ssl.methods import MoCo


def make(loss: Any = None, **settings: Any) -> Any:
    torch.manual_seed(0)
    model = MoCo(tiny, output_dim=8, queue_size=40)
    if loss:
        plain, calls = model.loss, iter(range(1, 999))
        model.loss = lambda outputs: loss(next(calls), plain(outputs))  # type: ignore[method-assign]
    optimizer = SGD(model.parameters(), lr=0.05, momentum=0.9)
    return SelfSupervised(model=model, optimizer=optimizer, train_mb_size=16, train_epochs=2, **settings)


def state(strategy: Any) -> dict[str, torch.Tensor]:
    return {k: v.clone() for k, v in strategy.model.state_dict().items()}


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_loss_that_is_not_finite_stops_the_run_at_its_step(bad: float) -> None:
    strategy = make(lambda call, loss: loss * bad if call == 3 else loss)
    with pytest.raises(UsageError, match=r"the loss of step 3 is not finite: lower lr \(0\.05\)"):
        strategy.train(small_run.few_digits().train_stream[0], eval_streams=[])
    assert all(t.isfinite().all() for t in state(strategy).values())


def test_such_steps_can_be_skipped_and_leave_nothing() -> None:
    seen: list[dict[str, torch.Tensor]] = []
    strategy = make(lambda call, loss: loss * float("nan") if call == 3 else loss, on_nan="skip")
    strategy.after_step = lambda: seen.append(state(strategy))
    strategy.train(small_run.few_digits().train_stream[0], eval_streams=[])
    assert strategy.nonfinite_guard.skipped == 1
    assert all(torch.equal(seen[1][name], seen[2][name]) for name in seen[1])
    assert any(not torch.equal(seen[2][name], seen[3][name]) for name in seen[2])


def test_a_run_that_only_skips_is_stopped() -> None:
    strategy = make(lambda call, loss: loss * float("nan"), on_nan="skip")
    strategy.train_epochs = 20
    with pytest.raises(UsageError, match="50 steps up to step 50 were not finite"):
        strategy.train(small_run.few_digits().train_stream[0], eval_streams=[])


def test_out_of_memory_names_a_batch_size() -> None:
    strategy = make(lambda call, loss: loss + torch.empty(10**15).sum())
    with pytest.raises(UsageError, match="out of memory with batches of 16 images: try --set batch_size=8"):
        strategy.train(small_run.few_digits().train_stream[0], eval_streams=[])


@pytest.mark.parametrize(("fault", "workers"), [("file", 0), ("file", 2), ("process", 2)])
def test_data_that_are_gone_lose_nothing(
    fault: str, workers: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    benchmark = small_run.few_digits(decode=True)
    experience, plain, parent = benchmark.train_stream[0], small_run.DecodedImages.__getitem__, os.getpid()

    def gone(self: Any, index: int) -> Any:
        if index == 50:
            if fault == "process" and os.getpid() != parent:
                os._exit(1)
            raise FileNotFoundError(2, "No such file", f"{index}.png")
        return plain(self, index)

    whole = make()
    whole.train(experience, eval_streams=[])
    strategy = make()
    checkpoints = Checkpointer(tmp_path / "checkpoint", strategy, benchmark.train_stream, every="never")
    with monkeypatch.context() as m:
        m.setattr(small_run.DecodedImages, "__getitem__", gone)
        words = "a loader process died" if fault == "process" else "cannot read image 50 of Pictures"
        with pytest.raises(UsageError, match=words) as error:
            strategy.train(experience, eval_streams=[], num_workers=workers)
    assert "\n" not in str(error.value)
    if isinstance(error.value, DataError):  # between two steps: the state was saved
        again = make()
        checkpoints = Checkpointer(tmp_path / "checkpoint", again, benchmark.train_stream)
        assert checkpoints.resume()
        again.train(experience, eval_streams=[])
        assert not comparison.compare(whole.model.state_dict(), again.model.state_dict(), "")
