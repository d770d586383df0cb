"""Shares of a batch: every row once, in order, and what is drawn for them."""

import pytest
import torch

from avalanche_ssl.distributed import Share, images_are, present, share_of, whole_shape
from avalanche_ssl.rng import uniform


@pytest.mark.parametrize("parts", [(12,), (13, 5), (7, 4, 3)])
@pytest.mark.parametrize("count", [1, 2, 3])
def test_processes_have_every_row_once(parts, count):
    shares = [Share(parts, rank, count) for rank in range(count)]
    rows = torch.cat([share.rows for share in shares])
    assert sorted(rows.tolist()) == list(range(sum(parts)))
    for share in shares:
        assert share.sizes == [len(other.rows) for other in shares]
        assert max(share.sizes) - min(share.sizes) <= len(parts)
        assert torch.equal(share.joined([other.rows for other in shares]), torch.arange(sum(parts)))
        assert torch.equal(share.keep(torch.arange(sum(parts))), share.rows)
        for number, part in enumerate(parts):
            assert len(share.part(number).rows) in (part // count, part // count + 1)


def test_rows_of_a_part_are_consecutive():
    assert Share((5, 3), 0, 2).rows.tolist() == [0, 1, 2, 5, 6]
    assert Share((5, 3), 1, 2).rows.tolist() == [3, 4, 7]


def test_several_entries_of_an_image_are_kept_side_by_side():
    share = Share((2, 2), 1, 2)
    assert share.keep(torch.arange(12)).tolist() == [3, 4, 5, 9, 10, 11]
    assert share.keep(torch.arange(8).view(2, 4), 1).tolist() == [[1, 3], [5, 7]]


def test_parts_of_a_batch_have_shares_of_their_own():
    share = Share((5, 3), 1, 2)
    assert share.within(0, 5) == Share((5,), 1, 2)
    assert share.within(5, 8) == Share((3,), 1, 2)
    assert share.within(0, 8) == share
    assert share.within(5, 5) is None
    with pytest.raises(ValueError, match="rows 0 to 4 are no whole parts"):
        share.within(0, 4)


def test_one_process_has_no_share():
    assert share_of(12) is None
    assert present() is None
    assert whole_shape((3, 4), 1) == (3, 4)


@pytest.mark.parametrize("images", [0, 1])
def test_draws_for_a_share_are_those_of_its_images_in_the_whole_batch(images):
    shape = (3, 8) if images else (8, 3)
    whole = uniform(shape, 0, 1, torch.Generator().manual_seed(0), images=images)
    states, parts = [], []
    for rank in range(3):
        share, generator = Share((8,), rank, 3), torch.Generator().manual_seed(0)
        own = [len(share.rows) if dim == images else n for dim, n in enumerate(shape)]
        with images_are(share):
            parts.append(uniform(own, 0, 1, generator, images=images))
        states.append(generator.get_state())
    assert torch.equal(torch.cat(parts, images), whole)
    assert all(torch.equal(state, states[0]) for state in states)


def test_draws_that_belong_to_no_image_are_left_whole():
    with images_are(Share((8,), 1, 2)):
        drawn = uniform((3,), 0, 1, torch.Generator().manual_seed(0), images=None)
    assert torch.equal(drawn, uniform((3,), 0, 1, torch.Generator().manual_seed(0)))


def test_a_draw_that_fits_no_image_says_how_to_declare_it():
    with images_are(Share((8,), 1, 2)), pytest.raises(ValueError, match=r"images=1\), or that it is for none"):
        uniform((10, 4), 0, 1)


def test_the_block_ends_with_an_error_too():
    with pytest.raises(RuntimeError), images_are(Share((8,), 1, 2)):
        raise RuntimeError
    assert present() is None
