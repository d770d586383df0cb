"""Progress of training: a bar, and the fields of the `experience` event."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from avalanche.core import SupervisedPlugin
from tqdm import tqdm

from avalanche_ssl.logging import ExperienceEvent


class Progress(SupervisedPlugin):  # type: ignore[misc]
    """A progress bar while an experience is trained on, and the `experience` event after it.

    Comes first among the plugins of a strategy, so that the bar says what the others do.
    """

    KEPT = ("trained", "images", "steps", "seconds", "example", "_loss", "_steps", "_here", "_here_seconds")
    _bar: Any = None

    def __init__(self, experiences: int) -> None:
        super().__init__()
        self.experiences = experiences
        self.trained = self.images = self.steps = 0
        self.seconds = 0.0
        self.example: torch.Tensor | None = None
        """Two raw images of the stream."""
        self.last: ExperienceEvent | None = None
        """Of the latest experience that is complete."""
        self._loss, self._steps, self._here, self._here_seconds = torch.zeros(()), 0, 0, 0.0
        self._since = 0.0

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint keeps."""
        return {name: getattr(self, name) for name in self.KEPT} | {"running": time.perf_counter() - self._since}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from `state_dict`, and move the bar, if there is one, to where it was."""
        for name in self.KEPT:
            setattr(self, name, state[name])
        self._since = time.perf_counter() - state["running"]
        if self._bar is not None:
            self._bar.set_description(self._title())
            self._bar.update(self._here - self._bar.n)

    @property
    def rate(self) -> float:
        """Images per second of training, evaluation excluded."""
        return self.images / max(self.seconds, 1e-9)

    @contextmanager
    def watch(self, images: int) -> Iterator[None]:
        """Show the progress over an experience of so many images, passes included."""
        self.trained += 1
        self._loss, self._steps, self._here, self._here_seconds = torch.zeros(()), 0, 0, 0.0
        bar = tqdm(
            total=images,
            desc=self._title(),
            unit="img",
            unit_scale=True,
            leave=False,
            mininterval=0.5,
            disable=None,  # where the output is no terminal
        )
        with bar as self._bar:
            yield
        self.images += self._here
        self.steps += self._steps
        self.seconds += self._here_seconds
        self.last = ExperienceEvent(
            experiences_trained=self.trained,
            images_trained=self.images,
            steps=self._steps,
            loss=float(self._loss) / max(self._steps, 1),
            seconds=round(self._here_seconds, 3),
            images_per_second=round(self._here / max(self._here_seconds, 1e-9), 1),
        )

    def _title(self) -> str:
        return f"experience {self.trained}/{self.experiences}"

    def before_training_exp(self, strategy: Any, **kwargs: Any) -> None:
        """Start the clock; after the data were made ready, before the first step."""
        self._since = time.perf_counter()

    def after_training_iteration(self, strategy: Any, **kwargs: Any) -> None:
        """Move the bar; the loss is read from the device only when the bar is drawn."""
        self._loss = self._loss + strategy.loss.detach().squeeze()
        self._steps += 1
        if self.example is None:
            self.example = strategy.mb_x[:2].clone()  # not a view, with which a checkpoint would keep the whole batch
        self._here += len(strategy.mb_x)
        if self._bar.update(len(strategy.mb_x)):
            self._bar.set_postfix(loss=f"{float(self._loss) / self._steps:.3f}")

    def after_training_epoch(self, strategy: Any, **kwargs: Any) -> None:
        """Stop the clock before anybody evaluates."""
        now = time.perf_counter()
        self._here_seconds += now - self._since
        self._since = now

    def after_training_exp(self, strategy: Any, **kwargs: Any) -> None:
        """Say that other plugins measure now, which takes seconds."""
        self._bar.set_description(f"{self._title()}, probing")
