"""Events of the log of a detector, as those in `avalanche_ssl.logging.events`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from avalanche_ssl.logging.events import Event
from avalanche_ssl.logging.fields import count as _count
from avalanche_ssl.logging.fields import field as _field
from avalanche_ssl.logging.fields import seconds as _seconds
from avalanche_ssl.logging.fields import share as _share


@dataclass(frozen=True, kw_only=True)
class DetectionEvent(Event):
    """Training of a detector starts: the first line of its log, `detection-PROTOCOL-DETECTOR-LABELS-sSEED.jsonl`."""

    event = "detection"
    protocol: str = _field("frozen, first-K, full or scratch")
    run: str = _field("folder of the run whose encoder the detector is built on")
    settings: dict[str, Any] = _field(
        "detector, share of the labels, epochs, batch size, learning rate, seed, device, size and augmentation, "
        "data, SHA-256 of the encoder"
    )


@dataclass(frozen=True, kw_only=True)
class DetectionEpochEvent(Event):
    """One epoch of training of a detector."""

    event = "detection_epoch"
    epoch: int = _count("from 1")
    loss: float = _field("mean training loss")


@dataclass(frozen=True, kw_only=True)
class DetectionEndEvent(Event):
    """Training of a detector is complete, and it was tested once: the last line of its log."""

    event = "detection_end"
    ap: float = _share("average precision of boxes on the test images, mean over IoU 0.5, 0.55, ..., 0.95 and classes")
    ap50: float = _share("average precision at IoU 0.5")
    ap75: float = _share("average precision at IoU 0.75")
    images: int = _count("labeled images trained on")
    images_tested: int = _count("test images")
    epochs: int = _count("passes over the labeled images")
    seconds: float = _seconds("seconds of training and testing")
