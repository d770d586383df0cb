"""Label-free health of the representation after each experience: `RepresentationMonitor`.

Feature std, RankMe, agreement of views, feature drift, age of the memory, and InfoNCE's mutual-information bound. They
warn of a collapse and tell runs of one method apart; they do not rank methods.
"""

from __future__ import annotations

import dataclasses
import math
import warnings
from typing import Any

import torch
from avalanche.benchmarks import CLScenario
from torch import Tensor, nn

from avalanche_ssl.data import RawDataLoader
from avalanche_ssl.errors import require_positive
from avalanche_ssl.evaluation import (
    EvalPrecision,
    FeatureExtractor,
    alignment,
    cluster_usage,
    evaluates_in_bf16,
    feature_std,
    infonce_bound,
    linear_cka,
    rankme,
    uniformity,
)
from avalanche_ssl.logging import Log, RepresentationEvent
from avalanche_ssl.memory import MemoryBank, Queue
from avalanche_ssl.methods import ClusterAssignment, ContrastiveScores, Method, Outputs, channels_of, trial_mode
from avalanche_ssl.models import LabeledFeatures, check_magnitude
from avalanche_ssl.plugins.boundaries import BoundaryPlugin
from avalanche_ssl.plugins.image_samples import ImageSample, filled_up
from avalanche_ssl.plugins.plugin_vitals import plugin_vitals
from avalanche_ssl.plugins.probe import ProbePlugin
from avalanche_ssl.plugins.representation_metrics import representation_metrics

COLLAPSED = 0.2
"""Share of the healthy feature std, 1 / sqrt(D), below which the features have collapsed."""

MIN_IMAGES = 1024
"""Images below which an experience may show a single thing, as in videos, whose features are rightly alike."""


UNTRAINED_IMAGES = 512
"""Images at most on which the untrained encoder is measured."""


