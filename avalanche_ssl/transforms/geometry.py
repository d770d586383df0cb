"""Crops, resizing and blur of batches, each image with its own parameters.

Functions of float images (B, C, H, W) in [0, 1] and of parameters (B,), one per image. Each equals its
namesake in `torchvision.transforms.v2.functional` up to rounding. Resampling is separable, so it is
`rows @ image @ columns.T` with one matrix per axis and image: two batched products, without a loop over images
and without waiting for the device.
"""

from __future__ import annotations

from math import inf, log
from typing import Literal

import torch
from torch import Generator, Tensor

from avalanche_ssl.rng import uniform

Interpolation = Literal["bilinear", "bicubic"]

Boxes = tuple[Tensor, Tensor, Tensor, Tensor]
"""top, left, height and width in pixels, each (B,) int64."""

TRIES = 10
"""Boxes drawn per image, as in torchvision."""


def resized_crop(
    x: Tensor,
    top: Tensor,
    left: Tensor,
    height: Tensor,
    width: Tensor,
    size: int | tuple[int, int],
    flip: Tensor | None = None,
    interpolation: Interpolation = "bilinear",
) -> Tensor:
    """Cut one box out of each image, resize it with antialiasing, and mirror it where `flip` holds.

    Equals torchvision's `resized_crop(..., antialias=True)`, then `horizontal_flip`.

    Args:
        x: float images (B, C, H, W).
        top, left, height, width: boxes (B,) in pixels, inside the image.
        size: height and width of the result, or one number for both.
        flip: (B,) bool, left to right.
        interpolation: "bicubic" overshoots at edges; the result is clipped to [0, 1], which torchvision does
            for uint8 images only.
    """
    out_height, out_width = (size, size) if isinstance(size, int) else size
    rows = _sampling(top, height, x.shape[2], out_height, None, interpolation)
    columns = _sampling(left, width, x.shape[3], out_width, flip, interpolation)
    view = _resample(x, rows, columns)
    return view.clamp_(0, 1) if interpolation == "bicubic" else view


def gaussian_blur(x: Tensor, sigma: Tensor, kernel: int) -> Tensor:
    """Blur by a Gaussian of `sigma` (B,) > 0 pixels and `kernel` taps (odd), reflected at the border.

    Raises:
        ValueError: the kernel is even or reaches beyond the reflected image.
    """
    radius = kernel // 2
    if kernel % 2 == 0 or radius >= min(x.shape[2:]):
        shape = f"{x.shape[2]}x{x.shape[3]}"
        raise ValueError(f"blur kernel {kernel} does not fit images of {shape}: choose a smaller odd number")
    taps = torch.arange(-radius, radius + 1, device=x.device)
    weights = (taps / sigma.unsqueeze(1)).square_().mul_(-0.5).softmax(dim=1)
    return _resample(x, _blurring(weights, taps, x.shape[2]), _blurring(weights, taps, x.shape[3]))


