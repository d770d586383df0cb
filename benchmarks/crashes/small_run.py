"""Small runs for crash tests: a part of digits-on-photographs, a narrow encoder, and memories that are soon full."""

from __future__ import annotations

from functools import cache, partial
from typing import Any

import numpy as np
import torch
from PIL import Image

from avalanche_ssl.checkpointing import Checkpointer
from avalanche_ssl.data import ArrayDataset
from avalanche_ssl.models import ENCODERS, smallconv
from avalanche_ssl.plugins import complete_plugins
from avalanche_ssl.recipes import arguments, load_recipe
from avalanche_ssl.streams import BENCHMARKS, benchmark_from_parts, digits_on_photographs

IMAGES = 72
"""Training images per experience."""

SMALL = {
    "capacity": 100,
    "queue_size": 40,
    "count": 16,
    "output_dim": 8,
    "hidden_dim": 8,
    "clusters": 4,
    "prototypes": 8,
}
"""Settings that make memories small enough to be filled and overwritten, where a recipe has them."""

SMALL_PLUGINS = {"size": 30, "batch": 8, "hidden_dim": 8}
"""The same of plugins."""


class DecodedImages:
    """Images that are decoded one by one, by loader processes if there are any."""

    def __init__(self, dataset: ArrayDataset) -> None:
        self.arrays, self.targets = dataset.data, dataset.targets

    def __len__(self) -> int:
        return len(self.arrays)

    def __getitem__(self, index: int) -> tuple[Image.Image, int]:
        return Image.fromarray(self.arrays[index]), self.targets[index]


def few_digits(experiences: int = 2, *, decode: bool = False) -> Any:
    """A few composites of digits-on-photographs; with `decode` the data loader takes its general path."""
    return _few_digits(experiences, decode)


@cache
def _few_digits(experiences: int, decode: bool) -> Any:
    benchmark = digits_on_photographs(experiences, composites=2)
    rng = np.random.default_rng(0)
    sets, parts = [], []
    for stream, images in ((benchmark.train_stream, IMAGES), (benchmark.test_stream, 40)):
        chosen = [rng.permutation(len(e.dataset))[:images] for e in stream]
        items = [e.dataset[int(i)] for e, rows in zip(stream, chosen, strict=True) for i in rows]
        data = np.stack([x.permute(1, 2, 0).numpy() for x, *_ in items])
        arrays = ArrayDataset(data, [int(y) for _, y, *_ in items])
        sets.append(DecodedImages(arrays) if decode else arrays)
        parts.append(np.split(np.arange(len(items)), experiences))
    return benchmark_from_parts(sets[0], parts[0], sets[1], parts[1], benchmark.class_names)


def run_options(
    strategy: str,
    precision: str = "fp32",
    num_workers: int = 0,
    plugins: str = "none",
    online_batch_size: int = 0,
    compile: bool = False,
) -> list[str]:
    """Options of `avalanche-ssl run` for a small run that keeps its checkpoints.

    Args:
        strategy, precision, num_workers, online_batch_size, compile: as for the command.
        plugins: their names joined by "+", or "none".
    """
    known = arguments(load_recipe(strategy).method)
    settings: dict[str, Any] = {name: value for name, value in SMALL.items() if name in known}
    settings |= {"batch_size": 16, "epochs": 2, "encoder": "tiny"}
    return [
        *["--strategy", strategy, "--precision", precision, "--device", "cpu"],
        *["--checkpoint-every", "2it", "--keep-checkpoints"],
        *(["--compile"] if compile else []),
        *["--benchmark", "few-digits", "--benchmark-option", f"decode={str(num_workers > 0).lower()}"],
        *(f"--set={name}={value}" for name, value in settings.items()),
        *(["--online-batch-size", str(online_batch_size)] if online_batch_size else []),
        *(["--access-task-boundaries"] if online_batch_size else []),
        *["--num-workers", str(num_workers), *_plugin_options(plugins)],
    ]


def _plugin_options(plugins: str) -> list[str]:
    """The plugins, small."""
    names = plugins.split("+") if plugins != "none" else []
    words = ["--set=replay.refresh=false"] if "der" in names else []  # which DER needs
    for plugin in names:
        small = {key: value for key, value in SMALL_PLUGINS.items() if key in complete_plugins({plugin: {}})[plugin]}
        words += ["--plugin", plugin, *(f"--set={plugin}.{key}={value}" for key, value in small.items())]
    return words


def register() -> None:
    """Make the small stream and the narrow encoder known by name."""
    ENCODERS["tiny"] = partial(smallconv, width=4)
    BENCHMARKS["few-digits"] = few_digits


def prepare_process() -> None:
    """Prepare what all runs share: one thread, so that sums have one order, the small stream, frequent checkpoints."""
    torch.set_num_threads(1)
    register()
    Checkpointer.__init__.__kwdefaults__["share"] = 1.0  # type: ignore[index]