class RepresentationMonitor(BoundaryPlugin):
    """Label-free health of the representation after each experience, as one `representation` event.

    Measured on a fixed sample of the experience's training images, of a small experience and those just before it, in
    eval mode and with a generator of its own: training continues as if nothing had been measured. Fields of the event,
    where the method defines them:

    - ``feature_std``, ``rankme``: of the features that probes read, see `avalanche_ssl.evaluation`;
    - ``drift_cka``: CKA of the first experience's features now with those right after training on it;
    - ``embedding_std``, ``alignment``, ``uniformity``: of the two outputs that `Method.positive_pair` names;
    - ``bounds``: see `infonce_bound`, of each of `Method.contrastive_scores`, mean over batches of the training's size;
    - ``clusters``: see `cluster_usage`, of `Method.cluster_assignments`;
    - ``memory``: for each queue and bank its `rows`, how many are `written`, and which share of these is `stale`,
      from earlier experiences;
    - ``plugins``: see `plugin_vitals`, of each continual plugin.

    Avalanche's loggers get them, too, as ``Representation_rankme/train_phase/train_stream`` and so on. A collapse of
    the features is a warning. Works with online sub-experiences as `ProbePlugin` does.

    After a `ProbePlugin` of the same benchmark in the strategy's plugins it reads the features that were extracted for
    the probes, and encodes no image again.

    Args:
        benchmark: its train_stream is trained on, in any order.
        log: called with each event.
        images: size of the sample of an experience.
        pairs: how many of these are embedded in two views, too.
        seed: of sample and views.
        every_experiences: measure after the first, each n-th and the last experience only.
        precision: of features and embeddings: "auto" is that in which the strategy trains, "fp32" or "bf16".

    Raises:
        UsageError: the precision is not known.
    """

    def __init__(
        self,
        benchmark: CLScenario,
        *,
        log: Log | None = None,
        images: int = 2048,
        pairs: int = 512,
        seed: int = 0,
        every_experiences: int = 1,
        precision: EvalPrecision = "auto",
    ) -> None:
        super().__init__(benchmark.train_stream)
        require_positive(every_experiences=every_experiences)
        self.every_experiences = every_experiences
        self.datasets = [e.dataset for e in benchmark.train_stream]
        self.extractor = FeatureExtractor((), precision=precision)
        self.log, self.images, self.pairs, self.seed = log, images, pairs, seed
        self.events: list[RepresentationEvent] = []
        """All events so far."""
        self.first: Tensor | None = None
        """Features of the first experience's sample right after training on it."""
        self.untrained_std: float | None = None
        """Feature std of the encoder before any training, on images of the first experience."""
        self.untrained_norm: float | None = None
        """Norm of the weights before any training."""
        self._written_before: dict[str, int] = {}
        self._steps_before = 0

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint keeps: the events, and what later ones are compared with."""
        return {
            "events": [dataclasses.asdict(event) for event in self.events],
            "first": self.first,
            "untrained": [self.untrained_std, self.untrained_norm],
            "boundaries": self.boundaries.state_dict(),
            "written_before": self._written_before,
            "steps_before": self._steps_before,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from `state_dict`."""
        self.events = [RepresentationEvent(**fields) for fields in state["events"]]
        self.first, self._written_before = state["first"], state["written_before"]
        self._steps_before = state["steps_before"]
        self.untrained_std, self.untrained_norm = state["untrained"]
        self.boundaries.load_state_dict(state["boundaries"])

    def before_training(self, strategy: Any, **kwargs: Any) -> None:
        """Measure the untrained encoder, of which nobody says that it has collapsed."""
        super().before_training(strategy, **kwargs)
        if self.untrained_norm is None and not strategy.clock.train_iterations:
            self.untrained_norm = _weight_norm(strategy.model)
            features = self._features(strategy, ImageSample.draw(self.datasets, [0], UNTRAINED_IMAGES, self.seed))
            self.untrained_std = feature_std(features) if len(features) > 1 else None

    def before_training_exp(self, strategy: Any, **kwargs: Any) -> None:
        """Note how much was written to the memory so far, and how many steps there were."""
        if not self.boundaries.under_way:
            self._steps_before = strategy.clock.train_iterations
            self._written_before = {name: int(_written(m)) for name, m in _memories(strategy.model)}

    def experience_complete(self, strategy: Any) -> None:
        """Measure, if it is time to."""
        if self.boundaries.completed == 1 or self.boundaries.due(self.every_experiences):
            self.measure(strategy)

    def measure(self, strategy: Any) -> RepresentationEvent:
        """Measure on the sample of the experience that was trained on last, the first if none was.

        Returns:
            The event, which goes to `events` and the log, too.
        """
        trained, model = max(1, len(self.boundaries.seen)), strategy.model
        sample = self._sample_of_latest()
        features = self._features(strategy, sample)
        fields: dict[str, Any] = {}
        if len(features) > 1:
            fields |= {"feature_std": feature_std(features), "rankme": rankme(features)}
        if self.first is None:
            self.first = features
        else:
            fields["drift_cka"] = linear_cka(self.first, self._features(strategy, self._sample(0)))
        event = RepresentationEvent(
            experiences_trained=trained,
            images_measured=len(features),
            feature_dim=features.shape[1],
            **fields,
            **self._agreement(strategy, sample),
            memory={name: _age(m, self._written_before.get(name, 0)) for name, m in _memories(model)},
            plugins=plugin_vitals(strategy.plugins, strategy.clock.train_iterations - self._steps_before) or None,
        )
        self.events.append(event)
        for value in representation_metrics(event, self, strategy.clock.train_iterations):
            strategy.evaluator.publish_metric_value(value)
        if self.log:
            self.log(event)
        if self.collapsed():
            _warn_of_collapse(event, type(model).__name__)
        return event

    def _sample_of_latest(self) -> ImageSample:
        """Of an experience that mixes several, the sample is of all of them."""
        latest, seen = self.boundaries.latest, self.boundaries.seen
        if len(latest) > 1:
            return ImageSample.draw(self.datasets, latest, self.images, self.seed)
        return self._sample(seen.index(latest[0]) if latest else 0)

    def collapsed(self, share: float = COLLAPSED) -> bool:
        """Whether the features measured last have less than this share of the healthy std, 1 / sqrt(D), by training.

        Features of an untrained encoder that are as much alike have not collapsed.
        """
        event = self.events[-1] if self.events else None
        if event is None or event.feature_std is None:
            return False
        by_training = self.untrained_std is None or event.feature_std < self.untrained_std / 2
        return by_training and event.feature_std < share / math.sqrt(event.feature_dim)

    def weight_growth(self, model: nn.Module) -> float:
        """Norm of the weights as a multiple of that before training; 0 where that was not measured."""
        return _weight_norm(model) / (self.untrained_norm or math.inf)

    def _sample(self, t: int) -> ImageSample:
        """Of the t-th experience in the order of training; those not trained on come last."""
        order = self.boundaries.seen
        order += [j for j in range(len(self.datasets)) if j not in order]
        return ImageSample.draw(self.datasets, filled_up(self.datasets, order, t, MIN_IMAGES), self.images, self.seed)

    def _features(self, strategy: Any, sample: ImageSample) -> Tensor:
        """Features (N, D) of a sample: those that the probes have just read, or of a pass over it."""
        known = self._known_features(strategy)
        if known is not None:
            return sample.features(known)
        return self.extractor(strategy, [sample.dataset(self.datasets)])[0][0]

    def _known_features(self, strategy: Any) -> list[LabeledFeatures] | None:
        """Those of all training images that a `ProbePlugin` has just read as this plugin would; None if none has."""
        for plugin in strategy.plugins:
            if isinstance(plugin, ProbePlugin) and (latest := plugin.evaluator.latest_pass) is not None:
                theirs = plugin.evaluator.features
                if (theirs.precision, theirs.extract_features) == (self.extractor.precision, None):
                    return latest.of(strategy.model, self.datasets)
        return None

    def _agreement(self, strategy: Any, sample: ImageSample) -> dict[str, Any]:
        """Fields about what two views of an image have in common."""
        model: Method = strategy.model
        bf16 = evaluates_in_bf16(strategy, self.extractor.precision)
        batches = RawDataLoader(
            [sample.first(self.pairs).dataset(self.datasets)],
            [strategy.train_mb_size],
            shuffle=False,
            use_dataset_transforms=strategy.use_dataset_transforms,
            in_channels=channels_of(model),
        )
        rows: list[tuple[Tensor, Tensor]] = []
        scores: list[dict[str, ContrastiveScores]] = []
        assigned: list[ClusterAssignment] = []
        with trial_mode(model, strategy.device, self.seed):
            for x, *_ in batches if len(batches) else ():
                with torch.autocast(strategy.device.type, torch.bfloat16, enabled=bf16):
                    embedded: Outputs = model(x.to(strategy.device))
                outputs = {name: z.float() if z.dtype == torch.bfloat16 else z for name, z in embedded.items()}
                check_magnitude(*outputs.values())
                scores.append(model.contrastive_scores(outputs))
                if (assignment := model.cluster_assignments(outputs)) is not None:
                    assigned.append(assignment)
                if model.positive_pair:
                    first, second = (outputs[name].float().cpu() for name in model.positive_pair)
                    rows.append((first, second))
        fields: dict[str, Any] = {}
        if rows:
            first, second = (torch.cat(z) for z in zip(*rows, strict=True))
            fields["embedding_dim"] = first.shape[1]
            fields["embedding_std"] = feature_std(first)
            fields["alignment"] = alignment(first, second)
            fields["uniformity"] = uniformity(first)
        if assigned:
            fields["clusters"] = cluster_usage(assigned)
        if scores and scores[0]:
            fields["bounds"] = {name: infonce_bound([batch[name] for batch in scores]) for name in scores[0]}
        return fields


