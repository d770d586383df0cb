"""`PFR` and `FD`: present features stay those of the last experience's encoder, with a predictor or without."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn

from avalanche_ssl.errors import require_range, unknown_name
from avalanche_ssl.losses import cosine_similarity
from avalanche_ssl.methods import trial_mode
from avalanche_ssl.models import mlp
from avalanche_ssl.plugins.continual import ContinualPlugin, trial_images
from avalanche_ssl.plugins.encoder_calls import Watch, encoders
from avalanche_ssl.plugins.likeness import warn_of_few_rows
from avalanche_ssl.plugins.teacher import Teacher, TeacherNorm


class FD(ContinualPlugin):
    """Feature distillation: the encoder's features keep the direction of those of the last experience's encoder.

    The baseline of Gomez-Villa et al. 2022 (arXiv:2112.06788). At the end of an experience the method is copied, and
    from then on the loss has the term ``-weight * mean over encoder calls of cos(h, h_old)``, for the features h of
    everything that the method passes through its encoders in a step: two views, patches, color channels, small crops.
    It needs nothing of the method but encoders. In the first experience there is no copy, and nothing happens.

    Published with weight 25, which leaves little of the method's own gradient.

    Args:
        weight: of the term; None: 1, of CPC 0.1: its own gradient is small until it has begun to learn.
        every, balance: see `ContinualPlugin`.
        norm: of the copy, see `Teacher`.

    Raises:
        UsageError: a setting is unknown or out of range.
    """

    needs_boundaries = True
    needs_spaces = False
    default_weights = {"CPC": 0.1}

    def __init__(
        self,
        weight: float | None = None,
        every: int = 0,
        balance: float | None = None,
        norm: TeacherNorm = "batch",
    ) -> None:
        super().__init__(weight, every, balance)
        if norm not in ("batch", "eval"):
            raise unknown_name("value for 'norm'", norm, ("batch", "eval"))
        self.norm = norm
        self._watch = Watch()

    def build(self, strategy: Any) -> None:
        """Make the copy."""
        self.teacher = Teacher(strategy.model, self.norm)

    def before_forward(self, strategy: Any, **kwargs: Any) -> None:
        """Begin to keep features, once there is a copy."""
        if self.teacher.taken:
            self._watch.start(encoders(strategy.model))

    def after_forward(self, strategy: Any, **kwargs: Any) -> None:
        """Leave the encoders as they were: a hook would be copied with them, and this plugin with it."""
        self._watch.stop()

    def term(self, strategy: Any) -> Tensor | None:
        """The negative cosine, mean over calls of the encoders; None without a copy."""
        calls = self._watch.take()
        if not calls:
            return None
        with Watch(encoders(self.teacher.method)) as watch:
            self.teacher.embeddings(strategy)
        if not self.gradients.steps:
            warn_of_few_rows(self, min(len(h) for _, h in calls))
        pairs = zip(self._predicted(calls), watch.take(), strict=True)
        return -torch.stack([cosine_similarity(now, old) for now, (_, old) in pairs]).mean()

    def boundary(self, strategy: Any) -> None:
        """Copy the method."""
        self.teacher.take(strategy.model)

    def _predicted(self, calls: Sequence[tuple[int, Tensor]]) -> list[Tensor]:
        """What is compared with the old features of each call."""
        return [h for _, h in calls]


class PFR(FD):
    """Projected functional regularization: a predictor's image of the features keeps the old features' direction.

    Gomez-Villa et al. 2022, arXiv:2112.06788. As `FD`, with the term ``-weight * mean over encoder calls of
    cos(m(h), h_old)``, where the predictor m of each encoder may undo what new images change.

    Args:
        weight, every, balance, norm: as of `FD`.
        hidden_dim: width of the predictor's hidden layer; 0: half the number of features.
        predictor_norm: "batch" or "none", of that layer.

    Raises:
        UsageError: a setting is unknown or out of range.
    """

    def __init__(
        self,
        weight: float | None = None,
        every: int = 0,
        balance: float | None = None,
        norm: TeacherNorm = "batch",
        hidden_dim: int = 0,
        predictor_norm: Literal["batch", "none"] = "batch",
    ) -> None:
        super().__init__(weight, every, balance, norm)
        if predictor_norm not in ("batch", "none"):
            raise unknown_name("value for 'predictor_norm'", predictor_norm, ("batch", "none"))
        require_range(0, hidden_dim=hidden_dim)
        self.hidden_dim, self.predictor_norm = hidden_dim, predictor_norm

    def build(self, strategy: Any) -> None:
        """Make the copy, and a predictor for each encoder."""
        super().build(strategy)
        method = strategy.model
        images = trial_images(strategy)
        with trial_mode(method, strategy.device), Watch(encoders(method)) as watch:
            method.embed(method.views(images))
        dims = {number: h.shape[1] for number, h in watch.take()}
        norm = self.predictor_norm == "batch"
        self.predictors = nn.ModuleDict(
            {str(i): mlp(d, self.hidden_dim or max(1, d // 2), d, norm=norm) for i, d in dims.items()}
        )

    def _predicted(self, calls: Sequence[tuple[int, Tensor]]) -> list[Tensor]:
        """The predictions; all calls of an encoder share the statistics of a batch norm."""
        predicted: list[Tensor] = [h for _, h in calls]
        for name, predictor in self.predictors.items():
            own = [i for i, (encoder, _) in enumerate(calls) if str(encoder) == name]
            rows = predictor(torch.cat([calls[i][1] for i in own]))
            for i, part in zip(own, rows.split([len(calls[i][1]) for i in own]), strict=True):
                predicted[i] = part
        return predicted
