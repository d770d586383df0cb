"""Labeled data for a downstream task: those of the stream of a run, or of another stream."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from avalanche_ssl.data import class_labels, distinct_images, stream_shapes
from avalanche_ssl.errors import UsageError
from avalanche_ssl.methods import Method, channels_of
from avalanche_ssl.runs.build import resolve_benchmark_options
from avalanche_ssl.runs.config import RunConfig
from avalanche_ssl.streams import class_index


@dataclass(frozen=True)
class StreamChoice:
    """A stream, as the options of a run name it; by default the run's own.

    Args:
        benchmark: its name; None: that of the run, or "folder" where data are given.
        data: where the images are.
        options: of the benchmark; of the run's own they change only what they name.
    """

    benchmark: str | None = None
    data: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_own(self) -> bool:
        """Whether it is the stream of the run, apart from options."""
        return self.benchmark is None and self.data is None

    def config(self, run: RunConfig) -> RunConfig:
        """The configuration of a run with this stream in place of its own, and absolute paths.

        The seed of another stream is 0 unless it is given, whatever that of the run, and its test data are scored.

        Raises:
            UsageError: the benchmark or an option is not known, or data are missing or not needed.
        """
        if self.is_own and not self.options:
            return run
        options = {**run.benchmark_options, **self.options} if self.is_own else dict(self.options)
        benchmark, data = (run.benchmark, run.data) if self.is_own else (self.benchmark or "", self.data)
        found = replace(run, benchmark=benchmark, data=data, benchmark_options=options)
        if not self.is_own:
            found = replace(found, stream_seed=found.stream_seed if "seed" in options else 0, eval_on="test")
        return replace(found, benchmark_options=resolve_benchmark_options(found)).with_absolute_paths()


@dataclass(frozen=True)
class LabeledData:
    """Datasets whose labels are below `n_classes`, each test image once and with a label.

    Args:
        train: of each experience; images without a label have -1.
        test: of all experiences.
        n_classes: number of classes.
    """

    train: list[Any]
    test: list[Any]
    n_classes: int


def stream_name(config: RunConfig) -> str:
    """What the stream of a run is called in an error."""
    return config.benchmark if config.data is None else f"{config.benchmark} ({config.data})"


def labeled_data(benchmark: Any, method: Method, config: RunConfig) -> LabeledData:
    """The labeled data of a benchmark, for the encoder of a method.

    Raises:
        UsageError: there are no labels, or the images have other channels than the encoder takes.
    """
    name = stream_name(config)
    train, test = ([e.dataset for e in s] for s in (benchmark.train_stream, benchmark.test_stream))
    if not all(any((class_labels(d) >= 0).any() for d in part) for part in (train, test)):
        raise UsageError(f"the stream {name} has no labels to fine-tune on: give --benchmark or --data of one that has")
    check_image_channels(benchmark, method, name)
    n_classes = len(benchmark.class_names or ())
    if not n_classes:
        classes = class_index(benchmark, train + test)
        train, test = ([classes.renumbered(d) for d in part] for part in (train, test))
        n_classes = len(classes)
    once = distinct_images(test)
    if once is not None and len(once.dataset) < sum(map(len, test)):  # experiences may share test images
        test = [once.dataset]
    return LabeledData(train, [part for d in test if len(part := _with_label(d))], n_classes)


def check_image_channels(benchmark: Any, method: Method, name: str) -> None:
    """Refuse images whose channels are not those of the encoder; gray ones become RGB."""
    takes = channels_of(method)
    found = {shape[0] for shape in stream_shapes(benchmark.train_stream)}
    others = found - {takes} - ({1} if takes == 3 else set())
    if takes is not None and others:
        raise UsageError(
            f"the images of {name} have {min(others)} channels, and the encoder of the run takes {takes}: give --data "
            f"with images of {takes}"
        )


def _with_label(dataset: Any) -> Any:
    """The images that have a label."""
    known = class_labels(dataset) >= 0
    return dataset if known.all() else dataset.subset(known.nonzero()[0].tolist())
