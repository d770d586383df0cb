"""Checkpoints: the whole state of a run in one file, for an exact resume; imported when first used."""

from typing import TYPE_CHECKING

from avalanche_ssl.lazy import lazy_names

if TYPE_CHECKING:
    from avalanche_ssl.checkpointing.checkpointer import Checkpointer as Checkpointer
    from avalanche_ssl.checkpointing.data_fingerprint import stream_fingerprint as stream_fingerprint
    from avalanche_ssl.checkpointing.encoder_weights import read_encoder as read_encoder
    from avalanche_ssl.checkpointing.encoder_weights import write_encoder as write_encoder
    from avalanche_ssl.checkpointing.file_format import DamagedError as DamagedError
    from avalanche_ssl.checkpointing.interval import SaveInterval as SaveInterval
    from avalanche_ssl.checkpointing.signals import RunInterruptedError as RunInterruptedError

__all__ = [
    "Checkpointer",
    "DamagedError",
    "RunInterruptedError",
    "SaveInterval",
    "read_encoder",
    "stream_fingerprint",
    "write_encoder",
]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "Checkpointer": "checkpointer",
        "DamagedError": "file_format",
        "RunInterruptedError": "signals",
        "SaveInterval": "interval",
        "read_encoder": "encoder_weights",
        "stream_fingerprint": "data_fingerprint",
        "write_encoder": "encoder_weights",
    },
)
