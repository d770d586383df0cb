"""Probes after each experience, as an Avalanche plugin that keeps the accuracy matrix and writes to the log."""

from __future__ import annotations

import copy
import time
from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
from avalanche.benchmarks import CLScenario
from avalanche.evaluation.metric_results import MetricValue
from torch import Tensor, nn

from avalanche_ssl.errors import require_positive
from avalanche_ssl.evaluation import (
    Accuracies,
    EvalPrecision,
    Evaluation,
    Evaluator,
    FeatureFunction,
    History,
    ProbeSchedule,
    curve_events,
    evaluates_in_bf16,
    frozen_probe_events,
    full_test_events,
    probe_events,
    task_events,
)
from avalanche_ssl.functional import state_sha256
from avalanche_ssl.logging import ConsolidationEvent, Event, Log
from avalanche_ssl.models import LabeledFeatures
from avalanche_ssl.plugins.boundaries import BoundaryPlugin
from avalanche_ssl.plugins.probe_results import ProbeResults
from avalanche_ssl.probes import SCOPES, ProbeProtocol


class ProbePlugin(ProbeResults, BoundaryPlugin):
    """Probes on frozen features of the whole benchmark: once untrained, then after each experience.

    The encoder is trained without labels; the probes are fitted on the labeled training data of the benchmark and
    scored on the test data of each experience, in three scopes from one pass over the features: "all" (probe fitted on
    all experiences), "seen" (on those trained on so far), "task" (on the tested one alone). Evaluating changes
    nothing: neither weights, nor memory, nor any random state. Accuracies also go to Avalanche's loggers, as
    ``Probe_NAME_SCOPE/eval_phase/test_stream/Exp00J``. In a `SelfSupervised` strategy's `eval` the logits are those
    of the first probe, in the scope "all".

    A row belongs to the experience that was trained on, known by its number in its stream, also in a reversed, repeated
    or partial stream, after a validation split, and in online sub-experiences (`ExperienceBoundaries`); between two
    boundaries these are probed by `schedule`, where the experience under way counts as seen. `matrix` is in the order
    of training. With one test set for all experiences it has one column, in the scopes "all" and "seen".

    A probe that uses one in n images does so in every row of the matrix, whose values can then be compared. The last
    encoder is tested on all test images, too: `full_test_accuracies`, `full_test_results`.

    Args:
        benchmark: its test_stream is as long as its train_stream, or has one experience: one test set for all.
        probes: names as `avalanche_ssl.probes.get_protocol` knows them; the first is the headline.
        scopes: which of "all", "seen", "task".
        schedule: numbers of images seen at which to probe between boundaries, too; logged as `curve` events.
        log: called with each event: `probe`, `curve`, `task`, `full_test`, `consolidation`.
        batch_size: images per batch when extracting features; None: 128 on a CPU, else 512.
        seed: of held-out parts, few labels, initial weights and batches of the probes.
        every_experiences: probe after each n-th experience only, and after the last; the others are not measured.
        extract_features: features (B, D) of a model and images (B, C, H, W), for a strategy whose model has no method
            `extract_features`. Images then come through the transforms of the benchmark.
        classes: where a label comes in several tasks (task labels), "shared" if it is the same class, "per-task" if it
            is another one in each; None where the benchmark says which, see `avalanche_ssl.streams.class_index`.
        precision: of the features: "auto" is that in which the strategy trains, "fp32" or "bf16". Each event says it.

    Raises:
        UsageError: the streams do not fit together or have no label, a scope or probe is not known, or whether tasks
            share classes is not; before training, the model has no `extract_features` or an experience no number.
    """

    def __init__(
        self,
        benchmark: CLScenario,
        *,
        probes: Sequence[str | ProbeProtocol] = ("ridge",),
        scopes: Sequence[str] = SCOPES,
        schedule: ProbeSchedule | None = None,
        log: Log | None = None,
        batch_size: int | None = None,
        seed: int = 0,
        every_experiences: int = 1,
        extract_features: FeatureFunction | None = None,
        classes: str | None = None,
        precision: EvalPrecision = "auto",
    ) -> None:
        require_positive(every_experiences=every_experiences)
        self.evaluator = Evaluator(
            benchmark,
            probes,
            scopes,
            batch_size=batch_size,
            seed=seed,
            extract_features=extract_features,
            classes=classes,
            precision=precision,
        )
        self.probes, self.scopes = self.evaluator.probes, self.evaluator.scopes
        self.train, self.test, self.classes = self.evaluator.train, self.evaluator.test, self.evaluator.classes
        self.online, self.probing_tasks = self.evaluator.online, self.evaluator.tasks
        super().__init__(benchmark.train_stream)
        self.history = History(len(self.train), self.probes[0].name, one_test_set=self.evaluator.one_test_set)
        self.schedule, self.log, self.every_experiences = ProbeSchedule.check(schedule), log, every_experiences
        self.latest: list[LabeledFeatures] = []
        """Features and labels of each experience's test data, or of the one test set, as they were measured last."""
        self.correct: list[Tensor] | None = None
        """After the last experience which test images the headline probe classifies correctly, see `Evaluation`."""
        self.images_seen = 0
        """Images of the stream so far, each counted once."""
        self.images_trained = 0
        """Images trained on so far, each pass and each replayed image counted."""
        self.train_seconds = self.eval_seconds = self._since = 0.0
        self._fitted_for = ""  # hash of the model behind the classifier for `eval`: weights can be loaded, too

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint keeps: the results, the counts, and the probes that are trained while the encoder is."""
        return {
            "history": self.history.state_dict(),
            "boundaries": self.boundaries.state_dict(),
            "counts": [self.images_seen, self.images_trained, self.train_seconds, self.eval_seconds],
            "running": time.perf_counter() - self._since,
            "online": {name: online.state_dict() for name, online in self.online.items()},
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from `state_dict`; the classifier for `eval` is fitted again when it is needed."""
        self.history.load_state_dict(state["history"])
        self.boundaries.load_state_dict(state["boundaries"])
        self.images_seen, self.images_trained, self.train_seconds, self.eval_seconds = state["counts"]
        self._since = time.perf_counter() - state["running"]
        self._fitted_for = ""
        for name, online in self.online.items():
            online.load_state_dict(state["online"][name])

    def before_training(self, strategy: Any, **kwargs: Any) -> None:
        """Probe the untrained encoder, once."""
        super().before_training(strategy, **kwargs)
        if not self.rows:
            self.measure(strategy)

    def before_training_exp(self, strategy: Any, **kwargs: Any) -> None:
        """Start the clock."""
        self._since = time.perf_counter()

    def before_training_epoch(self, strategy: Any, **kwargs: Any) -> None:
        """Let go of the features that were measured last: now the weights change."""
        self.evaluator.latest_pass = None

    def after_backward(self, strategy: Any, **kwargs: Any) -> None:
        """Let the probes that are trained while the encoder is take a step."""
        self.evaluator.step_online(strategy)

    def after_training_iteration(self, strategy: Any, **kwargs: Any) -> None:
        """Count images, each pass and replayed ones included."""
        self.images_trained += getattr(strategy, "n_images", len(strategy.mb_x))

    def after_training_epoch(self, strategy: Any, **kwargs: Any) -> None:
        """Stop the clock before anything is evaluated."""
        now = time.perf_counter()
        self.train_seconds += now - self._since
        self._since = now

    def after_training_exp(self, strategy: Any, **kwargs: Any) -> None:
        """Probe, if an experience of the benchmark is complete or the schedule says so."""
        before, self.images_seen = self.images_seen, self.images_seen + len(strategy.experience.dataset)
        super().after_training_exp(strategy, **kwargs)
        just_measured = self.measured and not self.boundaries.under_way
        if self.schedule and not just_measured and self.schedule.passed(before, self.images_seen):
            self._add_to_curve(strategy, self.accuracies(strategy, seen=self.boundaries.seen))

    def after_training(self, strategy: Any, **kwargs: Any) -> None:
        """End the experience under way with the stream, and let go of the features that were measured last."""
        super().after_training(strategy, **kwargs)
        self.evaluator.latest_pass = None

    def experience_complete(self, strategy: Any) -> None:
        """Add a row, measured or not."""
        if self.boundaries.due(self.every_experiences):
            self.measure(strategy)
        else:
            self.history.add_unmeasured_row(self.boundaries.order)

    def before_eval(self, strategy: Any, **kwargs: Any) -> None:
        """Have the logits of the current encoder ready for Avalanche's metrics."""
        if self._fitted_for != state_sha256(strategy.model.state_dict()):
            self._install(strategy, self.evaluator.fit_headline(strategy, seen=self.boundaries.order))

    def measure(self, strategy: Any) -> None:
        """Add a row: accuracies of the current encoder. The first row is the untrained encoder's.

        An experience that is under way counts as complete. After the last of several experiences, consolidation is
        logged, too.
        """
        if self.boundaries.under_way:
            self.boundaries.complete()
        found, order = self._evaluate(strategy, seen=self.boundaries.order), self.boundaries.order
        self.history.add_row(found.accuracies, order)
        self._add_to_curve(strategy, found.accuracies)
        self._publish(strategy, found.accuracies)
        self._measure_frozen(strategy, found)
        if self.boundaries.all_complete and not np.isnan(self.consolidation):
            t, accuracy = self.trained, self.consolidation
            self._write([ConsolidationEvent(experiences_trained=t, accuracy=accuracy, chance=1 / t)])

    def _measure_frozen(self, strategy: Any, found: Evaluation) -> None:
        """Test the old probes on the features that were measured, unless all experiences share one test set."""
        if self.evaluator.one_test_set:
            return
        probe, order = self.probes[0], self.boundaries.order
        entries = self.history.frozen.measure(found.headline, probe.select_test(found.test), order)
        precision = self._precision(strategy)
        self._write(frozen_probe_events(entries, probe.name, experiences_trained=len(order), precision=precision))

    def accuracies(self, strategy: Any, seen: Collection[int]) -> Accuracies:
        """Evaluate the current encoder, where the experiences `seen` count as seen; its accuracies by probe and scope.

        Whatever else is measured is kept and logged; the first probe gives the logits of the strategy's `eval`.
        """
        return self._evaluate(strategy, seen).accuracies

    def _evaluate(self, strategy: Any, seen: Collection[int]) -> Evaluation:
        """As `accuracies`, with all that was found."""
        start = time.perf_counter()
        at_boundary = not self.boundaries.under_way
        last = at_boundary and self.boundaries.all_complete
        found = self.evaluator.evaluate(strategy, seen, at_boundary=at_boundary, full_test=last, per_image=last)
        self._install(strategy, found.classifier)
        self._keep(found, len(seen), self._precision(strategy))
        self.eval_seconds += time.perf_counter() - start
        return found

    def _install(self, strategy: Any, classifier: nn.Module) -> None:
        """Make a classifier that of the strategy's `eval`."""
        on_cpu = strategy.device.type == "cpu"  # else a copy, because the features of probes stay on the CPU
        strategy.probe = classifier if on_cpu else copy.deepcopy(classifier).to(strategy.device)
        strategy.eval_precision = self._precision(strategy)
        self._fitted_for = state_sha256(strategy.model.state_dict())

    def _precision(self, strategy: Any) -> str:
        """Precision of the features: "fp32" or "bf16"."""
        return "bf16" if evaluates_in_bf16(strategy, self.evaluator.features.precision) else "fp32"

    def _keep(self, found: Evaluation, trained: int, precision: str) -> None:
        """Keep and log what was measured apart from the accuracies."""
        self.latest, self.correct = found.test, found.correct
        task_probe = self.evaluator.task_probe.name
        counts: dict[str, Any] = {"experiences_trained": trained, "images_trained": self.images_trained}
        if found.consolidation is not None:
            self.history.consolidation = found.consolidation
        if found.task_results:
            self.history.task_results.append((trained, found.task_results))
            self._write(task_events(found.task_results, task_probe, **counts))
        if (full := found.full_test) is not None:
            self.history.full_test_accuracies, self.history.full_test_results = full.accuracies, full.task_results
            self._write(full_test_events(full, self.probes, **counts, precision=precision))
            self._write(task_events(full.task_results, task_probe, **counts, full_test_set=True))

    def _add_to_curve(self, strategy: Any, accuracies: Accuracies) -> None:
        """Add and log a point of the accuracy curve for each probe and scope, if there is a schedule."""
        if self.schedule is None:
            return
        events = curve_events(
            accuracies,
            self.probes,
            images_seen=self.images_seen,
            images_trained=self.images_trained,
            experiences_trained=self.trained,
            seconds=round(self.train_seconds, 3),
            precision=self._precision(strategy),
        )
        self.curve.extend(events)
        self._write(events)

    def _publish(self, strategy: Any, accuracies: Accuracies) -> None:
        """Give a row of the matrix to Avalanche's loggers and to the log."""
        events = probe_events(
            accuracies,
            self.probes,
            order=self.boundaries.order,
            one_test_set=self.evaluator.one_test_set,
            images_trained=self.images_trained,
            seconds=round(self.train_seconds, 3),
            precision=self._precision(strategy),
        )
        for event in events:
            name = f"Probe_{event.probe}_{event.scope}/eval_phase/test_stream/Exp{(event.experience or 1) - 1:03d}"
            value = MetricValue(self, name, event.accuracy, strategy.clock.train_iterations)
            strategy.evaluator.publish_metric_value(value)
        self._write(events)

    def _write(self, events: Sequence[Event]) -> None:
        if self.log is not None:
            for event in events:
                self.log(event)
