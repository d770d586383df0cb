"""Embedded scenes: boxes around their digits, decided by the seed, with digits of their own in each part."""

from __future__ import annotations

import pytest
import torch

from avalanche_ssl.detection import DetectionData, embedded_scenes
from avalanche_ssl.detection import scenes as module
from avalanche_ssl.errors import UsageError


@pytest.fixture(scope="module")
def data() -> DetectionData:
    return embedded_scenes(train=60, validation=10, test=20)


def test_scenes_hold_one_to_five_digits_of_every_size(data: DetectionData) -> None:
    assert data.validation
    assert [len(part) for part in (data.train, data.validation, data.test)] == [60, 10, 20]
    assert data.train.class_names == tuple("0123456789")
    assert {len(target["labels"]) for target in data.train.targets} == {1, 2, 3, 4, 5}
    assert min(data.train.objects_by_class()) > 5
    boxes = torch.cat([target["boxes"] for target in data.train.targets])
    assert (boxes >= 0).all()
    assert (boxes <= 64).all()
    heights = boxes[:, 3] - boxes[:, 1]
    assert heights.min() < 16
    assert heights.max() > 28
    image, _ = data.train[0]
    assert image.dtype == torch.uint8
    assert image.shape == (3, 64, 64)


def test_a_box_bounds_its_digit(monkeypatch: pytest.MonkeyPatch) -> None:
    """On black, with one digit a scene, the bright pixels end where the box does, up to the blur around ink."""
    monkeypatch.setattr(module, "_background", lambda rng: torch.zeros(64, 64, 3, dtype=torch.uint8).numpy())
    monkeypatch.setattr(module, "MOST", 1)
    for image, target in embedded_scenes(train=20, validation=1, test=1).train:
        inked = image.amax(0).float()
        rows, columns = ((inked > 0.31 * inked.max()).any(axis).nonzero().flatten() for axis in (1, 0))
        (x1, y1, x2, y2) = target["boxes"][0].tolist()
        found = [columns[0].item(), rows[0].item(), columns[-1].item() + 1, rows[-1].item() + 1]
        assert max(abs(a - b) for a, b in zip(found, (x1, y1, x2, y2), strict=True)) <= 1


def test_digits_cover_each_other_a_little(data: DetectionData) -> None:
    overlaps = 0
    for target in data.train.targets:
        boxes = target["boxes"].tolist()
        for i, one in enumerate(boxes):
            covered = [module._covered(one, other) for other in boxes[:i]]
            assert all(part <= 0.25 for part in covered)
            overlaps += any(part > 0 for part in covered)
    assert overlaps > 5


def test_scenes_are_decided_by_the_seed(data: DetectionData) -> None:
    again, other = embedded_scenes(train=30, validation=1, test=1), embedded_scenes(1, train=30, validation=1, test=1)
    for i in range(30):
        assert torch.equal(data.train[i][0], again.train[i][0])
        assert torch.equal(data.train[i][1]["boxes"], again.train[i][1]["boxes"])
    assert not torch.equal(data.train[0][0], other.train[0][0])


def test_no_digit_is_in_two_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each digit's mask becomes its own number, so that the masks which parts draw from name their digits."""
    pools: list[set[float]] = []
    masks, digits = module.digit_masks()
    numbered = masks * 0 + torch.arange(len(masks)).float().numpy()[:, None, None]
    monkeypatch.setattr(module, "digit_masks", lambda: (numbered, digits))
    monkeypatch.setattr(module, "_scenes", lambda n, masks, *_: pools.append({float(mask.max()) for mask in masks}))
    embedded_scenes()
    assert sum(map(len, pools)) == len(set.union(*pools)) == len(masks)
    tested = torch.from_numpy(module.is_test_digit(digits)).nonzero().flatten()
    assert pools[2] == set(tested.float().tolist())
    assert len(pools[1]) == 239


def test_a_part_without_a_scene_is_refused() -> None:
    with pytest.raises(UsageError, match="a part of 0 scenes: give 1 or more"):
        embedded_scenes(validation=0)
