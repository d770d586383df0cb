"""The schema of `log.jsonl`: one dataclass per event, with the name, type and meaning of every field.

Writers construct an event, `JSONLinesLogger` writes it, `avalanche_ssl.logging.schema.parse` reads it back.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from avalanche_ssl.logging.fields import count as _count
from avalanche_ssl.logging.fields import field as _field
from avalanche_ssl.logging.fields import measure as _measure
from avalanche_ssl.logging.fields import seconds as _seconds
from avalanche_ssl.logging.fields import share as _share

EXPERIENCES_TRAINED = "different experiences trained on so far; 0: the untrained encoder"
IMAGES_TRAINED = "images trained on so far, each pass and each replayed image counted"
PROBE = "name of the probe protocol"
SCOPE = "which labels the probe was fitted on: all, seen or task"
FEATURE_PRECISION = "precision in which the encoder gave the features: fp32 or bf16; left out by older versions: fp32"
CAVEAT = "what to know about the protocol before its numbers are compared"


@dataclass(frozen=True, kw_only=True)
class Event:
    """One line of the log. A field that is None is not written."""

    event: ClassVar[str]
    """Its name in the log."""
    former_name: ClassVar[str] = ""
    """Its name in logs of version 0.1.0, where it was another."""
    former_fields: ClassVar[Mapping[str, str]] = {}
    """Names of fields in such logs, by today's."""

    def fields(self) -> dict[str, Any]:
        """What is written: all fields but those that are None."""
        values = ((f.name, getattr(self, f.name)) for f in dataclasses.fields(self))
        return {name: value for name, value in values if value is not None}


@dataclass(frozen=True, kw_only=True)
class RunEvent(Event):
    """The run starts: its settings and the versions of the packages."""

    event = "run"
    former_fields: ClassVar[Mapping[str, str]] = {"title": "name"}
    title: str = _field("strategy, stream and seed")
    config: dict[str, Any] = _field("all options and settings, as in `config.yaml`")
    device: str = _field("device that was used")
    precision: str = _field("precision that was used: fp32 or bf16")
    versions: dict[str, Any] = _field("versions of Python and the packages")
    classes: int | None = _count("classes of the stream; left out where it has no labels, or by older versions", None)
    images: int | None = _count("training images of the stream, each counted once", None)
    stream: str | None = _field("hash of what the stream is made of, by which runs on the same images are known", None)
    commit: str | None = _field(
        "commit of the package's code, with `-dirty` where files were changed; left out where it is in no checkout",
        None,
    )
    processes: int = _count("processes that trained as one, each on its share of every batch", 1)


@dataclass(frozen=True, kw_only=True)
class ProbeEvent(Event):
    """One entry of the accuracy matrix: one probe, one scope, the test data of one experience."""

    event = "probe"
    former_fields: ClassVar[Mapping[str, str]] = {
        "experiences_trained": "trained",
        "experience": "evaluated",
        "images_trained": "images",
        "caveat": "odd",
    }
    experiences_trained: int = _count(EXPERIENCES_TRAINED)
    experience: int | None = _count(
        "experience whose test data were used, from 1; left out where all experiences share one test set", None
    )
    trained_on: bool | None = _field(
        "whether the encoder was trained on that experience; left out where it was on the first ones", None
    )
    probe: str = _field(PROBE, "ridge")
    scope: str = _field(SCOPE)
    accuracy: float = _share("share of the test images that the probe classifies correctly")
    images_trained: int | None = _count(IMAGES_TRAINED, None)
    seconds: float | None = _seconds("seconds of training so far", None)
    precision: str | None = _field(FEATURE_PRECISION, None)
    caveat: str | None = _field(CAVEAT, None)


@dataclass(frozen=True, kw_only=True)
class CurveEvent(Event):
    """One point of the accuracy curve over the images of the stream, with `--probe-every-images`."""

    event = "curve"
    former_name = "point"
    former_fields: ClassVar[Mapping[str, str]] = {**ProbeEvent.former_fields, "images_seen": "seen"}
    images_seen: int = _count("images of the stream so far, each counted once")
    images_trained: int = _count(IMAGES_TRAINED)
    seconds: float = _seconds("seconds of training so far")
    experiences_trained: int = _count("experiences that were complete")
    probe: str = _field(PROBE)
    scope: str = _field(SCOPE)
    accuracy: float = _share("mean accuracy over the test data of all experiences that the probe can classify")
    precision: str | None = _field(FEATURE_PRECISION, None)
    caveat: str | None = _field(CAVEAT, None)


