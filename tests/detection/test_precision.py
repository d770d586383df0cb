"""Average precision by value, and what is said where it cannot be computed."""

import importlib.util
from typing import Any

import pytest
import torch

from avalanche_ssl.detection import average_precision, find_backend
from avalanche_ssl.errors import UsageError

LEFT, RIGHT = (0.0, 0.0, 20.0, 20.0), (30.0, 0.0, 50.0, 20.0)


def target(boxes: Any = (LEFT, RIGHT), labels: Any = (0, 1), ignored: Any = ()) -> Any:
    return {
        "boxes": torch.tensor(boxes).reshape(-1, 4),
        "labels": torch.tensor(labels, dtype=torch.long),
        "ignored_boxes": torch.tensor(ignored).reshape(-1, 4),
        "ignored_labels": torch.zeros(len(ignored), dtype=torch.long),
    }


def found(boxes: Any, labels: Any, scores: Any) -> Any:
    return {
        "boxes": torch.tensor(boxes).reshape(-1, 4),
        "labels": torch.tensor(labels, dtype=torch.long),
        "scores": torch.tensor(scores),
    }


def test_all_objects_found_is_one_and_none_is_zero() -> None:
    assert average_precision([found((LEFT, RIGHT), (0, 1), (0.9, 0.8))], [target()]) == (1, 1, 1)
    assert average_precision([found((), (), ())], [target()]) == (0, 0, 0)
    assert average_precision([found((LEFT, RIGHT), (1, 0), (0.9, 0.8))], [target()]) == (0, 0, 0)


def test_a_class_that_is_missed_halves_it() -> None:
    half = average_precision([found((LEFT,), (0,), (0.9,))], [target()])
    assert half == pytest.approx((0.5, 0.5, 0.5))


def test_a_box_that_is_off_counts_at_low_thresholds_only() -> None:
    off = (4.0, 0.0, 20.0, 20.0)  # IoU 0.8: right at 0.5, 0.55, ..., 0.8 of the ten thresholds
    ap, ap50, ap75 = average_precision([found((off, RIGHT), (0, 1), (0.9, 0.8))], [target()])
    assert (ap50, ap75) == (1, 1) and ap in (pytest.approx(0.85), pytest.approx(0.8))  # 0.8 may round either way


def test_a_false_box_counts_by_its_score() -> None:
    wrong = (60.0, 60.0, 80.0, 80.0)
    sure = average_precision([found((wrong, LEFT), (0, 0), (0.9, 0.8))], [target((LEFT,), (0,))])
    unsure = average_precision([found((wrong, LEFT), (0, 0), (0.7, 0.8))], [target((LEFT,), (0,))])
    assert sure.ap50 == pytest.approx(0.5) and unsure.ap50 == pytest.approx(1)


def test_ignored_objects_count_neither_for_nor_against() -> None:
    given = [found((LEFT, RIGHT), (0, 0), (0.8, 0.9))]
    assert average_precision(given, [target((LEFT,), (0,))]).ap50 == pytest.approx(0.5)
    assert average_precision(given, [target((LEFT,), (0,), (RIGHT,))]).ap50 == pytest.approx(1)


def test_test_images_without_an_object_are_refused() -> None:
    with pytest.raises(UsageError, match="the test images have no object to find: give images with boxes"):
        average_precision([found((), (), ())], [target((), ())])


@pytest.mark.parametrize(("there", "message"), [
    ({"torchmetrics"}, r"needs pycocotools \(or faster-coco-eval\): pip install"),
    ({"pycocotools"}, "needs torchmetrics: pip install"),
])  # fmt: skip
def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch, there: set[str], message: str) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name if name in there else None)
    with pytest.raises(UsageError, match=message + r' "avalanche-ssl\[detection\]"'):
        find_backend()


def test_the_package_that_is_there_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name if name != "pycocotools" else None)
    assert find_backend() == "faster_coco_eval"
