"""Events of the log of `avalanche-ssl probe`, as those in `avalanche_ssl.logging.events`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from avalanche_ssl.logging.events import PROBE, Event
from avalanche_ssl.logging.fields import count as _count
from avalanche_ssl.logging.fields import field as _field
from avalanche_ssl.logging.fields import seconds as _seconds
from avalanche_ssl.logging.fields import share as _share


@dataclass(frozen=True, kw_only=True)
class TransferEvent(Event):
    """Probing of a trained encoder on a stream starts: the first line of its log in `RUN/probe`."""

    event = "transfer"
    run: str = _field("folder of the run whose encoder is probed")
    settings: dict[str, Any] = _field("the stream, what of it is scored, probes, device, seed, SHA-256 of the encoder")


@dataclass(frozen=True, kw_only=True)
class TransferAccuracyEvent(Event):
    """A probe that was fitted on all training data of the stream."""

    event = "transfer_accuracy"
    encoder: str = _field("whose features: run, untrained (the run's encoder before any training), raw pixels 16x16")
    probe: str = _field(PROBE)
    accuracy: float = _share("share of the test images that the probe classifies correctly, mean over the experiences")


@dataclass(frozen=True, kw_only=True)
class TransferEndEvent(Event):
    """Probing is complete: the last line of its log."""

    event = "transfer_end"
    chance: float = _share("one over the number of classes")
    images: int = _count("training images")
    images_tested: int = _count("test images")
    seconds: float = _seconds("seconds of encoding, fitting and testing")
