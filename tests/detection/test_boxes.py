"""Boxes: those that are clipped, left out or refused, and how they come back image by image."""

from __future__ import annotations

from pathlib import Path

import pytest

from avalanche_ssl.detection.boxes import Objects, Targets
from avalanche_ssl.errors import UsageError

PATHS, SIZES = [Path("a.jpg"), Path("b.jpg"), Path("c.jpg")], [(10, 8), (20, 30), (5, 5)]


def checked(*boxes: tuple[float, float, float, float], image: int = 0) -> Targets:
    objects = Objects()
    for box in boxes:
        objects.add(image, box, 0)
    return objects.checked_targets(PATHS, SIZES)


def test_objects_come_back_by_image_in_their_order() -> None:
    objects = Objects()
    objects.add(2, (0, 0, 1, 1), 4)
    objects.add(0, (0, 0, 2, 2), 3)
    objects.add(2, (0, 0, 3, 3), 2)
    objects.add(2, (0, 0, 4, 4), 1, ignored=True)
    targets = objects.checked_targets(PATHS, SIZES)
    assert len(targets) == 3
    assert [t["boxes"][:, 2].tolist() for t in targets] == [[2], [], [1, 3]]
    assert [t["labels"].tolist() for t in targets] == [[3], [], [4, 2]]
    assert [t["ignored_labels"].tolist() for t in targets] == [[], [], [1]]
    assert targets[-1]["ignored_boxes"].tolist() == [[0, 0, 4, 4]]
    assert targets[1]["boxes"].shape == targets[1]["ignored_boxes"].shape == (0, 4)
    assert str(targets[1]["boxes"].dtype) == "torch.float32"
    assert [t["labels"].tolist() for t in objects.targets(3)] == [[3], [], [4, 2]]
    with pytest.raises(IndexError):
        targets[3]


def test_images_without_any_object_have_empty_targets() -> None:
    assert [t["boxes"].shape for t in Objects().checked_targets(PATHS, SIZES)] == [(0, 4)] * 3


def test_a_box_beyond_its_image_is_clipped_with_a_word() -> None:
    with pytest.warns(UserWarning, match=r"2 boxes beyond the image, by 3 pixels at most: clipped \(first in 'b.jpg'"):
        targets = checked((0, 0, 20, 30), (-1, 0, 5, 33), (18, 4, 20.5, 6), image=1)
    assert targets[1]["boxes"].tolist() == [[0, 0, 20, 30], [0, 0, 5, 30], [18, 4, 20, 6]]


def test_a_box_without_width_is_left_out_with_a_word() -> None:
    with pytest.warns(UserWarning, match=r"1 box without width or height: left out \(first in 'a.jpg'\)"):
        targets = checked((3, 1, 3, 5), (0, 0, 1, 1), (0, 0, 2, 2))
    assert targets[0]["boxes"].tolist() == [[0, 0, 1, 1], [0, 0, 2, 2]]


def test_a_box_that_resizing_or_mirroring_would_round_to_nothing_is_left_out() -> None:
    with pytest.warns(UserWarning, match="3 boxes without width or height: left out"):
        targets = checked((-5, 1, 1e-7, 4), (3, 7.995, 6, 20), (3, 1, 3.001, 5), (3, 1, 3.02, 5))
    (box,) = targets[0]["boxes"]
    assert box.tolist() == pytest.approx([3, 1, 3.02, 5]) and 10 - box[2] < 10 - box[0]


@pytest.mark.parametrize(
    ("box", "reason"),
    [
        ((10, 0, 12, 3), r"\(10, 0, 12, 3\) lies outside"),
        ((-4, 0, 0, 3), "lies outside"),
        ((0, 8, 3, 9), "lies outside"),
        ((0, -8, 3, -1), "lies outside"),
        ((4, 0, 3, 3), "has its second corner before its first"),
        ((0, float("nan"), 3, 3), "has no finite numbers"),
        ((0, 0, float("inf"), 3), "has no finite numbers"),
    ],
)
def test_a_wrong_box_is_refused_by_its_image(box: tuple[float, float, float, float], reason: str) -> None:
    with pytest.raises(UsageError, match=f"image 'a.jpg' of 10 x 8 pixels: box .*{reason}: correct it") as caught:
        checked((0, 0, 1, 1), box)
    assert "\n" not in str(caught.value)
