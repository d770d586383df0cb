"""A template that trains on raw images, and makes sure that they are all that makes a stream."""

from __future__ import annotations

from typing import Any

from avalanche.benchmarks.scenarios.generic_scenario import SizedCLStream

from avalanche_ssl.data import (
    Chain,
    check_same_transforms,
    different_transforms,
    same_chain,
)
from avalanche_ssl.training.resumable import ResumableTemplate


class RawStreamTemplate(ResumableTemplate):
    """A template that refuses experiences which differ in the transforms that raw images do not pass.

    Transforms that all images of a stream have in common prepare them for a model, and views replace them. Those that
    differ may be what makes the experiences: without them all would be the same. The whole stream is compared before
    its first experience is trained on; an experience that is in none, with those trained on before.
    """

    use_dataset_transforms: bool = False

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self._compared: Any = None  # the stream
        self._single: Chain | None = None  # transforms of the first experience that is in no stream
        self._singles = 0

    def __getstate__(self) -> dict[str, Any]:
        """What Avalanche's `save_checkpoint` pickles: without the stream, whose images would come with it."""
        return vars(self) | {"_compared": None}

    def _before_training_exp(self, **kwargs: Any) -> None:
        if not self.use_dataset_transforms:
            self._check_transforms(self.experience)
        super()._before_training_exp(**kwargs)

    def _check_transforms(self, experience: Any) -> None:
        stream = _stream(experience)
        if stream is None:
            self._singles += 1
            chain = check_same_transforms([experience.dataset])
            self._single = chain if self._single is None else self._single
            if chain is not None and self._single is not None and not same_chain(chain, self._single):
                raise different_transforms((1, self._single), (self._singles, chain))
        elif stream is not self._compared:
            check_same_transforms([e.dataset for e in stream])
            self._compared = stream


def _stream(experience: Any) -> SizedCLStream[Any] | None:
    """The stream that an experience, or the one that it was cut from, is in; None if it has none of known length."""
    while (origin := vars(experience).get("origin_experience")) is not None:
        experience = getattr(origin, "value", origin)  # hidden in training
    stream = getattr(experience, "_origin_stream", None)
    return stream if isinstance(stream, SizedCLStream) else None
