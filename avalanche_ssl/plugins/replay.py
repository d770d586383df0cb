"""`Replay`: every step trains on remembered images too."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from avalanche.benchmarks import OnlineCLExperience
from avalanche.training.plugins import ReplayPlugin
from torch import Tensor

from avalanche_ssl.data import class_labels
from avalanche_ssl.errors import UsageError, require_range
from avalanche_ssl.memory import POLICIES, WITHOUT_LABELS, ImageBuffer, Policy
from avalanche_ssl.methods import Method, Outputs, trial_mode
from avalanche_ssl.plugins.continual import ContinualPlugin, embedding_dims

SIZE = 2000
"""Images in a memory whose size is not given."""

NONE = torch.zeros(0, dtype=torch.long)
"""No slots."""


class Replay(ContinualPlugin):
    """Remembered images join every batch, from a memory of raw images with a feature each.

    The batch is the new images, rows ``[:strategy.n_new]``, and behind them the replayed ones, from the memory's
    `slots`. They are raw as they came, so that memory banks recognize them, with the labels that they came with, and
    task label 0. Replay begins when more than `batch` images are held, or the memory is full.

    An image enters the memory once, after its last step: in the last pass over its experience or mini-batch. So no
    batch has an image twice. If that pass has no step at all, since training stopped early or a single image makes no
    batch, the images enter when the experience ends, with features in eval mode.

    The feature of an image is the mean of its embeddings over views, and over patches if a view has several, in each of
    the method's spaces, side by side.

    Args:
        size: images in the memory; None: 2,000, or as many as `bytes` hold.
        bytes: instead of a size, the most bytes that images, features and what the policy remembers take, such as
            "6MB"; with `only` there is one byte an image beside them.
        batch: replayed images of a step; 0: as many as new ones, and twice as many in a stream of mini-batches.
        policy: who stays: "reservoir", "fifo", "class" (reads labels, for reference only), "cluster", "minred" or
            "climb", or an `avalanche_ssl.memory.Policy` with settings of its own.
        refresh: let the features of replayed images move half way to the new ones after each step; False keeps those
            of the step in which an image entered.
        only: train on remembered images alone, as Purushwalkam et al. 2022 (arXiv:2203.12710) do with "minred". New
            images enter before the steps of their first pass, with features in eval mode, and `batch` images drawn from
            the memory replace them; rows ``[:strategy.n_new]`` are those that no step has used yet, so that queues get
            each image once.

    Raises:
        UsageError: a setting is out of range or not known; when the strategy is made: other plugins replay, too, or a
            policy needs features that the method does not have; before the first step: the bytes hold no image, or
            "class" finds no labels; in training: images differ in size.
    """

    needs_spaces = False
    fills_batches = True
    on_host = (*ContinualPlugin.on_host, "entered", "met")

    entered: Tensor
    met: Tensor

    def __init__(
        self,
        size: int | None = None,
        bytes: int | str | None = None,
        batch: int = 0,
        policy: str | Policy = "reservoir",
        refresh: bool = True,
        only: bool = False,
    ) -> None:
        super().__init__()
        require_range(0, batch=batch)
        size = SIZE if size is None and bytes is None else size
        self._make_buffer = partial(ImageBuffer, size=size, bytes=bytes, policy=policy)
        self.buffer = self._make_buffer(0)
        self.batch = batch
        self.refresh = refresh
        self.only = only
        self.reads_labels = self.buffer.policy.reads_labels
        self.slots = NONE
        """Slots (b,) of the rows ``[strategy.n_new:]``, on the CPU; valid until the step's `after_update`."""
        self.unmixed: Outputs | None = None
        """What features are made of in the place of the step's outputs, where a plugin has mixed the views."""
        self._first_met = NONE  # with `only`: slots of the rows before them
        self.register_buffer("entered", torch.zeros((), dtype=torch.bool))  # an image of the present experience
        self.register_buffer("met", torch.zeros(0, dtype=torch.bool))  # with `only`: slots that a step has used

    def ages(self) -> Tensor:
        """For each image held, how many images of the stream came after it; (count,) long."""
        return self.buffer.ages()

    def stored(self, embeddings: list[list[Tensor]]) -> list[list[Tensor]]:
        """The features of the replayed images, in the shapes of their present embeddings by space.

        Args:
            embeddings: of the rows ``[strategy.n_new:]``, (b, D) or (b, n, D), see `Method.embeddings`.
        """
        first = embeddings[0][0]
        features = self.buffer.features[self.slots].to(first.device, first.dtype)
        parts = torch.split(features, [space[0].shape[-1] for space in embeddings], 1)
        return [
            [(part if z.ndim == 2 else part[:, None]).expand_as(z) for z in space]
            for part, space in zip(parts, embeddings, strict=True)
        ]

    def will_fill(self, strategy: Any, n_new: int) -> bool:
        """Whether a step with `n_new` new images gets remembered ones, as the memory is now."""
        count = int(self.buffer.count)
        return count > 0 and (self.only or count > self._batch_size(strategy, n_new) or count == self.buffer.size)

    def build(self, strategy: Any) -> None:
        """Make the memory, with features of the method's length."""
        for plugin in strategy.plugins:
            if plugin is not self and (isinstance(plugin, ReplayPlugin) or getattr(plugin, "fills_batches", False)):
                raise UsageError(
                    f"{type(self).__name__} and {type(plugin).__name__} both replay images: give one of them"
                )
        dim = sum(embedding_dims(strategy)) if strategy.model.spaces else 0
        self.buffer = self._make_buffer(dim, seed=int(torch.randint(2**31, ())))
        if self.buffer.policy.reads_features and not dim:
            raise UsageError(
                f"policy '{self._policy_name()}' compares features, and {type(strategy.model).__name__} declares no "
                "embeddings: choose reservoir, fifo or class"
            )

    def check_shape(self, strategy: Any, shape: tuple[int, int, int]) -> None:
        """Refuse bytes that hold no image of a shape (C, H, W), as batches have it.

        Raises:
            UsageError: they hold none of uint8; those of float32 are refused at the first step.
        """
        self.buffer.check_room(shape)

    def before_training_exp(self, strategy: Any, **kwargs: Any) -> None:
        """Refuse a stream without labels for a policy that reads them.

        Raises:
            UsageError: no image of the first experience has a label.
        """
        super().before_training_exp(strategy, **kwargs)
        if self.reads_labels and not self.buffer.seen and (class_labels(_whole_dataset(strategy)) < 0).all():
            raise UsageError(
                f"policy '{self._policy_name()}' reads labels, and the stream has none: choose one of {WITHOUT_LABELS}"
            )

    def before_training_iteration(self, strategy: Any, **kwargs: Any) -> None:
        """Append remembered images to the batch, or with `only` put them in its place."""
        x, y, n_new = strategy.mb_x, strategy.mb_y, strategy.n_images
        self.buffer.reserve(x.shape[1:], x.dtype)
        if self.only and strategy.clock.train_exp_epochs == 0:
            x, y = strategy.whole(x), strategy.whole(y)
            self._enter(x, self._embedded(strategy, x), y)
        self.slots, self.unmixed = NONE, None
        if self.will_fill(strategy, n_new):
            self.slots = self.buffer.sample(self._batch_size(strategy, n_new))
        if self.only:
            self._sort_first_met(strategy)
        remembered = [
            (self.buffer.images(slots), self.buffer.labels[slots], torch.zeros_like(slots))
            for slots in (self._first_met, self.slots)
        ]
        strategy.extend_batch(*remembered, keep=not self.only)

    def after_step(self, strategy: Any) -> None:
        """Let features follow, and new images enter that do not come again."""
        outputs, self.unmixed = strategy.mb_output if self.unmixed is None else self.unmixed, None
        features = mean_embeddings(strategy.model, outputs)
        slots = torch.cat([self._first_met, self.slots])
        last_pass = strategy.clock.train_exp_epochs == strategy.train_epochs - 1
        if self.refresh:
            self.buffer.follow(slots, features[len(features) - len(slots) :])
        if not self.only and last_pass:
            x, y = strategy.new_images()
            self._enter(x, features[: strategy.n_new], y)
        if self.only and (last_pass or len(strategy.dataloader) > 1):  # a step whose new rows `Method.update` counts
            self.met[self._first_met] = True

    def after_training_exp(self, strategy: Any, **kwargs: Any) -> None:
        """Let the images of an experience enter whose last pass had no step."""
        if not self.entered:
            labels = torch.as_tensor(class_labels(strategy.adapted_dataset))
            for x in strategy.images():
                self._enter(x, self._embedded(strategy, x), labels[: len(x)])
                labels = labels[len(x) :]
        self.entered.fill_(False)
        super().after_training_exp(strategy, **kwargs)

    def _batch_size(self, strategy: Any, n_new: int) -> int:
        return self.batch or n_new * (2 if isinstance(strategy.experience, OnlineCLExperience) else 1)

    def _enter(self, x: Tensor, features: Tensor, y: Tensor) -> None:
        """Offer images (B, C, H, W) with features (B, D) and labels (B,) to the memory."""
        taken = self.buffer.insert(x, features, y)
        self.entered.fill_(True)
        if self.only:
            if len(self.met) != self.buffer.size:
                self.met = torch.zeros(self.buffer.size, dtype=torch.bool)
            self.met[taken[taken >= 0]] = False

    def _sort_first_met(self, strategy: Any) -> None:
        """Divide the drawn slots into those that no step has used yet, which count as new, and the others."""
        met = self.met[self.slots]
        self._first_met, self.slots = self.slots[~met], self.slots[met]
        strategy.n_new = len(self._first_met)

    def _embedded(self, strategy: Any, x: Tensor) -> Tensor:
        """Features (B, D) of images that are in no step, in eval mode; nothing changes."""
        if not self.buffer.dim:
            return torch.zeros(len(x), 0)
        method: Method = strategy.model
        with trial_mode(method, strategy.device, seed=int(self.buffer.seen)):
            return mean_embeddings(method, method(x))

    def _policy_name(self) -> str:
        policy = type(self.buffer.policy)
        return next((name for name, kind in POLICIES.items() if kind is policy), policy.__name__)

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any, **kwargs: Any) -> None:
        """Give `met` the length of the state."""
        self.met = torch.zeros(len(state_dict.get(f"{prefix}met", ())), dtype=torch.bool)
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)


def mean_embeddings(method: Method, outputs: Outputs) -> Tensor:
    """The feature of each image (B, D): means over views, and over the n of (B, n, D); spaces are side by side."""
    spaces = [[z.mean(1) if z.ndim == 3 else z for z in space] for space in method.embeddings(outputs)]
    means = [torch.stack(space).mean(0).detach() for space in spaces]
    return torch.cat(means, 1) if means else torch.zeros(len(next(iter(outputs.values()))), 0)


def _whole_dataset(strategy: Any) -> Any:
    """The data of the present experience, and of a mini-batch those of the experience that it was cut from."""
    part = strategy.experience.logging()
    origin = part.origin_experience if isinstance(part, OnlineCLExperience) else None
    return strategy.adapted_dataset if origin is None else origin.logging().dataset
