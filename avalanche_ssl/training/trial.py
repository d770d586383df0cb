"""A template that tries a stream's images on its method before training on them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from torch import Tensor

from avalanche_ssl.data import Shape, image_shape
from avalanche_ssl.methods import batch_shape, try_images
from avalanche_ssl.training.raw_stream import RawStreamTemplate


class TrialTemplate(RawStreamTemplate):
    """A template that passes two images of the stream's shape through its method before anything else.

    Images, views and encoder that do not fit are thus reported in one line, before untrained encoders are probed. Of a
    stream whose later images have another shape, that shape is tried where training on it fails.
    """

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.tried: set[Shape] = set()
        """The shapes (C, H, W) that were tried."""

    def train(self, experiences: Any, eval_streams: Any = None, **kwargs: Any) -> Any:
        """Train as Avalanche does.

        Raises:
            UsageError: the images do not fit the method, see `avalanche_ssl.methods.try_images`.
        """
        if not self.tried and (first := _first(experiences)) is not None:
            shape = image_shape(first.dataset, self.use_dataset_transforms)
            self.try_shapes([shape] if shape else [])
        try:
            return super().train(experiences, eval_streams, **kwargs)
        except (RuntimeError, AssertionError):
            x = self.mbatch[0] if self.mbatch else None
            if isinstance(x, Tensor) and x.ndim == 4:
                channels, height, width = x.shape[1:]
                self.try_shapes([(channels, height, width)])
            raise

    def try_shapes(self, shapes: Iterable[Shape]) -> None:
        """Try images of the shapes that were not tried yet.

        Raises:
            UsageError: they do not fit the method, or a plugin.
        """
        for shape in shapes:
            if shape not in self.tried:
                try_images(self.model, shape, self.device)
                for plugin in self.plugins:
                    if hasattr(plugin, "check_shape"):
                        plugin.check_shape(self, batch_shape(self.model, shape))
                self.tried.add(shape)


def _first(experiences: Any) -> Any:
    """The first of the experiences, or the only one; None of an iterator, which would lose it."""
    if hasattr(experiences, "dataset"):
        return experiences
    return experiences[0] if isinstance(experiences, Sequence) and len(experiences) else None
