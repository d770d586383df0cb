"""`MemoryBank`: one row per image, found by the image's content (`content_hash`).

All state lies in persistent buffers of fixed shape and is written without waiting for the device, in time that does
not depend on the capacity.
"""

from functools import lru_cache

import numpy as np
import torch
from torch import Tensor, nn

from avalanche_ssl.functional import l2_normalize


class MemoryBank(nn.Module):
    """One row per image, found by the image's content: the memory of CMC and PIRL (Wu et al., arXiv:1805.01978).

    A row starts as the first embedding of its image and then follows it as an exponential moving average,
    re-normalized. New images fill the slots in a ring: the bank is exact while the stream's distinct images fit into
    `capacity`; beyond that the oldest rows are replaced first. Images are found through a hash table of fixed size
    whose stale entries need no deletion, since an entry counts only if its slot still holds the image's id.

    Args:
        capacity: maximum number of images.
        shape: shape of a row, (D,), or (V, D) for V views; unit length along the last dimension.
        momentum: weight of the old row in an update.
    """

    rows: Tensor
    ids: Tensor
    n_written: Tensor
    n_hits: Tensor
    table: Tensor

    WAYS = 16
    """Entries per bucket. With two images per bucket on average, more than 16 share one in 10^10 buckets; an image
    whose bucket is full is treated as new each time."""

    def __init__(self, capacity: int, *shape: int, momentum: float = 0.5) -> None:
        super().__init__()
        if capacity < 1 or not shape:
            raise ValueError(f"a bank needs a capacity of at least 1 and a row shape, not {capacity}, {shape}")
        if not 0 <= momentum < 1:
            raise ValueError(f"momentum {momentum} of the bank is not in [0, 1)")
        self.momentum = momentum
        self.register_buffer("rows", torch.zeros(capacity, *shape))
        self.register_buffer("ids", torch.zeros(capacity, dtype=torch.long))
        self.register_buffer("n_written", torch.zeros((), dtype=torch.long))
        self.register_buffer("n_hits", torch.zeros((), dtype=torch.long))
        self.register_buffer("table", torch.full((capacity // 2 | 1, self.WAYS), -1, dtype=torch.long))

    def find(self, ids: Tensor) -> tuple[Tensor, Tensor]:
        """Slots (B,) long of the images with `ids` (B,) long, and whether each is known, (B,) bool."""
        entries = self.table[self._bucket(ids)]  # (B, WAYS)
        match = self._holds(entries) & (self.ids[entries] == ids[:, None])
        slots = entries.gather(1, match.byte().argmax(1, keepdim=True)).squeeze(1)
        return slots.clamp(min=0), match.any(1)

    def read(self, ids: Tensor, default: Tensor) -> Tensor:
        """Rows of the images with `ids` (B,); for images not known yet, their row of `default` (B, ...)."""
        slots, known = self.find(ids)
        return torch.where(known.view(-1, *[1] * (default.ndim - 1)), self.rows[slots], default.detach())

    def sample_negatives(
        self, ids: Tensor, count: int, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        """Draw rows as negatives, shared by all anchors.

        Only written rows are drawn, none twice, each with equal probability: one from each of `count` equal
        parts of the ring, or all of them while fewer are written.

        Args:
            ids: (B,) ids of the anchors.
            count: K, number of negatives.
            generator: source of randomness.

        Returns:
            Slots (K,) of the rows, and (B, K) bool: False where a row is not written or is the anchor's own.
        """
        device = self.rows.device
        source = generator.device if generator else device
        written = self.n_written.clamp(max=len(self.ids))
        part = torch.arange(count, device=device)
        draw = torch.rand(count, generator=generator, device=source, dtype=torch.float64).to(device)
        drawn = ((part + draw) * written / count).long()
        slots = torch.where(written <= count, part, drawn).clamp(max=len(self.ids) - 1)
        own = self.ids[slots] == ids[:, None]
        return slots, (part < written) & ~own

    @torch.no_grad()
    def write(self, ids: Tensor, rows: Tensor) -> None:
        """Move the rows of the images `ids` (B,) towards `rows` (B, ...); the first row of a repeated image counts."""
        size = len(self.ids)
        ids, rows = ids[-size:], l2_normalize(rows.detach()[-size:])
        first, _ = _group(ids)
        old, known = self.find(ids)
        is_new = ~known & (first == torch.arange(len(ids), device=ids.device))
        n_new = is_new.cumsum(0)
        slots = torch.where(known, old, (self.n_written + n_new - 1) % size)
        mixed = l2_normalize(self.momentum * self.rows[old] + (1 - self.momentum) * rows)
        rows = torch.where(known.view(-1, *[1] * (rows.ndim - 1)), mixed, rows)
        self._enter(ids, slots, is_new, first)
        # Where images of the batch meet in one slot, all write what its owner writes: a repeated image what its
        # first occurrence writes, an image whose row is just being overwritten what the new image writes.
        turn = (old - self.n_written) % size
        owner = torch.searchsorted(n_new, turn + 1).clamp(max=len(ids) - 1)
        source = torch.where(known & (turn < n_new[-1]), owner, first)
        self.rows[slots[source]] = rows[source].to(self.rows.dtype)
        self.ids[slots[source]] = ids[source]
        self.n_written += n_new[-1]
        self.n_hits += known.sum()

    def _enter(self, ids: Tensor, slots: Tensor, is_new: Tensor, first: Tensor) -> None:
        """Enter the slots of new images into free entries of their buckets; known images rewrite their own."""
        bucket = self._bucket(ids)
        entries = self.table[bucket]  # (B, WAYS)
        mine = self._holds(entries) & (self.ids[entries] == ids[:, None])
        free = ~self._holds(entries) | (self._bucket(self.ids[entries]) != bucket[:, None])
        others = -1 - torch.arange(len(ids), device=ids.device)  # each known image is its own group
        rank = _group(torch.where(is_new, bucket, others))[1]
        take = torch.where(is_new[:, None], free & (free.cumsum(1) == rank[:, None] + 1), mine)
        entry = bucket * self.WAYS + take.byte().argmax(1)  # the bucket's first entry if none is free
        self.table.view(-1)[entry[first]] = slots[first]

    def _holds(self, entries: Tensor) -> Tensor:
        return (entries >= 0) & (entries < self.n_written)

    def _bucket(self, ids: Tensor) -> Tensor:
        return ids % len(self.table)  # an odd number, so that all bits of the id count


def content_hash(x: Tensor) -> Tensor:
    """64-bit identity of raw images (B, ...) from their content; (B,) long.

    An exact integer dot product of the bytes with fixed random odd numbers, modulo 2^64: the same for the same pixels
    in any experience, process or replay buffer, without dataset indices.
    """
    data = x.contiguous().view(len(x), -1).view(torch.uint8)
    return (data * _weights(data.shape[1], data.device)).sum(1)


@lru_cache(maxsize=8)
def _weights(count: int, device: torch.device) -> Tensor:
    """Odd 64-bit numbers from splitmix64 (Steele et al. 2014) of 1, 2, ..., count."""
    with np.errstate(over="ignore"):
        z = np.arange(1, count + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z = (z ^ (z >> np.uint64(31))) | np.uint64(1)
    return torch.from_numpy(z.view(np.int64)).to(device)


def _group(keys: Tensor) -> tuple[Tensor, Tensor]:
    """The position of the first occurrence of each of (B,) keys, and the number of equal keys before it."""
    ordered, order = torch.sort(keys, stable=True)
    start = torch.searchsorted(ordered, ordered)
    rank = torch.arange(len(keys), device=keys.device) - start
    first, before = torch.empty_like(order), torch.empty_like(order)
    first[order] = order[start]
    before[order] = rank
    return first, before
