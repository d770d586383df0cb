"""Folders of small runs, as a run leaves them: its log and embeddings."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from avalanche_ssl import __version__
from avalanche_ssl.logging import (
    BaselineEvent,
    CostEvent,
    EndEvent,
    Event,
    FrozenProbeEvent,
    FullTestEvent,
    JSONLinesLogger,
    ProbeEvent,
    RepresentationEvent,
    RunEvent,
    TaskEvent,
)

R = [[0.8, 0.5, 0.3], [0.6, 0.9, 0.4], [0.7, 0.6, 0.5]]
"""The accuracy matrix of these runs."""
UNTRAINED = [0.4, 0.4, 0.4]
F = [[0.8], [0.4, 0.9], [0.2, 0.5, 0.5]]
"""The matrix of frozen probes of those that have one: forgetting is (0.6 + 0.4) / 2."""
SETTINGS: dict[str, Any] = {"lr": 0.1, "augment": {"size": 32}}


def config(strategy: str = "cmc", seed: int = 0, benchmark: str = "digits") -> dict[str, Any]:
    """The options of a run."""
    options = {"strategy": strategy, "benchmark": benchmark, "benchmark_options": {"experiences": 3}, "seed": seed}
    return options | {"settings": SETTINGS}


def append(folder: Path, *events: Event) -> Path:
    """Add events to the log of a run."""
    log = JSONLinesLogger(folder / "log.jsonl")
    for event in events:
        log(event)
    return folder


def probe_event(trained: int, experience: int, accuracy: float, **more: Any) -> ProbeEvent:
    """An entry of the accuracy matrix."""
    named = {"probe": "ridge", "scope": "all"} | more
    return ProbeEvent(experiences_trained=trained, experience=experience, accuracy=accuracy, **named)


def write_run(
    folder: Path,
    strategy: str = "cmc",
    seed: int = 0,
    shift: float = 0.0,
    trained: int = 3,
    end: bool = True,
    benchmark: str = "digits",
    version: str = __version__,
    tail: str = "",
    classes: int | None = None,
    **more: Any,
) -> Path:
    """A run of three experiences.

    Args:
        folder: where; it is made.
        strategy: its name.
        seed: its seed.
        shift: what is added to all accuracies.
        trained: how many experiences were trained on.
        end: whether it is finished.
        benchmark: its name.
        version: the version of the package that wrote it.
        tail: text at the end of the log.
        classes: how many the stream has, if the log says it.
        more: fields of all its probe events.
    """
    folder.mkdir(parents=True)
    versions = {"avalanche-ssl": version}
    options = config(strategy, seed, benchmark)
    append(
        folder,
        RunEvent(title="a run", config=options, device="cpu", precision="fp32", versions=versions, classes=classes),
    )
    for t, row in enumerate([UNTRAINED, *R][: trained + 1]):
        append(folder, *(probe_event(t, j + 1, value + shift, **more) for j, value in enumerate(row)))
        if t:
            append(folder, representation_event(t, rankme=5.0 + t))
    append(folder, CostEvent(views=200, steps=10, parameters=5, bytes_remembered=7))
    if end:
        append(folder, EndEvent(images_trained=100, train_seconds=2.0, seconds=3.0))
    with (folder / "log.jsonl").open("a", encoding="utf-8") as file:
        file.write(tail)
    return folder


def add_evidence(folder: Path, pixels: float = 0.25, shift: float = 0.0) -> Path:
    """Add baselines and frozen probes, which runs of older versions do not have."""
    levels = {"chance": 0.125, "raw pixels 16x16": pixels, "untrained": 0.4}
    append(folder, *(BaselineEvent(name=n, probe="ridge", scope="all", accuracy=a) for n, a in levels.items()))
    for t, row in enumerate(F, 1):
        for j, value in enumerate(row, 1):
            numbers = {"experiences_trained": t, "experience": j, "fitted_after": j, "accuracy": value + shift}
            append(folder, FrozenProbeEvent(probe="ridge", scope="all", **numbers))
    return folder


def representation_event(trained: int, rankme: float) -> RepresentationEvent:
    """Measures after an experience, one of them not known."""
    sizes = {"images_measured": 8, "feature_dim": 16}
    return RepresentationEvent(experiences_trained=trained, feature_std=0.1, rankme=rankme, **sizes)


def add_tasks(folder: Path, full_test: float = 0.0, trained: Sequence[int] = (0, 2, 3), accuracy: float = 0.5) -> Path:
    """Add results of two probing tasks over the stream, and on all test images at the end if `full_test` is given."""
    for t in trained:
        by_group = {"place": {"here": accuracy + t / 10, "there": 0.1}, "thing": {"o1": 0.0}}
        append(folder, task_event(t, "kind", accuracy + t / 20, by_group))
        append(folder, task_event(t, "<scene>", 0.35 + accuracy / 10, {}, chance=0.125))
    if full_test:
        by_group = {"place": {"here": full_test, "there": full_test - 0.1}}
        append(folder, task_event(3, "kind", full_test, by_group, full_test_set=True))
        numbers = {"experiences_trained": 3, "images_trained": 100, "images_tested": 9}
        append(folder, FullTestEvent(probe="ridge", scope="all", accuracy=full_test, **numbers))
    return folder


def task_event(
    trained: int,
    task: str,
    accuracy: float,
    by_group: dict[str, Any],
    chance: float = 0.25,
    full_test_set: bool = False,
) -> TaskEvent:
    """The result of a probing task."""
    given = {"task": task, "accuracy": accuracy, "chance": chance, "by_group": by_group}
    return TaskEvent(experiences_trained=trained, full_test_set=full_test_set, **given)


def add_embeddings(folder: Path, snapshots: int = 4, class_names: Sequence[str] = ()) -> Path:
    """Add features of 24 images of four classes, which move apart."""
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(4), 6)
    (folder / "embeddings").mkdir()
    images = rng.integers(0, 255, (24, 8, 8, 3)).astype(np.uint8)
    more = {"class_names": np.array(class_names)} if class_names else {}
    np.savez(folder / "embeddings" / "images.npz", images=images, labels=labels, experiences=labels, **more)
    for t in range(snapshots):
        np.save(folder / "embeddings" / f"{t:03d}.npy", rng.normal(size=(24, 5)) + t * 5 * np.eye(5)[labels])
    return folder


def changed(folder: Path, name: str, **fields: Any) -> Path:
    """The run, with other fields in the events of a name."""
    path = folder / "log.jsonl"
    events = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    lines = [json.dumps(event | (fields if event["event"] == name else {})) for event in events]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


def set_stream(folder: Path, stream: str) -> Path:
    """The run, as if its stream had a hash."""
    return changed(folder, "run", stream=stream)
