"""The sheet of detections: which finds which object, and what the sheet shows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from PIL import Image

from avalanche_ssl.detection import Target, pictures
from avalanche_ssl.detection.pictures import draw_detections, match


def target(boxes: list[list[float]], labels: list[int], ignored: list[list[float]] | None = None) -> Target:
    rest = torch.tensor(ignored or []).reshape(-1, 4)
    return {
        "boxes": torch.tensor(boxes).reshape(-1, 4),
        "labels": torch.tensor(labels, dtype=torch.long),
        "ignored_boxes": rest,
        "ignored_labels": torch.zeros(len(rest), dtype=torch.long),
    }


def detected(boxes: list[list[float]], labels: list[int], scores: list[float]) -> dict[str, torch.Tensor]:
    return {
        "boxes": torch.tensor(boxes).reshape(-1, 4),
        "labels": torch.tensor(labels, dtype=torch.long),
        "scores": torch.tensor(scores),
    }


A, B, C = [0.0, 0, 10, 10], [20.0, 0, 30, 10], [40.0, 40, 60, 60]
NEAR_A = [0.0, 0, 10, 9]


def test_the_surest_detection_finds_an_object() -> None:
    found = match(target([A, B], [0, 1]), detected([A, NEAR_A, B, B], [0, 0, 0, 1], [0.6, 0.9, 0.9, 0.5]))
    assert found == [-1, 0, -1, 1]


def test_a_detection_of_what_is_ignored_does_not_count() -> None:
    found = match(target([A], [0], ignored=[C]), detected([C, C, C, A], [0, 0, 1, 0], [0.9, 0.8, 0.7, 0.6]))
    assert found == [-2, -2, -1, 0]


def test_an_overlap_below_a_half_finds_nothing() -> None:
    assert match(target([A], [0]), detected([[0.0, 0, 10, 4.9]], [0], [1])) == [-1]
    assert match(target([A], [0]), detected([[0.0, 0, 10, 5.1]], [0], [1])) == [0]


def test_nothing_to_find_or_found() -> None:
    assert match(target([], []), detected([A], [0], [0.9])) == [-1]
    assert match(target([A], [0]), detected([], [], [])) == []


def test_the_sheet_says_what_was_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Found, false and missed are counted above; detections of a low score are not drawn."""
    drawn: list[tuple[Any, ...]] = []
    monkeypatch.setattr(pictures, "_draw_box", lambda axes, box, text, color, *_, **__: drawn.append((text, color)))
    counted: list[Any] = []
    monkeypatch.setattr(pictures, "_draw_legend", lambda *arguments: counted.append(arguments[-1]))
    images = [torch.zeros(3, 64, 64, dtype=torch.uint8), torch.zeros(1, 64, 32, dtype=torch.uint8)]
    targets = [target([A, B], [0, 1]), target([], [])]
    predictions = [detected([A, C], [0, 1], [0.9, 0.4]), detected([C], [1], [0.75])]
    draw_detections(tmp_path / "sheet.png", images, targets, predictions, ("cat", "dog"))
    assert counted == [[1, 1, 1]]
    assert drawn == [("dog", pictures.MISSED), ("cat 90", pictures.HIT), ("dog 75", pictures.FALSE)]


def test_a_frame_lies_around_its_pixels() -> None:
    """The first pixel is drawn from -0.5 to 0.5."""
    axes = Figure().subplots()
    pictures._draw_box(axes, [0, 0, 8, 16], "cat", pictures.HIT)
    assert axes.patches[0].get_bbox().extents.tolist() == [-0.5, -0.5, 7.5, 15.5]


def test_the_sheet_shows_frames_in_their_colors(tmp_path: Path) -> None:
    images = [torch.full((3, 32, 32), 128, dtype=torch.uint8)] * 3
    box = [8.0, 8, 24, 24]
    targets = [target([box], [0]), target([], []), target([box], [0])]
    predictions = [detected([box], [0], [0.9]), detected([box], [0], [0.9]), detected([], [], [])]
    draw_detections(tmp_path / "sheet.png", images, targets, predictions, ("cat",), title="a detector")
    sheet = np.asarray(Image.open(tmp_path / "sheet.png").convert("RGB")).astype(int)[120:]  # below the legend
    assert sheet.shape[1] == 1440
    for column, color in enumerate((pictures.HIT, pictures.FALSE, pictures.MISSED)):
        part = sheet[:, 480 * column : 480 * (column + 1)]
        inner = part[60:-60, 60:-60]  # without the margins, which are as light as the frame of a missed object
        rgb = [int(color[i : i + 2], 16) for i in (1, 3, 5)]
        assert (np.abs(inner - rgb).sum(-1) < 12).sum() > 200, color
