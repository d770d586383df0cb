"""Pixels as features: those of small images as they are, of large ones averaged."""

import torch

from avalanche_ssl.evaluation import RawPixels


def test_small_images_are_their_pixels():
    x = torch.arange(2 * 3 * 4 * 5, dtype=torch.uint8).view(2, 3, 4, 5)
    assert torch.equal(RawPixels().extract_features(x), x.flatten(1) / 255)


def test_large_sides_are_averaged_down_to_sixteen():
    x = torch.zeros(1, 1, 32, 8, dtype=torch.uint8)
    x[0, 0, 1, 3] = 255
    features = RawPixels().extract_features(x)
    assert features.shape == (1, 16 * 8)
    assert features.nonzero()[:, 1].tolist() == [3] and features[0, 3] == 0.5
    assert RawPixels.name == "raw pixels 16x16"
