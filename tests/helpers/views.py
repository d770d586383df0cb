"""Images of many kinds, and comparisons with torchvision, image by image."""

import torch
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2 import functional as tv

SIZES = [(32, 32), (17, 40), (64, 48), (5, 3)]


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def images(n=24, height=32, width=32, channels=3, seed=0):
    """Noise, smooth colors, few levels with many ties between channels, grays, pure black and white."""
    generator = seeded(seed)
    x = torch.rand(n, channels, height, width, generator=generator)
    coarse = torch.rand(n, channels, 3, 3, generator=generator)
    x[1::4] = torch.nn.functional.interpolate(coarse, (height, width), mode="bilinear")[1::4]
    x[2::4] = (x[2::4] * 3).round() / 3
    x[3::8] = x[3::8, :1]
    x[7::8] = (x[7::8, :1] > 0.5).float()
    return x


def close(ours, theirs, bound=1e-5):
    assert ours.shape == theirs.shape
    assert ours.dtype == torch.float32
    assert (ours - theirs).abs().max() <= bound


def one_by_one(operation, x, *parameters):
    rows = zip(x, *(p.tolist() for p in parameters), strict=True)
    return torch.stack([operation(*row) for row in rows])


def torchvision_crop(image, top, left, height, width, flip, size, interpolation):
    mode = InterpolationMode(interpolation)
    view = tv.resized_crop(image, top, left, height, width, list(size), mode, antialias=True).clamp(0, 1)
    return tv.horizontal_flip(view) if flip else view
