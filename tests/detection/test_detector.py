"""Detectors: their losses fall, their boxes come back in the pixels of the image, frozen parts stay as they are."""

from typing import Any

import pytest
import torch
from helpers.encoders import tiny
from torch import Tensor

from avalanche_ssl.detection import DETECTORS, Detector
from avalanche_ssl.errors import UsageError
from avalanche_ssl.methods import CMC, SimCLR


def target(*boxes: tuple[float, ...], labels: tuple[int, ...] = ()) -> Any:
    return {
        "boxes": torch.tensor(boxes).reshape(-1, 4).float(),
        "labels": torch.tensor(labels, dtype=torch.long),
        "ignored_boxes": torch.empty(0, 4),
        "ignored_labels": torch.empty(0, dtype=torch.long),
    }


def scene(side: int = 32) -> tuple[Tensor, Any]:
    """Gray, with a bright square of class 0 and a dark one of class 2."""
    image = torch.full((3, side, side), 128, dtype=torch.uint8)
    half = side // 2
    image[:, 2 : half - 2, 2 : half - 2] = 250
    image[:, half + 2 : side - 2, half + 2 : side - 2] = 0
    return image, target((2, 2, half - 2, half - 2), (half + 2, half + 2, side - 2, side - 2), labels=(0, 2))


@pytest.mark.slow
@pytest.mark.parametrize("kind", DETECTORS)
def test_a_scene_is_learned_and_its_boxes_come_back_in_its_pixels(kind: str) -> None:
    torch.manual_seed(0)
    detector = Detector(SimCLR(tiny), 3, kind, side=32, channels=32)
    image, wanted = scene(64)  # twice the size that the detector works at
    optimizer = torch.optim.Adam(detector.parameters(), 0.005)
    for _ in range(110):
        loss = sum(detector.train()([image], [wanted]).values())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    (found,) = detector.eval().predict([image])
    assert set(found) >= {"boxes", "labels", "scores"}
    assert found["scores"].diff().le(0).all(), "best first"
    for box, label in zip(wanted["boxes"], wanted["labels"]):
        of_class = found["labels"] == label
        assert of_class.any() and (found["boxes"][of_class][0] - box).abs().max() < 4


@pytest.mark.parametrize("kind", DETECTORS)
def test_an_image_without_an_object_is_background(kind: str) -> None:
    detector = Detector(SimCLR(tiny), 3, kind, side=32, channels=32).train()
    losses = detector([scene()[0]] * 2, [target(), target()])
    assert all(torch.isfinite(loss) for loss in losses.values()) and sum(losses.values()) > 0


@pytest.mark.parametrize(("protocol", "moving"), [("frozen", set()), ("first-2", {"2", "3"}), ("full", set("0123"))])
def test_only_what_the_protocol_names_is_trained(protocol: str, moving: set[str]) -> None:
    method = CMC(tiny, negatives="batch")
    detector = Detector(method, 3, "fcos", protocol, 32, channels=32).train()
    optimizer = torch.optim.Adam([p for p in detector.parameters() if p.requires_grad], 0.01)
    image, wanted = scene()
    sum(detector([image] * 2, [wanted] * 2).values()).backward()
    optimizer.step()
    after = detector.model.backbone.method.encoder.state_dict()
    changed = {name for name, value in method.encoder.state_dict().items() if not torch.equal(value, after[name])}
    assert {name.split("stages.")[1].split(".")[0] for name in changed} == moving
    assert all(any(name.startswith(view) for name in changed) for view in ("l.", "ab.")) == bool(moving)
    frozen = {name.split("stages.")[1].split(".")[0] for name in after} - moving
    modes = {
        name.split(".")[2]: m.training
        for name, m in detector.model.backbone.method.encoder.named_modules()
        if name.count(".") == 2
    }
    assert {stage for stage, training in modes.items() if not training} == frozen


def test_images_are_resized_to_a_drawn_side_in_training_and_normalized_by_the_method() -> None:
    detector = Detector(SimCLR(tiny), 3, side=32, channels=32, train_sides=(16, 64))
    shapes: list[tuple[int, ...]] = []
    values: list[Tensor] = []

    def note(module: Any, given: Any) -> None:
        shapes.append(tuple(given[0].shape))
        values.append(given[0])

    detector.model.backbone.register_forward_pre_hook(note)
    image, wanted = scene(64)
    detector.eval().predict([image])
    assert shapes == [(1, 3, 32, 32)] and values[0].min() >= 0 and values[0].max() <= 1, "the backbone normalizes"
    detector.train()
    torch.manual_seed(0)
    for _ in range(20):
        detector([image], [wanted])
    assert {shape[2] for shape in shapes[1:]} == {16, 64}, "the side of evaluation is drawn only where it is given"
    detector.eval().predict([image])
    assert shapes[-1] == (1, 3, 32, 32)


def test_gray_images_become_rgb_and_others_are_refused() -> None:
    detector = Detector(SimCLR(tiny), 3, side=32, channels=32).eval()
    gray = torch.randint(0, 256, (1, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    with pytest.warns(UserWarning, match="gray images become RGB"):
        (found,) = detector.predict([gray])
    (same,) = detector.predict([gray.expand(3, -1, -1)])
    assert torch.equal(found["boxes"], same["boxes"])
    with pytest.raises(UsageError, match="the images have 4 channels, the encoder takes 3"):
        detector.predict([torch.zeros(4, 32, 32, dtype=torch.uint8)])


def test_anchors_follow_the_strides() -> None:
    retinanet, faster = (Detector(SimCLR(tiny), 3, kind, side=64, channels=32).model for kind in list(DETECTORS)[1:])
    assert retinanet.anchor_generator.sizes == ((16, 20, 25), (32, 40, 51), (64, 81, 102))
    assert faster.rpn.anchor_generator.sizes == ((16,), (32,), (64,))


def test_wrong_names_are_one_line() -> None:
    with pytest.raises(UsageError, match="no detector 'retina': did you mean 'retinanet'"):
        Detector(SimCLR(tiny), 3, "retina")
    with pytest.raises(UsageError, match="give frozen, full, or first-K"):
        Detector(SimCLR(tiny), 3, protocol="half")
    with pytest.raises(UsageError, match="first-9: the encoder has 4 stages"):
        Detector(SimCLR(tiny), 3, protocol="first-9")
