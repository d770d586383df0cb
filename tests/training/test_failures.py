"""Failures during training are explained in one line, and lose nothing."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from crashes.comparison import compare
from crashes.small_run import DecodedImages, few_digits
from helpers.strategies import small

from avalanche_ssl.checkpointing import Checkpointer
from avalanche_ssl.data import DataError
from avalanche_ssl.errors import UsageError
from avalanche_ssl.training import out_of_memory
from avalanche_ssl.training.failures import explain


def test_only_known_failures_are_explained() -> None:
    assert explain(RuntimeError("shapes do not match"), 16) is None
    assert explain(MemoryError(), 16) == (
        "out of memory with batches of 16 images: try --set batch_size=8, a smaller encoder or smaller images"
    )


@pytest.mark.parametrize(
    "error", [np.linalg.LinAlgError("SVD did not converge"), torch.linalg.LinAlgError("SVD did not converge")]
)
def test_failures_of_linear_algebra_are_a_divergence(error: Exception) -> None:
    assert explain(error, 16) == (
        "training has diverged, its features cannot be computed with (SVD did not converge): lower lr, or "
        "clip the gradient"
    )


def test_words_of_torch_for_a_lack_of_memory() -> None:
    assert out_of_memory(RuntimeError("CUDA out of memory. Tried to allocate 2 GiB"))
    assert not out_of_memory(ValueError("out of memory"))


def test_out_of_memory_names_a_batch_size() -> None:
    strategy = small(lambda call, loss: loss + torch.empty(10**15).sum())
    with pytest.raises(UsageError, match="out of memory with batches of 16 images: try --set batch_size=8"):
        strategy.train(few_digits().train_stream[0], eval_streams=[])


@pytest.mark.parametrize(
    ("fault", "workers"),
    [("file", 0), pytest.param("file", 2, marks=pytest.mark.slow), pytest.param("process", 2, marks=pytest.mark.slow)],
)
def test_data_that_are_gone_lose_nothing(
    fault: str, workers: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    benchmark = few_digits(decode=True)
    experience, original, parent = benchmark.train_stream[0], DecodedImages.__getitem__, os.getpid()

    def gone(self: Any, index: int) -> Any:
        if index == 50:
            if fault == "process" and os.getpid() != parent:
                os._exit(1)
            raise FileNotFoundError(2, "No such file", f"{index}.png")
        return original(self, index)

    undisturbed = small()
    undisturbed.train(experience, eval_streams=[])
    strategy = small()
    checkpoints = Checkpointer(tmp_path / "checkpoint", strategy, benchmark.train_stream, every="never")
    with monkeypatch.context() as m:
        m.setattr(DecodedImages, "__getitem__", gone)
        words = "a loader process died" if fault == "process" else "cannot read image 50 of DecodedImages"
        with pytest.raises(UsageError, match=words) as error:
            strategy.train(experience, eval_streams=[], num_workers=workers)
    assert "\n" not in str(error.value)
    if isinstance(error.value, DataError):  # between two steps: the state was saved
        again = small()
        checkpoints = Checkpointer(tmp_path / "checkpoint", again, benchmark.train_stream)
        assert checkpoints.resume()
        again.train(experience, eval_streams=[])
        assert not compare(undisturbed.model.state_dict(), again.model.state_dict(), "")
