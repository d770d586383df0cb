"""`ImageBuffer`: raw images of the past within a number of slots or bytes, see `avalanche_ssl.memory.policies`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from avalanche_ssl.errors import UsageError, require_positive
from avalanche_ssl.memory.byte_size import format_bytes, parse_bytes
from avalanche_ssl.memory.policies import WITHOUT_LABELS, make_policy
from avalanche_ssl.memory.policy import Policy


class ImageBuffer(nn.Module):
    """M slots of raw images with a feature each; a policy decides who stays.

    All of it is buffers, so `state_dict()` is the whole memory: images, features, what the policy remembers, counters,
    and the state of its own random generator. Buffers get their final shapes with the first images, with `reserve`, or
    with a state that is loaded. It stays on the CPU whatever device its owner moves to, since one decision depends on
    the last; what enters may lie on any device, and what it returns lies on the CPU. Features alone stay on the device
    that they come from, if the policy does not read them: to move them would wait for a GPU.

    A slot is free where `born` is -1. Read `features`, `labels` and `born` at slots; change them by methods only.

    Args:
        dim: D, length of a feature; 0 for none.
        size: M, number of images; give this or `bytes`.
        bytes: instead of `size`, the most bytes that all buffers take, a number or a text such as "6MB": images,
            features, counters and what the policy remembers (the generator's state of 5 kB is not counted).
        policy: who leaves; a name of `POLICIES`, or a `Policy` with settings of its own.
        seed: of its generator.

    Attributes:
        pixels: (M, C, H, W) raw images, uint8 or float32.
        features: (M, D) float32, see above for the device.
        labels: (M,) long, -1 if unknown.
        born: (M,) long, number of the image in the stream, from 0; -1 for a free slot.
        seen: 0-d long, images of the stream so far.
        count: 0-d long, images held.

    Raises:
        UsageError: not one of `size` and `bytes` is given, or one is not above 0, or no policy has the name.
    """

    pixels: Tensor
    features: Tensor
    labels: Tensor
    born: Tensor
    seen: Tensor
    count: Tensor

    def __init__(
        self,
        dim: int,
        size: int | None = None,
        *,
        bytes: int | str | None = None,
        policy: str | Policy = "reservoir",
        seed: int = 0,
    ) -> None:
        super().__init__()
        if (size is None) == (bytes is None):
            given = "neither is given" if size is None else f"not size={size} and bytes={bytes}"
            raise UsageError(f"a memory has a size or a number of bytes, {given}: give one, such as size=2000")
        if size is not None:
            require_positive(size=size)
        self.dim = dim
        self.budget = None if bytes is None else parse_bytes(bytes)
        self._size = size
        self.policy = make_policy(policy)
        self.generator = torch.Generator().manual_seed(seed)
        self.register_buffer("seen", torch.zeros((), dtype=torch.long))
        self.register_buffer("count", torch.zeros((), dtype=torch.long))
        self._allocate(0, torch.Size(), torch.uint8)

    @property
    def size(self) -> int:
        """M, number of slots; by a number of bytes it is 0 until the shape of images is known."""
        return len(self.born) if self._size is None else self._size

    def nbytes(self) -> int:
        """Bytes of all buffers, those of the policy too."""
        return sum(buffer.nbytes for buffer in self.buffers())

    def held(self) -> Tensor:
        """The slots that hold images, ascending; (count,) long."""
        return (self.born >= 0).nonzero().squeeze(1)

    def free_slot(self) -> int:
        """The first free slot of a memory that is not full."""
        return int((self.born < 0).byte().argmax())

    def ages(self) -> Tensor:
        """For each held slot, how many images of the stream came after its image; (count,) long."""
        return self.seen - 1 - self.born[self.held()]

    def reserve(self, shape: tuple[int, ...], dtype: torch.dtype = torch.uint8) -> None:
        """Allocate the slots for images (C, H, W); `insert` does it with the first images.

        Raises:
            UsageError: the bytes are too few for one image, or the memory has images of another shape or dtype.
        """
        if dtype not in (torch.uint8, torch.float32):
            raise UsageError(f"a memory keeps images of uint8 or float32, not {dtype}: convert them first")
        if len(self.born) == 0:
            self._allocate(self._capacity(torch.Size(shape), dtype), torch.Size(shape), dtype)
        elif self.pixels.shape[1:] != torch.Size(shape) or self.pixels.dtype != dtype:
            raise UsageError(
                f"images of {_text(shape)} ({dtype}) come to a memory of images of {_text(self.pixels.shape[1:])} "
                f"({self.pixels.dtype}): bring all images of the stream to one size and dtype"
            )

    def check_room(self, shape: tuple[int, ...], dtype: torch.dtype = torch.uint8) -> None:
        """Refuse images (C, H, W) none of which the bytes hold; nothing changes.

        Raises:
            UsageError: the bytes are too few for one image.
        """
        if len(self.born) == 0:
            try:
                self._capacity(torch.Size(shape), dtype)
            finally:
                self._allocate(0, torch.Size(), torch.uint8)

    @torch.no_grad()
    def insert(self, images: Tensor, features: Tensor, labels: Tensor | None = None) -> Tensor:
        """Offer images to the policy, one at a time, in their order.

        Args:
            images: (B, C, H, W) raw images, uint8, or float32 in [0, 1].
            features: (B, D).
            labels: (B,) of whole numbers; None if unknown.

        Returns:
            The slot of each image, (B,) long; -1 for an image that is not held when the batch is over.

        Raises:
            UsageError: images of another size or dtype than before, too few bytes for one, features that are not
                finite, or no labels for a policy that reads them.
        """
        if self.policy.reads_labels and labels is None:
            raise UsageError(
                f"the policy of the memory reads labels, and the stream has none: choose one of {WITHOUT_LABELS}"
            )
        self.reserve(images.shape[1:], images.dtype)
        features = self._checked(features, len(images))
        labels = torch.full((len(images),), -1) if labels is None else labels.cpu().long()
        first, images = int(self.seen), images.cpu()
        taken = [self._enter(*each) for each in zip(images, features, labels.tolist(), strict=True)]
        slots = torch.tensor([-1 if slot is None else slot for slot in taken], dtype=torch.long)
        slots = torch.where(self.born[slots] == first + torch.arange(len(slots)), slots, -1)
        if not self.policy.reads_features:
            rows = (slots >= 0).nonzero().squeeze(1)
            self.features[slots[rows]] = features[rows.to(features.device)]
        return slots

    def sample(self, n: int) -> Tensor:
        """Draw `n` held slots without replacement, as the policy has it; (n,) long, fewer if fewer are held."""
        return self.policy.sample(self, n)

    def images(self, slots: Tensor) -> Tensor:
        """The images (n, C, H, W) in `slots` (n,), as they came."""
        return self.pixels[slots.cpu()]

    @torch.no_grad()
    def follow(self, slots: Tensor, features: Tensor) -> None:
        """Move the features of held `slots` (n,), none twice, half way to `features` (n, D).

        Raises:
            UsageError: features are not finite.
        """
        slots, features = slots.cpu(), self._checked(features, len(slots))
        if (self.born[slots] < 0).any():
            raise ValueError("features follow in slots that hold an image, and one of these is free")
        self.features[slots] = (self.features[slots] + features) / 2
        if len(slots):
            self.policy.refresh(self, slots)

    def remove(self, slots: Tensor) -> None:
        """Free held `slots` (n,)."""
        for slot in slots.tolist():
            if self.born[slot] < 0:
                raise ValueError(f"slot {slot} holds no image that could be removed")
            self._free(slot)

    def get_extra_state(self) -> Tensor:
        """The state of the generator, uint8."""
        return self.generator.get_state()

    def set_extra_state(self, state: Tensor) -> None:
        """Put the generator back to a state."""
        self.generator.set_state(state.cpu())

    def _enter(self, image: Tensor, feature: Tensor, label: int) -> int | None:
        slot = self.policy.choose(self, feature, label)
        number = int(self.seen)
        self.seen.add_(1)  # as += does, but for the time that a module takes to set an attribute
        if slot is None:
            return None
        if self.born[slot] >= 0:
            self._free(slot)
        self.pixels[slot], self.labels[slot], self.born[slot] = image, label, number
        if self.policy.reads_features:
            self.features[slot] = feature
        self.count.add_(1)
        self.policy.enter(self, slot)
        return slot

    def _free(self, slot: int) -> None:
        self.born[slot] = -1
        self.count.sub_(1)
        self.policy.leave(self, slot)

    def _checked(self, features: Tensor, count: int) -> Tensor:
        """Features (n, D) as float32 where they are kept; on another device than the CPU any value is."""
        if features.shape != (count, self.dim):
            raise ValueError(f"{count} images have features ({count}, {self.dim}), not {tuple(features.shape)}")
        features = features.detach().float()
        if self.policy.reads_features:
            features = features.cpu()
        elif features.device != self.features.device:
            self.features = self.features.to(features.device)
        if features.device.type == "cpu" and not features.isfinite().all():
            bad = int((~features.isfinite().all(1)).sum())
            raise UsageError(f"{bad} of {count} features are not finite: lower the learning rate, or clip gradients")
        return features

    def _allocate(self, size: int, shape: torch.Size, dtype: torch.dtype) -> None:
        self.register_buffer("pixels", torch.zeros(size, *shape, dtype=dtype))
        self.register_buffer("features", torch.zeros(size, self.dim))
        self.register_buffer("labels", torch.full((size,), -1))
        self.register_buffer("born", torch.full((size,), -1))
        self.policy.allocate(size, self.dim)

    def _capacity(self, shape: torch.Size, dtype: torch.dtype) -> int:
        """How many images there is room for; what one takes is measured."""
        if self._size is not None or self.budget is None:
            return self._size or 0
        self._allocate(1, shape, dtype)
        one = self.nbytes()
        self._allocate(0, shape, dtype)
        fixed = self.nbytes()
        if one > self.budget:
            raise UsageError(
                f"a memory of {format_bytes(self.budget)} holds no image of {_text(shape)} with {self.dim:,} features "
                f"({one:,} bytes): give size, or more bytes"
            )
        return (self.budget - fixed) // (one - fixed)

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any, **kwargs: Any) -> None:
        """Give the buffers the shapes of the state; a state from before the first image empties the memory."""
        saved = state_dict.get(f"{prefix}pixels")
        if saved is not None and (saved.shape != self.pixels.shape or saved.dtype != self.pixels.dtype):
            shape = saved.shape[1:]
            size = self._capacity(shape, saved.dtype) if len(saved) else 0
            if size != len(saved):
                raise UsageError(
                    f"the state is of a memory of {len(saved):,} images of {_text(shape)}, and this one has room for "
                    f"{size:,}: give it the settings that it had"
                )
            self._allocate(size, shape, saved.dtype)
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> ImageBuffer:
        """Stay on the CPU, in these dtypes."""
        return self


def _text(shape: tuple[int, ...]) -> str:
    """3x32x32."""
    return "x".join(map(str, shape))
