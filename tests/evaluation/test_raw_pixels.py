"""Pixels as features: those of small images as they are, of large ones averaged."""

import pytest
import torch

from avalanche_ssl.evaluation import RawPixels, reads_pixels
from avalanche_ssl.probes import PROTOCOLS, get_protocol


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


@pytest.mark.parametrize(
    ("name", "read"),
    {
        **dict.fromkeys(["ridge", "ridge@10%", "ncm", "knn-20", "knn-200@5", "osiris", "core50"], True),
        **dict.fromkeys(["logistic", "sgd", "sgd-augmented", "mlp", "cla", "cassle-offline", "cassle-online"], False),
        **dict.fromkeys(["ridge:2x2", "knn-20:projection", "lump"], False),
    }.items(),
)
def test_pixels_are_read_by_probes_that_are_exact_and_quick(name, read):
    assert reads_pixels(get_protocol(name)) is read


def test_every_protocol_is_decided():
    assert {name for name, protocol in PROTOCOLS.items() if reads_pixels(protocol)} == {
        "ridge",
        "ncm",
        "knn-20",
        "knn-200",
        "osiris",
        "core50",
    }
