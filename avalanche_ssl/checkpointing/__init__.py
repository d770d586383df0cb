"""Exact resume: the whole state of a run in one file."""

from avalanche_ssl.checkpointing.checkpointer import Checkpointer
from avalanche_ssl.checkpointing.encoder_weights import read_encoder, write_encoder
from avalanche_ssl.checkpointing.interval import SaveInterval
from avalanche_ssl.checkpointing.signals import RunInterruptedError

__all__ = [
    "Checkpointer",
    "RunInterruptedError",
    "SaveInterval",
    "read_encoder",
    "write_encoder",
]
