"""A run in several processes: one of them writes and prints, and all train on the same with the same code."""

from __future__ import annotations

import hashlib
import json
import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

from avalanche_ssl import distributed
from avalanche_ssl.checkpointing import Checkpointer
from avalanche_ssl.errors import UsageError
from avalanche_ssl.logging import Event
from avalanche_ssl.runs.config import RunConfig


class NoLog:
    """The log of a process that writes none."""

    def __call__(self, event: Event) -> None:
        """Drop an event."""

    def position(self) -> dict[str, Any]:
        """Nowhere."""
        return {}

    def rewind(self, position: dict[str, Any]) -> None:
        """Stay there."""


@contextmanager
def joined(device: str) -> Iterator[None]:
    """A block in which the processes that torchrun has started learn as one; without it, nothing happens.

    Process 0 prints; what others would say of the same run goes nowhere.

    Args:
        device: of the run, or "auto".

    Raises:
        UsageError: they cannot be joined, or another one has ended.
    """
    if distributed.launched() == 1:
        yield
        return
    import torch

    if device == "auto":
        device = "cuda" if torch.cuda.device_count() else "cpu"
    distributed.start(device)
    with ExitStack() as output:
        if not distributed.is_main():
            nowhere = output.enter_context(open(os.devnull, "w", encoding="utf-8"))
            output.enter_context(redirect_stdout(nowhere))
            output.enter_context(redirect_stderr(nowhere))  # errors are said later, by the first process that has one
            output.enter_context(warnings.catch_warnings())
            warnings.simplefilter("ignore")
        try:
            yield
        except RuntimeError as error:
            line = distributed.another_has_ended(error)
            if line is None:
                raise
            raise UsageError(line) from error
    distributed.leave()


def check_same_everywhere(config: RunConfig, checkpointer: Checkpointer) -> None:
    """Refuse processes that have other code, settings or data than process 0.

    Raises:
        UsageError: names the processes.
    """
    if distributed.size() == 1:
        return
    distributed.check_same(_code_digest(), "the code")
    distributed.check_same(json.dumps(config.decisive, sort_keys=True), "the settings")
    distributed.check_same(checkpointer.stream_hash, "the data")


def _code_digest() -> str:
    """SHA-256 of the package's files and of the versions that results depend on."""
    from avalanche_ssl.runs.provenance import versions

    package = Path(__file__).parents[1]
    digest = hashlib.sha256(f"{sys.version} {versions()}".encode())
    for path in sorted(package.rglob("*.py")):
        digest.update(str(path.relative_to(package)).encode() + path.read_bytes())
    return digest.hexdigest()
