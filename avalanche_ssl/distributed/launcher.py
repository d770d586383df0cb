"""What a launcher such as torchrun says in the environment; read without importing torch."""

from __future__ import annotations

import os

LAUNCHED = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
"""Environment variables of a process that torchrun, or another launcher, has started."""


def launched() -> int:
    """How many processes a launcher has started; 1 without one."""
    return int(os.environ["WORLD_SIZE"]) if all(name in os.environ for name in LAUNCHED) else 1


def launched_rank() -> int:
    """Which of them this is, from 0."""
    return int(os.environ["RANK"]) if launched() > 1 else 0


def place_on_machine() -> int:
    """Which of the processes on this machine this is, from 0; without LOCAL_RANK, all are taken to be on one."""
    return int(os.environ.get("LOCAL_RANK", launched_rank()))