@dataclass(frozen=True, kw_only=True)
class FullTestEvent(Event):
    """The last encoder on all test images, by a probe that otherwise uses one in n of them, such as `core50`."""

    event = "full_test"
    former_name = "final"
    former_fields: ClassVar[Mapping[str, str]] = {**ProbeEvent.former_fields, "images_tested": "tested"}
    experiences_trained: int = _count(EXPERIENCES_TRAINED)
    images_trained: int = _count(IMAGES_TRAINED)
    probe: str = _field(PROBE)
    scope: str = _field(SCOPE)
    accuracy: float = _share("share of all test images that the probe classifies correctly")
    images_tested: int = _count("how many test images, each counted once")
    precision: str | None = _field(FEATURE_PRECISION, None)
    caveat: str | None = _field(CAVEAT, None)


@dataclass(frozen=True, kw_only=True)
class TaskEvent(Event):
    """The result of a probing task that the stream defines, such as CORe50's objects by session."""

    event = "task"
    former_name = "answer"
    former_fields: ClassVar[Mapping[str, str]] = {
        "experiences_trained": "trained",
        "images_trained": "images",
        "full_test_set": "whole",
        "task": "question",
        "by_group": "by",
    }
    experiences_trained: int = _count(EXPERIENCES_TRAINED)
    images_trained: int | None = _count(IMAGES_TRAINED, None)
    probe: str = _field(PROBE, "ridge")
    full_test_set: bool = _field("whether on all test images, or on those of the accuracy matrix", False)
    task: str = _field("name of the probing task")
    accuracy: float = _share("share of the images that were classified correctly")
    chance: float = _share("one over the number of classes")
    by_group: dict[str, Any] = _field("accuracy of each group of images, by name of the grouping")


@dataclass(frozen=True, kw_only=True)
class ConsolidationEvent(Event):
    """How well the features of the last encoder tell the experiences apart (Osiris, arXiv:2404.19132)."""

    event = "consolidation"
    former_fields: ClassVar[Mapping[str, str]] = {"experiences_trained": "trained"}
    experiences_trained: int = _count(EXPERIENCES_TRAINED)
    accuracy: float = _share("share of the test images whose experience 200 nearest neighbors tell")
    chance: float = _share("one over the number of experiences")


@dataclass(frozen=True, kw_only=True)
class ExperienceEvent(Event):
    """Training on one experience is complete."""

    event = "experience"
    former_fields: ClassVar[Mapping[str, str]] = {"experiences_trained": "trained", "images_trained": "images"}
    experiences_trained: int = _count(EXPERIENCES_TRAINED)
    images_trained: int = _count(IMAGES_TRAINED)
    steps: int = _count("optimizer steps on this experience")
    loss: float = _field("mean training loss over these steps")
    seconds: float = _seconds("seconds of training on this experience")
    images_per_second: float = _field("training speed on this experience", low=0, high=1e12)


