"""What do probes say of the whole stream, as Avalanche's metrics? `probe_metrics()`, for any evaluation plugin."""

from collections.abc import Callable
from typing import Any

import numpy as np
from avalanche.evaluation import PluginMetric
from avalanche.evaluation.metric_results import MetricValue, TensorImage
from numpy.typing import NDArray

from avalanche_ssl.errors import UsageError
from avalanche_ssl.evaluation import metrics
from avalanche_ssl.evaluation.metrics import average_accuracy, average_anytime_accuracy
from avalanche_ssl.plugins.probe import ProbePlugin

Matrix = NDArray[np.float64]


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
        average, anytime, forgetting: see `avalanche_ssl.evaluation.metrics`, over what was learnt so far.
        matrix: the matrix as a picture, for loggers that show pictures (TensorBoard).
        embedding: the test features for TensorBoard's projector.
        scope, probe: of the matrix; None is the first probe.
    """
    chosen: dict[str, tuple[bool, Callable[[ProbePlugin, Matrix], Any]]] = {
        "ProbeAverageAccuracy": (average, lambda _, R: average_accuracy(R)),
        "ProbeAnytimeAccuracy": (anytime, lambda _, R: average_anytime_accuracy(R)),
        "ProbeForgetting": (forgetting, lambda _, R: metrics.forgetting(R)),
        "ProbeMatrix": (matrix, lambda plugin, _: picture(plugin.matrix(scope, probe))),
    }
    found: list[PluginMetric[Any]] = [_OfMatrix(n, f, scope, probe) for n, (wanted, f) in chosen.items() if wanted]
    return [*found, EmbeddingProjection()] if embedding else found


def picture(matrix: Matrix, cell: int = 24) -> TensorImage:
    """The matrix (T, T) as an image: a square of `cell` pixels an entry, dark is 0, white 1, not measured is red."""
    import torch

    known = np.nan_to_num(matrix)
    shades = np.stack([np.where(np.isnan(matrix), 0.6, known), known, known])
    return TensorImage(torch.from_numpy(shades.repeat(cell, 1).repeat(cell, 2)).float())


class _Boundary(PluginMetric):  # type: ignore[misc]
    """Speaks when the strategy's `ProbePlugin` has added a row."""

    def __init__(self) -> None:
        super().__init__()
        self._told = 0

    def after_training_exp(self, strategy: Any) -> Any:
        """What is to be logged."""
        plugin = next((p for p in strategy.plugins if isinstance(p, ProbePlugin)), None)
        if plugin is None:
            raise UsageError(
                "probe_metrics() read the strategy's ProbePlugin: add ProbePlugin(benchmark) to its plugins"
            )
        if plugin.trained == self._told or plugin.trained > len(plugin.train):
            return None
        self._told = plugin.trained
        return self.values(strategy, plugin) if plugin.measured else None

    def values(self, strategy: Any, plugin: ProbePlugin) -> Any:
        """Of a plugin that has just measured."""
        raise NotImplementedError

    def result(self) -> None:
        """Nothing between the boundaries."""

    def reset(self) -> None:
        """Nothing is accumulated."""


class _OfMatrix(_Boundary):
    def __init__(self, name: str, value: Callable[[ProbePlugin, Matrix], Any], scope: str, probe: str | None) -> None:
        super().__init__()
        self.name, self.value, self.scope, self.probe = name, value, scope, probe

    def values(self, strategy: Any, plugin: ProbePlugin) -> list[MetricValue]:
        """The metric of the finished corner of the matrix; NaN is left out."""
        t = plugin.trained
        value = self.value(plugin, plugin.matrix(self.scope, self.probe)[:t, :t])
        if isinstance(value, float) and np.isnan(value):
            return []
        name = f"{self.name}_{self.probe or plugin.probes[0].name}_{self.scope}/eval_phase/test_stream"
        return [MetricValue(self, name, value, strategy.clock.train_iterations)]

    def __str__(self) -> str:
        return self.name


class EmbeddingProjection(_Boundary):
    """Test features with their classes, at most `images`, to the projector of every TensorBoard logger."""

    def __init__(self, images: int = 1000) -> None:
        super().__init__()
        self.images = images

    def values(self, strategy: Any, plugin: ProbePlugin) -> None:
        """Goes past the evaluator: a projection is no metric value."""
        import torch

        x, y = (torch.cat(part) for part in zip(*plugin.latest, strict=True))
        rows = torch.linspace(0, len(x) - 1, min(self.images, len(x))).long()
        for logger in strategy.evaluator.loggers:
            writer: Any = getattr(logger, "writer", None)
            if writer is not None and hasattr(writer, "add_embedding"):
                writer.add_embedding(x[rows], y[rows].tolist(), tag="test_features", global_step=plugin.trained)

    def __str__(self) -> str:
        return "EmbeddingProjection"
