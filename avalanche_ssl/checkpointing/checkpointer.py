"""When is a checkpoint written, and how does a run go on from one? `Checkpointer`, and how runs are interrupted."""

import signal
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any, TypeVar

from avalanche_ssl.checkpointing.file_format import State, latest, write
from avalanche_ssl.checkpointing.fingerprint import _hash, _own, _versions, _warn_of_versions, check_same
from avalanche_ssl.checkpointing.interval import SaveInterval
from avalanche_ssl.checkpointing.serialization import StreamIndex
from avalanche_ssl.checkpointing.signals import RunInterruptedError
from avalanche_ssl.checkpointing.strategy_state import capture, check_plugins, restore
from avalanche_ssl.data.loader import RawDataLoader
from avalanche_ssl.errors import UsageError
from avalanche_ssl.logging.jsonl import JSONLinesLogger

Experience = TypeVar("Experience")

SHARE = 0.05
"""Of the time at most, checkpoints inside an experience are written."""


class Checkpointer:
    """Keeps the whole state of a run in one file, so that a run that was stopped goes on as if it had not been.

    Written at every boundary of `stream`, and inside an experience after every `every`, but so that it takes no
    more than a twentieth of the time. For a script::

        checkpoints = Checkpointer("run/checkpoint", strategy, benchmark.train_stream)
        checkpoints.resume()
        for experience in checkpoints.stream(benchmark.train_stream):
            strategy.train(experience, eval_streams=[])

    Args:
        path: the file; the one before it is kept beside it.
        strategy: a `SelfSupervised`.
        train_stream: all experiences, which replay memories hold images of.
        every: as `SaveInterval.parse` reads it: iterations, time, or "never" for boundaries only.
        config: settings that a resumed run must share; the strategy's own are added.
        log: rewound on resume to where the checkpoint left it.
        share: of the time that writing may take inside an experience.

    Raises:
        UsageError: a plugin cannot be saved; see `avalanche_ssl.checkpointing.strategy_state`.
    """

    def __init__(
        self,
        path: str | Path,
        strategy: Any,
        train_stream: Iterable[Any],
        *,
        every: str = "10min",
        config: Mapping[str, Any] | None = None,
        log: JSONLinesLogger | None = None,
        share: float = SHARE,
    ) -> None:
        check_plugins(strategy)
        self.path, self.strategy, self.log, self.share = Path(path), strategy, log, share
        self.every = SaveInterval.parse(every)
        datasets = [e.dataset for e in train_stream]
        self.images = StreamIndex(datasets)
        self.config = dict(config or {}) | {"strategy's own": _own(strategy, [len(d) for d in datasets])}
        self.done = 0
        """Experiences of `stream` that are complete."""
        self.received = 0
        """The signal that asks to stop after the present step, see `signals`."""
        self.saved_at: int | None = None
        """Iterations learnt when the last checkpoint was written or read."""
        self.writing = 0.0
        """Seconds that went into writing checkpoints, before the interruptions too."""
        self._start = time.monotonic()
        self._elapsed = 0.0
        self._last, self._cost = time.monotonic(), 0.0
        strategy.after_step = self._after_step
        strategy.after_data_error = lambda: self.save(inside=True)

    @property
    def seconds(self) -> float:
        """How long the run has taken, without the time between its interruptions and resumes."""
        return self._elapsed + time.monotonic() - self._start

    def resume(self) -> bool:
        """Take over the newest whole checkpoint; False if there is none.

        Raises:
            UsageError: it was written with other settings (which are named), or cannot be used.
        """
        state = latest(self.path)
        if state is None:
            return False
        try:
            self._take(state)
        except UsageError:
            raise
        except (KeyError, TypeError, ValueError, AttributeError, IndexError, RuntimeError) as error:
            reason = f"{type(error).__name__}: {' '.join(str(error).split())}"
            raise UsageError(f"the checkpoint {self.path} does not fit this run ({reason})") from error
        return True

    def _take(self, state: State) -> None:
        if state["hash"] != _hash(state["config"]):
            raise UsageError(
                f"the checkpoint {self.path} contradicts itself: its settings are not those it was made of"
            )
        check_same(state["config"], self.config)
        _warn_of_versions(state["versions"])
        restore(self.strategy, state["strategy"], self.images)
        self.done, self._elapsed, self.writing = state["done"], state["seconds"], state["writing"]
        self._start = self._last = time.monotonic()
        if self.log:
            self.log.rewind(state["log"])
        self.saved_at = self.strategy.clock.train_iterations
        inside = state["loader"] is not None and int(state["loader"]["taken"]) >= 0
        self.strategy.enter_with((lambda: self._enter(state)) if inside else None)

    def _enter(self, state: State) -> None:
        """Stand in the midst of the interrupted epoch: hooks that ran since have changed the state again."""
        restore(self.strategy, state["strategy"], self.images)
        self.strategy.dataloader.start_at(state["loader"])

    def stream(self, experiences: Iterable[Experience]) -> Iterator[Experience]:
        """The experiences that are not complete yet; a checkpoint before the first and after each.

        Raises:
            RunInterruptedError: a signal asked for it, see `signals`.
        """
        if self.saved_at is None:
            self.save()
        for number, experience in enumerate(experiences):
            if number < self.done:
                continue
            yield experience
            self.done += 1
            self.save()
            self._stop_if_asked()

    def save(self, inside: bool = False) -> None:
        """Write a checkpoint now.

        Args:
            inside: between two steps of an epoch, not between two experiences.

        Raises:
            UsageError: the disk is full, the state is not finite, or it holds something that cannot be saved.
        """
        start = time.monotonic()
        self.strategy.nonfinite_guard.check(self.strategy)
        state = {
            "strategy": capture(self.strategy, self.images),
            "loader": self.strategy.dataloader.position() if inside else None,
            "done": self.done,
            "seconds": self.seconds,
            "writing": self.writing,
            "log": self.log.position() if self.log else None,
            "config": self.config,
            "hash": _hash(self.config),
            "versions": _versions(),
        }
        write(self.path, state)
        self.saved_at = self.strategy.clock.train_iterations
        self._last = time.monotonic()
        self._cost = self._last - start
        self.writing += self._cost

    @contextmanager
    def signals(self) -> Iterator[None]:
        """SIGINT and SIGTERM let the present step end, and a checkpoint be written; a second SIGINT does not.

        Inside the block, `RunInterruptedError` is raised when that is done. Only in the main thread.
        """

        def note(number: int, frame: FrameType | None) -> None:
            if number == signal.SIGINT and self.received:
                raise KeyboardInterrupt
            self.received = number

        before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _after_step(self) -> None:
        if not isinstance(self.strategy.dataloader, RawDataLoader):  # a plugin's own, which cannot say where it stands
            return
        if self.received or self._is_due():
            self.save(inside=True)
        self._stop_if_asked()

    def _stop_if_asked(self) -> None:
        if self.received:
            raise RunInterruptedError(self.received)

    def _is_due(self) -> bool:
        past = time.monotonic() - self._last
        iterations = self.strategy.clock.train_iterations - (self.saved_at or 0)
        wanted = past >= self.every.seconds or iterations >= self.every.iterations
        return wanted and past >= self._cost * (1 / self.share - 1)
