"""Is the representation alive? Measured without labels after each experience: `RepresentationMonitor`.

Spread, rank, agreement of views, drift of old features, age of the memory, and the mutual-information bound of
InfoNCE. They warn of a collapse and tell runs of one method apart; they do not rank methods.
"""

import math
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from avalanche.benchmarks import CLScenario, OnlineCLExperience
from avalanche.benchmarks.utils.utils import concat_datasets
from avalanche.core import SupervisedPlugin
from torch import Tensor

from avalanche_ssl.data.loader import RawDataLoader
from avalanche_ssl.errors import require_positive
from avalanche_ssl.evaluation.representation import alignment, bound, feature_std, linear_cka, rankme, uniformity, usage
from avalanche_ssl.logging.jsonl import Log
from avalanche_ssl.memory.bank import MemoryBank
from avalanche_ssl.memory.queue import Queue
from avalanche_ssl.methods.base import ClusterAssignment, ContrastiveScores, Method, Outputs
from avalanche_ssl.models.inference import eval_mode, extract_features

COLLAPSED = 0.2
"""Share of the healthy standard deviation 1 / sqrt(D) of unit features below which they have collapsed."""

FEW = 1024
"""Images below which an experience may show a single thing, as in videos, whose features are rightly alike."""


class RepresentationMonitor(SupervisedPlugin):  # type: ignore[misc]
    """Label-free health of the representation after each experience, as one `vitals` event.

    Measured on a fixed sample of the experience's training images, of a small experience and those just before it, in
    eval mode and with a generator of its own: training goes on as if nothing had been measured. Fields of the event,
    where the method defines them:

    - ``feature_std``, ``rankme``: of the features that probes read, see `avalanche_ssl.evaluation.metrics`;
    - ``drift_cka``: CKA of the first experience's features now with those right after it was learnt;
    - ``embedding_std``, ``alignment``, ``uniformity``: of the two outputs that `Method.positive_pair` names;
    - ``bounds``: see `bound`, of each of `Method.contrastive_scores`, mean over batches of the training's size;
    - ``clusters``: of `Method.cluster_assignments`, how many there are, how many are in use by these images, and the
      perplexity of their sizes (the number in use if all were equally large), means over the clusterings;
    - ``memory``: for each queue and bank its `rows`, how many are `written`, and which share of these is `stale`,
      from earlier experiences.

    A collapse of the features is a warning. Works with online sub-experiences as `ProbePlugin` does.

    Args:
        benchmark: its train_stream, learnt in that order.
        log: called with the event.
        images: of the sample of an experience.
        pairs: how many of these are embedded, too, in two views.
        seed: of sample and views.
        boundaries: measure after the first, each n-th and the last experience only.
    """

    def __init__(
        self,
        benchmark: CLScenario,
        *,
        log: Log | None = None,
        images: int = 2048,
        pairs: int = 512,
        seed: int = 0,
        boundaries: int = 1,
    ) -> None:
        super().__init__()
        require_positive(boundaries=boundaries)
        self.boundaries, self.learnt = boundaries, 0
        self.sizes = [len(e.dataset) for e in benchmark.train_stream]
        self.datasets = [e.dataset for e in benchmark.train_stream]
        self.log, self.images, self.pairs, self.seed = log, images, pairs, seed
        self.events: list[dict[str, Any]] = []
        """Fields of every event so far."""
        self.first: Tensor | None = None
        """Features of the first experience's sample when it had just been learnt."""
        self._part = 0
        self._before: dict[str, int] = {}

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint keeps: the events, and what later ones are compared with."""
        return {
            "events": self.events,
            "first": self.first,
            "part": self._part,
            "before": self._before,
            "learnt": self.learnt,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from `state_dict`."""
        self.events, self.first = list(state["events"]), state["first"]
        self._part, self._before, self.learnt = state["part"], state["before"], state["learnt"]

    def before_training_exp(self, strategy: Any, **kwargs: Any) -> None:
        """Note how much was written to the memory so far."""
        if not self._part:
            self._before = {name: int(_written(m)) for name, m in _memories(strategy.model)}

    def after_training_exp(self, strategy: Any, **kwargs: Any) -> None:
        """Measure, if an experience of the benchmark is complete."""
        self._part += len(strategy.experience.dataset)
        is_part = isinstance(strategy.experience, OnlineCLExperience)
        t = self.learnt
        if t == len(self.sizes) or (is_part and self._part < self.sizes[t]):
            return
        self._part = 0
        if t == 0 or (t + 1) % self.boundaries == 0 or t + 1 == len(self.sizes):
            self.measure(strategy)
        else:
            self.learnt += 1

    def measure(self, strategy: Any) -> dict[str, Any]:
        """Measure on the sample of the next experience; the fields, which go to `events` and the log."""
        sample, model = self._sample(self.learnt), strategy.model
        self.learnt += 1
        now = self._features(strategy, sample)
        event: dict[str, Any] = {"trained": self.learnt, "images": len(now), "dim": now.shape[1]}
        if len(now) > 1:
            event |= {"feature_std": feature_std(now), "rankme": rankme(now)}
        if self.first is None:
            self.first = now
        else:
            event["drift_cka"] = linear_cka(self.first, self._features(strategy, self._sample(0)))
        event |= self._agreement(strategy, sample)
        event["memory"] = {name: _age(m, self._before.get(name, 0)) for name, m in _memories(model)}
        self.events.append(event)
        if self.log:
            self.log("vitals", **event)
        _warn_of_collapse(event, type(model).__name__)
        return event

    def _sample(self, t: int) -> Any:
        return _sample(_with_past(self.datasets, t), self.images, self.seed)

    def _features(self, strategy: Any, sample: Any) -> Tensor:
        batches = RawDataLoader(
            [sample], [512], shuffle=False, drop_last=False, use_dataset_transforms=strategy.use_dataset_transforms
        )
        return extract_features(strategy.model, batches, strategy.device)[0]

    def _agreement(self, strategy: Any, sample: Any) -> dict[str, Any]:
        """What two views of an image have in common."""
        model: Method = strategy.model
        sample = sample.subset(list(range(min(self.pairs, len(sample)))))
        batches = RawDataLoader(
            [sample], [strategy.train_mb_size], shuffle=False, use_dataset_transforms=strategy.use_dataset_transforms
        )
        rows: list[tuple[Tensor, Tensor]] = []
        found: list[dict[str, ContrastiveScores]] = []
        assigned: list[ClusterAssignment] = []
        with _aside(model, strategy.device, self.seed):
            for x, *_ in batches if len(batches) else ():
                outputs: Outputs = model(x.to(strategy.device))
                found.append(model.contrastive_scores(outputs))
                if (assignment := model.cluster_assignments(outputs)) is not None:
                    assigned.append(assignment)
                if model.positive_pair:
                    first, second = (outputs[name].float().cpu() for name in model.positive_pair)
                    rows.append((first, second))
        event: dict[str, Any] = {}
        if rows:
            first, second = (torch.cat(z) for z in zip(*rows, strict=True))
            event["embedding_dim"] = first.shape[1]
            event["embedding_std"] = feature_std(first)
            event["alignment"] = alignment(first, second)
            event["uniformity"] = uniformity(first)
        if assigned:
            event["clusters"] = usage(assigned)
        if found and found[0]:
            event["bounds"] = {name: bound([batch[name] for batch in found]) for name in found[0]}
        return event


