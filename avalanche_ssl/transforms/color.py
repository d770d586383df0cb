"""Color operations on batches, each image with its own parameter, and the Lab color space.

Functions of float images (B, C, H, W) in [0, 1], and of parameters (B,), one per image. C = 3 is RGB; images of any
other number of channels (gray, multispectral) have no colors: saturation, hue and gray leave them unchanged.
Each equals `torchvision.transforms.v2.functional` on float images with the same parameter, up to rounding.
Nothing here loops over images, waits for the device or writes into its arguments.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from avalanche_ssl.errors import UsageError
from avalanche_ssl.transforms.raw_images import check_range

GRAY = (0.2989, 0.587, 0.114)
"""Weights of red, green, blue in gray: ITU-R BT.601, rounded as in torchvision (the sum is 0.9999)."""

LAB_MEAN, LAB_STD = (50.0, 6.025, -6.6895), (50.0, 92.208, 101.1675)
"""Middle and half range of L, a, b over the sRGB colors, which map them to [-1, 1] (CMC, Tian et al. 2020)."""

XYZ = (
    (0.412453 / 0.95047, 0.357580 / 0.95047, 0.180423 / 0.95047),
    (0.212671, 0.715160, 0.072169),
    (0.019334 / 1.08883, 0.119193 / 1.08883, 0.950227 / 1.08883),
)
"""Linear sRGB to XYZ, each row divided by the white point D65 (0.95047, 1, 1.08883)."""


def to_float(x: Tensor) -> Tensor:
    """Convert uint8 images in 0..255 to float32 in [0, 1]; float images become float32.

    Raises:
        UsageError: the images have another type.
    """
    if x.dtype == torch.uint8:
        return x.to(torch.float32).div_(255)
    if not x.is_floating_point():
        check_range(x)
    return x.to(torch.float32)


def per_image(parameter: Tensor) -> Tensor:
    """Parameters (B,) as (B, 1, 1, 1), to broadcast against images."""
    return parameter.view(-1, 1, 1, 1)


def brightness(x: Tensor, factor: Tensor) -> Tensor:
    """Scale by `factor` (B,) >= 0, clipped to [0, 1]: 0 is black, 1 leaves the image."""
    return (x * per_image(factor)).clamp_(0, 1)


def contrast(x: Tensor, factor: Tensor) -> Tensor:
    """Blend each image with its mean gray value by `factor` (B,) >= 0, clipped to [0, 1]: 1 leaves the image.

    Without colors each channel is blended with its own mean: a gray value of several bands has no meaning.
    """
    mean = _luma(x.mean(dim=(2, 3), keepdim=True))
    return (x * per_image(factor)).add_(mean * per_image(1 - factor)).clamp_(0, 1)


def saturation(x: Tensor, factor: Tensor) -> Tensor:
    """Blend each pixel with its gray value by `factor` (B,) >= 0, clipped to [0, 1]: 1 leaves the image."""
    if x.shape[1] != 3:
        return x
    return (x * per_image(factor)).add_(_luma(x).mul_(per_image(1 - factor))).clamp_(0, 1)


def hue(x: Tensor, shift: Tensor) -> Tensor:
    """Shift the hue of HSV by `shift` (B,) in [-0.5, 0.5] turns; saturation and value are kept.

    The way back from HSV is in closed form. With M the largest channel, R the range of the channels and h the
    hue in turns, a channel is `M - R * clip(2 - |6k - 2|, 0, 1)`, where `k = (h + n) mod 1` and n is 5/6 for
    red, 3/6 for green, 1/6 for blue.
    """
    if x.shape[1] != 3:
        return x
    red, green, blue = x.unbind(1)
    upper, lower = torch.maximum(green, blue), torch.minimum(green, blue)
    largest, smallest = torch.maximum(red, upper), torch.minimum(red, lower)
    span = largest - smallest
    # The angle from red, 0 to 3 sixths of a turn, times span: one formula for every order of the channels.
    # The hue is this angle towards green, or its negative towards blue. A gray pixel has span 0 and stays.
    angle = (upper - red).add_(span).add_((lower - red).clamp_(min=0))
    turn = angle.div_((6 * span).clamp_(min=1e-12)).copysign_(green - blue)
    # One full turn more makes k positive, so that its fraction is k mod 1.
    channel = (11 - 2 * torch.arange(3, device=x.device, dtype=x.dtype)) / 6
    k = (turn.unsqueeze(1) + (per_image(shift) + channel.view(1, 3, 1, 1))).frac_()
    weight = k.sub_(1 / 3).abs_().mul_(-6).add_(2).clamp_(0, 1)
    return weight.mul_(-span.unsqueeze(1)).add_(largest.unsqueeze(1))


def grayscale(x: Tensor) -> Tensor:
    """Gray images with as many channels as the input."""
    return x if x.shape[1] != 3 else _luma(x).expand_as(x).contiguous()


def solarize(x: Tensor, threshold: float = 0.5) -> Tensor:
    """Invert the values at or above `threshold`."""
    return torch.lerp(1 - x, x, _above(threshold - x, 0))


def normalize(x: Tensor, mean: float | Sequence[float], std: float | Sequence[float]) -> Tensor:
    """`(x - mean) / std`, with one number for all channels or one for each.

    Raises:
        UsageError: there are neither one nor as many numbers as channels.
    """
    return (x - _channels(mean, x, "mean")).div_(_channels(std, x, "std"))


def rgb_to_lab(x: Tensor) -> Tensor:
    """sRGB in [0, 1] to CIE Lab (D65, 2 degrees): L in [0, 100], a in [-86.2, 98.3], b in [-107.9, 94.5].

    IEC 61966-2-1 (sRGB) and CIE 15 (Lab) with the constants of `skimage.color.rgb2lab` and kornia. The linear
    light is a sum of planes, not a matrix product: autocast or TF32 would round a product to 8 or 11 bits.

    Raises:
        UsageError: the images are not RGB and have no chrominance.
    """
    if x.shape[1] != 3:
        raise UsageError(f"Lab needs RGB (B, 3, H, W), not {tuple(x.shape)}: expand gray to three channels")
    linear = torch.lerp(x / 12.92, ((x + 0.055) / 1.055).pow_(2.4), _above(x, 0.04045))
    light = torch.stack([_weighted(linear, row) for row in XYZ], dim=1)
    fx, fy, fz = torch.lerp(light * 7.787 + 16 / 116, light.pow(1 / 3), _above(light, 0.008856)).unbind(1)
    return torch.stack((116 * fy - 16, 500 * (fx - fy), 200 * (fy - fz)), dim=1)


def lab_views(x: Tensor) -> tuple[Tensor, Tensor]:
    """CMC's views of RGB in [0, 1]: luminance L (B, 1, H, W) and chrominance ab (B, 2, H, W) in [-1, 1]."""
    lab = normalize(rgb_to_lab(x), LAB_MEAN, LAB_STD)
    return lab[:, :1].contiguous(), lab[:, 1:].contiguous()


