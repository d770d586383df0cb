"""Digits on plain ground: colors, sizes and places by their rules, the same images on every machine."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.datasets import load_digits

from avalanche_ssl import streams
from avalanche_ssl.errors import UsageError
from avalanche_ssl.streams import digit_masks, plain_digits

SQUARE = np.zeros((1, 28, 28), np.float32)
SQUARE[:, 12:16, 12:16] = 1


def one(value: float) -> NDArray[np.float64]:
    return np.array([value])


def test_a_test_digit_is_no_training_digit_and_none_of_those_on_photographs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each mask is marked by its number, which images without noise and colors show."""
    numbers = np.arange(1797, dtype=np.float32)
    monkeypatch.setattr(plain_digits, "digit_masks", lambda: (numbers, load_digits().target))
    monkeypatch.setattr(plain_digits, "draw", lambda masks, *_: masks)
    train, test = plain_digits.plain_digits(6, 0)
    of_train, of_test = set(train.data.tolist()), set(test.data.tolist())
    assert not of_train & of_test and len(of_train | of_test) == 1797
    on_photographs = np.flatnonzero(streams.is_test_digit(load_digits().target, 2))
    assert not of_test & set(on_photographs.tolist())
    assert train.targets == load_digits().target[train.data.astype(int)].tolist()


def test_colors_keep_their_distances() -> None:
    """Either may be the lighter; the rules are checked one pair at a time."""
    ground, ink = plain_digits.random_colors(3000, np.random.default_rng(0))
    luma = [colors @ [0.299, 0.587, 0.114] for colors in (ground, ink)]
    chroma = [colors - gray[:, None] for colors, gray in zip((ground, ink), luma, strict=True)]
    assert np.abs(luma[0] - luma[1]).min() >= 0.3 - 1e-12
    assert np.linalg.norm(chroma[0] - chroma[1], axis=1).min() >= 0.15 - 1e-12
    assert abs((luma[0] > luma[1]).mean() - 0.5) < 0.03
    for colors in (ground, ink):
        saturation = 1 - colors.min(1) / colors.max(1)
        assert 0.1 - 1e-12 <= saturation.min() < 0.11 and 0.49 < saturation.max() <= 0.5 + 1e-12


def test_a_mask_is_placed_where_it_fits() -> None:
    """At the least size a mask of 24 pixels lies in one of four corners, at the largest it fills the image."""
    full = np.ones((1, 28, 28), np.float32)
    for (down, right), (rows, columns) in {
        (0, 0): ((0, 24), (0, 24)),
        (1, 0): ((8, 32), (0, 24)),
        (0.5, 1): ((4, 28), (8, 32)),
    }.items():
        (found,) = plain_digits.placed(full, one(24 / 28), one(0), np.array([[down], [right]]))
        inside = np.zeros((32, 32))
        inside[slice(*rows), slice(*columns)] = 1
        assert np.array_equal(found > 0.5, inside > 0.5)
    (found,) = plain_digits.placed(full, one(32 / 28), one(0), np.array([[0.3], [0.9]]))
    assert (found > 0.5).all()


@pytest.mark.parametrize(("degrees", "shown"), [(0, (2, 16)), (90, (16, 29)), (180, (29, 16))])
def test_a_digit_turns_clockwise(degrees: float, shown: tuple[int, int]) -> None:
    """A dot above the center goes to the right."""
    dot = np.zeros((1, 28, 28), np.float32)
    dot[:, 2:4, 13:15] = 1
    (found,) = plain_digits.placed(dot, one(32 / 28), one(degrees), np.full((2, 1), 0.5))
    center = [float((found * at).sum() / found.sum()) for at in np.mgrid[:32, :32]]
    assert center == pytest.approx(shown, abs=1.5)


def test_an_enlarged_mask_keeps_its_mass_and_values() -> None:
    for size in (24, 28, 32):
        (found,) = plain_digits.placed(SQUARE, one(size / 28), one(7), np.full((2, 1), 0.5))
        assert found.sum() == pytest.approx(16 * (size / 28) ** 2, rel=0.05)
        assert found.min() >= 0 and found.max() == pytest.approx(1)
    (same,) = plain_digits.placed(digit_masks()[0][:1], one(1), one(0), np.full((2, 1), 0.5))
    assert np.allclose(same[2:30, 2:30], digit_masks()[0][0], atol=1e-6)


def test_an_image_is_the_two_colors_and_noise(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the mask is 0 the ground, where it is 1 the digit; deviations of 0.03."""
    ground, ink = np.full((50, 3), 0.3), np.full((50, 3), 0.6)
    monkeypatch.setattr(plain_digits, "random_colors", lambda n, rng: (ground, ink))
    half = np.zeros((50, 28, 28), np.float32)
    half[:, :14] = 1
    made = plain_digits.draw(half, np.random.default_rng(0)) / 255
    upper, lower = made[:, 10:11, 12:20], made[:, -4:]
    assert (upper.mean(), lower.mean()) == pytest.approx((0.6, 0.3), abs=2e-3)
    assert (upper.std(), lower.std()) == pytest.approx((0.03, 0.03), abs=2e-3)


def test_images_are_the_same_on_every_machine() -> None:
    masks = np.tile(np.linspace(0, 1, 28, dtype=np.float32), (40, 28, 1))
    made = plain_digits.draw(masks, np.random.default_rng(5))
    assert hashlib.sha256(made.tobytes()).hexdigest()[:16] == "322b5d62374e1951"


def test_chunks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    masks = digit_masks()[0][:7]
    whole = plain_digits.draw(masks, np.random.default_rng(0))
    monkeypatch.setattr(plain_digits, "CHUNK", 3)
    assert np.array_equal(plain_digits.draw(masks, np.random.default_rng(0)), whole)


def test_sizes_and_slants_keep_their_ranges(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: dict[str, Any] = {}

    def keep(masks: Any, scale: Any, degrees: Any, place: Any) -> Any:
        drawn.update(scale=scale, degrees=degrees, place=place)
        return np.zeros((len(masks), 32, 32))

    monkeypatch.setattr(plain_digits, "placed", keep)
    plain_digits.draw(np.zeros((1000, 28, 28), np.float32), np.random.default_rng(0))
    size = 28 * drawn["scale"]
    assert 24 <= size.min() < 24.1 and 31.9 < size.max() <= 32
    assert np.median(size) == pytest.approx(np.sqrt(24 * 32), abs=0.3)  # log-uniform
    assert -10 <= drawn["degrees"].min() < -9.9 and 9.9 < drawn["degrees"].max() <= 10
    plain_digits.draw(np.zeros((1000, 28, 28), np.float32), np.random.default_rng(0), np.array([0.0, 90.0]))
    assert drawn["degrees"][0::2].max() <= 10 and drawn["degrees"][1::2].min() >= 80


def test_no_composite_is_refused() -> None:
    with pytest.raises(UsageError, match="composites=0 of a digit: give 1 or more"):
        plain_digits.plain_digits(0, 0)
