"""What a `ProbePlugin` has measured so far."""

from __future__ import annotations

import numpy as np

from avalanche_ssl.evaluation import History, Matrix, TaskResult
from avalanche_ssl.logging import CurveEvent


class ProbeResults:
    """Results over a stream, read from the `History` that keeps them."""

    history: History

    @property
    def trained(self) -> int:
        """How many different experiences of the benchmark the encoder was trained on so far."""
        return self.history.trained

    @property
    def measured(self) -> bool:
        """Whether the latest row was measured, see `every_experiences`."""
        return self.history.measured

    @property
    def rows(self) -> list[dict[str, Matrix]]:
        """See `History.rows`."""
        return self.history.rows

    @property
    def curve(self) -> list[CurveEvent]:
        """See `History.curve`."""
        return self.history.curve

    @property
    def task_results(self) -> list[tuple[int, list[TaskResult]]]:
        """See `History.task_results`."""
        return self.history.task_results

    @property
    def full_test_accuracies(self) -> dict[str, float]:
        """See `History.full_test_accuracies`."""
        return self.history.full_test_accuracies

    @property
    def full_test_results(self) -> list[TaskResult]:
        """See `History.full_test_results`."""
        return self.history.full_test_results

    @property
    def consolidation(self) -> float:
        """See `History.consolidation`."""
        return self.history.consolidation

    def matrix(self, scope: str, probe: str | None = None) -> Matrix:
        """The accuracy matrix (T, T) in the order of training, see `History.matrix`."""
        return self.history.matrix(scope, probe)

    def frozen_matrix(self, scope: str) -> Matrix:
        """The matrix F (T, T) of frozen probes, see `History.frozen_matrix`."""
        return self.history.frozen_matrix(scope)

    def pixels(self, probe: str | None = None) -> Matrix:
        """Accuracies of raw pixels, scope "all", in the order of the columns of `matrix`; NaN: not measured."""
        columns = self.history.columns
        row = self.history.pixels.get(probe or self.history.headline)
        return np.full(len(columns), np.nan) if row is None else row[columns]

    def untrained(self, scope: str, probe: str | None = None) -> Matrix:
        """Accuracies (T,) of the encoder before any training, in the order of the columns of `matrix`."""
        return self.history.untrained(scope, probe)
