"""The images of a run's stream: their channels for the encoder, and their size beside that of views."""

from __future__ import annotations

import dataclasses
from typing import Any

from avalanche_ssl.data import Shape, array_reader, stream_shapes
from avalanche_ssl.methods import channels_of
from avalanche_ssl.recipes import Recipe
from avalanche_ssl.runs.config import RunConfig


def for_images_of(benchmark: Any, recipe: Recipe, config: RunConfig) -> tuple[Recipe, RunConfig, list[Shape]]:
    """Recipe and configuration with the channels of the stream's images, and the shapes (C, H, W) of these.

    Raises:
        UsageError: the images do not all have as many channels.
    """
    shapes = stream_shapes(benchmark.train_stream)
    recipe = recipe.for_images(shapes)
    return recipe, dataclasses.replace(config, settings=recipe.settings), shapes


def say_images(strategy: Any, benchmark: Any, config: RunConfig) -> None:
    """Print what a user may not expect of the images: channels, size beside that of views, who reads them."""
    side, method = strategy.model.augment.size, strategy.model
    channels = channels_of(method)
    if channels != 3 and channels in {shape[0] for shape in strategy.tried}:
        print(
            f"the encoder takes images of C = {channels}, as the stream has: saturation, hue and gray views do nothing"
        )
    sizes = sorted({shape[1:] for shape in strategy.tried} - {(side, side)})
    if sizes:
        found = ", ".join(f"{height}x{width}" for height, width in sizes)
        only = getattr(method.encoder, "image_size", None)
        seen = found if only is None else f"them resized to {only[0]}x{only[1]}"
        print(f"the images are {found}: views for training {side}x{side} (--set augment.size=...), probes see {seen}")
    if config.num_workers and all(array_reader(experience.dataset) for experience in benchmark.train_stream):
        print("--num-workers has no effect on this stream: its images are read from arrays")
