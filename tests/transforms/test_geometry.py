"""Crops, blur and boxes against torchvision.

Tolerances: both sides round float32 in another order; wider bounds are explained where used.
"""

import math

import pytest
import torch
from helpers.views import close, images, one_by_one, seeded, torchvision_crop
from torchvision import transforms
from torchvision.transforms.v2 import functional as tv

from avalanche_ssl.rng import uniform
from avalanche_ssl.transforms.geometry import gaussian_blur, random_boxes, resized_crop


@pytest.mark.parametrize(("shape", "kernel"), [((32, 32), 3), ((17, 40), 9), ((40, 24), 23), ((5, 3), 5)], ids=str)
def test_blur_equals_torchvision(shape, kernel):
    x = images(24, *shape)
    sigma = uniform((24,), 0.1, 3.0, seeded(1))
    close(gaussian_blur(x, sigma, kernel), one_by_one(lambda i, s: tv.gaussian_blur(i, kernel, s), x, sigma))


@pytest.mark.parametrize("kernel", [4, 11])
def test_blur_refuses_a_kernel_that_does_not_fit(kernel):
    with pytest.raises(ValueError, match=f"blur kernel {kernel} does not fit images of 32x5"):
        gaussian_blur(torch.rand(2, 3, 32, 5), torch.ones(2), kernel)


def random_crops(n, height, width, seed=1):
    """Boxes of any shape, the full image, single pixels."""
    share = torch.rand(4, n, generator=seeded(seed))
    h, w = (share[0] * height).long() + 1, (share[1] * width).long() + 1
    h[0], w[0], h[1], w[1] = height, width, 1, 1
    top, left = (share[2] * (height - h + 1)).long(), (share[3] * (width - w + 1)).long()
    return top, left, h, w


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
@pytest.mark.parametrize(
    ("shape", "size"),
    [
        ((32, 32), (32, 32)),
        ((40, 23), (16, 24)),
        ((9, 12), (30, 31)),
        ((250, 180), (96, 96)),
        ((64, 64), (224, 224)),
    ],
    ids=str,
)
def test_crop_equals_torchvision(shape, size, interpolation):
    # The weights of a tap depend on its distance to a center up to 250 pixels away: float32 holds 1.5e-5 there.
    n = 48 if max(*shape, *size) < 64 else 12
    x, boxes = images(n, *shape), random_crops(n, *shape)
    flip = torch.rand(n, generator=seeded(2)) < 0.5
    theirs = one_by_one(lambda *row: torchvision_crop(*row, size, interpolation), x, *boxes, flip)
    close(resized_crop(x, *boxes, size, flip, interpolation), theirs, 1e-5 if max(*shape, *size) < 64 else 5e-5)


def test_crop_of_the_full_image_is_the_image():
    x, zero, full = images(), torch.zeros(24), torch.full((24,), 32)
    for interpolation in ("bilinear", "bicubic"):
        assert torch.equal(resized_crop(x, zero, zero, full, full, 32, None, interpolation), x)


def test_boxes_follow_the_law_of_torchvision():
    n, image = 3000, torch.empty(3, 32, 48)
    torch.manual_seed(0)
    get_params = transforms.RandomResizedCrop.get_params
    theirs = torch.tensor([get_params(image, [0.2, 1.0], [3 / 4, 4 / 3]) for _ in range(n)]).double()
    ours = torch.stack(random_boxes(n, 32, 48, (0.2, 1.0), (3 / 4, 4 / 3), seeded()), 1).double()

    def describe(boxes):
        top, left, height, width = boxes.T
        return torch.stack((height * width / (32 * 48), (width / height).log(), top / 32, left / 48), 1)

    a, b = describe(ours), describe(theirs)
    for column in range(4):
        # Two-sample Kolmogorov-Smirnov distance; 1.95 sqrt(2/n) is exceeded once in a thousand.
        grid = torch.cat((a[:, column], b[:, column])).unique()
        cdf = [(torch.searchsorted(s[:, column].sort().values, grid, right=True) / n) for s in (a, b)]
        assert (cdf[0] - cdf[1]).abs().max() < 1.95 * math.sqrt(2 / n)


@pytest.mark.parametrize("shape", [(32, 32), (7, 60), (1, 1)], ids=str)
def test_boxes_lie_inside_the_image(shape):
    top, left, height, width = random_boxes(5000, *shape, (0.01, 1.0), (0.5, 2.0), seeded())
    assert (height >= 1).all()
    assert (width >= 1).all()
    assert (top >= 0).all()
    assert (left >= 0).all()
    assert (top + height <= shape[0]).all()
    assert (left + width <= shape[1]).all()
    assert top.dtype == torch.int64


@pytest.mark.parametrize("shape", [(10, 100), (100, 10)], ids=str)
def test_boxes_fall_back_to_the_center(shape):
    # No box of 90 % of the area has a ratio near 1: torchvision takes the central box with the nearest ratio.
    theirs = transforms.RandomResizedCrop.get_params(torch.empty(3, *shape), [0.9, 1.0], [3 / 4, 4 / 3])
    boxes = torch.stack(random_boxes(50, *shape, (0.9, 1.0), (3 / 4, 4 / 3), seeded()), 1)
    assert (boxes == torch.tensor(theirs)).all()
