"""A template that does not train on what cannot be learned from: losses that are not finite, images all the same."""

from __future__ import annotations

from typing import Any

from avalanche.benchmarks import OnlineCLExperience

from avalanche_ssl.errors import UsageError
from avalanche_ssl.optim import match_layouts
from avalanche_ssl.training.device import get_device
from avalanche_ssl.training.nonfinite import NonFiniteGuard, OnNan
from avalanche_ssl.training.preconditions import (
    check_experiences,
    check_images_differ,
    check_loader_options,
    check_steps,
)
from avalanche_ssl.training.resumable import ResumableTemplate


class GuardedTemplate(ResumableTemplate):
    """A template whose steps are checked, see `NonFiniteGuard` and `preconditions`.

    Args:
        on_nan: at a loss that is not finite, see `NonFiniteGuard`.
        settings: as for `ResumableTemplate`.

    Raises:
        UsageError: batches are too small; in training: the loss or the weights are not finite, the images of an
            experience are all the same, or no step was made.
    """

    def __init__(self, *, on_nan: OnNan, **settings: Any) -> None:
        batch_size, epochs = settings["train_mb_size"], settings["train_epochs"]
        check_steps(settings["model"], batch_size, epochs, settings["plugins"] or ())
        super().__init__(**settings | {"device": get_device(settings["device"])})
        self.nonfinite_guard = NonFiniteGuard(on_nan, self.device)

    def progress(self) -> dict[str, Any]:
        """Where training stands, as plain values."""
        return super().progress() | {"steps_skipped": self.nonfinite_guard.skipped}

    def load_progress(self, progress: dict[str, Any]) -> None:
        """Stand where `progress` was taken."""
        super().load_progress(progress)
        self.nonfinite_guard.skipped = progress["steps_skipped"]

    def train(self, experiences: Any, eval_streams: Any = None, **kwargs: Any) -> Any:
        """Train as `ResumableTemplate` does.

        Raises:
            UsageError: there was no experience, or several made no step; an option has no effect on batches.
        """
        check_experiences(experiences)
        check_loader_options(kwargs)
        results = super().train(experiences, eval_streams, **kwargs)
        if not self._experiences_finished:
            raise UsageError(
                "nothing was trained: train() got no experience; an iterator gives its experiences only once, a list "
                "of them as often as you like"
            )
        if self._experiences_finished > 1 and not self.clock.train_iterations:
            raise UsageError(
                f"nothing was trained: none of {self._experiences_finished} experiences has two images, which a step "
                "takes; give larger mini-batches, or a replay memory"
            )
        self.nonfinite_guard.check_skipped(self)
        return results

    def eval(self, exp_list: Any, **kwargs: Any) -> Any:
        """Evaluate as Avalanche does.

        Raises:
            UsageError: they are no experiences.
        """
        check_experiences(exp_list, "eval")
        return super().eval(exp_list, **kwargs)

    n_images: int
    """Images of the batch, in all processes."""

    def _before_training_iteration(self, **kwargs: Any) -> None:
        super()._before_training_iteration(**kwargs)
        if self.clock.train_exp_iterations == 0:
            self.model.check_batch_size(self.n_images)  # a replay memory that is empty yet adds nothing
            check_images_differ(self)
        self.nonfinite_guard.begin(self)

    def backward(self) -> None:
        """Compute the gradient of the loss, unless the step is skipped."""
        if self.nonfinite_guard.admits_loss(self):
            super().backward()

    def _before_update(self, **kwargs: Any) -> None:
        super()._before_update(**kwargs)
        self.nonfinite_guard.check_gradient(self)

    def optimizer_step(self) -> None:
        """Step as Avalanche does, unless the step is skipped."""
        if not self.nonfinite_guard.skipping:
            match_layouts(self.optimizer)
            super().optimizer_step()

    def _after_training_exp(self, **kwargs: Any) -> None:
        if not isinstance(self.experience, OnlineCLExperience) or self.experience.is_last_subexp:
            self.nonfinite_guard.check(self)  # before anything measures with weights that are not finite
        super()._after_training_exp(**kwargs)
