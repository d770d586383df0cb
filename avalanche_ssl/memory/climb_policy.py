"""`Climb`: a memory of what came often and of what is new, found by two sets of centroids."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor

from avalanche_ssl.errors import require_positive, require_range
from avalanche_ssl.functional import l2_normalize
from avalanche_ssl.memory.policy import Policy

if TYPE_CHECKING:
    from avalanche_ssl.memory.image_buffer import ImageBuffer

FREE, SHORT, LONG = range(3)
"""What a row of the centroids is."""

RECENT = 1000
"""Distances to the nearest centroid that novelty is judged by."""

LONG_SHARE = 0.72
"""Most of the slots that long-term images take: of 2,500, the 60 * 30 of CLIMB."""


class Climb(Policy):
    """Short-term centroids begin at novel images and become long-term when they are met often (CLIMB, CoLLAs 2026).

    The distance of an image is 1 - cos of its feature z with the nearest centroid c. Beyond a percentile of the last
    1,000 distances the image is novel: z begins a short-term centroid, and of too many the one that was not met for
    longest leaves with its images. Otherwise the image joins those of c, up to `examples`, and is not kept beyond. A
    short-term centroid moves, c <- 0.9 c + 0.1 z, and becomes long-term when it has been met `matches` times. Of too
    many long-term centroids the two most similar merge: their mean, and `examples` of their images at random. Half of a
    sample is drawn from the images of each kind. Whenever the memory becomes full, centroids become the means of their
    images' features, which follow the encoder.

    Ours, where the paper does not say: in a full memory, the short-term centroid that was not met for longest leaves;
    long-term images take at most 72 % of the slots, so a memory of fewer than 2,500 images has fewer such centroids.

    Args:
        short: short-term centroids.
        long: long-term centroids.
        examples: images of a centroid.
        matches: images that a short-term centroid meets until it becomes long-term.
        novelty: the share of recent distances that a novel image exceeds.
    """

    reads_features: ClassVar[bool] = True

    centroids: Tensor
    kind: Tensor
    met: Tensor
    last: Tensor
    owner: Tensor
    recent: Tensor
    measured: Tensor

    def __init__(
        self, short: int = 100, long: int = 60, examples: int = 30, matches: int = 30, novelty: float = 0.95
    ) -> None:
        super().__init__()
        require_positive(short=short, long=long, examples=examples, matches=matches)
        require_range(0, 1, novelty=novelty)
        self.short, self.long, self.examples = short, long, examples
        self.matches, self.novelty = matches, novelty
        self._row = -1  # whose image enters next; within one call of `insert`

    def allocate(self, size: int, dim: int) -> None:
        """Make the buffers.

        Of each centroid, of both kinds in one table of R rows: `centroids` (R, D); `kind` (R,) long; `met` (R,) long,
        how many images it met; `last` (R,) long, the number of the last one. Of each slot: `owner` (M,) long, the row
        of its centroid, -1 if free. `recent` (1000,), a ring, and `measured`, 0-d long.
        """
        rows = self.short + self.long
        self.register_buffer("centroids", torch.zeros(rows, dim))
        self.register_buffer("kind", torch.full((rows,), FREE))
        self.register_buffer("met", torch.zeros(rows, dtype=torch.long))
        self.register_buffer("last", torch.zeros(rows, dtype=torch.long))
        self.register_buffer("owner", torch.full((size,), -1))
        self.register_buffer("recent", torch.zeros(RECENT))
        self.register_buffer("measured", torch.zeros((), dtype=torch.long))
        self.most_images = max(1, min(self.examples, int(LONG_SHARE * size)))
        self.most_long = max(1, min(self.long, int(LONG_SHARE * size / self.most_images)))

    def choose(self, memory: ImageBuffer, feature: Tensor, label: int) -> int | None:
        """A free slot, made free if need be; None if the centroid of the image has all its images."""
        z, number = l2_normalize(feature), int(memory.seen)
        distance = (1 - l2_normalize(self.centroids) @ z).masked_fill(self.kind == FREE, torch.inf)
        row = int(distance.argmin())
        if self.kind[row] == FREE or self._is_novel(distance[row]):
            row = self._begin(memory, z)
        else:
            row = self._meet(memory, z, row)
        self.last[row] = number
        if self.images_of(row).numel() >= self.most_images:
            return None
        while memory.count == memory.size:
            if not self._forget(memory, but=row):
                return None
        self._row = row
        return memory.free_slot()

    def images_of(self, row: int) -> Tensor:
        """The slots with images of a centroid, (n,) long."""
        return (self.owner == row).nonzero().squeeze(1)

    def leave(self, memory: ImageBuffer, slot: int) -> None:
        """The image is its centroid's no more."""
        self.owner[slot] = -1

    def enter(self, memory: ImageBuffer, slot: int) -> None:
        """The image is its centroid's; in a full memory, all centroids become the means of their images' features."""
        self.owner[slot], self._row = self._row, -1
        if memory.count == memory.size:
            sums = torch.zeros_like(self.centroids)
            sums.index_add_(0, self.owner, l2_normalize(memory.features))
            sizes = self.owner.bincount(minlength=len(sums))[:, None]
            self.centroids.copy_(torch.where(sizes > 0, sums / sizes.clamp(min=1), self.centroids))

    def sample(self, memory: ImageBuffer, n: int) -> Tensor:
        """Draw half of `n` from short-term images, the rest from long-term ones; more of one if the other lacks."""
        held = memory.held()
        kinds = self.kind[self.owner[held]]
        short, long = (self._shuffled(memory, held[kinds == kind]) for kind in (SHORT, LONG))
        n_long = min(len(long), n - min(len(short), n // 2))
        return self._shuffled(memory, torch.cat([short[: n - n_long], long[:n_long]]))

    def _shuffled(self, memory: ImageBuffer, slots: Tensor) -> Tensor:
        return slots[torch.randperm(len(slots), generator=memory.generator)]

    def _is_novel(self, distance: Tensor) -> bool:
        self.recent[self.measured % RECENT] = distance
        self.measured += 1
        return bool(distance > self.recent[: int(self.measured)].quantile(self.novelty))

    def _begin(self, memory: ImageBuffer, z: Tensor) -> int:
        """The row of a new short-term centroid."""
        if (self.kind == SHORT).sum() >= self.short:
            self._forget(memory)
        row = int((self.kind == FREE).byte().argmax())
        self.centroids[row], self.kind[row], self.met[row] = z, SHORT, 0
        return row

    def _meet(self, memory: ImageBuffer, z: Tensor, row: int) -> int:
        """Move a centroid that meets an image, or let it become long-term; the row where it is then."""
        self.met[row] += 1
        if self.kind[row] == LONG:
            return row
        self.centroids[row] = 0.9 * self.centroids[row] + 0.1 * z
        if self.met[row] < self.matches:
            return row
        self.kind[row] = LONG
        return self._merge(memory, row) if (self.kind == LONG).sum() > self.most_long else row

    def _merge(self, memory: ImageBuffer, row: int) -> int:
        """Merge the two most similar long-term centroids; where the centroid of `row` is then."""
        rows = (self.kind == LONG).nonzero().squeeze(1)
        unit = l2_normalize(self.centroids[rows])
        pairs = (unit @ unit.T).fill_diagonal_(-torch.inf)
        first, second = (int(rows[place]) for place in divmod(int(pairs.argmax()), len(rows)))
        self.centroids[first] = (self.centroids[first] + self.centroids[second]) / 2
        self.met[first] += self.met[second]
        self.owner[self.owner == second] = first
        self.kind[second] = FREE
        memory.remove(self._shuffled(memory, self.images_of(first))[self.most_images :])
        return first if row == second else row

    def _forget(self, memory: ImageBuffer, but: int = -1) -> bool:
        """Free the short-term centroid that was not met for longest, with its images; False if there is none."""
        rows = (self.kind == SHORT).nonzero().squeeze(1)
        rows = rows[rows != but]
        if len(rows) == 0:
            return False
        row = int(rows[self.last[rows].argmin()])
        self.kind[row] = FREE
        memory.remove(self.images_of(row))
        return True
