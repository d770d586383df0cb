"""Runs of a grid in this process, which has imported everything already."""

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import pytest

from avalanche_ssl.cli import jobs, run


class InTurn:
    """In place of a pool of threads, outside of which a run cannot watch for signals."""

    def map(self, function: Callable[[Any], Any], items: Iterable[Any]) -> Iterable[Any]:
        """As that of a pool."""
        return map(function, items)


def in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let `run_jobs` run here."""

    def pool(workers: int) -> AbstractContextManager[InTurn]:
        return nullcontext(InTurn())

    monkeypatch.setattr(jobs, "ThreadPoolExecutor", pool)
    monkeypatch.setattr(jobs, "_run", lambda out, words: (out, run.main([*words, "--out", str(out)]) == 0))
