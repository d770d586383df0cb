"""The results of a stream so far: accuracy matrix, accuracy curve, probing tasks, full test."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import torch

from avalanche_ssl.errors import unknown_name
from avalanche_ssl.evaluation.frozen_probes import FrozenProbes
from avalanche_ssl.evaluation.metrics import Matrix
from avalanche_ssl.evaluation.tasks import TaskResult
from avalanche_ssl.logging import CurveEvent


class History:
    """Results over a stream.

    Args:
        experiences: T.
        headline: name of the first probe.
        one_test_set: whether all experiences share one test set.
    """

    def __init__(self, experiences: int, headline: str, *, one_test_set: bool = False) -> None:
        self.experiences, self.headline, self.one_test_set = experiences, headline, one_test_set
        self.rows: list[dict[str, Matrix]] = []
        """Accuracies (T,) by `key`, in the benchmark's order, of the untrained encoder, then after each experience that
        was trained on, also where it was trained on again; NaN: not measured. (1,) on one test set."""
        self.counts: list[int] = []
        """For each row, how many different experiences of the benchmark the encoder was trained on."""
        self.order: list[int] = []
        """The experiences trained on, by their position in the benchmark, in the order of training."""
        self.curve: list[CurveEvent] = []
        """Mean accuracies over the images seen; empty without a `ProbeSchedule`."""
        self.task_results: list[tuple[int, list[TaskResult]]] = []
        """Results of probing tasks, with the number of experiences trained before them."""
        self.full_test_accuracies: dict[str, float] = {}
        """Accuracies of the last encoder on all test images, by name of the probes that use one in n of them."""
        self.full_test_results: list[TaskResult] = []
        """Results of probing tasks on all test images, where `task_results` are on one in n."""
        self.consolidation = float("nan")
        """Of the encoder after the whole stream, see `avalanche_ssl.probes.consolidation`."""
        self.pixels: dict[str, Matrix] = {}
        """Accuracies (T,), or (1,), of raw pixels by probe, in the benchmark's order, scope "all"; empty: none."""
        self.frozen = FrozenProbes(experiences)
        """The first probe as it was right after each experience."""

    @property
    def trained(self) -> int:
        """How many different experiences of the benchmark the encoder was trained on so far."""
        return self.counts[-1] if self.counts else 0

    @property
    def measured(self) -> bool:
        """Whether the latest row was measured."""
        return bool(self.rows) and len(self.rows) - 1 in self._measured_rows()

    def key(self, probe: str, scope: str) -> str:
        """Where `rows` keeps a probe's accuracies: under its scope for the first probe, else under "NAME/SCOPE"."""
        return scope if probe == self.headline else f"{probe}/{scope}"

    def matrix(self, scope: str, probe: str | None = None) -> Matrix:
        """R (T, T): row t after t + 1 experiences, column j the test data of the (j + 1)-th; NaN: not measured.

        Rows and columns are in the order of training, as the metrics of `avalanche_ssl.evaluation` take them;
        experiences not trained on come last, in the benchmark's order. Where one was trained on again, the row of the
        same number of different experiences is the latest of them: the last row is always that of the last encoder.
        With one test set there is one column, (T, 1).

        Args:
            scope: "all", "seen" or "task".
            probe: its name; None is the first.

        Raises:
            UsageError: this probe has no such scope, as none has "task" on one test set.
        """
        columns = self.columns
        matrix = np.full((self.experiences, len(columns)), np.nan)
        for t in self._measured_rows():
            if t > 0 and self.counts[t] > 0:
                matrix[self.counts[t] - 1] = self._row(t, scope, probe)[columns]
        return matrix

    def untrained(self, scope: str, probe: str | None = None) -> Matrix:
        """Accuracies (T,) of the encoder before any training, in the order of the columns of `matrix`."""
        return self._row(0, scope, probe)[self.columns]

    def frozen_matrix(self, scope: str) -> Matrix:
        """F (T, T) of the first probe, in the order of training, see `FrozenProbes`; NaN: not measured."""
        found = None if self.one_test_set else self.frozen.matrix(scope, self.columns)
        return np.full((self.experiences, len(self.columns)), np.nan) if found is None else found

    def _row(self, t: int, scope: str, probe: str | None) -> Matrix:
        row, key = self.rows[t], self.key(probe or self.headline, scope)
        if key not in row:
            raise unknown_name("accuracies of", key, row)
        return row[key]

    @property
    def columns(self) -> list[int]:
        """The experiences whose test data the columns of `matrix` are about, by their position in the benchmark."""
        rest = [j for j in range(self.experiences) if j not in self.order]
        return [0] if self.one_test_set else [*self.order, *rest]

    def add_row(self, accuracies: Mapping[str, Mapping[str, Matrix]], order: Sequence[int] = ()) -> None:
        """Add accuracies (T,) by probe and scope; the first row is the untrained encoder's.

        Args:
            accuracies: in the benchmark's order.
            order: the experiences trained on so far, in the order of training.
        """
        self.rows.append({self.key(p, scope): row for p, scopes in accuracies.items() for scope, row in scopes.items()})
        self._count(order)

    def add_unmeasured_row(self, order: Sequence[int]) -> None:
        """Add a row of an experience after which nothing was measured; `order` as for `add_row`."""
        self.rows.append(_unmeasured(self.rows[-1]))
        self._count(order)

    def _count(self, order: Sequence[int]) -> None:
        self.order = list(order)
        self.counts.append(len(self.order))

    def state_dict(self) -> dict[str, Any]:
        """Everything, as plain values and tensors."""
        measured = sorted({0, *self._measured_rows()}) if self.rows else []  # the first has the keys of all
        return {
            "rows": [{key: torch.from_numpy(row) for key, row in self.rows[t].items()} for t in measured],
            "measured": measured,
            "counts": list(self.counts),
            "order": list(self.order),
            "curve": [dataclasses.asdict(point) for point in self.curve],
            "task_results": json.dumps([[trained, _plain(results)] for trained, results in self.task_results]),
            "full_test": [self.full_test_accuracies, json.dumps(_plain(self.full_test_results))],
            "consolidation": self.consolidation,
            "pixels": {name: torch.from_numpy(row) for name, row in self.pixels.items()},
            "frozen": self.frozen.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from `state_dict`."""
        rows = [{key: row.numpy() for key, row in rows.items()} for rows in state["rows"]]
        self.rows = []
        self.counts, self.order = list(state["counts"]), list(state["order"])
        for t in range(len(self.counts)):
            self.rows.append(rows[state["measured"].index(t)] if t in state["measured"] else _unmeasured(rows[0]))
        self.curve = [CurveEvent(**point) for point in state["curve"]]
        self.task_results = [(trained, _results(fields)) for trained, fields in json.loads(state["task_results"])]
        accuracies, results = state["full_test"]
        self.full_test_accuracies, self.full_test_results = dict(accuracies), _results(json.loads(results))
        self.consolidation = state["consolidation"]
        if "frozen" in state:  # which checkpoints of version 0.1.0 do not have
            self.pixels = {name: row.numpy() for name, row in state["pixels"].items()}
            self.frozen.load_state_dict(state["frozen"])

    def _measured_rows(self) -> list[int]:
        return [t for t, rows in enumerate(self.rows) if not all(np.isnan(row).all() for row in rows.values())]


def accuracy_curve(curve: Sequence[CurveEvent], probe: str, scope: str) -> list[tuple[int, float]]:
    """Images seen and accuracy over the stream; the later one of two accuracies at the same number of images."""
    found = {point.images_seen: point.accuracy for point in curve if (point.probe, point.scope) == (probe, scope)}
    return sorted(found.items())


def _plain(results: Iterable[TaskResult]) -> list[dict[str, Any]]:
    return [dataclasses.asdict(result) for result in results]


def _results(fields: Iterable[dict[str, Any]]) -> list[TaskResult]:
    """The inverse of `_plain`."""
    return [TaskResult(**values) for values in fields]


def _unmeasured(row: Mapping[str, Matrix]) -> dict[str, Matrix]:
    """A row with the same keys and NaN everywhere."""
    return {key: np.full_like(values, np.nan) for key, values in row.items()}
