"""Training of a detector: the same for a seed, from a copy, with images that are mirrored only where that is wished."""

from typing import Any

import pytest
import torch
from helpers.encoders import tiny

from avalanche_ssl.detection import DetectionDataset, DetectorTraining, embedded_scenes, fit_detector, predict
from avalanche_ssl.detection import training as module
from avalanche_ssl.errors import UsageError
from avalanche_ssl.logging import DetectionEpochEvent
from avalanche_ssl.methods import SimCLR

SHORT = DetectorTraining(epochs=2, batch_size=4, image_size=32)


@pytest.fixture(scope="module")
def scenes() -> DetectionDataset:
    return embedded_scenes(train=10, validation=1, test=1).train


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The batches of images and targets of a detector that learns nothing."""
    found: list[Any] = []

    class Silent(torch.nn.Module):
        def __init__(self, *given: Any, train_sides: Any) -> None:
            super().__init__()
            self.sides, self.weight = (given[4], train_sides), torch.nn.Parameter(torch.zeros(()))

        def forward(self, images: Any, targets: Any) -> Any:
            found.append((self, images, targets))
            return {"loss": self.weight * 1.0}

    monkeypatch.setattr(module, "Detector", Silent)
    return found


def test_it_is_the_same_for_a_seed_and_leaves_the_rest_alone(scenes: DetectionDataset) -> None:
    method = SimCLR(tiny)
    weights, state = {k: v.clone() for k, v in method.state_dict().items()}, torch.get_rng_state()
    curves: list[list[DetectionEpochEvent]] = [[], [], []]
    settings = [SHORT, SHORT, DetectorTraining(epochs=2, batch_size=4, image_size=32, seed=1)]
    first, again, _ = (fit_detector(method, scenes, s, c.append) for s, c in zip(settings, curves))
    assert curves[0] == curves[1] != curves[2] and [event.epoch for event in curves[0]] == [1, 2]
    assert all(torch.equal(v, again.state_dict()[k]) for k, v in first.state_dict().items()) and not first.training
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(v, weights[k]) for k, v in method.state_dict().items())
    found = predict(first, scenes, 3)
    assert len(found) == len(scenes) and torch.equal(torch.get_rng_state(), state)
    (alone,) = predict(first, scenes.select([9]))
    torch.testing.assert_close(found[9]["boxes"], alone["boxes"], rtol=1e-3, atol=1e-2)


def test_every_epoch_has_another_order_and_full_batches(scenes: DetectionDataset, seen: list[Any]) -> None:
    fit_detector(SimCLR(tiny), scenes, DetectorTraining(epochs=3, batch_size=4, jitter=0.0))
    assert [len(images) for _, images, _ in seen] == [4] * 6
    names = {id(scenes.images[i]): i for i in range(10)}
    orders = [[names[id(x)] for _, images, _ in seen[i : i + 2] for x in images] for i in (0, 2, 4)]
    assert len({tuple(order) for order in orders}) == 3 and all(len(set(order)) == 8 for order in orders)
    seen.clear()
    fit_detector(SimCLR(tiny), scenes.select(range(3)), DetectorTraining(epochs=2, batch_size=4))
    assert [len(images) for _, images, _ in seen] == [3, 3], "fewer images than a batch"


def test_the_size_is_the_median_of_the_images_at_most_800(scenes: DetectionDataset, seen: list[Any]) -> None:
    def side(heights: Any, **given: Any) -> Any:
        seen.clear()
        images = [torch.zeros(3, height, 2 * height, dtype=torch.uint8) for height in heights]
        data = DetectionDataset(images, [scenes.targets[0]] * len(images), scenes.class_names)
        fit_detector(SimCLR(tiny), data, DetectorTraining(epochs=1, batch_size=1, **given))
        return seen[0][0].sides

    assert side([40, 50, 90])[0] == 50 and side([900, 900])[0] == 800 and side([40], image_size=96)[0] == 96
    assert side([40], scales=(0.5, 2.0)) == (40, [20, 80])
    assert side([40]) == (40, [30, 40, 50, 40])


def test_images_are_mirrored_with_their_boxes_where_that_is_wished(scenes: DetectionDataset, seen: list[Any]) -> None:
    for flip in (False, True):
        seen.clear()
        fit_detector(SimCLR(tiny), scenes.select([0]), DetectorTraining(epochs=12, flip=flip, jitter=0.0))
        (image, target), mirrored = scenes[0], 0
        for _, (given,), (its,) in seen:
            if torch.equal(given, image):
                assert torch.equal(its["boxes"], target["boxes"])
                continue
            mirrored += 1
            assert torch.equal(given, image.flip(2)) and torch.equal(its["labels"], target["labels"])
            expected = target["boxes"].clone()
            expected[:, 0], expected[:, 2] = 64 - target["boxes"][:, 2], 64 - target["boxes"][:, 0]
            assert torch.equal(its["boxes"], expected)
        assert (0 < mirrored < 12) if flip else mirrored == 0


def test_colors_are_jittered_where_that_is_wished(scenes: DetectionDataset, seen: list[Any]) -> None:
    fit_detector(SimCLR(tiny), scenes.select([0]), DetectorTraining(epochs=4, jitter=0.4))
    images = [images[0] for _, images, _ in seen]
    assert all(x.dtype == torch.uint8 and not torch.equal(x, scenes[0][0]) for x in images)
    assert not torch.equal(images[0], images[1]) and torch.equal(seen[0][2][0]["boxes"], scenes[0][1]["boxes"])


@pytest.mark.parametrize(("wrong", "message"), [
    ({"detector": "yolo"}, "no detector 'yolo'"),
    ({"protocol": "half"}, "give frozen, full, or first-K"),
    ({"epochs": 0}, "'epochs' is 0"),
    ({"lr": 0.0}, "'lr' is 0"),
    ({"image_size": 0}, "'image_size' is 0"),
    ({"scales": ()}, "scales"),
    ({"scales": (1.0, -1.0)}, "scale"),
    ({"jitter": -0.1}, "'jitter' is -0.1"),
])  # fmt: skip
def test_wrong_settings_are_refused(wrong: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        DetectorTraining(**wrong)


def test_a_loss_that_is_not_finite_ends_the_training(scenes: DetectionDataset, monkeypatch: pytest.MonkeyPatch) -> None:
    class Diverged(torch.nn.Linear):
        def __init__(self, *given: Any, **named: Any) -> None:
            super().__init__(1, 1)

        def forward(self, images: Any, targets: Any) -> Any:
            return {"loss": self.weight.sum() * float("nan")}

    monkeypatch.setattr(module, "Detector", Diverged)
    with pytest.raises(UsageError, match="the loss of the detector is nan in epoch 1: give a lower --lr"):
        fit_detector(SimCLR(tiny), scenes, SHORT)
