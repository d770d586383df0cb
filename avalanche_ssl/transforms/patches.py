"""Patches, jigsaw puzzles, rotations and dropped colors, each image with its own draw.

Functions of float images (B, C, H, W), batched, without a loop over images and without waiting for the device.
"""

import torch
from torch import Generator, Tensor

from avalanche_ssl.rng import uniform


def grid(x: Tensor, patch: int, stride: int) -> Tensor:
    """Overlapping square patches in rows and columns: CPC's grid (arXiv:1807.03748 sec. 3.3).

    Args:
        x: images (B, C, H, W).
        patch: height and width of a patch in pixels.
        stride: pixels from one patch to the next.

    Returns:
        (B, rows, columns, C, patch, patch), a view of `x`; rows and columns are `1 + (side - patch) // stride`.

    Raises:
        ValueError: the patch does not fit into the images.
    """
    if patch > min(x.shape[2:]):
        raise ValueError(f"a patch of {patch} pixels does not fit images of {x.shape[2]}x{x.shape[3]}: choose less")
    return x.unfold(2, patch, stride).unfold(3, patch, stride).permute(0, 2, 3, 1, 4, 5)


def jigsaw(x: Tensor, cells: int, patch: int, generator: Generator | None = None) -> Tensor:
    """Cut each image into `cells` x `cells` cells, take a patch from a random place in each, and shuffle the patches.

    The rest of a cell is a gap of random width between neighbors: continued edges and shared border pixels
    would give the puzzle away (Noroozi & Favaro 2016, arXiv:1603.09246 sec. 4.2).

    Args:
        x: images (B, C, H, W), H and W multiples of `cells`.
        cells: cells per side.
        patch: height and width of a patch in pixels, at most those of a cell.
        generator: draws the places and the order, separately for each image.

    Returns:
        (B, cells * cells, C, patch, patch), in channels-last layout.

    Raises:
        ValueError: the image does not divide into cells, or a patch does not fit into a cell.
    """
    batch, _, height, width = x.shape
    high, wide = height // cells, width // cells
    if height % cells or width % cells or patch > min(high, wide):
        found = f"{cells}x{cells} cells with patches of {patch} pixels do not fit images of {height}x{width}"
        raise ValueError(f"{found}: give a multiple of {cells}, at least {cells * patch}")
    shuffled = uniform((batch, cells**2), 0, 1, generator, x.device).argsort(1)
    down, across = uniform((2, batch, cells**2), 0, 1, generator, x.device, images=1)
    pixel = torch.arange(patch, device=x.device)
    top = shuffled.div(cells, rounding_mode="floor") * high + _integer(down, high - patch)
    left = shuffled % cells * wide + _integer(across, wide - patch)
    rows, columns = (start.unsqueeze(2) + pixel for start in (top, left))  # (B, cells^2, patch)
    image = torch.arange(batch, device=x.device).view(-1, 1, 1, 1)
    return x[image, :, rows.unsqueeze(3), columns.unsqueeze(2)].movedim(4, 2)


def quarter_turns(x: Tensor, turns: Tensor) -> Tensor:
    """Rotate each square image counter-clockwise by `turns` (B,) times 90 degrees, as `torch.rot90` would."""
    turns = (turns % 4).view(-1, 1, 1, 1)
    x = torch.where(turns % 2 == 1, x.transpose(2, 3), x)
    x = torch.where((turns == 1) | (turns == 2), x.flip(2), x)
    return torch.where(turns >= 2, x.flip(3), x)


def random_turns(x: Tensor, generator: Generator | None = None) -> Tensor:
    """Rotate each square image by 0, 90, 180 or 270 degrees with equal chance (Gidaris et al., arXiv:1803.07728)."""
    return quarter_turns(x, _integer(uniform((len(x),), 0, 1, generator, x.device), 3))


def drop_colors(x: Tensor, probability: float, generator: Generator | None = None) -> Tensor:
    """Set all color channels but a random one to 0, the mean of normalized pixels, separately for each image.

    CPC v2's color dropping (Henaff et al., arXiv:1905.09272 sec. 3.1; Doersch et al., arXiv:1505.05192).

    Args:
        x: normalized patches (N, C, h, w).
        probability: share of the patches that lose colors.
        generator: source of randomness.
    """
    channels = x.shape[1]
    chosen, color = uniform((2, len(x)), 0, 1, generator, x.device, images=1).unbind()
    kept = torch.arange(channels, device=x.device) == _integer(color, channels - 1).unsqueeze(1)
    kept = kept | (chosen >= probability).unsqueeze(1)
    return x * kept.view(len(x), channels, 1, 1)


def _integer(share: Tensor, most: int) -> Tensor:
    """The integer in 0..most at a `share` in [0, 1)."""
    return (share * (most + 1)).long().clamp_(max=most)  # float32 may round the product up to most + 1
