"""Probes that stay as they were fitted while the encoder trains on: what an old classifier loses by drift.

The refitted probe of the accuracy matrix R says what a classifier can still read from the features; it hides that the
features have moved, because it moves with them. A classifier that was fitted after an experience and is kept meets the
drift (Davari et al. 2022, arXiv:2203.13381, compare the two as representation and observed forgetting).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from avalanche_ssl.evaluation.metrics import Matrix
from avalanche_ssl.models import LabeledFeatures
from avalanche_ssl.probes import LinearProbe, Probes


@dataclass(frozen=True)
class FrozenAccuracy:
    """An entry of the matrix of frozen probes.

    Args:
        scope: of the probe.
        experience: whose test data were used, by its position in the benchmark.
        fitted_after: number of experiences trained on when the probe was fitted.
        accuracy: NaN where no test image has a label.
    """

    scope: str
    experience: int
    fitted_after: int
    accuracy: float


class FrozenProbes:
    """The headline probe as it was right after each experience, tested on the features of every later encoder.

    F[t, j] is the accuracy, on the test data of experience j, of the probe that gave R[j, j], on the encoder after
    experience t >= j; so F[j, j] = R[j, j], and the two matrices differ in nothing but fitting again. An experience
    after which nothing was measured has the probe of the next row. Probes that are no linear maps are not kept: those
    of nearest neighbors are all training features.

    Args:
        experiences: T.
    """

    def __init__(self, experiences: int) -> None:
        self.experiences = experiences
        self._probes: dict[tuple[str, int], _Frozen] = {}
        self._rows: dict[str, Matrix] = {}  # F by scope, columns in the benchmark's order

    def measure(
        self, fits: Sequence[Probes], test: Sequence[LabeledFeatures], order: Sequence[int]
    ) -> list[FrozenAccuracy]:
        """Keep the probe of each experience that has none yet, and test all probes that are kept; a row of F.

        Args:
            fits: the headline probe on the current encoder, for each draw of its labels.
            test: features (N, D) and labels (N,) of each experience's test data by the same encoder.
            order: the experiences trained on so far, in the order of training.
        """
        found = []
        for scope in fits[0] if fits and order else ():
            row = np.full(self.experiences, np.nan)
            for j in order:
                if (scope, j) not in self._probes:
                    draws = [_known_classes(fit) for each in fits if isinstance(fit := each[scope][j], LinearProbe)]
                    if len(draws) < len(fits):
                        continue
                    self._probes[scope, j] = _Frozen(len(order), draws)
                kept = self._probes[scope, j]
                row[j] = kept.accuracy(*test[j])
                found.append(FrozenAccuracy(scope, j, kept.fitted_after, float(row[j])))
            if not np.isnan(row).all():
                empty = np.full((self.experiences, self.experiences), np.nan)
                self._rows.setdefault(scope, empty)[len(order) - 1] = row
        return found

    def matrix(self, scope: str, columns: Sequence[int]) -> Matrix | None:
        """F (T, T): row t after t + 1 experiences, its columns in this order; NaN: not measured, None: never."""
        return self._rows[scope][:, list(columns)] if scope in self._rows else None

    def state_dict(self) -> dict[str, Any]:
        """Everything, as plain values and tensors."""
        probes = [
            {"scope": scope, "experience": j, "fitted_after": p.fitted_after, "draws": [_state(d) for d in p.draws]}
            for (scope, j), p in self._probes.items()
        ]
        return {"probes": probes, "rows": {scope: torch.from_numpy(row) for scope, row in self._rows.items()}}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from `state_dict`."""
        self._probes = {
            (each["scope"], each["experience"]): _Frozen(each["fitted_after"], [_draw(d) for d in each["draws"]])
            for each in state["probes"]
        }
        self._rows = {scope: row.numpy().copy() for scope, row in state["rows"].items()}


@dataclass(frozen=True)
class _Draw:
    """A linear probe of the classes (c,) that it knows, the fit on one draw of the labels."""

    probe: nn.Module
    classes: Tensor


@dataclass(frozen=True)
class _Frozen:
    """The fits on all draws of the labels, after so many experiences."""

    fitted_after: int
    draws: list[_Draw]

    def accuracy(self, features: Tensor, labels: Tensor) -> float:
        """Share of the labeled samples that are classified correctly, the mean over the draws; NaN without any."""
        known = labels >= 0
        x, y = features[known], labels[known]
        return float(np.mean([float((d.classes[d.probe(x).argmax(1)] == y).double().mean()) for d in self.draws]))


def _known_classes(probe: LinearProbe) -> _Draw:
    """The probe without the rows of classes that it never predicts, in tensors of its own."""
    classes = probe.bias.isfinite().nonzero().flatten()
    return _Draw(LinearProbe(probe.weight[classes], probe.bias[classes], probe.mean.clone()), classes)


def _state(draw: _Draw) -> dict[str, Tensor]:
    return {**draw.probe.state_dict(), "classes": draw.classes}


def _draw(state: dict[str, Tensor]) -> _Draw:
    return _Draw(LinearProbe(state["weight"], state["bias"], state["mean"]), state["classes"])
