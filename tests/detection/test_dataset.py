"""Images with boxes: what an item is, and what a metric takes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torchmetrics.detection import MeanAveragePrecision

from avalanche_ssl.detection import DetectionDataset, Target, metric_target

TARGET: Target = {
    "boxes": torch.tensor([[0.0, 0, 2, 2]]),
    "labels": torch.tensor([1]),
    "ignored_boxes": torch.tensor([[1.0, 1, 3, 3]]),
    "ignored_labels": torch.tensor([0]),
}


def test_items_are_images_of_tensors_and_files(tmp_path: Path) -> None:
    pixels = np.arange(4 * 6 * 3, dtype=np.uint8).reshape(4, 6, 3)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    dataset = DetectionDataset([torch.zeros(1, 2, 2, dtype=torch.uint8), tmp_path / "a.png"], [TARGET] * 2, ["a", "b"])
    assert len(dataset) == 2
    assert dataset.class_names == ("a", "b")
    assert dataset[0][0].shape == (1, 2, 2)
    image, target = dataset.select([1])[0]
    assert np.array_equal(image.permute(1, 2, 0), pixels)
    assert target is TARGET


def test_the_metric_takes_ignored_objects_as_crowds() -> None:
    found = metric_target(TARGET)
    assert found["boxes"].tolist() == [[0, 0, 2, 2], [1, 1, 3, 3]]
    assert found["labels"].tolist() == [1, 0]
    assert found["iscrowd"].tolist() == [0, 1]


def test_objects_are_counted_by_class() -> None:
    dataset = DetectionDataset([torch.zeros(1, 2, 2, dtype=torch.uint8)] * 2, [TARGET] * 2, ["a", "b"])
    assert dataset.objects_by_class() == [0, 2]
    assert str(dataset) == "2 images, 2 objects, 2 difficult or crowd ignored"


def test_a_detection_of_what_is_ignored_changes_no_average_precision() -> None:
    """As COCO counts crowds: without the ignored object it would be a false detection surer than the right one."""
    pytest.importorskip("pycocotools", reason="what torchmetrics counts with")
    found = {
        "boxes": torch.cat([TARGET["boxes"], torch.tensor([[10.0, 10, 20, 20]])]),
        "labels": torch.tensor([1, 1]),
        "scores": torch.tensor([0.5, 0.9]),
    }
    precision = []
    for ignored in (torch.tensor([[10.0, 10, 20, 20]]), torch.zeros(0, 4)):
        target = TARGET | {"ignored_boxes": ignored, "ignored_labels": torch.ones(len(ignored), dtype=torch.long)}
        metric = MeanAveragePrecision()
        metric.update([found], [metric_target(target)])
        precision.append(float(metric.compute()["map_50"]))
    assert precision == pytest.approx([1.0, 0.5])
