"""Progress of training: a bar, the time that is left, and the fields of the `experience` event."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import accumulate
from typing import Any

import torch
from avalanche.core import SupervisedPlugin
from tqdm import tqdm

from avalanche_ssl import distributed
from avalanche_ssl.evaluation import ProbeSchedule
from avalanche_ssl.logging import ExperienceEvent


class Progress(SupervisedPlugin):  # type: ignore[misc]
    """A progress bar while an experience is trained on, and the `experience` event after it.

    Comes first among the plugins of a strategy, so that the bar says what the others do, and their seconds are known.
    What is left of the stream is estimated from the seconds per image and per probe so far; a resumed run starts from
    those before the interruption.

    Args:
        planned: images of each experience, passes included, without replayed ones.
        probes: how often each experience is probed, see `planned_probes`.
    """

    KEPT = (
        *("trained", "images", "steps", "seconds", "example", "probe_seconds", "probed"),
        *("_loss", "_steps", "_here", "_new", "_here_seconds"),
    )
    _bar: Any = None

    def __init__(self, planned: Sequence[int], probes: Sequence[int]) -> None:
        super().__init__()
        self.planned, self.probes = planned, probes
        self.trained = self.images = self.steps = 0
        self.seconds = 0.0
        self.probe_seconds, self.probed = 0.0, 0
        """Seconds of probing and of what else plugins do between steps, and how many probes that was for."""
        self.example: torch.Tensor | None = None
        """Two raw images of the stream."""
        self.last: ExperienceEvent | None = None
        """Of the latest experience that is complete."""
        self._begin()
        self._since = 0.0
        self._training = False

    def _begin(self) -> None:
        """Count from zero for an experience: its loss, steps, images, new ones among them, and seconds."""
        self._loss, self._steps, self._here, self._new, self._here_seconds = torch.zeros(()), 0, 0, 0, 0.0

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
            self._bar.update(self._new - self._bar.n)

    @property
    def rate(self) -> float:
        """Images per second of training, evaluation excluded."""
        return self.images / max(self.seconds, 1e-9)

    @property
    def experiences(self) -> int:
        """How many there are to train on."""
        return len(self.planned)

    @property
    def seconds_left(self) -> float | None:
        """Estimate for the rest of the stream, probing included; None before the first step."""
        complete = self.trained - (self._bar is not None)
        done = sum(self.planned[:complete]) + self._new * (self._bar is not None)
        if not done:
            return None
        spent = self.seconds + (self._here_seconds if self._bar is not None else 0.0)
        spent += time.perf_counter() - self._since if self._training else 0.0
        probe = self.probe_seconds / self.probed if self.probed else 0.0
        return spent / done * max(sum(self.planned) - done, 0) + probe * sum(self.probes[complete:])

    @property
    def time_left(self) -> str:
        """The estimate in words, e.g. "12 min"; empty if there is none."""
        return "" if self.seconds_left is None else duration(self.seconds_left)

    @contextmanager
    def watch(self, complete: int) -> Iterator[None]:
        """Show the progress over the experience that comes after so many complete ones."""
        self.trained = complete + 1
        self._begin()
        bar = tqdm(
            total=self.planned[complete],
            desc=self._title(),
            unit="img",
            unit_scale=True,
            leave=False,
            mininterval=0.5,
            disable=None if distributed.is_main() else True,  # None: where the output is no terminal
        )
        try:
            with bar as self._bar:
                yield
        finally:
            self._bar = None
        self._stop_probing()
        self.probed += self.probes[complete]
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
        self._stop_probing()
        self._training, self._since = True, time.perf_counter()

    def after_training_iteration(self, strategy: Any, **kwargs: Any) -> None:
        """Move the bar; the loss is read from the device only when the bar is drawn."""
        self._loss = self._loss + strategy.loss.detach().squeeze()
        self._steps += 1
        if self.example is None:
            images = strategy.whole(strategy.mb_x)[:2]
            self.example = images.clone()  # not a view, with which a checkpoint would keep the whole batch
        n = strategy.n_images
        new = min(n, getattr(strategy.dataloader, "batch_sizes", [n])[0])  # replayed ones come after them
        self._here += n
        self._new += new
        if self._bar.update(new):
            self._bar.set_description(self._title(), refresh=False)
            self._bar.set_postfix(loss=f"{float(self._loss) / self._steps:.3f}", left=self.time_left)

    def after_training_epoch(self, strategy: Any, **kwargs: Any) -> None:
        """Stop the clock before anybody evaluates."""
        now = time.perf_counter()
        self._here_seconds += now - self._since
        self._since = now

    def after_training_exp(self, strategy: Any, **kwargs: Any) -> None:
        """Say that other plugins measure now, which takes seconds; mini-batches before the last one pass unsaid."""
        self._training = False
        last = self._new + strategy.train_mb_size > self._bar.total
        self._bar.set_description(f"{self._title()}, probing", refresh=last)

    def _stop_probing(self) -> None:
        """Add what passed since the last step, unless no step came before."""
        if not self._training and self._steps:
            self.probe_seconds += time.perf_counter() - self._since


def planned_probes(images: Sequence[int], every_experiences: int, schedule: ProbeSchedule | None) -> list[int]:
    """How often each experience of a stream is probed.

    Args:
        images: of each experience, each counted once.
        every_experiences, schedule: as of `ProbePlugin`.
    """
    ends = list(accumulate(images))
    counts = []
    for t, (size, end) in enumerate(zip(images, ends, strict=True), 1):
        boundary = t % every_experiences == 0 or t == len(images)
        counts.append(boundary + (schedule.count(end - size, end - boundary) if schedule else 0))
    return counts


def duration(seconds: float) -> str:
    """A time in words, as exact as an estimate is."""
    if seconds < 99.5:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 99.5 * 60 else f"{seconds / 3600:.1f} h"
