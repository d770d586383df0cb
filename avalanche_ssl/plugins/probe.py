"""Probes after each experience, as an Avalanche plugin: `ProbePlugin` keeps the accuracy matrix and tells the log."""

import copy
import dataclasses
import json
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from avalanche.benchmarks import CLScenario, OnlineCLExperience
from avalanche.core import SupervisedPlugin
from avalanche.evaluation.metric_results import MetricValue
from torch import Tensor, nn

from avalanche_ssl.data.traversal import merged
from avalanche_ssl.errors import UsageError, require_positive, unknown_name
from avalanche_ssl.evaluation.feature_pass import FeatureExtractor, Function
from avalanche_ssl.evaluation.history import CurvePoint, Matrix, _answers, _plain, _unmeasured
from avalanche_ssl.evaluation.schedule import ProbeSchedule
from avalanche_ssl.evaluation.tasks import TaskResult, evaluate_task
from avalanche_ssl.logging.jsonl import Log
from avalanche_ssl.models.inference import LabeledFeatures, eval_mode
from avalanche_ssl.probes.online import OnlineProbe
from avalanche_ssl.probes.protocols import PROTOCOLS, ProbeProtocol, _caveat, get_protocol
from avalanche_ssl.probes.scopes import SCOPES, Probes, accuracy, consolidation, probe_accuracies
from avalanche_ssl.streams.tasks import ProbingTask