def random_boxes(
    batch: int,
    height: int,
    width: int,
    scale: tuple[float, float],
    ratio: tuple[float, float],
    generator: Generator | None = None,
    device: torch.device | str = "cpu",
) -> Boxes:
    """Boxes of the Inception crop (Szegedy et al. 2015), by the law of torchvision's `RandomResizedCrop`.

    The share of the area is uniform in `scale`, the logarithm of width/height in `ratio`. The first of
    `TRIES` boxes that fits into the image is taken; if none fits, the largest central box that keeps `ratio`.
    """
    area = uniform((TRIES, batch), *scale, generator, device, images=1).mul_(height * width)
    aspect = uniform((TRIES, batch), log(ratio[0]), log(ratio[1]), generator, device, images=1).exp_()
    place = uniform((2, batch), 0, 1, generator, device, images=1)
    heights, widths = (area / aspect).sqrt_().round_(), (area * aspect).sqrt_().round_()
    fits = (heights > 0) & (heights <= height) & (widths > 0) & (widths <= width)
    fitting, first = fits.to(torch.uint8).max(dim=0, keepdim=True)  # of equal maxima, the first
    found = fitting[0].bool()
    central_height, central_width = _central_box(height, width, ratio)
    box_height = torch.where(found, heights.gather(0, first)[0], central_height)
    box_width = torch.where(found, widths.gather(0, first)[0], central_width)
    top = torch.where(found, _place(place[0], height - box_height), (height - central_height) // 2)
    left = torch.where(found, _place(place[1], width - box_width), (width - central_width) // 2)
    return top.long(), left.long(), box_height.long(), box_width.long()


def _central_box(height: int, width: int, ratio: tuple[float, float]) -> tuple[int, int]:
    """Height and width of the largest central box whose width/height lies in `ratio`."""
    if width < ratio[0] * height:
        return round(width / ratio[0]), width
    if width > ratio[1] * height:
        return height, round(height * ratio[1])
    return height, width


def _place(share: Tensor, room: Tensor) -> Tensor:
    """The integer in 0..room at a `share` in [0, 1)."""
    return torch.minimum((share * (room + 1)).floor_(), room)  # float32 may round the product up to room + 1


def _sampling(
    start: Tensor, length: Tensor, extent: int, size: int, flip: Tensor | None, interpolation: Interpolation
) -> Tensor:
    """Matrices (B, size, extent) that resize `length` pixels from `start` to `size`; each row sums to 1.

    When shrinking, the filter is wider by the factor by which the box is larger than the result. Taps outside the
    box have no weight.
    """
    start, length = start.float().unsqueeze(1), length.float().unsqueeze(1)
    scale = length / size
    tap = torch.arange(extent, device=start.device) + 0.5 - start
    tap = tap.masked_fill((tap < 0) | (tap > length), inf)
    pixel = torch.arange(size, device=start.device) + 0.5
    if flip is not None:
        pixel = torch.where(flip.unsqueeze(1), size - pixel, pixel)
    distance = (tap.unsqueeze(1) - (pixel * scale).unsqueeze(2)).abs_().div_(scale.clamp(min=1).unsqueeze(2))
    # The triangle 1 - distance has its sign flipped here; the division by the sum flips it back.
    weights = _cubic(distance) if interpolation == "bicubic" else distance.sub_(1).clamp_(max=0)
    return weights.div_(weights.sum(dim=2, keepdim=True))


def _cubic(distance: Tensor) -> Tensor:
    """Cubic convolution, a = -1/2 (Keys 1981): the outer piece, and what the inner piece adds below distance 1."""
    outer, inner = distance.clamp(max=2), distance.clamp(max=1)
    weights = (outer - 2).square_().mul_(outer - 1).mul_(-0.5)
    return weights.add_((inner - 1).square_().mul_(2 * inner - 1))


def _blurring(weights: Tensor, taps: Tensor, extent: int) -> Tensor:
    """Matrices (B, extent, extent) that weight the neighbors at `taps`, reflected at both ends."""
    last = extent - 1
    index = torch.arange(extent, device=taps.device).unsqueeze(1) + taps
    index = last - (last - index.abs()).abs()
    shape = (len(weights), extent, len(taps))
    matrices = weights.new_zeros(len(weights), extent, extent)
    return matrices.scatter_add_(2, index.expand(shape), weights.unsqueeze(1).expand(shape))


def _resample(x: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """`rows @ x @ columns.T` of each channel: (B, C, H, W), (B, h, H), (B, w, W) to (B, C, h, w)."""
    batch, channels, height, width = x.shape
    with torch.autocast(x.device.type, enabled=False):  # bf16 would leave 8 bits of each pixel
        wide = torch.bmm(x.reshape(batch, channels * height, width), columns.to(x.dtype).transpose(1, 2))
        return rows.to(x.dtype).unsqueeze(1) @ wide.view(batch, channels, height, columns.shape[1])
