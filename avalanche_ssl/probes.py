"""What can a classifier read out of frozen features, in which scope? Extraction, ridge by scope, neighbours.

The scope says which training data the probe tested on experience j was fitted on: `all`, every experience of
the benchmark; `seen`, experiences 1..t, for j <= t; `task`, experience j alone. A probe predicts only classes
of its training data, so `task` reveals the experience wherever experiences differ in their classes.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from avalanche_ssl.moments import Labelled, labelled
from avalanche_ssl.ridge import GRID, LinearProbe, Split, fit_splits

SCOPES = ("all", "seen", "task")


class Represents(Protocol):
    """A module with features to probe: any `Method`, or any `nn.Module` with a method `represent`."""

    def represent(self, x: Tensor) -> Tensor:
        """Features (B, D) of images (B, C, H, W)."""

    def eval(self) -> object:
        """As `nn.Module.eval`."""

    def modules(self) -> Iterator[nn.Module]:
        """As `nn.Module.modules`."""


@contextmanager
def untouched(model: Represents) -> Iterator[None]:
    """Evaluation mode without gradients; training flags and all global random states are restored after.

    Random states matter even for a deterministic model: iterating over a torch DataLoader draws a seed.
    """
    flags = [(module, module.training) for module in model.modules()]
    python, numpy, cpu = random.getstate(), np.random.get_state(), torch.get_rng_state()
    cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else []  # type: ignore[no-untyped-call]
    try:
        model.eval()
        with torch.no_grad():
            yield
    finally:
        for module, training in flags:
            module.training = training
        random.setstate(python)
        np.random.set_state(numpy)
        torch.set_rng_state(cpu)
        if cuda:
            torch.cuda.set_rng_state_all(cuda)


def features(model: Represents, batches: Iterable[Sequence[Tensor]], device: torch.device | str) -> Labelled:
    """Features (N, D) float32 and labels (N,), on the CPU, of batches (x, y, ...); the model stays as is."""
    rows, labels = [], []
    with untouched(model):
        for x, y, *_ in batches:
            rows.append(model.represent(x.to(device)).float().cpu())
            labels.append(y.cpu())
    if not rows:
        raise ValueError("no features: there is no batch to extract them from")
    return torch.cat(rows), torch.cat(labels)


def scope_spans(scope: str, experiences: int, seen: int) -> list[tuple[int, int] | None]:
    """For each tested experience the span [start, stop) of experiences to fit its probe on; None: undefined.

    `seen`: how many experiences the encoder was trained on, 0 for an untrained one.
    """
    if not 0 <= seen <= experiences:
        raise ValueError(f"seen must be between 0 and {experiences} experiences, got {seen}")
    if scope == "all":
        return [(0, experiences)] * experiences
    if scope == "seen":
        return [(0, seen) if j < seen else None for j in range(experiences)]
    if scope == "task":
        return [(j, j + 1) for j in range(experiences)]
    raise ValueError(f"no scope {scope!r}: choose one of {', '.join(SCOPES)}")


Probes = dict[str, list[LinearProbe | None]]
"""For each scope the probe of each tested experience; None where the scope has none."""


def ridge_probes(
    train: Sequence[Labelled],
    n_classes: int,
    seen: int,
    scopes: Iterable[str] = SCOPES,
    held_out: float = 0.1,
    max_held_out: int = 5000,
    seed: int = 0,
    grid: Sequence[float] = GRID,
) -> Probes:
    """Ridge probes of all scopes from one pass over the training features of each experience.

    Each is `fit_ridge` on its experiences, but the held-out parts are drawn once for all scopes: at most
    `max_held_out` samples over the whole benchmark. A span without any label has no probe (None).

    Raises:
        ValueError: no sample of any experience has a label.
    """
    share = max_held_out // max(len(train), 1)
    splits = [Split.of(x, y, n_classes, held_out, share, seed) for x, y in train]
    if not any(split.fit.n for split in splits):
        raise ValueError("no labelled sample to fit a probe on: every label is negative (unlabelled)")

    @cache
    def probe(span: tuple[int, int] | None) -> LinearProbe | None:
        chosen = splits[slice(*span)] if span else []
        return fit_splits(chosen, grid) if any(split.fit.n for split in chosen) else None

    return {scope: [probe(span) for span in scope_spans(scope, len(train), seen)] for scope in scopes}


def probe_accuracies(probes: Probes, test: Sequence[Labelled]) -> dict[str, NDArray[np.float64]]:
    """For each scope the accuracies (T,) on each experience's test features; NaN where undefined.

    Row t of the accuracy matrix, for probes of an encoder that was trained on t experiences.
    """
    return {
        scope: np.array([accuracy(p, x, y) if p else float("nan") for p, (x, y) in zip(row, test, strict=True)])
        for scope, row in probes.items()
    }


def accuracy(probe: LinearProbe, features: Tensor, labels: Tensor) -> float:
    """Fraction of the labelled samples that the probe names correctly; NaN if there is none."""
    known = labels >= 0
    return float((probe(features[known]).argmax(1) == labels[known]).double().mean())


def knn_predict(
    train_features: Tensor,
    train_labels: Tensor,
    queries: Tensor,
    n_classes: int,
    k: int = 20,
    temperature: float = 0.07,
    chunk: int = 1024,
) -> Tensor:
    """Labels (Q,) of queries (Q, D): the k most cosine-similar training samples vote, weighted exp(sim / T).

    Wu et al. 2018, arXiv:1805.01978, section 3.4. Unlabelled samples do not vote; if fewer than k, all vote.
    """
    train_features, train_labels = labelled(train_features, train_labels, n_classes)
    if not len(train_labels):
        raise ValueError("no labelled sample to vote: every label is negative (unlabelled)")
    keys = F.normalize(train_features, dim=1)

    def vote(rows: Tensor) -> Tensor:
        similarity, nearest = (F.normalize(rows, dim=1) @ keys.T).topk(min(k, len(keys)))
        weight = ((similarity - 1) / temperature).exp()  # - 1: the same order, and no overflow at a low T
        votes = weight.new_zeros(len(rows), n_classes)
        return votes.scatter_add_(1, train_labels[nearest], weight).argmax(1)

    return torch.cat([vote(rows) for rows in torch.split(queries, chunk)])
