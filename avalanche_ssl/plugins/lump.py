"""`LUMP`: new images are mixed with remembered ones, view by view."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from avalanche_ssl.distributed import gathered, images_are
from avalanche_ssl.errors import UsageError, require_positive
from avalanche_ssl.memory import ImageBuffer, MemoryBank
from avalanche_ssl.methods import Views
from avalanche_ssl.models import frozen_buffers
from avalanche_ssl.plugins.continual import ContinualPlugin
from avalanche_ssl.plugins.replay import Replay

SIZE = 256
"""Images in a memory of its own, as published."""


class LUMP(ContinualPlugin):
    """Lifelong unsupervised mixup: every view of a new image is mixed with the same view of a remembered one.

    Madaan et al. 2022, arXiv:2110.06976: ``lam * new + (1 - lam) * old``, one lam ~ Beta(alpha, alpha) in a step. The
    method's loss of the mixed views is the whole loss. Old images come from the memory of `Replay` where there is one,
    or else from a reservoir sample of its own; both get an image after its last step. The published code mixes the
    second view with one that was stored with the image; here both are made in the step. Remembered images that
    `Replay` appends to the batch are not mixed.

    Where a method looks up the targets of an image by its identity (PIRL, CMC with a bank, DeepCluster), the loss is
    that of mixup, ``lam * L(targets of new) + (1 - lam) * L(targets of old)``, of one forward pass. What is remembered
    of an image by its identity, there and in the features of a `Replay`, is the embedding of its own views: these steps
    make a second forward pass, without gradient. What a queue holds has no identity: like the other candidates it comes
    from the mixed views, with a `Replay` and without.

    The numbers lam and the old images are drawn by a generator of its own. The views of old images are drawn by the
    method's generator, like all views, and so is what a second evaluation of its loss draws: it is the one plugin that
    changes what the method draws later. With lam = 1 nothing is mixed, and the step is the one without LUMP.

    Args:
        alpha: of the Beta distribution; small values mix little. 0.4 is in the settings published for CIFAR.
        size: images in its own memory; None: 256. Not with a `Replay`, whose memory it uses.

    Raises:
        UsageError: a setting is not above 0; when the strategy is made: the method reads labels, or `size` is given
            and there is a `Replay`.
    """

    needs_spaces = False

    memory: ImageBuffer | None

    def __init__(self, alpha: float = 0.4, size: int | None = None) -> None:
        super().__init__()
        require_positive(alpha=alpha)
        if size is not None:
            require_positive(size=size)
        self.alpha = alpha
        self.size = size
        self.lam = 1.0
        """Share of the new images in the views of the present step."""
        self.generator = torch.Generator()
        self._unmixed: Views | None = None  # views of the step as they were, if they are mixed
        self._old_ids: Tensor | None = None

    def build(self, strategy: Any) -> None:
        """Make the memory, if it needs one of its own.

        Raises:
            UsageError: the method reads labels, or a size is given and not needed.
        """
        if strategy.model.num_classes_read:
            raise UsageError(
                f"LUMP mixes images, and {type(strategy.model).__name__} reads their labels, which it does not mix: "
                "use replay"
            )
        self.generator.manual_seed(int(torch.randint(2**62, ())))
        self.memory = None
        if _replay(strategy) is None:
            self.memory = ImageBuffer(0, self.size or SIZE, seed=int(torch.randint(2**62, ())))
        elif self.size is not None:
            raise UsageError(
                f"LUMP takes its old images from the memory of Replay, and size={self.size} is that of a memory of its "
                "own: leave it out, or leave Replay out"
            )

    def after_views(self, strategy: Any, **kwargs: Any) -> None:
        """Mix the views of new images."""
        self.lam, self._unmixed = 1.0, None
        replay, new = _replay(strategy), strategy.n_new
        memory = self.memory if replay is None else replay.buffer
        assert memory is not None
        if not new or not memory.count:
            return
        self.lam = self._draw()
        if self.lam == 1:
            return
        old = memory.images(self._slots(memory, new))
        share, own = strategy.part(slice(0, new))
        with images_are(share):
            views: Views = strategy.model.random_views((old if share is None else share.keep(old)).to(strategy.device))
        ids, first = views.get("ids"), own.stop
        self._unmixed, self._old_ids = strategy.mb_views, None if ids is None else gathered(ids, share)
        strategy.mb_views = {
            name: torch.cat([self.lam * rows[:first] + (1 - self.lam) * views[name], rows[first:]])
            if rows.is_floating_point()
            else rows
            for name, rows in strategy.mb_views.items()
        }

    def objective(self, strategy: Any) -> Tensor | None:
        """The two losses of methods that look up targets by identity, mixed, 0-d; None: one loss of the mixed views."""
        outputs = strategy.mb_output
        if self._unmixed is None or self._old_ids is None or "ids" not in outputs:
            return None
        ids = torch.cat([self._old_ids, outputs["ids"][len(self._old_ids) :]])
        new, old = strategy.model.loss(outputs), strategy.model.loss(outputs | {"ids": ids})
        loss: Tensor = self.lam * new + (1 - self.lam) * old
        return loss

    def before_update(self, strategy: Any, **kwargs: Any) -> None:
        """Put the embeddings of the unmixed views in the place of the others, where they are kept by image."""
        if self._unmixed is None or strategy.nonfinite_guard.skipping:
            return
        replay, by_image = _replay(strategy), "ids" in strategy.mb_output
        if by_image or replay is not None:
            mixed, strategy.mb_views = strategy.mb_views, self._unmixed
            with torch.no_grad(), frozen_buffers(_without_banks(strategy.model)):
                unmixed = strategy.embed(strategy.model.embed)
            if by_image:
                strategy.mb_output = unmixed
            else:
                strategy.mb_views = mixed
            if replay is not None:
                replay.unmixed = unmixed
        self._unmixed = self._old_ids = None

    def after_step(self, strategy: Any) -> None:
        """Keep the new images after their last step."""
        if self.memory is not None and strategy.clock.train_exp_epochs == strategy.train_epochs - 1:
            images, _ = strategy.new_images()
            self.memory.insert(images, torch.zeros(len(images), 0))

    def get_extra_state(self) -> Tensor:
        """The state of the generator, uint8."""
        return self.generator.get_state()

    def set_extra_state(self, state: Tensor) -> None:
        """Put the generator back to a state."""
        self.generator.set_state(state.cpu())

    def _draw(self) -> float:
        """lam ~ Beta(alpha, alpha); torch draws none from a generator."""
        seed = int(torch.randint(2**62, (), generator=self.generator))
        return float(np.random.default_rng(seed).beta(self.alpha, self.alpha))

    def _slots(self, memory: ImageBuffer, n: int) -> Tensor:
        """`n` held slots at random, each as often as the others as far as it goes."""
        held = memory.held()
        order = torch.randperm(len(held), generator=self.generator)
        return held[order[torch.arange(n) % len(held)]]


def _replay(strategy: Any) -> Replay | None:
    return next((plugin for plugin in strategy.plugins if isinstance(plugin, Replay)), None)


def _without_banks(method: nn.Module) -> nn.ModuleList:
    """What a forward pass writes statistics to; banks are large, and are not copied."""
    return nn.ModuleList([part for part in method.children() if not isinstance(part, MemoryBank)])