def sobel(x: Tensor) -> Tensor:
    """Horizontal and vertical Sobel derivatives of (B, 1, H, W), divided by 8; (B, 2, H, W)."""
    kernel = x.new_tensor([[1, 0, -1], [2, 0, -2], [1, 0, -1]]) / 8
    padded = F.pad(x, (1, 1, 1, 1), mode="reflect")
    return F.conv2d(padded, torch.stack([kernel, kernel.T])[:, None])


def _above(x: Tensor, threshold: float) -> Tensor:
    """1.0 where x > threshold, else 0.0; with `lerp`, a `torch.where` without a branch per pixel."""
    return (x - threshold).sign_().clamp_(min=0)


def _weighted(x: Tensor, weights: tuple[float, float, float]) -> Tensor:
    """Weighted sum of the channels, (B, 3, H, W) to (B, H, W)."""
    first, second, third = x.unbind(1)
    return (first * weights[0]).add_(second, alpha=weights[1]).add_(third, alpha=weights[2])


def _luma(x: Tensor) -> Tensor:
    """Gray values (B, 1, H, W) of RGB, in their own memory; the values themselves of images without colors."""
    return x.clone() if x.shape[1] != 3 else _weighted(x, GRAY).unsqueeze(1)


def _channels(value: float | Sequence[float], x: Tensor, name: str) -> Tensor | float:
    """One number unchanged; one number per channel as a tensor that broadcasts against `x`."""
    if isinstance(value, (int, float)):
        return value
    channels = x.shape[1]
    if len(value) != channels:
        raise UsageError(f"{name} has {len(value)} numbers, images {channels} channels: give 1 or {channels}")
    return torch.tensor(value, dtype=x.dtype).to(x.device, non_blocking=True).view(1, -1, 1, 1)
