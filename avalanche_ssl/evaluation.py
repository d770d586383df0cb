"""Probes after each experience, as an Avalanche plugin: `ProbePlugin` keeps the accuracy matrix and tells the log."""

import time
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import torch
from avalanche.benchmarks import CLScenario, OnlineCLExperience
from avalanche.core import SupervisedPlugin
from avalanche.evaluation.metric_results import MetricValue
from numpy.typing import NDArray

from avalanche_ssl.errors import UsageError, nearest
from avalanche_ssl.loader import RawLoader
from avalanche_ssl.moments import Labelled
from avalanche_ssl.probes import SCOPES, Probes, features, probe_accuracies, ridge_probes

Matrix = NDArray[np.float64]


class Log(Protocol):
    """Where events go, see `avalanche_ssl.log.JsonLog`."""

    def __call__(self, event: str, **fields: Any) -> None:
        """Note an event."""


class ProbePlugin(SupervisedPlugin):  # type: ignore[misc]
    """Ridge probes on frozen features of the whole benchmark: once untrained, then after each experience.

    The encoder learns without labels; the probes are fitted on the labelled training data of the benchmark and
    scored on the test data of each experience, in three scopes from one feature pass: "all" (probe fitted on all
    experiences), "seen" (on those learnt so far), "task" (on the tested one alone). Evaluating changes nothing:
    not the weights, not the memory, no random state. Accuracies also go to Avalanche's loggers, as
    ``Probe_ridge_SCOPE/eval_phase/test_stream/Exp00J``. In `strategy.eval` the "all" probe gives the logits.

    Online sub-experiences count towards the experience they were cut from; its boundary is where its last image
    has been learnt.

    Args:
        benchmark: train_stream and test_stream of equal length, learnt in that order.
        scopes: which of "all", "seen", "task".
        log: called with a `probe` event for each accuracy.
        batch_size: images a batch when extracting features.
        seed: of the held-out part that chooses the ridge's strength.

    Raises:
        UsageError: the streams differ in length or have no label, or a scope is not known.
    """

    def __init__(
        self,
        benchmark: CLScenario,
        *,
        scopes: Sequence[str] = SCOPES,
        log: Log | None = None,
        batch_size: int = 512,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.train = [e.dataset for e in benchmark.train_stream]
        self.test = [e.dataset for e in benchmark.test_stream]
        if len(self.train) != len(self.test):
            raise UsageError(
                f"{len(self.train)} training but {len(self.test)} test experiences: a probe needs the test data of each"
            )
        if not all(any(np.any(np.asarray(d.targets) >= 0) for d in part) for part in (self.train, self.test)):
            raise UsageError("the stream has no labels to fit and score a probe on: run it without ProbePlugin")
        for scope in scopes:
            if scope not in SCOPES:
                raise nearest("scope", scope, SCOPES)
        self.n_classes = 1 + max(int(np.max(np.asarray(d.targets), initial=-1)) for d in self.train + self.test)
        self.scopes, self.log, self.batch_size, self.seed = tuple(scopes), log, batch_size, seed
        self.rows: list[dict[str, Matrix]] = []
        """Accuracies (T,) by scope: of the untrained encoder, then after each experience."""
        self.images = 0
        self.train_seconds = 0.0
        self.eval_seconds = 0.0
        self._part = 0
        self._since = 0.0
        self._probed_at = -1

    @property
    def trained(self) -> int:
        """How many experiences the encoder has learnt so far."""
        return max(0, len(self.rows) - 1)

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint keeps: the accuracies, and what was counted."""
        return {
            "rows": [{scope: torch.from_numpy(row) for scope, row in rows.items()} for rows in self.rows],
            "counts": [self.images, self.train_seconds, self.eval_seconds, self._part],
            "running": time.perf_counter() - self._since,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from `state_dict`; the probe for `eval` is fitted anew when it is needed."""
        self.rows = [{scope: row.numpy() for scope, row in rows.items()} for rows in state["rows"]]
        self.images, self.train_seconds, self.eval_seconds, self._part = state["counts"]
        self._since = time.perf_counter() - state["running"]
        self._probed_at = -1

    def matrix(self, scope: str) -> Matrix:
        """R (T, T): row t after experience t + 1, column j the test data of experience j + 1; NaN: not measured."""
        matrix = np.full((len(self.train), len(self.train)), np.nan)
        for t, row in enumerate(self.rows[1 : len(self.train) + 1]):
            matrix[t] = row[scope]
        return matrix

    def untrained(self, scope: str) -> Matrix:
        """Accuracies (T,) of the encoder before any training."""
        return self.rows[0][scope]

    def before_training(self, strategy: Any, **kwargs: Any) -> None:
        """Probe the untrained encoder, once."""
        if not self.rows:
            self.measure(strategy)

    def before_training_exp(self, strategy: Any, **kwargs: Any) -> None:
        """Start the clock."""
        self._since = time.perf_counter()

    def after_training_iteration(self, strategy: Any, **kwargs: Any) -> None:
        """Count images, each pass and replayed ones included."""
        self.images += len(strategy.mb_x)

    def after_training_epoch(self, strategy: Any, **kwargs: Any) -> None:
        """Stop the clock before anybody evaluates."""
        now = time.perf_counter()
        self.train_seconds += now - self._since
        self._since = now

    def after_training_exp(self, strategy: Any, **kwargs: Any) -> None:
        """Probe, if an experience of the benchmark is complete."""
        if isinstance(strategy.experience, OnlineCLExperience):
            self._part += len(strategy.experience.dataset)
            if self.trained < len(self.train) and self._part < len(self.train[self.trained]):
                return
        self._part = 0
        self.measure(strategy)

    def before_eval(self, strategy: Any, **kwargs: Any) -> None:
        """Have the logits of the current encoder ready for Avalanche's metrics."""
        if self._probed_at != strategy.clock.train_iterations:
            self._fit(strategy, seen=self.trained)

    def measure(self, strategy: Any) -> None:
        """Add a row: accuracies of the present encoder. The first row is the untrained encoder's."""
        start = time.perf_counter()
        probes = self._fit(strategy, seen=len(self.rows))
        accuracies = probe_accuracies(probes, self._features(strategy, self.test))
        self.rows.append({scope: accuracies[scope] for scope in self.scopes})
        self.eval_seconds += time.perf_counter() - start
        for scope, row in accuracies.items():
            for j, accuracy in enumerate(row):
                if not np.isnan(accuracy):
                    self._publish(strategy, scope, j, float(accuracy))

    def _fit(self, strategy: Any, seen: int) -> Probes:
        train = self._features(strategy, self.train)
        probes = ridge_probes(train, self.n_classes, min(seen, len(train)), self.scopes, seed=self.seed)
        whole = probes if "all" in probes else ridge_probes(train, self.n_classes, 0, ["all"], seed=self.seed)
        strategy.probe = whole["all"][0]
        strategy.probe.to(strategy.device)
        self._probed_at = strategy.clock.train_iterations
        return probes

    def _features(self, strategy: Any, datasets: Sequence[Any]) -> list[Labelled]:
        def batches(dataset: Any) -> RawLoader:
            return RawLoader(
                [dataset], [self.batch_size], shuffle=False, drop_last=False, transforms=strategy.transforms
            )

        return [features(strategy.model, batches(d), strategy.device) for d in datasets]

    def _publish(self, strategy: Any, scope: str, j: int, accuracy: float) -> None:
        name = f"Probe_ridge_{scope}/eval_phase/test_stream/Exp{j:03d}"
        strategy.evaluator.publish_metric_value(MetricValue(self, name, accuracy, strategy.clock.train_iterations))
        if self.log is not None:
            self.log(
                "probe",
                trained=self.trained,
                evaluated=j + 1,
                probe="ridge",
                scope=scope,
                accuracy=accuracy,
                images=self.images,
                seconds=round(self.train_seconds, 3),
            )
