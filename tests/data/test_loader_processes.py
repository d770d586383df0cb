"""Worker processes of a loader outlive signals to the whole group, and end with their parent."""

from __future__ import annotations

import multiprocessing
import signal
import subprocess
import time
from typing import Any

import pytest
import torch
from helpers.datasets import PictureDataset

from avalanche_ssl.data.loader import RawDataLoader
from avalanche_ssl.data.readers import DataError


@pytest.mark.slow
def test_workers_outlive_signals_to_the_group_and_end_with_their_parent() -> None:
    loader = RawDataLoader([Items(400)], [4], shuffle=False, num_workers=2)
    batches = iter(loader)
    next(batches)
    assert loader._workers is not None
    workers = loader._workers._iterator._workers  # type: ignore[union-attr]
    for number in (signal.SIGINT, signal.SIGINT, signal.SIGTERM):
        for worker in workers:  # from a process that is not their parent, as a shell or a batch system is
            subprocess.run(["kill", f"-{number.value}", str(worker.pid)], check=True)
        time.sleep(0.1)
    assert len(list(batches)) == 99, "no worker died"
    assert all(worker.is_alive() for worker in workers)
    for worker in workers:
        worker.terminate()
        worker.join(300)
        assert worker.exitcode == 0
    with pytest.raises(DataError, match="a loader process died"):
        list(loader)


@pytest.mark.slow
def test_workers_outlive_signals_that_come_before_they_are_ready(monkeypatch: pytest.MonkeyPatch) -> None:
    start = multiprocessing.Process.start

    def signaled(self: Any) -> None:
        start(self)
        for number in (signal.SIGINT, signal.SIGTERM):
            subprocess.run(["kill", f"-{number.value}", str(self.pid)], check=True)

    def slowly(*_: Any) -> None:
        time.sleep(0.5)  # before torch calls the function for new workers

    monkeypatch.setattr(multiprocessing.Process, "start", signaled)
    monkeypatch.setattr(torch, "set_num_threads", slowly)
    batches = list(RawDataLoader([Items(40)], [4], shuffle=False, num_workers=2))
    assert len(batches) == 10


class Items(PictureDataset):
    """Pictures that no array gives at once."""

    def __getitem__(self, index: int) -> Any:
        return torch.full((3, 8, 8), index / 1000), 0