def _with_past(datasets: Sequence[Any], t: int) -> Any:
    """The images of experience t, and of those just before it until they are `FEW`."""
    start, count = t, len(datasets[t])
    while count < FEW and start > 0:
        start -= 1
        count += len(datasets[start])
    return datasets[t] if start == t else concat_datasets(list(datasets[start : t + 1]))


def _sample(dataset: Any, images: int, seed: int) -> Any:
    order = np.random.default_rng(seed).permutation(len(dataset))[:images]
    return dataset.subset(sorted(order.tolist()) if len(order) == len(dataset) else order.tolist())


@contextmanager
def _aside(model: Method, device: torch.device, seed: int) -> Iterator[None]:
    """Eval mode without gradients and with a generator of its own; everything is restored."""
    own = model.generator
    model.generator = torch.Generator(device).manual_seed(seed)
    try:
        with eval_mode(model):
            yield
    finally:
        model.generator = own


def _memories(model: Method) -> list[tuple[str, Queue | MemoryBank]]:
    return [(name, m) for name, m in model.named_modules() if isinstance(m, Queue | MemoryBank)]


def _written(memory: Queue | MemoryBank) -> Tensor:
    """How many rows were ever new in a memory."""
    return memory.n_enqueued if isinstance(memory, Queue) else memory.n_written


def _age(memory: Queue | MemoryBank, before: int) -> dict[str, float]:
    """Of a ring: its size, what is written, and the share of that which is older than `before` rows."""
    size, count = len(memory.rows), int(_written(memory))
    written = min(size, count)
    stale = max(0, written - (count - before))
    return {"rows": size, "written": written, "stale": stale / written if written else math.nan}


def _warn_of_collapse(event: dict[str, Any], name: str) -> None:
    healthy = 1 / math.sqrt(event["dim"])
    std = event.get("feature_std", healthy)
    if std < COLLAPSED * healthy:
        warnings.warn(
            f"{name} has COLLAPSED after experience {event['trained']}: the standard deviation of its unit features is "
            f"{std:.2g}, where {healthy:.2g} is healthy; all images look alike to it. Lower lr, or look at "
            "temperature, momentum and batch_size",
            stacklevel=2,
        )
