"""`Osiris`: a second head keeps new and remembered images apart, and contrasts the remembered ones again."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import torch
from torch import Tensor, nn

from avalanche_ssl.errors import UsageError, require_positive, require_range
from avalanche_ssl.functional import l2_normalize
from avalanche_ssl.losses import info_nce, similarity_scores
from avalanche_ssl.methods import Method, trial_mode
from avalanche_ssl.models import mlp
from avalanche_ssl.plugins.continual import ContinualPlugin, trial_images
from avalanche_ssl.plugins.encoder_calls import Watch, encoders


class Osiris(ContinualPlugin):
    """Osiris-R: new images in the method's space; new against remembered ones, and these again, in a second space.

    Zhang et al. 2024, arXiv:2404.19132. In a batch with new and remembered images, the loss of the step is
    ``L(new) + weight * (L_cross + L_past) / 2``:

    - L(new), plasticity: the method's loss of the new images alone, which takes the place of the loss of all.
    - L_cross, cross-task consolidation: in the space of a head h of its own on the features of the encoder, two views
      of an image find each other among the images of the *other* set only: new ones among remembered ones, and
      remembered ones among new ones. It is the mean over both views and both sets.
    - L_past, stability: the method's loss of the remembered images in the space of h, at the method's temperature.

    For methods whose loss compares the embeddings of a batch and nothing else, such as SimCLR and CMC with
    ``negatives="batch"``; CMC gets a head for each of its encoders, and candidates are of the view that is looked for.

    Args:
        output_dim: length of an embedding by h.
        hidden_dim: width of the hidden layer of h; 0 for the number of features.
        temperature: of L_cross.
        weight: of the second half of the loss; None: 1.
        balance: see `ContinualPlugin`.

    Raises:
        UsageError: a setting is out of range; when the strategy is made: the method is not contrastive, or compares
            with a queue, a bank or a momentum encoder.
    """

    needs_replay = True

    def __init__(
        self,
        output_dim: int = 128,
        hidden_dim: int = 0,
        temperature: float = 0.1,
        weight: float | None = None,
        balance: float | None = None,
    ) -> None:
        super().__init__(weight, balance=balance)
        require_positive(output_dim=output_dim, temperature=temperature)
        require_range(0, hidden_dim=hidden_dim)
        self.output_dim, self.hidden_dim = output_dim, hidden_dim
        self.temperature = temperature
        self._watch = Watch()

    def build(self, strategy: Any) -> None:
        """Make a head for each encoder.

        Raises:
            UsageError: the method is of another kind, or there are two Osiris.
        """
        method = strategy.model
        name = type(method).__name__
        if sum(isinstance(plugin, Osiris) for plugin in strategy.plugins) > 1:
            raise UsageError("there are two Osiris, and each puts a loss in the place of the method's: give one")
        if method.family != "contrastive":
            raise UsageError(f"Osiris needs a contrastive method, and {name} is {method.family}: use CLA, or CaSSLe")
        images = trial_images(strategy)
        with trial_mode(method, strategy.device), Watch(encoders(method)) as watch:
            outputs = method.embed(method.views(images))
        rows = sum(len(features) for _, features in watch.take())
        spaces = [view for space in method.embeddings(outputs) for view in space]
        flat = all(view.ndim == 2 for view in spaces) and rows == len(spaces) * len(images)
        if not flat or set(outputs) != set(_names(method)):
            raise UsageError(
                f"Osiris needs a method that compares the embeddings of a batch and nothing else, as SimCLR and CMC "
                f"with negatives='batch' do, and {name} does not: use CLA, or CaSSLe"
            )
        self.heads = nn.ModuleList(
            mlp(encoder.out_features, self.hidden_dim or encoder.out_features, self.output_dim, last_norm=True)  # type: ignore[arg-type]
            for encoder in encoders(method)
        )

    def before_forward(self, strategy: Any, **kwargs: Any) -> None:
        """Begin to keep the features of the encoders."""
        self._watch.start(encoders(strategy.model))

    def after_forward(self, strategy: Any, **kwargs: Any) -> None:
        """Leave the encoders as they were; the features wait for `term`."""
        self._watch.stop()

    def objective(self, strategy: Any) -> Tensor | None:
        """L(new), 0-d; None without remembered images in the batch."""
        new = strategy.n_new
        if not 0 < new < strategy.n_images:
            return None
        loss: Tensor = strategy.model.loss({name: rows[:new] for name, rows in strategy.mb_output.items()})
        return loss

    def term(self, strategy: Any) -> Tensor | None:
        """(L_cross + L_past) / 2, 0-d; None without remembered images in the batch."""
        calls = self._watch.take()
        new, batch = strategy.n_new, strategy.n_images
        if not 0 < new < batch:
            return None
        spaces = []
        for number, head in enumerate(self.heads):
            rows = torch.cat([features for encoder, features in calls if encoder == number])
            spaces.append(_views(l2_normalize(head(rows)), batch))
        views = [view for space in spaces for view in space]
        past = dict(zip(_names(strategy.model), (view[new:] for view in views), strict=True))
        cross = cross_set_loss(spaces, new, self.temperature)
        half: Tensor = (cross + strategy.model.loss(past)) / 2
        return half


def cross_set_loss(spaces: list[list[Tensor]], new: int, temperature: float) -> Tensor:
    """L_cross: a view of an image finds the other one among images of the other set, see `Osiris`; 0-d.

    Args:
        spaces: unit embeddings (B, D) of the views, by the space they lie in.
        new: how many rows, the first ones, are of one set; the others are of the other.
        temperature: similarities are divided by it.
    """
    losses = []
    views = [(view, number) for number, space in enumerate(spaces) for view in space]
    sets = (slice(None, new), slice(new, None))
    for own, other in (sets, sets[::-1]):
        for (anchor, _), (positive, space) in permutations(views, 2):
            candidates = torch.cat([view[other] for view in spaces[space]])
            scores = similarity_scores(anchor[own], positive[own], candidates)
            losses.append(info_nce(scores, temperature))
    return torch.stack(losses).mean()


def _names(method: Method) -> list[str]:
    """The outputs that are embeddings, in order."""
    return [name for names in method.spaces for name in names]


def _views(rows: Tensor, batch: int) -> list[Tensor]:
    """Rows of several views, one under the other, by view."""
    return list(torch.split(rows, batch))