class ProbePlugin(SupervisedPlugin):  # type: ignore[misc]
    """Probes on frozen features of the whole benchmark: once untrained, then after each experience.

    The encoder learns without labels; the probes are fitted on the labelled training data of the benchmark and
    scored on the test data of each experience, in three scopes from one feature pass: "all" (probe fitted on all
    experiences), "seen" (on those learnt so far), "task" (on the tested one alone). Evaluating changes nothing:
    not the weights, not the memory, no random state. Accuracies also go to Avalanche's loggers, as
    ``Probe_NAME_SCOPE/eval_phase/test_stream/Exp00J``. In a `SelfSupervised` strategy's `eval` the logits are those
    of the first probe, in the scope "all".

    Online sub-experiences count towards the experience they were cut from; its boundary is where its last image
    has been learnt. Between boundaries they are probed at `points`, where the experience under way counts as learnt.

    A probe that looks at one in n images does so in every row of the matrix, whose values can then be compared. The
    last encoder's are told of all test images, too: `final`, `full_test_results`.

    Args:
        benchmark: train_stream and test_stream of equal length, learnt in that order.
        probes: names as `avalanche_ssl.probes.protocols.probe` knows them; the first is the headline.
        scopes: which of "all", "seen", "task".
        points: numbers of images seen at which to probe between boundaries, too; told as `point` events.
        log: called with a `probe` event for each accuracy, with what is `caveat` about its protocol, if something is.
        batch_size: images a batch when extracting features.
        seed: of held-out parts, few labels, initial weights and batches of the probes.
        boundaries: probe after each n-th experience only, and after the last; the others are not measured.
        represent: features (B, D) of a model and images (B, C, H, W), for a strategy of yours whose model has no
            method `extract_features`. Images then come through the transforms of the benchmark.

    Raises:
        UsageError: the streams differ in length or have no label, a scope or probe is not known, or (before
            training) the model has no method `extract_features`.
    """

    def __init__(
        self,
        benchmark: CLScenario,
        *,
        probes: Sequence[str | ProbeProtocol] = ("ridge",),
        scopes: Sequence[str] = SCOPES,
        points: ProbeSchedule | None = None,
        log: Log | None = None,
        batch_size: int = 512,
        seed: int = 0,
        boundaries: int = 1,
        extract_features: Function | None = None,
    ) -> None:
        super().__init__()
        require_positive(boundaries=boundaries)
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
                raise unknown_name("scope", scope, SCOPES)
        self.probes = [get_protocol(name) for name in probes]
        if len({p.name for p in self.probes}) < max(1, len(self.probes)):
            raise UsageError(f"probes {', '.join(p.name for p in self.probes) or 'none'}: name at least one, each once")
        self.n_classes = 1 + max(int(np.max(np.asarray(d.targets), initial=-1)) for d in self.train + self.test)
        self.scopes, self.log, self.seed = tuple(scopes), log, seed
        self.probing_tasks = list(getattr(benchmark, "probing_tasks", ()))
        self.task_results: list[tuple[int, list[TaskResult]]] = []
        """To the benchmark's `probing_tasks`, with the number of experiences that had been learnt."""
        self.final: dict[str, float] = {}
        """The last encoder's accuracy on all test images, each once, by each probe that looks at one in n of them."""
        self.full_test_results: list[TaskResult] = []
        """About all test images, each once, where `task_results` are about one in n."""
        self._sparse = [p.name for p in self.probes if p.every > 1 and "all" in self._scopes(p)]
        self._whole = merged(self.test) if self._sparse else None
        self._whole_questions = [q.once(self._whole.first) for q in self.probing_tasks if self._whole and not q.again]
        self._sizes, self.boundaries = [len(d) for d in self.train], boundaries
        self._thin()
        self._features = FeatureExtractor([self.train, self.test], batch_size, extract_features)
        self.rows: list[dict[str, Matrix]] = []
        """Accuracies (T,) by `key`: of the untrained encoder, then after each experience."""
        self.latest: list[LabeledFeatures] = []
        """Features and labels of each experience's test data as they were measured last."""
        self.consolidation = float("nan")
        """Of the encoder after the whole stream, see `avalanche_ssl.probes.consolidation`."""
        self.points = points
        self.curve: list[CurvePoint] = []
        """Mean accuracies on the axis of images seen, at boundaries and `points`; empty without `points`."""
        self.seen = 0
        """Images of the stream so far, each counted once."""
        self.images = 0
        self.train_seconds = 0.0
        self.eval_seconds = 0.0
        self._part = 0
        self._since = 0.0
        self._probed_at = -1
        labels = [torch.as_tensor(np.asarray(d.targets)) for d in self.train]
        self.online = {
            p.name: OnlineProbe(self.train, p.known(labels, seed), self.n_classes, p.online == "leaky", seed)
            for p in self.probes
            if p.online
        }
        """Probes that learn along with the encoder, by name."""

    def _thin(self) -> None:
        """Leave out images that no probe looks at."""
        (every, *others) = {p.every for p in self.probes}
        if others or every == 1:
            return
        self.train, self.test = ([d.subset(range(0, len(d), every)) for d in part] for part in (self.train, self.test))
        self.probes = [dataclasses.replace(p, every=1) for p in self.probes]
        self.probing_tasks = [question.each(every) for question in self.probing_tasks]
        self._whole_questions = [question.each(every, tested=False) for question in self._whole_questions]

    @property
    def trained(self) -> int:
        """How many experiences the encoder has learnt so far."""
        return max(0, len(self.rows) - 1)

    @property
    def measured(self) -> bool:
        """Whether the latest row was, see `boundaries`."""
        return bool(self.rows) and len(self.rows) - 1 in self._measured()

    def _measured(self) -> list[int]:
        """Which rows were."""
        return [t for t, rows in enumerate(self.rows) if not all(np.isnan(row).all() for row in rows.values())]

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint keeps: the accuracies, and what was counted."""
        return {
            "task_results": json.dumps([[learnt, _plain(row)] for learnt, row in self.task_results]),
            "final": [self.final, json.dumps(_plain(self.full_test_results))],
            "rows": [{key: torch.from_numpy(row) for key, row in self.rows[t].items()} for t in self._measured()],
            "measured": self._measured(),
            "trained": self.trained,
            "counts": [self.images, self.train_seconds, self.eval_seconds, self._part, self.seen],
            "curve": [vars(point) for point in self.curve],
            "running": time.perf_counter() - self._since,
            "consolidation": self.consolidation,
            "online": {name: online.state_dict() for name, online in self.online.items()},
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from `state_dict`; the probe for `eval` is fitted anew when it is needed."""
        rows = [{key: row.numpy() for key, row in rows.items()} for rows in state["rows"]]
        self.rows = []
        for t in range(state["trained"] + 1 if rows else 0):
            self.rows.append(rows[state["measured"].index(t)] if t in state["measured"] else _unmeasured(rows[0]))
        self.task_results = [(learnt, _answers(row)) for learnt, row in json.loads(state["task_results"])]
        self.final, self.full_test_results = dict(state["final"][0]), _answers(json.loads(state["final"][1]))
        self.images, self.train_seconds, self.eval_seconds, self._part, self.seen = state["counts"]
        self.curve = [CurvePoint(**point) for point in state["curve"]]
        self._since = time.perf_counter() - state["running"]
        self._probed_at = -1
        self.consolidation = state["consolidation"]
        for name, online in self.online.items():
            online.load_state_dict(state["online"][name])

    def key(self, probe: str, scope: str) -> str:
        """Where `rows` keeps a probe's accuracies: under its scope for the first probe, else under "NAME/SCOPE"."""
        return scope if probe == self.probes[0].name else f"{probe}/{scope}"

    def matrix(self, scope: str, probe: str | None = None) -> Matrix:
        """R (T, T): row t after experience t + 1, column j the test data of experience j + 1; NaN: not measured.

        Of the first probe, or of the one named.
        """
        matrix = np.full((len(self.train), len(self.train)), np.nan)
        for t, row in enumerate(self.rows[1 : len(self.train) + 1]):
            matrix[t] = row[self.key(probe or self.probes[0].name, scope)]
        return matrix

    def untrained(self, scope: str, probe: str | None = None) -> Matrix:
        """Accuracies (T,) of the encoder before any training."""
        return self.rows[0][self.key(probe or self.probes[0].name, scope)]

    def before_training(self, strategy: Any, **kwargs: Any) -> None:
        """Probe the untrained encoder, once."""
        if not self.rows:
            self.measure(strategy)

    def before_training_exp(self, strategy: Any, **kwargs: Any) -> None:
        """Start the clock."""
        self._since = time.perf_counter()

    def after_backward(self, strategy: Any, **kwargs: Any) -> None:
        """Let the probes that learn along with the encoder take a step."""
        for online in self.online.values():
            online.step(strategy, self._features.model(strategy), getattr(strategy, "use_dataset_transforms", True))

    def after_training_iteration(self, strategy: Any, **kwargs: Any) -> None:
        """Count images, each pass and replayed ones included."""
        self.images += len(strategy.mb_x)

    def after_training_epoch(self, strategy: Any, **kwargs: Any) -> None:
        """Stop the clock before anybody evaluates."""
        now = time.perf_counter()
        self.train_seconds += now - self._since
        self._since = now

    def after_training_exp(self, strategy: Any, **kwargs: Any) -> None:
        """Probe, if an experience of the benchmark is complete, or a point of the stream was passed."""
        before, self.seen = self.seen, self.seen + len(strategy.experience.dataset)
        if isinstance(strategy.experience, OnlineCLExperience):
            self._part += len(strategy.experience.dataset)
            if self.trained < len(self.train) and self._part < self._sizes[self.trained]:
                self._pass_points(strategy, before)
                return
        self._part = 0
        learnt = len(self.rows)
        if learnt % self.boundaries and learnt < len(self.train):
            self.rows.append(_unmeasured(self.rows[-1]))
            self._pass_points(strategy, before)
        else:
            self.measure(strategy)

    def before_eval(self, strategy: Any, **kwargs: Any) -> None:
        """Have the logits of the current encoder ready for Avalanche's metrics."""
        if self._probed_at != strategy.clock.train_iterations:
            with eval_mode(self._features.model(strategy)):
                self._fit(strategy, self._features(strategy, self.train), seen=self.trained)

    def measure(self, strategy: Any) -> None:
        """Add a row: accuracies of the present encoder. The first row is the untrained encoder's.

        After the last experience of several, consolidation is told, too.
        """
        start = time.perf_counter()
        found = self.accuracies(strategy, seen=len(self.rows))
        flat = [(p, scope, row) for p in self.probes for scope, row in found[p.name].items()]
        self.rows.append({self.key(p.name, scope): row for p, scope, row in flat})
        self.eval_seconds += time.perf_counter() - start
        self._note_point(found)
        for p, scope, row in flat:
            for j, value in enumerate(row):
                if not np.isnan(value):
                    self._publish(strategy, p, scope, j, float(value))
        if self.log is not None and self.trained == len(self.train) > 1:
            self.log("consolidation", trained=self.trained, accuracy=self.consolidation, chance=1 / self.trained)

    def _pass_points(self, strategy: Any, before: int) -> None:
        """Probe where no boundary is probed, if a point of the stream was passed since `before`."""
        if not self.points or not self.points.passed(before, self.seen):
            return
        start = time.perf_counter()
        found = self.accuracies(strategy, seen=self.trained + (self._part > 0))
        self.eval_seconds += time.perf_counter() - start
        self._note_point(found)

    def _note_point(self, found: dict[str, dict[str, Matrix]]) -> None:
        """Add what was found to the curve over images seen, if there is one."""
        for p in self.probes if self.points else ():
            for scope, row in found[p.name].items():
                if np.isnan(row).all():  # nothing seen yet
                    continue
                accuracy = float(np.nanmean(row))
                seconds = round(self.train_seconds, 3)
                point = CurvePoint(self.seen, self.images, seconds, self.trained, p.name, scope, accuracy)
                self.curve.append(point)
                if self.log is not None:
                    self.log("point", **vars(point), **_caveat(p))

    def accuracies(self, strategy: Any, seen: int) -> dict[str, dict[str, Matrix]]:
        """Accuracies (T,) of the present encoder by probe and scope, `seen` experiences of which count as learnt."""
        with eval_mode(self._features.model(strategy)):
            train = self._features(strategy, self.train)
            fitted = self._fit(strategy, train, seen=seen)
            self.latest = self._features(strategy, self.test)
            if seen == len(train) > 1 and self._part == 0:
                self.consolidation = consolidation(train, self.latest)
            if self.probing_tasks and self._part == 0:
                found = self._ask(self.probing_tasks, train, self.latest, seen, fitted)
                self.task_results.append((seen, found))
                self._tell(found, seen)
            if seen == len(self.rows) == len(train) and self._part == 0:
                self._finish(strategy, train, fitted)
            return {p.name: self._score(strategy, p, fitted.get(p.name)) for p in self.probes}

    def _finish(self, strategy: Any, train: Sequence[LabeledFeatures], fitted: dict[str, list[Probes]]) -> None:
        """Of the last encoder, say for all test images what else is said for one in n of them."""
        if self._whole is None:
            return
        test = self._features(strategy, [self._whole.dataset])
        for p in self.probes:
            if p.name in self._sparse:
                classifiers = [fits["all"][0] for fits in fitted[p.name]]
                self.final[p.name] = float(np.mean([accuracy(c, *test[0]) for c in classifiers if c is not None]))
                fields = {"probe": p.name, "scope": "all", "accuracy": self.final[p.name], "tested": len(test[0][1])}
                if self.log is not None:
                    self.log("final", trained=len(train), images=self.images, **fields, **_caveat(p))
        self.full_test_results = self._ask(self._whole_questions, train, test, len(train), fitted)
        self._tell(self.full_test_results, len(train), whole=True)

    def _ask(
        self,
        probing_tasks: Sequence[ProbingTask],
        train: Sequence[LabeledFeatures],
        test: Sequence[LabeledFeatures],
        seen: int,
        fitted: dict[str, list[Probes]],
    ) -> list[TaskResult]:
        """Put questions to the first probe, or to ridge if that one learns by itself.

        About the labels of the stream itself it has been fitted already.
        """
        own, fits = torch.cat([y for _, y in train]), fitted.get(self.probes[0].name)
        headline = self._asked()

        def fit(data: LabeledFeatures, n_classes: int) -> nn.Module:
            if fits and "all" in fits[0] and torch.equal(data[1], own):
                (classifier, *_) = fits[0]["all"]
            else:
                (classifier,) = headline.fit([data], n_classes, min(seen, 1), self.seed, None, ["all"])["all"]
            assert classifier is not None
            return classifier

        return [evaluate_task(question, fit, train, test) for question in probing_tasks]

    def _asked(self) -> ProbeProtocol:
        """The probe that questions are put to."""
        return PROTOCOLS["ridge"] if self.probes[0].online else self.probes[0]

    def _tell(self, task_results: Sequence[TaskResult], seen: int, whole: bool = False) -> None:
        for fields in _plain(task_results) if self.log else ():
            self.log("answer", trained=seen, images=self.images, probe=self._asked().name, whole=whole, **fields)  # type: ignore[misc]

    def _score(self, strategy: Any, probe: ProbeProtocol, fits: list[Probes] | None) -> dict[str, Matrix]:
        """Accuracies (T,) by scope, the mean over fits on several draws of the labels.

        Of a probe that learnt along with the encoder there are no fits: on features as it sees them.
        """
        if fits is not None:
            each = [probe_accuracies(probes, probe.tested(self.latest)) for probes in fits]
            return {scope: np.mean([row[scope] for row in each], axis=0) for scope in each[0]}
        online = self.online[probe.name]
        with online.seen(self._features.model(strategy)) as differs:
            test = self._features(strategy, self.test) if differs else self.latest
        return {scope: online.accuracies(probe.tested(test)) for scope in self._scopes(probe)}

    def _fit(self, strategy: Any, train: Sequence[LabeledFeatures], seen: int) -> dict[str, list[Probes]]:
        """Every probe but those that learn by themselves, as often as it draws labels, in its scopes among ours.

        The first one's "all" goes to the strategy.
        """

        def again(epoch: int) -> list[Tensor]:
            generator = torch.Generator(strategy.device).manual_seed(self.seed + epoch)
            return [x for x, _ in self._features(strategy, self.train, generator)]

        def fit(probe: ProbeProtocol, draw: int) -> Probes:
            return probe.fit(train, self.n_classes, seen, self.seed + draw, again, self._scopes(probe))

        seen = min(seen, len(train))
        fitted = {p.name: [fit(p, draw) for draw in range(p.draws)] for p in self.probes if not p.online}
        whole = fitted[self.probes[0].name][0] if self.probes[0].name in fitted else {}
        if "all" not in whole:
            whole = PROTOCOLS["ridge"].fit(train, self.n_classes, 0, self.seed, None, ["all"])
        classifier: Any = whole["all"][0]
        on_cpu = strategy.device.type == "cpu"  # else a copy, because our own features stay on the CPU
        strategy.probe = classifier if on_cpu else copy.deepcopy(classifier).to(strategy.device)
        self._probed_at = strategy.clock.train_iterations
        return fitted

    def _scopes(self, probe: ProbeProtocol) -> list[str]:
        return [scope for scope in probe.scopes if scope in self.scopes]

    def _publish(self, strategy: Any, probe: ProbeProtocol, scope: str, j: int, accuracy: float) -> None:
        name = f"Probe_{probe.name}_{scope}/eval_phase/test_stream/Exp{j:03d}"
        strategy.evaluator.publish_metric_value(MetricValue(self, name, accuracy, strategy.clock.train_iterations))
        if self.log is not None:
            self.log(
                "probe",
                trained=self.trained,
                evaluated=j + 1,
                probe=probe.name,
                scope=scope,
                accuracy=accuracy,
                images=self.images,
                seconds=round(self.train_seconds, 3),
                **_caveat(probe),
            )
