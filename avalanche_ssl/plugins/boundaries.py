"""The experiences of a benchmark that were trained on, also where they come in online sub-experiences."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from typing import Any

from avalanche.benchmarks import OnlineCLExperience
from avalanche.core import SupervisedPlugin

from avalanche_ssl.errors import UsageError
from avalanche_ssl.training import print_pending_metrics


class ExperienceBoundaries:
    """Says which experiences of a benchmark were trained on, and when one is complete.

    An experience is known by its number in its stream (`current_experience`), whatever its images and wherever it
    comes: a reversed or repeated stream, a part of one, or what a validation split has left of it. Experiences are
    named here by their position in the benchmark. An experience that says how many samples of each experience it
    holds (`n_samples_from_each_exp`, as Avalanche's blurred streams do) stands for all of these.

    Online sub-experiences belong to the experience that they were cut from. It is complete with its last part, which
    is marked as such, or is as late as `sub_stream_length` says, or brings the last image. A stream whose parts say
    nothing of this and drop images is complete when parts of another experience begin, or the stream ends.

    Args:
        stream: the training stream of the benchmark.
    """

    def __init__(self, stream: Iterable[Any]) -> None:
        numbers = [_logged(experience)._current_experience for experience in stream]
        self.positions = {number: position for position, number in enumerate(numbers)}
        self.completed = 0
        """Experiences that are complete; one that is trained on twice counts twice."""
        self.order: list[int] = []
        """The experiences that are complete, in the order in which they were complete first."""
        self.latest: list[int] = []
        """The experience that is under way or, between two, was complete last; several if it mixes several."""
        self.images = self.parts = 0
        """Images and parts of the experience under way."""
        self.trained_in_call = 0
        """Experiences and parts that the present call of `train` has trained on."""
        self._number = -1
        self._warned = False

    @property
    def under_way(self) -> bool:
        """Whether an experience is trained on in part."""
        return self.parts > 0

    @property
    def seen(self) -> list[int]:
        """The experiences trained on, the one under way included, in the order of training."""
        return _appended(self.order, self.latest)

    @property
    def all_complete(self) -> bool:
        """Whether every experience of the benchmark is complete."""
        return len(self.order) == len(self.positions)

    def is_next(self, experience: Any) -> bool:
        """Whether an experience that is about to be trained on ends the one under way, whose last part was dropped.

        Raises:
            UsageError: the experience has no number.
        """
        number = self._check(experience)
        if not self.under_way:
            return False
        part = _logged(experience)
        return not isinstance(part, OnlineCLExperience) or part.is_first_subexp or number != self._number

    def add(self, experience: Any) -> bool:
        """Count an experience, or a part of one, after training on it; whether the experience is complete now."""
        number, part = self._check(experience), _logged(experience)
        found = self._found(part, number)
        self.latest = _appended(self.latest, found) if self.under_way else found
        self._number = number
        self.parts += 1
        self.trained_in_call += 1
        self.images += len(part.dataset)
        if isinstance(part, OnlineCLExperience) and not self._is_last(part):
            return False
        self.complete()
        return True

    def is_over(self, experience: Any) -> bool:
        """Whether a stream that ends with this part may have ended its experience: no other of its size is left."""
        part = _logged(experience)
        origin = part.origin_experience if isinstance(part, OnlineCLExperience) else None
        return origin is None or len(origin.dataset) - self.images < len(part.dataset)

    def complete(self) -> None:
        """Count the experience under way as complete."""
        self.order = self.seen
        self.completed += 1
        self.images = self.parts = 0

    def due(self, every: int) -> bool:
        """Whether the experience that is complete now is an n-th one, or none of the benchmark is left."""
        return self.completed % every == 0 or self.all_complete

    def state_dict(self) -> dict[str, Any]:
        """The counts."""
        return {
            "completed": self.completed,
            "order": list(self.order),
            "latest": list(self.latest),
            "under_way": [self.images, self.parts, self.trained_in_call, self._number],
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from `state_dict`."""
        self.completed, self.order, self.latest = state["completed"], list(state["order"]), list(state["latest"])
        self.images, self.parts, self.trained_in_call, self._number = state["under_way"]

    def _check(self, experience: Any) -> int:
        """The number of an experience in its stream; -1 where it mixes several."""
        origin = _origin(_logged(experience))
        if getattr(origin, "n_samples_from_each_exp", None) is not None:
            return -1
        number = origin._current_experience
        if number is None:
            raise UsageError(
                "an experience has no number, so that nothing shows which one of the benchmark was trained on: take it "
                "from a stream, or set experience.current_experience"
            )
        return int(number)

    def _found(self, part: Any, number: int) -> list[int]:
        """The positions in the benchmark of what was trained on."""
        if number < 0:
            counts = _origin(part).n_samples_from_each_exp
            return [self.positions[n] for n, count in enumerate(counts) if count and n in self.positions]
        if number in self.positions:
            return [self.positions[number]]
        if not self._warned:
            warnings.warn(
                f"experience {number} is none of the benchmark's {len(self.positions)}: after training on it no more "
                "of them count as seen",
                stacklevel=2,
            )
        self._warned = True
        return []

    def _is_last(self, part: Any) -> bool:
        """Whether a part is the last one of its experience; Avalanche's splitter may not mark it."""
        origin = part.origin_experience
        whole = self.images >= len(origin.dataset) if origin is not None else False
        return bool(part.is_last_subexp) or self.parts == part.sub_stream_length or whole


class BoundaryPlugin(SupervisedPlugin):  # type: ignore[misc]
    """A plugin that does something whenever an experience of a benchmark is complete: `experience_complete`.

    It is done after the experience's last step and before the next experience's first one.

    Args:
        stream: the training stream of the benchmark.
    """

    def __init__(self, stream: Iterable[Any]) -> None:
        super().__init__()
        self.boundaries = ExperienceBoundaries(stream)

    def experience_complete(self, strategy: Any) -> None:
        """Do it; `boundaries` says what is complete."""
        raise NotImplementedError

    def before_training(self, strategy: Any, **kwargs: Any) -> None:
        """Begin to count what this call of `train` trains on."""
        self.boundaries.trained_in_call = 0

    def before_train_dataset_adaptation(self, strategy: Any, **kwargs: Any) -> None:
        """End the experience under way, if another one comes now."""
        if self.boundaries.is_next(strategy.experience):
            self._complete(strategy)

    def after_training_exp(self, strategy: Any, **kwargs: Any) -> None:
        """Count what was trained on."""
        if self.boundaries.add(strategy.experience):
            self.experience_complete(strategy)

    def after_training(self, strategy: Any, **kwargs: Any) -> None:
        """End the experience under way with the stream; a single part is no stream, nor are some of its parts."""
        boundaries = self.boundaries
        if boundaries.under_way and boundaries.trained_in_call > 1 and boundaries.is_over(strategy.experience):
            self._complete(strategy)
        print_pending_metrics(strategy.evaluator)

    def _complete(self, strategy: Any) -> None:
        self.boundaries.complete()
        self.experience_complete(strategy)


def _logged(experience: Any) -> Any:
    """The experience with all its attributes, some of which are masked in training."""
    return experience.logging()


def _origin(part: Any) -> Any:
    """What a part was cut from; an experience that is no part, or one of several experiences, is its own."""
    origin = part.origin_experience if isinstance(part, OnlineCLExperience) else None
    return part if origin is None else _logged(origin)


def _appended(positions: list[int], more: list[int]) -> list[int]:
    """Those of both lists, each once."""
    return list(dict.fromkeys([*positions, *more]))
