"""`CaSSLe`: present embeddings predict those of the last experience's model (arXiv:2112.04215)."""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.optim import Adam, AdamW

from avalanche_ssl.errors import UsageError, require_positive, require_range, unknown_name
from avalanche_ssl.functional import l2_normalize
from avalanche_ssl.methods import CPC, Method, Outputs, trial_mode
from avalanche_ssl.models import mlp
from avalanche_ssl.plugins.continual import ContinualPlugin, embedding_dims, replay_before, trial_images
from avalanche_ssl.plugins.likeness import TEMPERATURES, likeness_loss, warn_of_few_rows
from avalanche_ssl.plugins.teacher import Teacher, TeacherNorm

MAX_POSITIONS = 1024
"""Positions of the images of a step that are compared, where each image has several embeddings."""


class CaSSLe(ContinualPlugin):
    """A predictor of each space's old embeddings is trained with the method: what was known must stay predictable.

    Fini et al. 2022, arXiv:2112.04215. At the end of an experience the method is copied, and from then on the loss has
    the term ``weight * mean over spaces of likeness_loss(g(z), z_old)``, where z_old is what the copy makes of the
    same views. Each space of the method has a predictor g of its own, through which all its views pass as one batch.
    In the first experience there is no copy, and nothing happens. See `likeness_loss` for the forms of the loss; of
    images with several embeddings each, as CPC's, at most `MAX_POSITIONS` embeddings are compared.

    With ``rows="replayed"`` only remembered images are compared, as CaSSLe-R of CLA's authors does; the
    copy embeds the whole batch all the same, since the statistics of a few rows would make it another model.

    Args:
        rows: "all", or "replayed", which needs a `Replay`.
        weight: of the term; None: 1, of VICReg 25 as published, of CPC 0.1: its own gradient is small until it has
            begun to learn, so that a balance serves it better. As in the published code, a weight below 1 does not slow
            down the predictor of a predictive method: its learning rate is divided by the weight, but for Adam's.
        every, balance: see `ContinualPlugin`.
        norm: of the copy, see `Teacher`.
        hidden_dim: width of a predictor; 0: 2,048, with "replayed" 512, as published.
        predictor_norm: "batch" or "none", of a predictor's hidden layer.
        temperature: of the contrastive and knowledge forms; None: 0.2 and 0.1, as published.
        prototypes: what predictions are compared with in the knowledge form: the copy's prototypes ("frozen"), or
            others that are "learned" from the start, as in the published code.
        across: let each space predict the old embeddings of the other spaces instead of its own, for methods with
            several, such as CMC.
        foretell: for CPC: the method's own loss with predictions that pass through g, of targets of the copy. The
            weights of the predictions are distilled, too.

    Raises:
        UsageError: a setting is unknown or out of range; when the strategy is made: it has no effect on the method.
    """

    needs_boundaries = True
    default_weights = {"CPC": 0.1, "mse": 25.0}

    def __init__(
        self,
        rows: Literal["all", "replayed"] = "all",
        weight: float | None = None,
        every: int = 0,
        balance: float | None = None,
        norm: TeacherNorm = "batch",
        hidden_dim: int = 0,
        predictor_norm: Literal["batch", "none"] = "batch",
        temperature: float | None = None,
        prototypes: Literal["frozen", "learned"] = "frozen",
        across: bool = False,
        foretell: bool = False,
    ) -> None:
        super().__init__(weight, every, balance)
        choices = {
            "rows": (rows, ("all", "replayed")),
            "norm": (norm, ("batch", "eval")),
            "predictor_norm": (predictor_norm, ("batch", "none")),
            "prototypes": (prototypes, ("frozen", "learned")),
        }
        for name, (value, known) in choices.items():
            if value not in known:
                raise unknown_name(f"value for '{name}'", value, known)
        require_range(0, hidden_dim=hidden_dim)
        if temperature is not None:
            require_positive(temperature=temperature)
        self.rows, self.norm, self.predictor_norm = rows, norm, predictor_norm
        self.needs_replay = rows == "replayed"
        self.hidden_dim = hidden_dim or (512 if self.needs_replay else 2048)
        self.temperature = temperature
        self.across, self.foretell = across, foretell
        self.learned = prototypes == "learned"
        self.prototypes: nn.Parameter | None = None
        self.generator = torch.Generator()

    def build(self, strategy: Any) -> None:
        """Make the predictors and the copy.

        Raises:
            UsageError: a setting has no effect on the method, or rows are to be replayed and there is no `Replay`.
        """
        method: Method = strategy.model
        if self.needs_replay:
            replay_before(self, strategy)
        dims = embedding_dims(strategy)
        self._check(method, dims)
        self.teacher = Teacher(method, self.norm)
        self.predictors = nn.ModuleList(
            mlp(dim, self.hidden_dim, dim, norm=self.predictor_norm == "batch") for dim in dims
        )
        if self.learned:
            self.prototypes = _drawn_prototypes(strategy, dims[0])
        adaptive = isinstance(strategy.optimizer, Adam | AdamW)  # whose steps do not follow the scale of a gradient
        if method.family == "predictive" and 0 < self.weight < 1 and not adaptive:
            self.lr_factor = 1 / self.weight
        self.generator.manual_seed(int(torch.randint(2**31, ())))

    def get_extra_state(self) -> Tensor:
        """State of the generator that draws positions."""
        return self.generator.get_state()

    def set_extra_state(self, state: Tensor) -> None:
        """Continue from `get_extra_state`."""
        self.generator.set_state(state.cpu())

    def term(self, strategy: Any) -> Tensor | None:
        """The loss of the predictions, mean over spaces; None without a copy, or without replayed rows."""
        first = strategy.n_new if self.rows == "replayed" else 0
        if not self.teacher.taken or first >= strategy.n_images:
            return None
        outputs = {name: z[first:] for name, z in strategy.mb_output.items()}
        past = [[z[first:] for z in space] for space in self.teacher.embeddings(strategy)]
        if self.foretell:
            return self._foretold(outputs, past[0][0])
        method: Method = strategy.model
        codebooks = self._codebooks() if method.family == "knowledge" else None
        if codebooks is not None and not codebooks[0].shape[1]:
            return None  # nothing was clustered yet
        drawn: dict[int, Tensor] = {}
        now, past = (
            [[self._rows(z, drawn) for z in s] for s in spaces] for spaces in (method.embeddings(outputs), past)
        )
        if (rows := min(sum(map(len, space)) for space in now)) < 2:
            return None  # a single row has no statistics, and no candidates
        if not self.gradients.steps:
            warn_of_few_rows(self, rows)
        predicted = [self._predicted(space, g) for space, g in zip(now, self.predictors, strict=True)]
        pairs = [(i, j) for i in range(len(now)) for j in range(len(now)) if (i != j) == self.across]
        losses = [likeness_loss(method.family, predicted[i], past[j], self.temperature, codebooks) for i, j in pairs]
        return torch.stack(losses).mean()

    def boundary(self, strategy: Any) -> None:
        """Copy the method."""
        self.teacher.take(strategy.model)

    def _rows(self, z: Tensor, drawn: dict[int, Tensor]) -> Tensor:
        """Embeddings (B, D), or (B, n, D) as rows: at most `MAX_POSITIONS` of them, the same for the same `drawn`."""
        if z.ndim == 2:
            return z
        rows = z.flatten(0, 1)
        if len(rows) <= MAX_POSITIONS:
            return rows
        if len(rows) not in drawn:
            positions = torch.randperm(len(rows), generator=self.generator)[:MAX_POSITIONS]
            drawn[len(rows)] = positions.to(rows.device)
        return rows[drawn[len(rows)]]

    def _predicted(self, views: list[Tensor], predictor: nn.Module) -> list[Tensor]:
        """What a predictor makes of the rows of all views, which share the statistics of its batch norm."""
        predicted: Tensor = predictor(torch.cat(views))
        return list(torch.split(predicted, [len(z) for z in views]))

    def _codebooks(self) -> tuple[Tensor, Tensor]:
        """The prototypes for targets and for predictions."""
        old = self.teacher.method.codebook()
        return old, old if self.prototypes is None else l2_normalize(self.prototypes)[:, : old.shape[1]]

    def _foretold(self, outputs: Outputs, old: Tensor) -> Tensor:
        """CPC's loss of predictions that pass through g, with targets (B, n, D) of the copy."""
        grids = {name: z.movedim(1, 3) for name, z in outputs.items() if name != "targets"}
        rows = self._predicted([grid.flatten(0, 2) for grid in grids.values()], self.predictors[0])
        foretold = {
            name: part.view(grid.shape).movedim(3, 1) for (name, grid), part in zip(grids.items(), rows, strict=True)
        }
        self.teacher.method.generator = self.generator  # draws candidates
        return self.teacher.method.loss({"targets": old.transpose(1, 2).view_as(outputs["targets"])} | foretold)

    def _check(self, method: Method, dims: list[int]) -> None:
        """Refuse settings that have no effect on a method."""
        several = len(dims) > 1 and len(set(dims)) == 1
        effects = {
            "temperature": (self.temperature is None, method.family in TEMPERATURES and not self.foretell),
            "prototypes='learned'": (not self.learned, method.family == "knowledge"),
            "across=True": (not self.across, several),
            "foretell=True": (not self.foretell, isinstance(method, CPC)),
        }
        remedies = {
            "temperature": "only the families contrastive and knowledge have one",
            "prototypes='learned'": "only SwAV and DeepCluster version 2 have prototypes",
            "across=True": "it needs several spaces of one length, as CMC and PIRL have",
            "foretell=True": "only CPC predicts",
        }
        for name, (default, effective) in effects.items():
            if not default and not effective:
                kind = type(method).__name__
                raise UsageError(f"CaSSLe's {name} has no effect on {kind}: {remedies[name]}; leave it out")


def _drawn_prototypes(strategy: Any, dim: int) -> nn.Parameter:
    """Random prototypes (H, K, D), as many as the method's codebook has at most."""
    method: Method = strategy.model
    heads, count, _ = method.codebook().shape
    with trial_mode(method, strategy.device):
        assigned = method.cluster_assignments(method.embed(method.views(trial_images(strategy))))
    count = count if assigned is None else assigned.clusters  # of which not all may be in use yet
    return nn.Parameter(l2_normalize(torch.randn(heads, count, dim)))
