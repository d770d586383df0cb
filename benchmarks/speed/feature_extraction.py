"""Speed of feature extraction for probes, against the bare encoder on images that are ready."""

from __future__ import annotations

from typing import Any

import torch
from speed.case import Case
from speed.timing import in_turn, now, ratios

from avalanche_ssl.data import RawDataLoader
from avalanche_ssl.models import extract_features

BATCH = 512
"""Images per batch of `ProbePlugin`."""


def feature_speed(case: Case, batches: int, rounds: int) -> dict[str, Any]:
    """Seconds per image from raw images to features, and of the bare encoder, in turn; in fp32, as probes run."""
    strategy = case._replace(precision="fp32").build()
    model: Any = strategy.model
    count = BATCH * batches
    dataset = case.experience(count).dataset
    ready = torch.from_numpy(case.images(BATCH)).permute(0, 3, 1, 2).to(case.device)
    ready = model.augment.normalize_only(ready).contiguous(memory_format=torch.channels_last)

    def extraction() -> float:
        start = now(case.device, case.clock)
        extract_features(model, RawDataLoader([dataset], [BATCH], shuffle=False, drop_last=False), case.device)
        return (now(case.device, case.clock) - start) / count

    @torch.no_grad()
    def bare() -> float:
        model.eval()
        start = now(case.device, case.clock)
        for _ in range(batches):
            model.encoder(ready)
        return (now(case.device, case.clock) - start) / count

    slow, fast = in_turn(rounds, extraction, bare)
    return {
        "encoder": case.encoder,
        "extraction_seconds": slow,
        "bare_seconds": fast,
        "share": ratios(fast, slow),
    }