def _weight_norm(model: nn.Module) -> float:
    """Euclidean norm of all trained weights together."""
    return math.sqrt(sum(float(p.detach().norm()) ** 2 for p in model.parameters() if p.requires_grad))


def _memories(model: Method) -> list[tuple[str, Queue | MemoryBank]]:
    return [(name, m) for name, m in model.named_modules() if isinstance(m, Queue | MemoryBank)]


def _written(memory: Queue | MemoryBank) -> Tensor:
    """Number of rows that were ever written to a memory."""
    return memory.n_enqueued if isinstance(memory, Queue) else memory.n_written


def _age(memory: Queue | MemoryBank, before: int) -> dict[str, float]:
    """Size of a memory, number of rows written, and the share of these that is older than `before` rows."""
    size, count = len(memory.rows), int(_written(memory))
    written = min(size, count)
    stale = max(0, written - (count - before))
    return {"rows": size, "written": written, "stale": stale / written if written else math.nan}


def _warn_of_collapse(event: RepresentationEvent, name: str) -> None:
    warnings.warn(
        f"{name} has COLLAPSED after experience {event.experiences_trained}: its feature std is "
        f"{event.feature_std:.2g}, where {1 / math.sqrt(event.feature_dim):.2g} is healthy; all images look alike to "
        "it. Lower lr, or look at temperature, momentum and batch_size",
        stacklevel=3,
    )
