"""The encoders of a method, and what they give in a step, for plugins that compare features."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from avalanche_ssl.distributed import Share, gathered_calls, present
from avalanche_ssl.methods import Method
from avalanche_ssl.models import Encoder


def encoders(method: Method) -> list[nn.Module]:
    """The encoders inside `method.encoder`, in order; the module itself where none is an `Encoder`."""
    return [module for module in method.encoder.modules() if isinstance(module, Encoder)] or [method.encoder]


class Watch:
    """Keeps what encoders give, in float32: as a context, or from `start` to `stop`. A copy of it watches nothing.

    Args:
        networks: those to watch in a context.
    """

    def __init__(self, networks: Sequence[nn.Module] = ()) -> None:
        self._networks = networks
        self._handles: list[Any] = []
        self._calls: list[tuple[int, Tensor, Share | None]] = []

    def __enter__(self) -> Watch:
        self.start(self._networks)
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()

    def __deepcopy__(self, memo: dict[int, Any]) -> Watch:
        return Watch()

    def start(self, networks: Sequence[nn.Module]) -> None:
        """Watch, and forget what was kept."""
        self.stop()
        self._calls = []
        for number, network in enumerate(networks):
            self._handles.append(network.register_forward_hook(self._keep(number)))

    def stop(self) -> None:
        """Remove the hooks."""
        for handle in self._handles:
            handle.remove()
        self._handles = []

    def take(self) -> list[tuple[int, Tensor]]:
        """For each call so far the number of the network and its features (N, D), which are forgotten here.

        They are those of all processes, one view of the images of the batch under the other.
        """
        calls, self._calls = self._calls, []
        return [(number, gathered_calls(features, share)) for number, features, share in calls]

    def _keep(self, number: int) -> Any:
        def keep(module: nn.Module, inputs: tuple[Any, ...], features: Tensor) -> None:
            self._calls.append((number, features.float() if features.dtype == torch.bfloat16 else features, present()))

        return keep
