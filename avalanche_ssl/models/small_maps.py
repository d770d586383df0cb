"""Convolutions that see their whole map at once, computed as the matrix product that they are."""

from __future__ import annotations

from typing import TypeVar

from torch import Tensor, nn
from torch.nn import functional as F

Network = TypeVar("Network", bound=nn.Module)


def linear_on_small_maps(network: Network) -> Network:
    """The network, whose convolutions are computed as a matrix product where their kernel covers the whole map.

    That is the last layer of an encoder of small patches: a 3x3 kernel with stride 2 and padding 1 gives a map of 2x2
    one output, of which 5 of its 9 taps see padding alone. Equal up to rounding, gradients, too; names and values of
    the weights stay.
    """
    for module in network.modules():
        if type(module) is nn.Conv2d and module.groups == 1 and module.padding_mode == "zeros":
            module.__class__ = WholeMapConv2d  # has no attributes of its own
    return network


class WholeMapConv2d(nn.Conv2d):
    """A convolution without groups that is a matrix product where the kernel covers the whole map, see above."""

    def forward(self, x: Tensor) -> Tensor:
        """Maps (B, D, h, w) of maps (B, C, H, W)."""
        if x.dim() != 4 or not (self._covers(0, x.shape[2]) and self._covers(1, x.shape[3])):
            return super().forward(x)
        top, left = int(self.padding[0]), int(self.padding[1])
        taps = self.weight[:, :, top : top + x.shape[2], left : left + x.shape[3]]
        rows, weight = (t.permute(0, 2, 3, 1).flatten(1) for t in (x, taps))  # as maps lie in memory
        return F.linear(rows, weight, self.bias)[:, :, None, None]

    def _covers(self, axis: int, extent: int) -> bool:
        """Whether there is one position of the kernel, and in it a tap for each of `extent` pixels."""
        padding, kernel = self.padding[axis], self.kernel_size[axis]
        if isinstance(padding, str) or self.dilation[axis] != 1:
            return False
        return extent + padding <= kernel and 0 <= extent + 2 * padding - kernel < self.stride[axis]
