"""Checkpoints: the whole state of a run in one file, for an exact resume; imported when first used."""

from typing import TYPE_CHECKING

from avalanche_ssl.lazy import lazy_names

if TYPE_CHECKING:
    from avalanche_ssl.checkpointing.checkpointer import Checkpointer as Checkpointer
    from avalanche_ssl.checkpointing.continuation import FinishedState as FinishedState
    from avalanche_ssl.checkpointing.continuation import check_continues as check_continues
    from avalanche_ssl.checkpointing.continuation import continue_strategy as continue_strategy
    from avalanche_ssl.checkpointing.continuation import read_finished as read_finished
    from avalanche_ssl.checkpointing.data_fingerprint import stream_fingerprint as stream_fingerprint
    from avalanche_ssl.checkpointing.encoder_weights import read_encoder as read_encoder
    from avalanche_ssl.checkpointing.encoder_weights import write_encoder as write_encoder
    from avalanche_ssl.checkpointing.file_format import DamagedError as DamagedError
    from avalanche_ssl.checkpointing.interval import SaveInterval as SaveInterval
    from avalanche_ssl.checkpointing.signals import RunInterruptedError as RunInterruptedError

__all__ = [
    "Checkpointer",
    "DamagedError",
    "FinishedState",
    "RunInterruptedError",
    "SaveInterval",
    "check_continues",
    "continue_strategy",
    "read_encoder",
    "read_finished",
    "stream_fingerprint",
    "write_encoder",
]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "Checkpointer": "checkpointer",
        "DamagedError": "file_format",
        "FinishedState": "continuation",
        "RunInterruptedError": "signals",
        "SaveInterval": "interval",
        "check_continues": "continuation",
        "continue_strategy": "continuation",
        "read_encoder": "encoder_weights",
        "read_finished": "continuation",
        "stream_fingerprint": "data_fingerprint",
        "write_encoder": "encoder_weights",
    },
)
