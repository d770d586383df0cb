"""`DER`: embeddings of replayed images stay near those of the time when the images were new."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from avalanche_ssl.errors import UsageError
from avalanche_ssl.methods import Method
from avalanche_ssl.plugins.continual import ContinualPlugin, replay_before
from avalanche_ssl.plugins.replay import Replay


class DER(ContinualPlugin):
    """Embeddings of replayed images stay near those of the time when the images were new, by mean squared error.

    Dark experience replay (Buzzega et al. 2020, arXiv:2004.07211) as Madaan et al. 2022 (arXiv:2110.06976) use it
    without labels. The loss has the term ``weight * mean (z - f)^2`` over views, replayed images, dimensions and
    spaces, with the feature f that the memory stored when the image entered. Published code stores what the encoder
    makes of one view; ours stores the mean of the method's embeddings over views, which is less noisy.

    Args:
        weight: of the term; None: that of `default_weights`, which is large for methods whose embeddings have unit
            length: in D dimensions the term is 4 / D at most.
        balance: see `ContinualPlugin`.

    Raises:
        UsageError: when the strategy is made: there is not one `Replay` before it, or its features are refreshed.
    """

    needs_replay = True
    default_weights = {
        "CPC": 0.3,
        "CMC": 100.0,
        "contrastive": 50.0,
        "predictive": 0.1,
        "decorrelative": 50.0,
        "mse": 3.0,
        "knowledge": 10.0,
    }
    """With these the term's gradient on the encoder is some 0.1 times that of the method's loss (medians of steps 15 to
    45 with 10 new and 20 replayed digits, seed 0)."""

    def __init__(self, weight: float | None = None, balance: float | None = None) -> None:
        super().__init__(weight, balance=balance)

    def build(self, strategy: Any) -> None:
        """Refuse a memory whose features follow the method."""
        replay = replay_before(self, strategy)
        if replay.refresh:
            place = "" if type(replay) is Replay else " in its place"
            raise UsageError(
                f"DER compares with features of the time when an image was new, and {type(replay).__name__} refreshes "
                f"them: give Replay(refresh=False){place} (--plugin replay --set replay.refresh=false)"
            )

    def term(self, strategy: Any) -> Tensor | None:
        """The mean squared difference; None without replayed images."""
        method: Method = strategy.model
        now = [[z[strategy.n_new :] for z in space] for space in method.embeddings(strategy.mb_output)]
        if not len(now[0][0]):
            return None
        pairs = zip(now, replay_before(self, strategy).stored(now), strict=True)
        losses = [[F.mse_loss(z, f) for z, f in zip(space, old, strict=True)] for space, old in pairs]
        return torch.stack([torch.stack(views).mean() for views in losses]).mean()
