"""Color operations against torchvision, and Lab against its formula.

Tolerances: both sides round float32 in another order, so values in [0, 1] agree to a few 1e-6. Hue divides by the range
of the channels and multiplies by it again, which keeps it there. Wider bounds are explained where used.
"""

import pytest
import torch
from helpers.views import SIZES, close, images, one_by_one, seeded
from torchvision.transforms.v2 import functional as tv

from avalanche_ssl.rng import uniform
from avalanche_ssl.transforms import color

FACTORS = {
    "brightness": (color.brightness, tv.adjust_brightness, 0.0, 2.0),
    "contrast": (color.contrast, tv.adjust_contrast, 0.0, 2.0),
    "saturation": (color.saturation, tv.adjust_saturation, 0.0, 2.0),
    "hue": (color.hue, tv.adjust_hue, -0.5, 0.5),
}


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("shape", SIZES, ids=str)
@pytest.mark.parametrize("name", FACTORS)
def test_color_operations_equal_torchvision(name, shape, channels):
    ours, theirs, low, high = FACTORS[name]
    x = images(40, *shape, channels)
    factor = uniform((40,), low, high, seeded(1))
    factor[:3] = torch.tensor([low, high, (low + high) / 2])
    before = x.clone()
    close(ours(x, factor), one_by_one(theirs, x, factor))
    assert torch.equal(x, before)


@pytest.mark.parametrize("shift", [-0.5, -1 / 3, -1 / 6, 0.0, 1 / 6, 1 / 3, 0.5])
def test_hue_equals_torchvision_at_the_corners_of_the_color_circle(shift):
    # Sectors meet here and both sides may round into different ones; hue is continuous, so values still agree.
    levels = torch.tensor([0.0, 1e-3, 0.5, 1.0])
    x = torch.cartesian_prod(levels, levels, levels).T.reshape(1, 3, 8, 8)
    close(color.hue(x, torch.tensor([shift])), tv.adjust_hue(x, shift))


@pytest.mark.parametrize("shape", SIZES, ids=str)
def test_gray_and_solarize_equal_torchvision(shape):
    for channels in (1, 3):
        x = images(24, *shape, channels)
        close(color.grayscale(x), tv.rgb_to_grayscale(x, num_output_channels=channels), 1e-6)
        for threshold in (0.0, 1 / 3, 0.5, 1.0):
            close(color.solarize(x, threshold), tv.solarize(x, threshold), 0)


def naive_lab(red, green, blue):
    """CIE Lab of one sRGB pixel, from the definitions."""
    r, g, b = (v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in (red, green, blue))
    x = (0.412453 * r + 0.357580 * g + 0.180423 * b) / 0.95047
    y = 0.212671 * r + 0.715160 * g + 0.072169 * b
    z = (0.019334 * r + 0.119193 * g + 0.950227 * b) / 1.08883
    fx, fy, fz = (t ** (1 / 3) if t > 0.008856 else 7.787 * t + 16 / 116 for t in (x, y, z))
    return 116 * fy - 16, 500 * (fx - fy), 200 * (fy - fz)


def test_lab_equals_the_formula_pixel_by_pixel():
    # Differences of cube roots times 500: 1e-3 is 1e-5 of the range.
    levels = torch.tensor([0.0, 0.02, 0.0404, 0.0405, 0.05, 0.5, 0.8, 1.0])
    pixels = torch.cartesian_prod(levels, levels, levels)
    lab = color.rgb_to_lab(pixels.T.reshape(1, 3, 32, 16))
    expected = torch.tensor([naive_lab(*pixel) for pixel in pixels.tolist()])
    assert (lab.reshape(3, -1).T - expected).abs().max() < 1e-3


def test_lab_of_known_colors():
    # The red, green and blue of sRGB in Lab are textbook values (D65).
    pixels = torch.tensor([[1.0, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 1], [0, 0, 0]])
    known = torch.tensor(
        [[53.24, 80.09, 67.20], [87.73, -86.18, 83.18], [32.30, 79.19, -107.86], [100, 0, 0], [0, 0, 0]]
    )
    lab = color.rgb_to_lab(pixels.T.reshape(1, 3, 5, 1)).reshape(3, 5).T
    assert (lab - known).abs().max() < 0.02
    gray = color.rgb_to_lab(torch.linspace(0, 1, 256).expand(1, 3, 1, 256))
    assert gray[:, 1:].abs().max() < 1e-2
    assert (gray[0, 0, 0].diff() > 0).all()


def test_lab_views_fill_minus_one_to_one_over_all_colors():
    levels = torch.linspace(0, 1, 32)
    cube = torch.cartesian_prod(levels, levels, levels).T.reshape(1, 3, 256, 128)
    luminance, chrominance = color.lab_views(cube)
    assert luminance.shape == (1, 1, 256, 128)
    assert chrominance.shape == (1, 2, 256, 128)
    for channel in torch.cat((luminance, chrominance), 1)[0]:
        assert channel.min() == pytest.approx(-1, abs=2e-3)
        assert channel.max() == pytest.approx(1, abs=2e-3)


def test_lab_refuses_gray_images():
    with pytest.raises(ValueError, match=r"Lab needs RGB \(B, 3, H, W\), not \(2, 1, 8, 8\)"):
        color.rgb_to_lab(torch.rand(2, 1, 8, 8))


def test_normalize_equals_torchvision():
    x, mean, std = images(), (0.49, 0.48, 0.45), (0.25, 0.24, 0.26)
    close(color.normalize(x, mean, std), tv.normalize(x, mean, std))
    close(color.normalize(x, 0.5, 0.25), tv.normalize(x, [0.5] * 3, [0.25] * 3))
    with pytest.raises(ValueError, match="mean has 3 numbers, images 1 channels: give 1 or 1"):
        color.normalize(x[:, :1], mean, std)
