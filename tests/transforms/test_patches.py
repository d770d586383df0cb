"""Grids, jigsaw puzzles, quarter turns and dropped colors."""

import pytest
import torch
from helpers.images import coordinates
from helpers.lcg import lcg

from avalanche_ssl.transforms.patches import drop_colors, grid, jigsaw, quarter_turns, random_turns


@pytest.mark.parametrize("size, patch, stride, side", [(32, 8, 4, 7), (32, 8, 8, 4), (33, 9, 6, 5), (8, 8, 4, 1)])
def test_grid_holds_every_patch_at_its_place(size, patch, stride, side):
    x = lcg(1, 2, 3, size, size)
    patches = grid(x, patch, stride)
    assert patches.shape == (2, side, side, 3, patch, patch)
    for row in range(side):
        for column in range(side):
            top, left = row * stride, column * stride
            assert torch.equal(patches[:, row, column], x[:, :, top : top + patch, left : left + patch])


def test_grid_of_oblong_images():
    assert grid(torch.zeros(2, 3, 16, 24), 8, 4).shape == (2, 3, 5, 3, 8, 8)
    with pytest.raises(ValueError, match="8 pixels does not fit images of 6x32"):
        grid(torch.zeros(1, 3, 6, 32), 8, 4)


def test_jigsaw_takes_one_patch_of_each_cell():
    """Every patch is a square piece of its own image and of one cell; all cells are there once (methods.md 42)."""
    patches = jigsaw(coordinates(33, 50), 3, 8, torch.Generator().manual_seed(0))
    assert patches.shape == (50, 9, 3, 8, 8)
    corner = patches[:, :, :, :1, :1]
    offsets = coordinates(8)[0, :2]
    assert torch.equal(patches[:, :, :2] - corner[:, :, :2], offsets.expand(50, 9, 2, 8, 8))
    assert torch.equal(patches[:, :, 2], torch.arange(50.0).view(50, 1, 1, 1).expand(50, 9, 8, 8))
    first, last = patches[:, :, :2, 0, 0] // 11, patches[:, :, :2, -1, -1] // 11
    assert torch.equal(first, last), "a patch lies in two cells: neighbors may share or continue a border"
    cells = (3 * first[:, :, 0] + first[:, :, 1]).sort(dim=1).values
    assert torch.equal(cells, torch.arange(9.0).expand(50, 9))


def test_jigsaw_places_and_orders_are_uniform_and_each_images_own():
    patches = jigsaw(coordinates(33, 4000), 3, 8, torch.Generator().manual_seed(0))
    top, left = patches[:, :, 0, 0, 0], patches[:, :, 1, 0, 0]
    for start in (top, left):
        shares = torch.bincount((start % 11).long().flatten(), minlength=4) / 36000
        assert shares.shape == (4,) and (shares - 1 / 4).abs().max() < 0.01
    cells = (top // 11 * 3 + left // 11).long()
    for place in range(9):
        shares = torch.bincount(cells[:, place], minlength=9) / 4000
        assert (shares - 1 / 9).abs().max() < 0.025
    assert len(cells.unique(dim=0)) > 3900  # of 9! orders
    again = jigsaw(coordinates(33, 4000), 3, 8, torch.Generator().manual_seed(1))
    assert not torch.equal(patches, again)


def test_jigsaw_without_room_covers_the_image():
    patches = jigsaw(coordinates(24, 2), 3, 8, torch.Generator().manual_seed(0))
    pixels = (patches[:, :, 0] * 24 + patches[:, :, 1]).flatten(1).sort(dim=1).values
    assert torch.equal(pixels, torch.arange(576.0).expand(2, 576))


@pytest.mark.parametrize("size, cells, patch", [(32, 3, 8), (33, 3, 12), (30, 4, 5)])
def test_jigsaw_refuses_what_does_not_divide(size, cells, patch):
    with pytest.raises(ValueError, match=f"do not fit images of {size}x{size}: give a multiple of {cells}"):
        jigsaw(torch.zeros(1, 3, size, size), cells, patch)


def test_quarter_turns_equal_rot90():
    x = lcg(2, 12, 3, 6, 6)
    turns = torch.arange(12) - 4
    turned = quarter_turns(x, turns)
    for image, k, result in zip(x, turns.tolist(), turned):
        assert torch.equal(result, torch.rot90(image, k, (1, 2)))


def test_random_turns_are_equally_likely():
    image = lcg(3, 1, 1, 4, 4)
    turned = random_turns(image.expand(4000, 1, 4, 4), torch.Generator().manual_seed(0))
    for k in range(4):
        share = (turned == torch.rot90(image, k, (2, 3))).flatten(1).all(1).float().mean()
        assert share == pytest.approx(0.25, abs=0.025)


@pytest.mark.parametrize("probability", [0.0, 0.3, 1.0])
def test_dropped_colors_leave_one_channel(probability):
    x = lcg(4, 3000, 3, 2, 2) + 2
    y = drop_colors(x, probability, torch.Generator().manual_seed(0))
    kept = (y == x).all((2, 3))
    assert torch.equal(y, x * kept.view(3000, 3, 1, 1))
    count = kept.sum(1)
    assert set(count.tolist()) <= {1, 3}
    assert (count == 1).float().mean() == pytest.approx(probability, abs=0.03)
    for channel in range(3 if probability else 0):
        assert kept[count == 1, channel].float().mean() == pytest.approx(1 / 3, abs=0.05)