@dataclass(frozen=True, kw_only=True)
class RepresentationEvent(Event):
    """Label-free measures of the representation after an experience, on a sample of its training images."""

    event = "representation"
    former_name = "vitals"
    former_fields: ClassVar[Mapping[str, str]] = {
        "experiences_trained": "trained",
        "images_measured": "images",
        "feature_dim": "dim",
    }
    experiences_trained: int = _count(EXPERIENCES_TRAINED)
    images_measured: int = _count("size of the sample")
    feature_dim: int = _count("dimension D of the features that probes read")
    feature_std: float | None = _measure(
        "feature std: standard deviation of unit features over images, mean over dimensions; 1 / sqrt(D) is healthy, "
        "near 0 is collapse",
        None,
    )
    rankme: float | None = _measure(
        "RankMe: effective rank of the features (arXiv:2210.02885); compare runs of one method and encoder only", None
    )
    drift_cka: float | None = _measure(
        "feature drift (CKA): linear CKA of the first experience's features now with those right after it; 1 is no "
        "drift",
        None,
    )
    embedding_dim: int | None = _count("dimension of the embeddings that the loss compares", None)
    embedding_std: float | None = _measure("as feature_std, of the embeddings", None)
    alignment: float | None = _measure(
        "alignment: mean squared distance of positive pairs of embeddings (arXiv:2005.10242); 0 is best", None
    )
    uniformity: float | None = _measure(
        "uniformity: log mean Gaussian potential of the embeddings (arXiv:2005.10242); -4 is spread over the sphere, "
        "0 is collapse",
        None,
    )
    clusters: dict[str, Any] | None = _field("clusters or prototypes: number, number in use, perplexity", None)
    bounds: dict[str, Any] | None = _field(
        "InfoNCE's mutual-information bound log N - L, in nats, by pair of views", None
    )
    memory: dict[str, Any] | None = _field(
        "of each queue and bank: rows, rows written, share from earlier experiences", None
    )
    plugins: dict[str, Any] | None = _field(
        "of each plugin against forgetting, where it has them: `gradient_ratio`, the norm of its term's gradient at "
        "weight 1 over that of the method's loss, on the encoder's last layer; `term`, its latest value, and its "
        "`weight`; `images` held, and how many images of the stream came after the one of median age and the oldest "
        "(`age_median`, `age_oldest`); `momentum` of a copy that follows, beside the `steps` of the experience; "
        "`teacher_norm`",
        None,
    )


@dataclass(frozen=True, kw_only=True)
class CostEvent(Event):
    """What training has cost, to compare strategies at equal cost."""

    event = "cost"
    former_name = "spent"
    views: int = _count("views encoded, each crop, patch or group of color channels counted")
    steps: int = _count("optimizer steps")
    parameters: int = _count("trainable parameters")
    bytes_remembered: int = _count(
        "bytes kept besides: queue, bank, momentum encoder, statistics, replayed images, and what plugins keep"
    )
    teacher_views: int = _count("views that copies of the method embedded for plugins, without gradient", 0)
    plugin_parameters: int = _count("trainable parameters of plugins, not counted in `parameters`", 0)
    teacher_bytes: int = _count("of the bytes remembered, copies of the method", 0)
    image_bytes: int = _count("of the bytes remembered, images, with their features and what a policy keeps", 0)


@dataclass(frozen=True, kw_only=True)
class EndEvent(Event):
    """The whole stream was trained on."""

    event = "end"
    former_fields: ClassVar[Mapping[str, str]] = {"images_trained": "images"}
    images_trained: int = _count(IMAGES_TRAINED)
    train_seconds: float = _seconds("seconds of training")
    seconds: float = _seconds("seconds of everything")
    checkpoint_seconds: float | None = _seconds("of these, writing checkpoints", None)
    probe_seconds: float | None = _seconds("of these, probing", None)
    import_seconds: float | None = _seconds("of these, importing packages", None)
    data_seconds: float | None = _seconds("of these, preparing data", None)


@dataclass(frozen=True, kw_only=True)
class FineTuningEvent(Event):
    """Fine-tuning starts: the first line of its log, `finetune-PROTOCOL-HEAD-LABELS-sSEED.jsonl`."""

    event = "fine_tuning"
    protocol: str = _field("frozen, first-K, full or scratch")
    run: str = _field("folder of the run whose encoder is fine-tuned")
    settings: dict[str, Any] = _field(
        "head, share of the labels, epochs, batch size, learning rate, seed, device, data, SHA-256 of the encoder"
    )


@dataclass(frozen=True, kw_only=True)
class FineTuningEpochEvent(Event):
    """One epoch of fine-tuning."""

    event = "fine_tuning_epoch"
    epoch: int = _count("from 1")
    loss: float = _field("mean training loss")
    accuracy: float | None = _share("accuracy on all test images, of an epoch that was tested", None)


@dataclass(frozen=True, kw_only=True)
class FineTuningEndEvent(Event):
    """Fine-tuning is complete: the last line of its log."""

    event = "fine_tuning_end"
    accuracy: float = _share("accuracy on all test images, after the last epoch")
    images: int = _count("labeled images trained on, in each epoch")
    images_tested: int = _count("test images")
    seconds: float = _seconds("seconds of training and testing")
