"""A template that trains on raw images, and makes sure that they are all that makes a stream."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from avalanche.benchmarks.scenarios.generic_scenario import SizedCLStream
from torch import Tensor

from avalanche_ssl import distributed
from avalanche_ssl.data import (
    Chain,
    RawDataLoader,
    check_same_transforms,
    different_transforms,
    from_replay,
    same_chain,
)
from avalanche_ssl.methods import channels_of
from avalanche_ssl.training.preconditions import check_loader_options
from avalanche_ssl.training.raw_experience import check_not_empty
from avalanche_ssl.training.resumable import ResumableTemplate


class RawStreamTemplate(ResumableTemplate):
    """A template that refuses experiences which differ in the transforms that raw images do not pass.

    Transforms that all images of a stream have in common prepare them for a model, and views replace them. Those that
    differ may be what makes the experiences: without them all would be the same. The whole stream is compared before
    its first experience is trained on; an experience that is in none, with those trained on before.
    """

    use_dataset_transforms: bool = False
    order_generator: torch.Generator
    """Draws the order of images."""
    n_new: int
    """Images at the start of the batch that are new; those behind them come from a replay memory."""
    mbatch: Any
    """Images, labels and task labels of the batch, of this process's share."""
    share: distributed.Share | None = None
    """What this process has of the batch, as `mb_x`, `mb_y` and `mb_views`; None: all of it."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self._compared: Any = None  # the stream
        self._single: Chain | None = None  # transforms of the first experience that is in no stream
        self._singles = 0

    def __getstate__(self) -> dict[str, Any]:
        """What Avalanche's `save_checkpoint` pickles: without the stream, whose images would come with it."""
        return vars(self) | {"_compared": None}

    def make_train_dataloader(self, num_workers: int = 0, shuffle: bool = True, **kwargs: Any) -> None:
        """Raw batches of the experience; `train(..., num_workers=2)` decodes in worker processes where needed."""
        self.dataloader = self._raw_batches(
            self.train_mb_size,
            shuffle=shuffle,
            generator=self.order_generator,
            drop_last=True,
            num_workers=num_workers,
            is_filled=self._gets_remembered_images,
            shared=True,
        )

    def make_eval_dataloader(self, num_workers: int = 0, **kwargs: Any) -> None:
        """Raw batches of a test experience, in order.

        Raises:
            UsageError: an option of `eval` has no effect on them.
        """
        check_loader_options(kwargs, training=False)
        self.dataloader = self._raw_batches(self.eval_mb_size, shuffle=False, drop_last=False, num_workers=num_workers)

    def images(self, dataset: Any = None) -> Iterator[Tensor]:
        """Batches of the raw images of a dataset, in order; None: of the experience that is trained on."""
        for x, *_ in self._raw_batches(self.train_mb_size, dataset, shuffle=False, drop_last=False):
            yield x.to(self.device)

    @property
    def n_images(self) -> int:
        """Images of the batch, in all processes."""
        return len(self.mb_x) if self.share is None else self.share.total

    def whole(self, rows: Tensor) -> Tensor:
        """The rows of all processes, for rows of the images of this process's batch."""
        return distributed.gathered(rows, self.share)

    def new_images(self) -> tuple[Tensor, Tensor]:
        """The new images (n, C, H, W) of the batch and their labels (n,), in all processes."""
        share, own = self.part(slice(0, self.n_new))
        x, y = (distributed.gathered(rows[own], share) for rows in (self.mb_x, self.mb_y))
        return x, y

    def part(self, rows: slice) -> tuple[distributed.Share | None, slice]:
        """The share of some rows of the batch alone, and where these are among the rows of this process.

        Args:
            rows: of the whole batch: all, the new ones, or the others.
        """
        if self.share is None:
            return None, rows
        start, stop, _ = rows.indices(self.share.total)
        own = self.share.rows
        return self.share.within(start, stop), slice(int((own < start).sum()), int((own < stop).sum()))

    def extend_batch(self, *parts: Sequence[Tensor], keep: bool = True) -> None:
        """Put images behind those of the batch.

        Args:
            parts: images (n, C, H, W), labels (n,) and task labels (n,), which all processes have.
            keep: False puts them in the place of the batch.
        """
        share, batch = self.share, self.mbatch
        if not keep:
            share, batch = None, [rows[:0] for rows in batch]
        added = [[rows.to(self.device) for rows in part] for part in parts if len(part[0])]
        before = share.parts if share else (() if not keep else (len(batch[0]),))
        joint = distributed.share_of(*before, *(len(part[0]) for part in added)) if share or not keep else None
        if joint is None:  # too few for a share of each: all processes take all
            batch = [distributed.gathered(rows, share) for rows in batch]
        else:
            numbered = enumerate(added, len(before))
            added = [[joint.part(i).keep(rows) for rows in part] for i, part in numbered]
        self.share = joint
        self.mbatch = [torch.cat(rows) for rows in zip(batch, *added, strict=True)]

    def _gets_remembered_images(self) -> bool:
        """Whether a plugin adds images to a batch of one."""
        return any(plugin.will_fill(self, 1) for plugin in self.plugins if getattr(plugin, "fills_batches", False))

    def _raw_batches(self, batch_size: int, dataset: Any = None, **options: Any) -> RawDataLoader:
        return RawDataLoader(
            [self.adapted_dataset if dataset is None else dataset],
            [batch_size],
            use_dataset_transforms=self.use_dataset_transforms,
            in_channels=channels_of(self.model),
            **options,
        )

    def _before_training_exp(self, **kwargs: Any) -> None:
        check_not_empty(self)
        if not self.use_dataset_transforms:
            self._check_transforms(self.experience)
        super()._before_training_exp(**kwargs)
        replay = from_replay(
            self.dataloader,
            self.adapted_dataset,
            generator=self.order_generator,
            use_dataset_transforms=self.use_dataset_transforms,
            in_channels=channels_of(self.model),
            shared=True,
        )
        if replay is not None:  # a replay plugin has set a loader of its own: same batches, raw and fast
            self.dataloader = replay

    def _before_training_iteration(self, **kwargs: Any) -> None:
        loader = self.dataloader
        several = isinstance(loader, RawDataLoader) and len(loader.batch_sizes) > 1
        self.share = loader.share if isinstance(loader, RawDataLoader) else None
        self.n_new = loader.batch_sizes[0] if several else self.n_images
        super()._before_training_iteration(**kwargs)

    def _check_transforms(self, experience: Any) -> None:
        stream = _stream(experience)
        if stream is None:
            self._singles += 1
            chain = check_same_transforms([experience.dataset])
            self._single = chain if self._single is None else self._single
            if chain is not None and self._single is not None and not same_chain(chain, self._single):
                raise different_transforms((1, self._single), (self._singles, chain))
        elif stream is not self._compared:
            check_same_transforms([e.dataset for e in stream])
            self._compared = stream


def _stream(experience: Any) -> SizedCLStream[Any] | None:
    """The stream that an experience, or the one that it was cut from, is in; None if it has none of known length."""
    while (origin := vars(experience).get("origin_experience")) is not None:
        experience = getattr(origin, "value", origin)  # hidden in training
    stream = getattr(experience, "_origin_stream", None)
    return stream if isinstance(stream, SizedCLStream) else None
