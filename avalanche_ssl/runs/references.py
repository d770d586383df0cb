"""What a run is to be compared with at equal cost, as runs: its method on all data at once, and labels.

An epoch of a reference encodes each training image of the stream once for every view that its method makes of it; it
has as many epochs as make its views equal to those of the run, rounded. So a supervised reference, of which a step sees
one view of an image, has twice the epochs of a method that compares two. The reference of a run in mini-batches comes
in mini-batches, too, of all data in random order, with as many passes over each as a run otherwise has epochs.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from avalanche_ssl.errors import UsageError
from avalanche_ssl.runs.reader import Run

REFERENCES = {
    "iid": "the same method, without plugins, on all data of the stream at once",
    "supervised": "the same encoder trained on labels, experience by experience",
    "supervised-iid": "the same encoder trained on labels and all data at once, an upper bound",
}
"""Kinds of references, and what they are."""
SUPERVISED = "supervised"
"""The strategy that reads labels."""
JOINT = {"hidden_dim": 0, "lr": 0.001}
"""Settings of the supervised recipe, which are made for streams, as they are best where nothing can be forgotten."""
SHARED = ("encoder", "encoder_sha256", "feature_layer", "in_channels", "batch_size", "schedule")
"""Settings of a run that the supervised references share."""


@dataclass(frozen=True)
class Reference:
    """A run to compare with.

    Args:
        name: of its folder: strategy, kind, seed and a hash of its options, the images and the version of the package,
            so that it is trained once for all runs that it is a reference for, and again where any of these changed.
        config: its options, as `config.yaml` holds them.
    """

    name: str
    config: dict[str, Any]


def reference_of_run(run: Run, kind: str) -> Reference | None:
    """The reference of a kind for a finished run; None for a run that is a reference itself.

    Raises:
        UsageError: the run does not say how many views it has seen of how many images.
    """
    options, settings = dict(run.config.get("benchmark_options") or {}), run.settings
    if run.strategy == SUPERVISED or options.get("regime", "sequential") != "sequential":
        return None
    if not (run.finished and run.end and run.cost and run.images and run.end.images_trained):
        raise UsageError(f"{run.folder} does not say what it has cost: finish it with --resume, or train it again")
    views_per_image = 1 if kind.startswith(SUPERVISED) else run.cost.views / run.end.images_trained
    epochs = max(1, round(run.cost.views / (run.images * views_per_image)))
    if kind.startswith(SUPERVISED):
        settings = {name: settings[name] for name in SHARED if settings.get(name) is not None}
        settings |= {"classes": max(2, run.classes or 0)} | (JOINT if kind == "supervised-iid" else {})
    options |= {} if kind == SUPERVISED else {"regime": "joint"}
    config = dict(run.config) | {"plugins": {}, "benchmark_options": options, "access_task_boundaries": False}
    config |= {"settings": settings | {"epochs": epochs}} | dict.fromkeys(("continue_from", "continue_from_sha256"))
    config |= {"lineage": None} | ({"strategy": SUPERVISED, "strategy_sha256": None} if SUPERVISED in kind else {})
    strategy = SUPERVISED if SUPERVISED in kind else run.strategy
    words = [strategy, *(["iid"] if kind.endswith("iid") else []), _digest(config, run), f"s{run.seed}"]
    return Reference("-".join(words), config)


def _digest(config: Mapping[str, Any], run: Run) -> str:
    """Of what decides the result, wherever the images lie: options, images and code."""
    decisive = {name: value for name, value in config.items() if name not in ("data", "num_workers", "logger")}
    content = json.dumps([decisive, run.stream, run.version], sort_keys=True, default=str)
    return hashlib.sha256(content.encode()).hexdigest()[:8]
