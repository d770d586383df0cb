"""Avalanche's training loop, made resumable: it can be entered inside an epoch."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

from avalanche_ssl.data import DataError
from avalanche_ssl.errors import UsageError
from avalanche_ssl.training.avalanche_template import AvalancheTemplate


class ResumableTemplate(AvalancheTemplate):
    """A supervised SGD template of Avalanche whose `train` continues where an interrupted call stood.

    `progress` and `load_progress` carry the position over, `enter_with` arms the next call of `train`. In
    between, the owner of the checkpoints restores the rest, see `avalanche_ssl.checkpointing.strategy_state`.

    Args:
        settings: as for `AvalancheTemplate`.
    """

    _stop_training: bool

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self._experiences_finished = 0  # of the present call of `train`
        self._reenter: Callable[[], None] | None = None
        self.after_step: Callable[[], None] | None = None
        """Called when a step is complete, plugins and clock included; set by `Checkpointer`."""
        self.after_data_error: Callable[[], None] | None = None
        """Called between two steps when the next batch cannot be read; set by `Checkpointer`."""

    def progress(self) -> dict[str, Any]:
        """Where training stands, as plain values."""
        return {"experiences_finished": self._experiences_finished}

    def load_progress(self, progress: dict[str, Any]) -> None:
        """Stand where `progress` was taken."""
        self._experiences_finished = progress["experiences_finished"]

    def enter_with(self, reenter: Callable[[], None] | None) -> None:
        """Let the next call of `train` enter the interrupted epoch.

        Args:
            reenter: called right before the step that follows the interruption; None starts an experience as usual.
        """
        self._reenter = reenter

    def train(self, experiences: Any, eval_streams: Any = None, **kwargs: Any) -> Any:
        """Train as Avalanche does. After a resume inside a call of `train`, the next call continues that one.

        Give it what the interrupted call was given: experiences that are trained already are left out. Where nothing
        is evaluated during training, Avalanche need not list the experiences first, which would use up an iterator.

        Raises:
            UsageError: an iterator's experiences are to be evaluated on, too.
        """
        if eval_streams is None and self.eval_every < 0:
            eval_streams = []
        if eval_streams is None and isinstance(experiences, Iterator):
            raise UsageError(
                f"eval_every={self.eval_every} evaluates on the training experiences, which an iterator gives only "
                "once: give train() a list of them, or eval_streams=[...]"
            )
        self._experiences_finished = self._experiences_finished if self._reenter else 0
        if self._experiences_finished:
            experiences = _Rest(experiences, self._experiences_finished)
        return super().train(experiences, eval_streams, **kwargs)

    def _before_training(self, **kwargs: Any) -> None:
        if self._reenter is None:
            super()._before_training(**kwargs)

    def _train_exp(self, experience: Any, eval_streams: Any = None, **kwargs: Any) -> None:
        """Avalanche's loop over epochs, entered inside one by a resumed run."""
        reenter, self._reenter = self._reenter, None
        if reenter:
            reenter()
        for _ in range(self.clock.train_exp_epochs, self.train_epochs):
            if not reenter:
                self._before_training_epoch(**kwargs)
            reenter = None
            if self._stop_training:
                self._stop_training = False
                break
            self.training_epoch(**kwargs)
            self._after_training_epoch(**kwargs)

    def training_epoch(self, **kwargs: Any) -> None:
        """Avalanche's loop over batches."""
        try:
            super().training_epoch(**kwargs)
        except DataError:
            if self.after_data_error:
                self.after_data_error()
            raise

    def _after_training_exp(self, **kwargs: Any) -> None:
        super()._after_training_exp(**kwargs)
        self._experiences_finished += 1

    def _after_training_iteration(self, **kwargs: Any) -> None:
        super()._after_training_iteration(**kwargs)
        if self.after_step:
            self.after_step()


@dataclass(frozen=True)
class _Rest:
    """Experiences without the first ones; none is kept in memory, since a stream may have very many."""

    experiences: Any
    first: int

    def __iter__(self) -> Iterator[Any]:
        return islice(iter(self.experiences), self.first, None)
