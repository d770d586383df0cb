"""What training cannot learn from is refused: too few images in a step, no step at all, images that do not differ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from avalanche.benchmarks import CLScenario, CLStream, OnlineCLExperience
from avalanche.training.plugins import ReplayPlugin
from torch import Tensor
from torch.utils.data import DataLoader

from avalanche_ssl.errors import UsageError, require_positive
from avalanche_ssl.methods import Method
from avalanche_ssl.rng import isolated

FIXED_BY_STRATEGY = {
    "batch_size": "give SelfSupervised(..., train_mb_size=..., eval_mb_size=...)",
    **dict.fromkeys(("sampler", "batch_sampler"), "leave it out, and take shuffle=False for images in order"),
    **dict.fromkeys(("collate_fn", "worker_init_fn"), "leave it out: batches are made of raw images"),
    **dict.fromkeys(("generator", "prefetch_factor", "timeout", "multiprocessing_context"), "leave it out"),
}
"""Arguments of a `DataLoader` that have no effect here, and what to do."""

FEW = 8
"""Images below which an experience may well hold the same image only, e.g. frames of a video."""


def check_experiences(experiences: Any, function: str = "train") -> None:
    """Refuse data and benchmarks in the place of experiences.

    Args:
        experiences: what was given.
        function: to which, "train" or "eval".

    Raises:
        UsageError: names what was given, and what to give.
    """
    is_dataset = hasattr(experiences, "__getitem__") and not isinstance(experiences, Sequence | CLStream)
    if is_dataset or isinstance(experiences, CLScenario | DataLoader):
        stream = {"train": "train_stream", "eval": "test_stream"}[function]
        raise UsageError(
            f"{function}() takes an experience or a stream, not a {type(experiences).__name__}: give "
            f"benchmark.{stream}; benchmark_from_datasets(train=[...], test=[...]) makes a benchmark of datasets"
        )


def check_loader_options(options: Mapping[str, Any], training: bool = True) -> None:
    """Refuse options of a loader that have no effect here; any other may be read by a plugin.

    Args:
        options: what `train` or `eval` was given beside the experiences.
        training: whether it was `train`, which always drops the last partial batch of an epoch; `eval` never does.

    Raises:
        UsageError: names the first of them, and what to do.
    """
    refused = FIXED_BY_STRATEGY
    if training and not options.get("drop_last", True):
        refused = {"drop_last": "the last partial batch of an epoch is always dropped; leave it out"} | refused
    for name, remedy in refused.items():
        if name in options:
            raise UsageError(f"{name}={options[name]!r} has no effect on the batches of SelfSupervised: {remedy}")


def check_steps(model: Method, batch_size: int, epochs: int, plugins: Sequence[Any]) -> None:
    """Refuse batches and epochs that make no step to learn from; a replay memory fills batches that are too small.

    Raises:
        UsageError: names the setting and the smallest value that works.
    """
    require_positive(train_mb_size=batch_size, train_epochs=epochs)
    if not any(isinstance(plugin, ReplayPlugin) or getattr(plugin, "fills_batches", False) for plugin in plugins):
        model.check_batch_size(batch_size)


def check_images_differ(strategy: Any) -> None:
    """Refuse an experience whose images are all the same, which the first batch of each reveals.

    All other images are read only where those of the batch are the same, and of a mini-batch of a stream those of the
    whole experience that it was cut from.

    Raises:
        UsageError: names the experience.
    """
    batch: Tensor = strategy.new_images()[0] if strategy.n_new else strategy.whole(strategy.mb_x)
    first = batch[:1]
    if bool((batch != first).any()):
        return
    dataset, number = strategy.adapted_dataset, strategy.clock.train_exp_counter
    part = strategy.experience.logging()
    if isinstance(part, OnlineCLExperience):
        if part.origin_experience is None or not part.is_first_subexp:
            return
        origin = part.origin_experience.logging()
        dataset, number = origin.dataset, origin.current_experience
    if len(dataset) < FEW:
        return
    with isolated():  # transforms of the stream may draw from the global random states
        if any(bool((images != first).any()) for images in strategy.images(dataset)):
            return
    raise UsageError(
        f"all {len(dataset)} images of experience {number + 1} are identical, so that nothing can be learned from "
        f"them: look at the data (pixels from {float(first.min()):g} to {float(first.max()):g})"
    )
