"""The memory bank: rows by image, eviction, negatives; the content hash."""

import random

import pytest
import torch
from helpers.memory import assert_restorable, rows

from avalanche_ssl.functional import l2_normalize
from avalanche_ssl.memory.bank import MemoryBank, content_hash


def test_impossible_settings_are_refused():
    with pytest.raises(ValueError, match="capacity of at least 1"):
        MemoryBank(0, 4)
    with pytest.raises(ValueError, match="momentum 1"):
        MemoryBank(4, 4, momentum=1.0)


class NaiveBank:
    """The bank as a Python dictionary: first in, first out; moving averages, re-normalized."""

    def __init__(self, capacity, momentum):
        self.capacity, self.momentum, self.rows, self.n_written = capacity, momentum, {}, 0

    def write(self, ids, rows):
        ids, rows = ids[-self.capacity :], rows[-self.capacity :]
        known = set(self.rows)
        written = {}
        for i, row in zip(ids, rows, strict=True):
            if i not in written:
                old = self.rows.get(i)
                written[i] = row if old is None else l2_normalize(self.momentum * old + (1 - self.momentum) * row)
        for i in written:
            if i in known:
                self.rows[i] = written[i]
        for i in written:
            if i not in known:
                if len(self.rows) == self.capacity:
                    del self.rows[next(iter(self.rows))]
                self.rows[i] = written[i]


@pytest.mark.parametrize("capacity, images, batch", [(50, 40, 8), (16, 40, 8), (5, 12, 8), (300, 1000, 64)])
def test_bank_equals_a_dictionary(capacity, images, batch):
    """New rows, moving averages, repeated images in a batch and eviction, over many random batches."""
    draw = random.Random(0)
    bank, naive = MemoryBank(capacity, 4, momentum=0.5), NaiveBank(capacity, 0.5)
    names = [draw.getrandbits(63) - 2**62 for _ in range(images)]
    for step in range(60):
        ids = [draw.choice(names) for _ in range(batch)]
        fresh = rows(batch, seed=step)
        bank.write(torch.tensor(ids), fresh)
        naive.write(ids, fresh)
        found, known = bank.find(torch.tensor(names))
        assert {n for n, k in zip(names, known.tolist(), strict=True) if k} == set(naive.rows)
        for name, slot, k in zip(names, found.tolist(), known.tolist(), strict=True):
            if k:
                assert torch.allclose(bank.rows[slot], naive.rows[name], atol=1e-6)


def test_bank_row_starts_as_the_first_embedding_and_follows_the_rest():
    bank, ids = MemoryBank(8, 4), torch.tensor([3, 5])
    first, second = rows(2), rows(2, seed=1)
    assert torch.equal(bank.read(ids, first), first)
    bank.write(ids, 7 * first)
    assert torch.allclose(bank.read(ids, second), first)
    bank.write(ids[:1], second[:1])
    assert torch.allclose(bank.read(ids, second), torch.stack([l2_normalize(first[0] + second[0]), first[1]]))
    assert bank.n_written == 2 and bank.n_hits == 1


def test_bank_keeps_a_row_for_each_view():
    bank, ids = MemoryBank(8, 2, 4), torch.tensor([3, 5, 3])
    fresh = torch.randn(3, 2, 4)
    bank.write(ids, fresh)
    kept = bank.read(ids, torch.zeros(3, 2, 4))
    assert torch.allclose(kept, l2_normalize(fresh)[[0, 1, 0]])
    assert torch.allclose(kept.norm(dim=-1), torch.ones(3, 2))


def test_bank_is_exact_to_its_capacity():
    bank = MemoryBank(4096, 2)
    ids = torch.randint(-(2**63), 2**63 - 1, (4096,), generator=torch.Generator().manual_seed(0))
    for part in ids.split(100):
        bank.write(part, torch.randn(len(part), 2))
    assert bank.find(ids)[1].all()
    bank.write(torch.tensor([1, 2]), torch.randn(2, 2))
    assert bank.find(ids)[1].tolist() == [False, False] + [True] * 4094, "the oldest leave first"


def test_negatives_are_written_distinct_and_never_the_anchors_own():
    bank, ids = MemoryBank(100, 4), torch.arange(1, 61)
    bank.write(ids, rows(60))
    for count in (16, 60, 90):
        slots, valid = bank.sample_negatives(ids[:8], count, torch.Generator().manual_seed(count))
        assert slots.shape == (count,) and valid.shape == (8, count)
        for anchor, ok in zip(ids[:8], valid, strict=True):
            drawn = slots[ok].tolist()
            assert len(set(drawn)) == len(drawn) and max(drawn) < 60
            assert anchor not in bank.ids[drawn]
        assert valid.any(0).sum() == min(count, 60)


def test_each_row_is_drawn_equally_often():
    bank = MemoryBank(64, 4)
    bank.write(torch.arange(50), rows(50))
    generator, counts = torch.Generator().manual_seed(0), torch.zeros(64)
    for _ in range(2000):
        counts[bank.sample_negatives(torch.tensor([-1]), 20, generator)[0]] += 1
    assert (counts[50:] == 0).all()
    assert (counts[:50] - 800).abs().max() < 6 * (2000 * 0.4 * 0.6) ** 0.5


def test_an_empty_bank_has_no_negatives():
    assert not MemoryBank(8, 4).sample_negatives(torch.tensor([1, 2]), 4)[1].any()


def test_identity_follows_the_pixels():
    x = torch.randint(0, 256, (64, 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    ids = content_hash(x)
    assert ids.dtype == torch.long and len(set(ids.tolist())) == 64
    order = torch.randperm(64)
    assert torch.equal(content_hash(x[order]), ids[order])
    assert torch.equal(content_hash(x.to(memory_format=torch.channels_last)), ids)
    for pixel in range(0, 3072, 97):
        changed = x[:1].clone()
        changed.view(-1)[pixel] += 1
        assert content_hash(changed) != ids[0]


def test_identity_is_the_exact_integer_dot_product():
    """In Python integers; also fixes the numbers, since saved banks depend on them."""

    def odd_number(i):
        z = i * 0x9E3779B97F4A7C15 % 2**64
        z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9 % 2**64
        z = (z ^ z >> 27) * 0x94D049BB133111EB % 2**64
        return z ^ z >> 31 | 1

    x = torch.tensor([[[[0, 1], [200, 255]]]], dtype=torch.uint8)
    expected = sum(v * odd_number(i + 1) for i, v in enumerate([0, 1, 200, 255])) % 2**64
    assert content_hash(x).item() % 2**64 == expected


def test_identity_of_float_images():
    x = torch.rand(8, 3, 4, 4)
    assert len(set(content_hash(x).tolist())) == 8
    assert torch.equal(content_hash(x), content_hash(x.clone()))


def test_binary_images_do_not_collide():
    x = 255 * torch.randint(0, 2, (5000, 1, 4, 4), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    distinct = len({tuple(i.flatten().tolist()) for i in x})
    assert len(set(content_hash(x).tolist())) == distinct


def test_the_bank_is_in_the_state_dict():
    assert_restorable(MemoryBank(8, 4))
