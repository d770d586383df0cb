"""The queue: a ring of the newest rows."""

import pytest
import torch
from helpers.memory import assert_restorable, rows

from avalanche_ssl.memory.queue import Queue


def test_queue_wraps_around():
    queue = Queue(10, 4)
    queue.enqueue(rows(8))
    fresh = rows(5, seed=1)
    queue.enqueue(fresh)
    assert torch.equal(queue.rows[[8, 9, 0, 1, 2]], fresh)
    assert queue.n_enqueued == 13
    assert queue.ages().tolist() == [2, 1, 0, 9, 8, 7, 6, 5, 4, 3]


def test_queue_keeps_the_newest_of_a_batch_larger_than_itself():
    queue = Queue(3, 4)
    queue.enqueue(rows(1))
    big = rows(8, seed=2)
    queue.enqueue(big)
    assert {tuple(r) for r in queue.rows.tolist()} == {tuple(r) for r in big[-3:].tolist()}
    assert torch.equal(queue.rows[queue.ages().argsort()], big[-3:].flip(0))


def test_queue_starts_with_unit_rows_never_written():
    queue = Queue(6, 4)
    assert torch.allclose(queue.rows.norm(dim=1), torch.ones(6))
    assert (queue.ages() == -1).all()


@pytest.mark.parametrize("batch", [1, 3, 7, 10, 23])
def test_queue_equals_a_list(batch):
    queue, reference = Queue(10, 4), []
    for step in range(9):
        fresh = rows(batch, seed=step)
        queue.enqueue(fresh)
        reference = (reference + list(fresh))[-10:]
        written = queue.ages().argsort(descending=True)[: len(reference)]
        assert torch.equal(queue.rows[written], torch.stack(reference))


def test_sizes_below_1_are_refused():
    with pytest.raises(ValueError, match="not 0 and 4"):
        Queue(0, 4)


def test_the_queue_is_in_the_state_dict():
    assert_restorable(Queue(8, 4))
