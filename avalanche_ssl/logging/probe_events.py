"""Events of a log beside the accuracy matrix: what to compare it with, and probes that are not fitted again."""

from __future__ import annotations

from dataclasses import dataclass

from avalanche_ssl.logging.events import EXPERIENCES_TRAINED, PROBE, SCOPE, Event
from avalanche_ssl.logging.fields import count as _count
from avalanche_ssl.logging.fields import field as _field
from avalanche_ssl.logging.fields import share as _share


@dataclass(frozen=True, kw_only=True)
class BaselineEvent(Event):
    """What to compare the accuracies of one probe and scope with; written when the run begins."""

    event = "baseline"
    name: str = _field(
        "chance: one over the number of classes; raw pixels 16x16: the images themselves, averaged down to 16x16, read "
        "by the same probe; untrained: the encoder before any training; encoder at the start: where it was given by "
        "--init or --continue-from"
    )
    probe: str = _field(PROBE)
    scope: str = _field(SCOPE)
    accuracy: float = _share("mean accuracy over the test data of all experiences")
    precision: str | None = _field("precision in which the features were computed; left out for chance", None)


@dataclass(frozen=True, kw_only=True)
class FrozenProbeEvent(Event):
    """One entry of the matrix of frozen probes: the headline probe as it was right after an experience, kept as is."""

    event = "frozen_probe"
    experiences_trained: int = _count(EXPERIENCES_TRAINED)
    experience: int = _count("experience whose test data were used, from 1")
    fitted_after: int = _count(
        "different experiences trained on when the probe was fitted: with that experience, or more where it was not "
        "measured right after it"
    )
    probe: str = _field(PROBE)
    scope: str = _field(SCOPE)
    accuracy: float = _share("share of the test images that the probe classifies correctly")
    precision: str | None = _field("precision in which the encoder gave the features: fp32 or bf16", None)
