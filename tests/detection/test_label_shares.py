"""Shares of labeled images: their number, their classes, their seed."""

from __future__ import annotations

import warnings

import pytest
import torch

from avalanche_ssl.detection import DetectionDataset, embedded_scenes
from avalanche_ssl.detection.label_shares import label_share
from avalanche_ssl.errors import UsageError


@pytest.fixture(scope="module")
def scenes() -> DetectionDataset:
    return embedded_scenes(train=200, validation=1, test=1).train


def kept(scenes: DetectionDataset, chosen: DetectionDataset) -> list[int]:
    """Which scenes were chosen."""
    places = {id(image): row for row, image in enumerate(scenes.images)}
    return [places[id(image)] for image in chosen.images]


def test_a_share_has_its_number_of_images_and_every_class(scenes: DetectionDataset) -> None:
    for seed in range(5):
        rows = kept(scenes, chosen := label_share(scenes, 0.1, seed))
        assert len(rows) == len(set(rows)) == 20
        assert rows == sorted(rows)
        assert min(chosen.objects_by_class()) >= 1
        assert chosen.class_names == scenes.class_names
        assert torch.equal(chosen[3][1]["boxes"], scenes[rows[3]][1]["boxes"])
    assert kept(scenes, label_share(scenes, 1.0)) == list(range(200))


def test_a_share_too_small_for_all_classes_is_enlarged_with_a_word(scenes: DetectionDataset) -> None:
    with pytest.warns(UserWarning, match=r"label share 0.01 is 2 of 200 images: \d are taken, so that every class"):
        chosen = label_share(scenes, 0.01)
    assert 2 < len(chosen) < 10
    assert min(chosen.objects_by_class()) >= 1


def test_shares_of_a_seed_are_nested_and_seeds_differ(scenes: DetectionDataset) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        one, ten, half = (set(kept(scenes, label_share(scenes, share, 3))) for share in (0.01, 0.1, 0.5))
    assert one < ten < half
    assert set(kept(scenes, label_share(scenes, 0.1, 4))) != ten


@pytest.mark.parametrize("share", [0, -1, 1.5, float("nan")])
def test_what_is_no_share(scenes: DetectionDataset, share: float) -> None:
    with pytest.raises(UsageError, match=r"label share .*: give a number above 0 and at most 1"):
        label_share(scenes, share)
