"""When is a checkpoint written, and how does a run go on from one? `Checkpoints`, and how runs are interrupted."""

import hashlib
import json
import re
import signal
import time
import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from types import FrameType
from typing import Any, TypeVar

from avalanche_ssl import checkpoint
from avalanche_ssl.data.loader import RawLoader
from avalanche_ssl.errors import UsageError
from avalanche_ssl.logging.jsonl import JsonLog
from avalanche_ssl.plain import Stream
from avalanche_ssl.recipes.settings import plain
from avalanche_ssl.state import capture, check_plugins, restore

Experience = TypeVar("Experience")

SECONDS = {"s": 1.0, "min": 60.0, "h": 3600.0}

SHARE = 0.05
"""Of the time at most, checkpoints inside an experience are written."""


class StoppedError(Exception):
    """A signal came, the step was finished and a checkpoint written; `signal` is its number."""

    def __init__(self, number: int) -> None:
        super().__init__(f"stopped by {signal.Signals(number).name}")
        self.signal = number


@dataclass(frozen=True)
class Interval:
    """How often: every so many iterations or seconds, whichever is given."""

    iterations: float = float("inf")
    seconds: float = float("inf")

    @classmethod
    def parse(cls, text: str) -> "Interval":
        """Read "500it", "30s", "10min", "2h" or "never".

        Raises:
            UsageError: it is none of these.
        """
        if text == "never":
            return cls()
        match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(it|s|min|h)", text)
        if not match or not float(match[1]):
            raise UsageError(f"'{text}' is no interval: give e.g. 500it, 30s, 10min, 2h, or never")
        number = float(match[1])
        return cls(iterations=number) if match[2] == "it" else cls(seconds=number * SECONDS[match[2]])


class Checkpoints:
    """Keeps the whole state of a run in one file, so that a run that was stopped goes on as if it had not been.

    Written at every boundary of `stream`, and inside an experience after every `every`, but so that it takes no
    more than a twentieth of the time. For a script::

        checkpoints = Checkpoints("run/checkpoint", strategy, benchmark.train_stream)
        checkpoints.resume()
        for experience in checkpoints.stream(benchmark.train_stream):
            strategy.train(experience, eval_streams=[])

    Args:
        path: the file; the one before it is kept beside it.
        strategy: a `SelfSupervised`.
        train_stream: all experiences, which replay memories hold images of.
        every: as `Interval.parse` reads it: iterations, time, or "never" for boundaries only.
        config: settings that a resumed run must share; the strategy's own are added.
        log: rewound on resume to where the checkpoint left it.
        share: of the time that writing may take inside an experience.

    Raises:
        UsageError: a plugin cannot be saved; see `avalanche_ssl.state`.
    """

    def __init__(
        self,
        path: str | Path,
        strategy: Any,
        train_stream: Iterable[Any],
        *,
        every: str = "10min",
        config: Mapping[str, Any] | None = None,
        log: JsonLog | None = None,
        share: float = SHARE,
    ) -> None:
        check_plugins(strategy)
        self.path, self.strategy, self.log, self.share = Path(path), strategy, log, share
        self.every = Interval.parse(every)
        datasets = [e.dataset for e in train_stream]
        self.images = Stream(datasets)
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
        state = checkpoint.latest(self.path)
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

    def _take(self, state: checkpoint.State) -> None:
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

    def _enter(self, state: checkpoint.State) -> None:
        """Stand in the midst of the interrupted epoch: hooks that ran since have changed the state again."""
        restore(self.strategy, state["strategy"], self.images)
        self.strategy.dataloader.start_at(state["loader"])

    def stream(self, experiences: Iterable[Experience]) -> Iterator[Experience]:
        """The experiences that are not complete yet; a checkpoint before the first and after each.

        Raises:
            StoppedError: a signal asked for it, see `signals`.
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
        self.strategy.watch.check(self.strategy)
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
        checkpoint.write(self.path, state)
        self.saved_at = self.strategy.clock.train_iterations
        self._last = time.monotonic()
        self._cost = self._last - start
        self.writing += self._cost

    @contextmanager
    def signals(self) -> Iterator[None]:
        """SIGINT and SIGTERM let the present step end, and a checkpoint be written; a second SIGINT does not.

        Inside the block, `StoppedError` is raised when that is done. Only in the main thread.
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
        if not isinstance(self.strategy.dataloader, RawLoader):  # a plugin's own, which cannot say where it stands
            return
        if self.received or self._is_due():
            self.save(inside=True)
        self._stop_if_asked()

    def _stop_if_asked(self) -> None:
        if self.received:
            raise StoppedError(self.received)

    def _is_due(self) -> bool:
        past = time.monotonic() - self._last
        iterations = self.strategy.clock.train_iterations - (self.saved_at or 0)
        wanted = past >= self.every.seconds or iterations >= self.every.iterations
        return wanted and past >= self._cost * (1 / self.share - 1)


def check_same(saved: Mapping[str, Any], given: Mapping[str, Any]) -> None:
    """Refuse settings that are not those of the checkpoint.

    Raises:
        UsageError: the settings that differ, with both values.
    """
    old, new = _flat(saved), _flat(given)
    differing = [
        f"{name} was {old.get(name, 'absent')}, is {new.get(name, 'absent')}"
        for name in sorted(old.keys() | new.keys())
        if old.get(name) != new.get(name)
    ]
    if differing:
        raise UsageError(
            f"the run was started with other settings: {'; '.join(differing)}. Give the same, or a new --out"
        )


def _own(strategy: Any, sizes: list[int]) -> dict[str, Any]:
    """What decides how a strategy learns, as far as it can be read off it."""
    return {
        "method": type(strategy.model).__name__,
        "optimizer": type(strategy.optimizer).__name__,
        "batch size": strategy.train_mb_size,
        "epochs": strategy.train_epochs,
        "schedule": plain(strategy.schedule),
        "clip": strategy.clip,
        "precision": strategy.precision,
        "compiled": strategy.compiled,
        "transforms": strategy.transforms,
        "on_nan": strategy.watch.on_nan,
        "images": sizes,
    }


def _flat(settings: Mapping[str, Any], name: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in settings.items():
        flat |= _flat(value, f"{name}{key}.") if isinstance(value, Mapping) else {f"{name}{key}": value}
    return flat


def _hash(config: Any) -> str:
    return hashlib.sha256(json.dumps(config, sort_keys=True).encode()).hexdigest()


def _versions() -> dict[str, str]:
    return {name: version(name) for name in ("torch", "avalanche-lib", "numpy")}


def _warn_of_versions(saved: Mapping[str, str]) -> None:
    other = [f"{name} {old}, now {new}" for name, new in _versions().items() if (old := saved.get(name)) != new]
    if other:
        warnings.warn(f"the run was started with {'; '.join(other)}: results may differ in the last bits", stacklevel=4)
