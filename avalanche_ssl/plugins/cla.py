"""`CLA`: embeddings stay aligned with those of a slow copy or with stored ones, in streams without boundaries."""

from __future__ import annotations

from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from avalanche_ssl.errors import UsageError, require_positive, require_range, unknown_name
from avalanche_ssl.methods import Method
from avalanche_ssl.models import mlp
from avalanche_ssl.plugins.continual import ContinualPlugin, embedding_dims, replay_before
from avalanche_ssl.plugins.likeness import warn_of_few_rows
from avalanche_ssl.plugins.teacher import Teacher, TeacherNorm

Target = Literal["stream", "ema", "stored"]
TeacherRows = Literal["aligned", "all"]
PredictorNorm = Literal["batch", "none"]


class CLA(ContinualPlugin):
    """Present embeddings are aligned with past ones, which come from a slow copy or were stored; no boundary is needed.

    Continual latent alignment, Cignoni et al. 2025. The loss has the term ``-weight * mean cos(a(z), target)`` over
    views, images and spaces. Each space of the method has an aligner a, through which all views pass as one batch:
    linear, batch norm, ReLU, linear. The target of a view is

    - "stream" (CLA-b): what the copy makes of it, for the new images of the step;
    - "ema" (CLA-E): the same for the replayed images;
    - "stored" (CLA-R): the feature that the memory has of the replayed image, as it was before the step.

    After each step the weights of the copy move towards the method's by 1 - momentum, and its running statistics
    become the method's. A step without such images has no term.

    Args:
        to: the target; "ema" and "stored" need a `Replay`, for which FIFO is the best policy published.
        weight: of the term; None: that of `default_weights`.
        balance: see `ContinualPlugin`.
        momentum: of the copy, for a step: several passes over a mini-batch move it several times.
        teacher_rows: which images the copy embeds: those that are "aligned", or "all" of the batch, so that it
            normalizes by the same statistics as the method; on 5 rows instead of 30 the embeddings of one network have
            a cosine of 0.7. A single image is always embedded with all others.
        norm: of the copy, see `Teacher`.
        hidden_dim: width of an aligner.
        predictor_norm: "batch" or "none", of an aligner's hidden layer.

    Raises:
        UsageError: a setting is unknown or out of range; when the strategy is made: there is not one `Replay` before
            it that it needs, or there is another `CLA`.
    """

    default_weights = {"CPC": 0.3, "CMC": 3.0, "predictive": 0.3, "decorrelative": 30.0, "mse": 3.0, "knowledge": 0.5}
    """Published for SimCLR, 1, and SimSiam, 0.3. With the others the term's gradient on the encoder is 0.03 to 0.2
    times that of the method's loss, with SimCLR 0.14 (medians of steps 15 to 45 with 10 new and 20 replayed digits,
    seed 0); CPC's own is that of a flat loss in the first steps, where the ratio is above 1."""

    def __init__(
        self,
        to: Target = "ema",
        weight: float | None = None,
        balance: float | None = None,
        momentum: float = 0.999,
        teacher_rows: TeacherRows = "aligned",
        norm: TeacherNorm = "batch",
        hidden_dim: int = 512,
        predictor_norm: PredictorNorm = "batch",
    ) -> None:
        super().__init__(weight, balance=balance)
        choices = {
            "to": (to, Target),
            "teacher_rows": (teacher_rows, TeacherRows),
            "norm": (norm, TeacherNorm),
            "predictor_norm": (predictor_norm, PredictorNorm),
        }
        for name, (value, kind) in choices.items():
            if value not in get_args(kind):
                raise unknown_name(f"value for '{name}'", value, get_args(kind))
        require_range(0, 1, momentum=momentum)
        require_positive(hidden_dim=hidden_dim)
        self.target, self.momentum, self.teacher_rows = to, momentum, teacher_rows
        self.norm: TeacherNorm | None = None if to == "stored" else norm
        self.hidden_dim, self.predictor_norm = hidden_dim, predictor_norm
        self.needs_replay = to != "stream"
        self.teacher: Teacher | None = None

    def build(self, strategy: Any) -> None:
        """Make the aligners and the copy."""
        if sum(isinstance(plugin, CLA) for plugin in strategy.plugins) > 1:
            raise UsageError("two CLA align the same embeddings: give one of them")
        norm = self.predictor_norm == "batch"
        self.aligners = nn.ModuleList(mlp(dim, self.hidden_dim, dim, norm=norm) for dim in embedding_dims(strategy))
        if self.norm is not None:
            self.teacher = Teacher(strategy.model, self.norm)

    def term(self, strategy: Any) -> Tensor | None:
        """Minus the mean cosine of aligned embeddings with their targets; None without images to align."""
        method: Method = strategy.model
        new = strategy.n_new
        rows = slice(0, new) if self.target == "stream" else slice(new, None)
        now = [[z[rows] for z in space] for space in method.embeddings(strategy.mb_output)]
        images = len(now[0][0])
        if not images:
            return None
        flat = [torch.cat([z.flatten(0, -2) for z in space]) for space in now]
        count = min(map(len, flat))
        if not self.gradients.steps:
            warn_of_few_rows(self, count)
        if count < 2 and self.predictor_norm == "batch":
            return None  # a single row has no statistics
        past = self._copied(strategy, rows, images) if self.teacher else replay_before(self, strategy).stored(now)
        targets = [torch.cat([z.flatten(0, -2) for z in space]) for space in past]
        parts = zip(flat, targets, self.aligners, strict=True)
        return -torch.stack([F.cosine_similarity(a(z), target).mean() for z, target, a in parts]).mean()

    def after_step(self, strategy: Any) -> None:
        """Let the copy follow."""
        if self.teacher:
            self.teacher.follow(strategy.model, self.momentum)

    def _copied(self, strategy: Any, rows: slice, images: int) -> list[list[Tensor]]:
        """What the copy makes of the views of so many images, in `rows`."""
        assert self.teacher is not None
        if self.teacher_rows == "aligned" and images > 1:
            return self.teacher.embeddings(strategy, rows)
        return [[z[rows] for z in space] for space in self.teacher.embeddings(strategy)]
