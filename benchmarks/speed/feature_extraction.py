"""How fast do probes get their features, next to the bare encoder on images that are ready?"""

from __future__ import annotations

from typing import Any

import torch
from speed.case import Case, experience
from speed.timing import in_turn, now, ratios

from avalanche_ssl.data.datasets import ArrayDataset
from avalanche_ssl.data.loader import RawDataLoader
from avalanche_ssl.models.inference import extract_features

BATCH = 512
"""Images a batch of `ProbePlugin`."""


def speeds(case: Case, batches: int, rounds: int) -> dict[str, Any]:
    """Seconds an image from raw images to features, and of the encoder alone, in turn; in fp32, as probes have it."""
    strategy = case._replace(precision="fp32").build()
    model, count = strategy.model, BATCH * batches
    images = case.images(count)
    dataset = experience(ArrayDataset(images, [0] * count)).dataset
    ready = torch.from_numpy(images[:BATCH]).permute(0, 3, 1, 2).to(case.device)
    ready = model.augment.normalize_only(ready).contiguous(memory_format=torch.channels_last)

    def whole() -> float:
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

    slow, fast = in_turn(rounds, whole, bare)
    return {"encoder": case.encoder, "whole": slow, "bare": fast, "share": ratios(fast, slow)}
