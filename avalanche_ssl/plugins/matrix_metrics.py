"""Metrics of the probes' accuracy matrix for any of Avalanche's evaluation plugins: `probe_metrics()`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from avalanche.evaluation import PluginMetric
from avalanche.evaluation.metric_results import MetricValue, TensorImage

from avalanche_ssl.errors import UsageError
from avalanche_ssl.evaluation import Matrix, average_accuracy, average_anytime_accuracy
from avalanche_ssl.evaluation import forgetting as mean_forgetting
from avalanche_ssl.plugins.probe import ProbePlugin

CELL = 24
"""Pixels of an entry in the image of the matrix."""
PROJECTED = 1000
"""Test images in TensorBoard's projector at most."""


def probe_metrics(
    *,
    average: bool = True,
    anytime: bool = True,
    forgetting: bool = True,
    matrix: bool = True,
    embedding: bool = False,
    scope: str = "all",
    probe: str | None = None,
) -> list[PluginMetric[Any]]:
    """Metrics after each experience of the accuracy matrix that the strategy's `ProbePlugin` keeps.

    Args:
        average, anytime, forgetting: see `avalanche_ssl.evaluation`, over the experiences trained on so far.
        matrix: the matrix as an image, for loggers that show images (TensorBoard).
        embedding: the test features for TensorBoard's projector.
        scope, probe: of the matrix; None is the first probe.
    """
    functions: dict[str, tuple[bool, Callable[[Matrix], Any]]] = {
        "ProbeAverageAccuracy": (average, average_accuracy),
        "ProbeAnytimeAccuracy": (anytime, average_anytime_accuracy),
        "ProbeForgetting": (forgetting, mean_forgetting),
    }
    found: list[PluginMetric[Any]] = [
        _CornerMetric(n, f, scope, probe) for n, (wanted, f) in functions.items() if wanted
    ]
    found += [_MatrixImage("ProbeMatrix", scope, probe)] if matrix else []
    return [*found, EmbeddingProjection()] if embedding else found


def matrix_image(matrix: Matrix) -> TensorImage:
    """The matrix (T, T) or (T, 1) as an image of squares: 0 is black, 1 white, not measured red."""
    known = np.nan_to_num(matrix)
    shades = np.stack([np.where(np.isnan(matrix), 0.6, known), known, known])
    return TensorImage(torch.from_numpy(shades.repeat(CELL, 1).repeat(CELL, 2)).float())


def _probe_plugin(strategy: Any) -> ProbePlugin:
    plugin = next((p for p in strategy.plugins if isinstance(p, ProbePlugin)), None)
    if plugin is None:
        raise UsageError("probe_metrics() read the strategy's ProbePlugin: add ProbePlugin(benchmark) to its plugins")
    return plugin


class _BoundaryMetric(PluginMetric):  # type: ignore[misc]
    """Gives values when the strategy's `ProbePlugin` has measured a row."""

    def __init__(self) -> None:
        super().__init__()
        self._logged = 0

    def before_training_exp(self, strategy: Any) -> Any:
        """Values of a row that was measured because another experience begins."""
        return self.after_training_exp(strategy)

    def after_training(self, strategy: Any) -> Any:
        """Values of a row that was measured because the stream has ended."""
        return self.after_training_exp(strategy)

    def after_training_exp(self, strategy: Any) -> Any:
        """Values to log."""
        plugin = _probe_plugin(strategy)
        rows = len(plugin.rows) - 1  # without that of the untrained encoder
        if rows <= self._logged or not plugin.trained:
            return None
        self._logged = rows
        return self.values(strategy, plugin) if plugin.measured else None

    def values(self, strategy: Any, plugin: ProbePlugin) -> Any:
        """Values of a plugin that has just measured."""
        raise NotImplementedError

    def result(self) -> None:
        """Nothing between the boundaries."""

    def reset(self) -> None:
        """Nothing is accumulated."""


class _NamedMetric(_BoundaryMetric):
    """A value of the matrix of one probe and scope."""

    def __init__(self, name: str, scope: str, probe: str | None) -> None:
        super().__init__()
        self.name, self.scope, self.probe = name, scope, probe

    def before_training_exp(self, strategy: Any) -> Any:
        """As others, after a look at whether the plugin has what is read.

        Raises:
            UsageError: it has no such probe, or fits it in no such scope.
        """
        plugin = _probe_plugin(strategy)
        scopes = {probe.name: plugin.evaluator.scopes_of(probe) for probe in plugin.probes}
        probe = self.probe or plugin.probes[0].name
        if probe not in scopes:
            raise UsageError(
                f"probe_metrics(probe='{probe}') reads a probe that ProbePlugin does not fit: give one of "
                f"{', '.join(scopes)}, or add it there, ProbePlugin(benchmark, probes=[...])"
            )
        if self.scope not in scopes[probe]:
            raise UsageError(
                f"probe_metrics(scope='{self.scope}') reads a scope that {probe} is not fitted in: give one of "
                f"{', '.join(scopes[probe])}"
            )
        return super().before_training_exp(strategy)

    def value(self, plugin: ProbePlugin) -> Any:
        """The value; NaN is left out."""
        raise NotImplementedError

    def values(self, strategy: Any, plugin: ProbePlugin) -> list[MetricValue]:
        """The value by its name."""
        value = self.value(plugin)
        if isinstance(value, float) and np.isnan(value):
            return []
        name = f"{self.name}_{self.probe or plugin.probes[0].name}_{self.scope}/eval_phase/test_stream"
        return [MetricValue(self, name, value, strategy.clock.train_iterations)]

    def __str__(self) -> str:
        return self.name


class _CornerMetric(_NamedMetric):
    """A metric of the rows and columns of the experiences trained on so far."""

    def __init__(self, name: str, function: Callable[[Matrix], Any], scope: str, probe: str | None) -> None:
        super().__init__(name, scope, probe)
        self.function = function

    def value(self, plugin: ProbePlugin) -> Any:
        t = plugin.trained
        return self.function(plugin.matrix(self.scope, self.probe)[:t, :t])


class _MatrixImage(_NamedMetric):
    """The complete matrix as an image."""

    def value(self, plugin: ProbePlugin) -> Any:
        return matrix_image(plugin.matrix(self.scope, self.probe))


class EmbeddingProjection(_BoundaryMetric):
    """Test features with their classes, for the projector of every TensorBoard logger."""

    def values(self, strategy: Any, plugin: ProbePlugin) -> None:
        """Write to the loggers directly: a projection is no metric value."""
        x, y = (torch.cat(part) for part in zip(*plugin.latest, strict=True))
        rows = torch.linspace(0, len(x) - 1, min(PROJECTED, len(x))).long()
        for logger in strategy.evaluator.loggers:
            writer: Any = getattr(logger, "writer", None)
            if writer is not None and hasattr(writer, "add_embedding"):
                writer.add_embedding(x[rows], y[rows].tolist(), tag="test_features", global_step=plugin.trained)

    def __str__(self) -> str:
        return "EmbeddingProjection"
