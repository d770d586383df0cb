"""Readouts of an encoder beside its features, from the same pass: its last map averaged to 2x2, all of its stages."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from avalanche_ssl.errors import UsageError
from avalanche_ssl.models.encoder import Encoder, pooled
from avalanche_ssl.models.features import pool2x2

READOUTS = ("2x2", "stages", "projection")
"""The last map averaged to 2x2, (B, 4 D), which keeps some of where things are; the means of the maps of all stages,
(B, sum of widths); what the projection head makes of the features."""


class StageMaps:
    """Keeps the maps (B, D, h, w) that each stage of some encoders gives in the calls inside the context.

    Args:
        encoders: of this package, which have several stages; of others there are no maps.
    """

    def __init__(self, encoders: Iterable[nn.Module]) -> None:
        self.stages = [list(e.stages) if isinstance(e, Encoder) and len(e.stages) > 1 else [] for e in encoders]
        self.maps: list[list[Tensor]] = [[] for _ in self.stages]

    def __enter__(self) -> StageMaps:
        self._handles = [
            stage.register_forward_hook(lambda module, given, output, number=number: self.maps[number].append(output))
            for number, stages in enumerate(self.stages)
            for stage in stages
        ]
        return self

    def __exit__(self, *error: object) -> None:
        for handle in self._handles:
            handle.remove()

    def read_out(self, name: str) -> Tensor:
        """The readout "2x2" or "stages" of all encoders, side by side.

        Raises:
            UsageError: an encoder has no stages, or its last map is smaller than 2x2.
        """
        if not all(maps and all(each.ndim == 4 for each in maps) for maps in self.maps):
            raise UsageError(
                f"readout '{name}' needs an encoder whose stages are known, such as smallconv or resnet18: leave it out"
            )
        if name == "2x2":
            asked = "readout is '2x2'", "leave it out, or give larger images"
            return torch.cat([pool2x2(maps[-1], *asked) for maps in self.maps], dim=1)
        return torch.cat([pooled(each) for maps in self.maps for each in maps], dim=1)
