"""Probes of one encoder: its features, the fitted classifiers, and their accuracies."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from avalanche_ssl.data import class_labels
from avalanche_ssl.errors import UsageError, unknown_name
from avalanche_ssl.evaluation.class_logits import ClassLogits
from avalanche_ssl.evaluation.feature_extractor import EvalPrecision, FeatureExtractor, FeatureFunction
from avalanche_ssl.evaluation.feature_pass import FeaturePass
from avalanche_ssl.evaluation.metrics import Matrix
from avalanche_ssl.evaluation.probing_data import FullTestSet, probing_data, thinned
from avalanche_ssl.evaluation.raw_pixels import RawPixels, reads_pixels
from avalanche_ssl.evaluation.results import Evaluation, FullTestResult
from avalanche_ssl.evaluation.tasks import TaskResult, evaluate_task
from avalanche_ssl.methods import channels_of
from avalanche_ssl.models import LabeledFeatures, eval_mode
from avalanche_ssl.probes import (
    PROTOCOLS,
    SCOPES,
    OnlineProbe,
    ProbeProtocol,
    Probes,
    accuracy,
    consolidation,
    correct,
    get_protocol,
    probe_accuracies,
)
from avalanche_ssl.streams import ProbingTask


class Evaluator:
    """Fits and scores probes on a benchmark, from one pass over the features for all probes and scopes.

    Evaluating changes nothing: neither weights, nor memory, nor any random state.

    Args:
        benchmark: its test_stream is as long as its train_stream, or has one experience: one test set for all.
        probes: names as `avalanche_ssl.probes.get_protocol` knows them; the first is the headline.
        scopes: which of "all", "seen", "task"; with one test set there is no "task".
        batch_size: images per batch when extracting features, see `FeatureExtractor`.
        seed: of held-out parts, few labels, initial weights and batches of the probes.
        extract_features: for models that have no method `extract_features`.
        classes: "shared" or "per-task", where task labels differ: see `avalanche_ssl.streams.class_index`.
        precision: of the features, see `evaluates_in_bf16`.

    Raises:
        UsageError: the streams do not fit together or have no label, a scope, probe or precision is not known, or
            whether tasks share classes is not.
    """

    def __init__(
        self,
        benchmark: Any,
        probes: Sequence[str | ProbeProtocol],
        scopes: Sequence[str] = SCOPES,
        *,
        batch_size: int | None = None,
        seed: int = 0,
        extract_features: FeatureFunction | None = None,
        classes: str | None = None,
        precision: EvalPrecision = "auto",
    ) -> None:
        for kind, names in {"probes": probes, "scopes": scopes}.items():
            if isinstance(names, str):
                raise UsageError(f"{kind} is the string '{names}': give a list of names, {kind}=['{names}']")
        for scope in scopes:
            if scope not in SCOPES:
                raise unknown_name("scope", scope, SCOPES)
        self.scopes, self.seed = tuple(scopes), seed
        protocols = [get_protocol(name) for name in probes]
        if len({p.name for p in protocols}) < max(1, len(protocols)):
            raise UsageError(f"probes {', '.join(p.name for p in protocols) or 'none'}: name at least one, each once")
        if protocols[0].readout:
            name = protocols[0].name
            raise UsageError(f"probe '{name}' has a readout: put one of the features first, e.g. ridge,{name}")
        sparse = [p.name for p in protocols if p.every > 1 and "all" in self.scopes_of(p)]
        used = [scope for scope in self.scopes if any(scope in p.scopes for p in protocols)]
        data, self.probes = thinned(probing_data(benchmark, sparse, classes, used), protocols)
        self.train, self.test = data.train, data.test
        """Datasets of the images that are used; labels are the numbers of `classes`."""
        self.classes, self.n_classes = data.classes, len(data.classes)
        self.tasks, self.full_test_set = data.tasks, data.full_test_set
        self.one_test_set = data.one_test_set
        """Whether several experiences share one test set."""
        if self.one_test_set:
            self.scopes = tuple(scope for scope in self.scopes if scope != "task")
            if alone := [p.name for p in self.probes if not self.scopes_of(p)]:
                raise UsageError(
                    f"{', '.join(alone)}: fitted on the tested experience alone, but all experiences share one test "
                    "set; take another probe or scope"
                )
        self.readouts = list(dict.fromkeys(["", *(p.readout for p in self.probes)]))
        self.features = FeatureExtractor([self.train, self.test], batch_size, extract_features, precision)
        self.latest_pass: FeaturePass | None = None
        """The training features of the latest evaluation; the owner lets go of them."""
        self._sources = data.sources
        labels = [torch.from_numpy(class_labels(d)) for d in self.train]
        self.online = {
            p.name: OnlineProbe(self.train, p.select_labels(labels, seed), self.n_classes, p.online == "leaky", seed)
            for p in self.probes
            if p.online
        }
        """Probes that are trained while the encoder is, by name."""

    def scopes_of(self, probe: ProbeProtocol) -> list[str]:
        """The scopes that a probe is fitted in."""
        return [scope for scope in probe.scopes if scope in self.scopes]

    @property
    def task_probe(self) -> ProbeProtocol:
        """The probe of the probing tasks: the first, or ridge if that one is trained online."""
        return PROTOCOLS["ridge"] if self.probes[0].online else self.probes[0]

    def step_online(self, strategy: Any) -> None:
        """Let the probes that are trained while the encoder is take a step."""
        for online in self.online.values():
            online.step(strategy, self.features.model(strategy), getattr(strategy, "use_dataset_transforms", True))

    def evaluate(
        self,
        strategy: Any,
        seen: Collection[int],
        *,
        at_boundary: bool = True,
        full_test: bool = False,
        per_image: bool = False,
    ) -> Evaluation:
        """Evaluate the current encoder of a strategy.

        Args:
            strategy: its model and device are used.
            seen: the experiences that count as seen, by their position in the stream.
            at_boundary: measure probing tasks and, once all of several experiences were seen, consolidation, too,
                unless they share one test set.
            full_test: test on the full test set, too, if some probes use one in n images.
            per_image: find which test images are classified correctly, too.
        """
        with eval_mode(self.features.model(strategy)):
            all_train = self.features.read_out(strategy, self.train, self.readouts)
            train = all_train[""]
            self.latest_pass = FeaturePass.by(strategy.model, self._sources, train)
            fitted = self._fit(strategy, all_train, seen, self.probes)
            classifier = self._headline(train, fitted)
            all_test = self.features.read_out(strategy, self.test, self.readouts)
            test = all_test[""]
            full_test_set = self.full_test_set if full_test else None
            consolidates = at_boundary and len(seen) == len(train) > 1 and not self.one_test_set
            return Evaluation(
                classifier=classifier,
                test=test,
                consolidation=consolidation(train, test) if consolidates else None,
                task_results=self._evaluate_tasks(self.tasks if at_boundary else (), train, test, seen, fitted),
                full_test=self._evaluate_full_test(strategy, full_test_set, train, fitted) if full_test_set else None,
                accuracies={
                    p.name: self._score(strategy, p, fitted.get(p.name), all_test[p.readout]) for p in self.probes
                },
                correct=self._correct(strategy, fitted, test) if per_image else None,
                headline=fitted.get(self.probes[0].name, ()),
            )

    def pixel_accuracies(self, strategy: Any) -> dict[str, Matrix]:
        """Accuracies (T,) or (1,) of raw pixels by each of the probes that `reads_pixels`, in the scope "all".

        They are the images that the strategy's encoder is given. Where some are smaller than 16 pixels and experiences
        differ in their size, there are none.
        """
        probes = [p for p in self.probes if reads_pixels(p) and "all" in self.scopes]
        if not probes:
            return {}
        pixels = SimpleNamespace(
            model=RawPixels(channels_of(strategy.model) == 3),
            device=strategy.device,
            use_dataset_transforms=getattr(strategy, "use_dataset_transforms", False),
        )
        train, test = (self.features(pixels, part) for part in (self.train, self.test))
        if len({x.shape[1] for x, _ in [*train, *test]}) > 1:
            return {}
        every = range(len(train))
        return {
            p.name: self._score(pixels, p, self._fit(pixels, {"": train}, every, [p], ["all"])[p.name], test)["all"]
            for p in probes
        }

    def fit_headline(self, strategy: Any, seen: Collection[int]) -> nn.Module:
        """The classifier of the first probe in the scope "all" for the current encoder, see `Evaluation`."""
        with eval_mode(self.features.model(strategy)):
            train = self.features(strategy, self.train)
            return self._headline(train, self._fit(strategy, {"": train}, seen, self.probes[:1]))

    def _fit(
        self,
        strategy: Any,
        train: dict[str, list[LabeledFeatures]],
        seen: Collection[int],
        probes: Sequence[ProbeProtocol],
        scopes: Sequence[str] = SCOPES,
    ) -> dict[str, list[Probes]]:
        """Fit every probe but those that are trained online, once for each draw of its labels, on its readout."""

        def fit(probe: ProbeProtocol, draw: int) -> Probes:
            def augmented(epoch: int) -> list[Tensor]:
                generator = torch.Generator(strategy.device).manual_seed(self.seed + epoch)
                views = self.features.read_out(strategy, self.train, [probe.readout], generator)
                return [x for x, _ in views[probe.readout]]

            given, wanted = train[probe.readout], [scope for scope in self.scopes_of(probe) if scope in scopes]
            return probe.fit(given, self.n_classes, seen, self.seed + draw, augmented, wanted, self.one_test_set)

        return {p.name: [fit(p, draw) for draw in range(p.draws)] for p in probes if not p.online}

    def _headline(self, train: Sequence[LabeledFeatures], fitted: dict[str, list[Probes]]) -> nn.Module:
        name = self.probes[0].name
        headline = fitted[name][0] if name in fitted else {}
        if "all" not in headline:
            headline = PROTOCOLS["ridge"].fit(train, self.n_classes, (), self.seed, None, ["all"])
        classifier = headline["all"][0]
        assert classifier is not None
        return classifier if self.classes.is_identity else ClassLogits(classifier, self.classes)

    def _evaluate_full_test(
        self,
        strategy: Any,
        full_test_set: FullTestSet,
        train: Sequence[LabeledFeatures],
        fitted: dict[str, list[Probes]],
    ) -> FullTestResult:
        all_test = self.features.read_out(strategy, [full_test_set.images], self.readouts)
        readouts, test, accuracies = {p.name: p.readout for p in self.probes}, all_test[""], {}
        for name in full_test_set.probes:
            tested, classifiers = all_test[readouts[name]][0], [fits["all"][0] for fits in fitted[name]]
            accuracies[name] = float(np.mean([accuracy(c, *tested) for c in classifiers if c is not None]))
        task_results = self._evaluate_tasks(full_test_set.tasks, train, test, range(len(train)), fitted)
        return FullTestResult(accuracies, len(test[0][1]), task_results)

    def _evaluate_tasks(
        self,
        tasks: Sequence[ProbingTask],
        train: Sequence[LabeledFeatures],
        test: Sequence[LabeledFeatures],
        seen: Collection[int],
        fitted: dict[str, list[Probes]],
    ) -> list[TaskResult]:
        """Results of probing tasks by `task_probe`; for the labels of the stream itself it has been fitted already."""
        labels, fits = torch.cat([y for _, y in train]), fitted.get(self.probes[0].name)

        def fit(data: LabeledFeatures, n_classes: int) -> nn.Module:
            if fits and "all" in fits[0] and torch.equal(data[1], labels):
                classifier = fits[0]["all"][0]
            else:
                once = range(min(len(seen), 1))
                (classifier,) = self.task_probe.fit([data], n_classes, once, self.seed, None, ["all"])["all"]
            assert classifier is not None
            return classifier

        return [evaluate_task(task, fit, train, test) for task in tasks]

    def _score(
        self, strategy: Any, probe: ProbeProtocol, fits: list[Probes] | None, test: Sequence[LabeledFeatures]
    ) -> dict[str, Matrix]:
        """Accuracies (T,) or (1,) by scope, the mean over fits on several draws of the labels.

        A probe that is trained online has no fits; it is tested on features as it sees them.
        """
        if fits is not None:
            each = [probe_accuracies(probes, probe.select_test(test)) for probes in fits]
            return {scope: np.mean([row[scope] for row in each], axis=0) for scope in each[0]}
        online = self.online[probe.name]
        with online.test_mode(self.features.model(strategy)) as differs:
            test = self.features(strategy, self.test) if differs else test
        return {scope: online.accuracies(probe.select_test(test)) for scope in self.scopes_of(probe)}

    def _correct(
        self, strategy: Any, fitted: dict[str, list[Probes]], test: Sequence[LabeledFeatures]
    ) -> list[Tensor] | None:
        """See `Evaluation.correct`; their means are the accuracies of `_score`."""
        probe = self.probes[0]
        if "all" not in self.scopes_of(probe):
            return None
        if probe.online:
            online = self.online[probe.name]
            with online.test_mode(self.features.model(strategy)) as differs:
                test = self.features(strategy, self.test) if differs else test
            return [right[None] for right in online.correct(probe.select_test(test))]
        fits = [[classifier for classifier in each["all"] if classifier] for each in fitted[probe.name]]
        return [
            torch.stack([correct(each[j], x, y) for each in fits]) for j, (x, y) in enumerate(probe.select_test(test))
        ]
