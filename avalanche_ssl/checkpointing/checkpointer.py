"""`Checkpointer`: writes the checkpoints of a run, and resumes a run from one."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeVar

import torch

from avalanche_ssl import distributed
from avalanche_ssl.checkpointing import file_format
from avalanche_ssl.checkpointing.data_fingerprint import check_same_stream, stream_fingerprint
from avalanche_ssl.checkpointing.fingerprint import (
    OWN,
    check_own_version,
    check_same,
    package_versions,
    settings_hash,
    strategy_settings,
    warn_of_last_bits,
)
from avalanche_ssl.checkpointing.interval import MAX_SHARE, SaveInterval, SaveTimer
from avalanche_ssl.checkpointing.processes import check_processes_agree
from avalanche_ssl.checkpointing.serialization import StreamIndex
from avalanche_ssl.checkpointing.signals import RunInterruptedError, StopSignals
from avalanche_ssl.checkpointing.strategy_state import capture_strategy, check_savable, restore_strategy
from avalanche_ssl.data import RawDataLoader
from avalanche_ssl.errors import UsageError
from avalanche_ssl.logging import Rewindable

Experience = TypeVar("Experience")


class Checkpointer:
    """Keeps the whole state of a run in one file, so that an interrupted run continues bit for bit.

    A checkpoint is written at every boundary of `stream`, and inside an experience after every `every`, but within
    `share` of the time. For a script::

        checkpointer = Checkpointer("run/checkpoint", strategy, benchmark.train_stream)
        checkpointer.resume()
        for experience in checkpointer.stream(benchmark.train_stream):
            strategy.train(experience, eval_streams=[])

    Args:
        path: the file; the one before it is kept next to it.
        strategy: a `SelfSupervised`.
        train_stream: all experiences, from which replay memories draw their images. A resumed run must have the same
            images and labels, wherever they lie: a sample is compared.
        test_stream: test experiences that a resumed run must share, too.
        class_names: names of the classes that it must share.
        every: as `SaveInterval.parse` reads it: iterations, time, or "never" for boundaries only.
        config: settings that a resumed run must share; those of the strategy are added.
        config_of_today: makes the `config` of a checkpoint, which may be of a former version, comparable with it.
        log: rewound on resume to where the checkpoint left it.
        share: largest share of the time that writing may take inside an experience.

    Raises:
        UsageError: a plugin cannot be saved; see `avalanche_ssl.checkpointing.strategy_state`.
    """

    def __init__(
        self,
        path: str | Path,
        strategy: Any,
        train_stream: Iterable[Any],
        *,
        test_stream: Iterable[Any] = (),
        class_names: Sequence[str] | None = None,
        every: str = "10min",
        config: Mapping[str, Any] | None = None,
        config_of_today: Callable[[Mapping[str, Any]], Mapping[str, Any]] = dict,
        log: Rewindable | None = None,
        share: float = MAX_SHARE,
    ) -> None:
        check_savable(strategy)
        self.path, self.strategy, self.log = Path(path), strategy, log
        self.timer = SaveTimer(SaveInterval.parse(every), share)
        experiences = list(train_stream)
        datasets = [e.dataset for e in experiences]
        self.images = StreamIndex(datasets)
        self.fingerprint = stream_fingerprint(experiences, test_stream, class_names)
        own = strategy_settings(strategy, [len(d) for d in datasets])
        self._config_of_today = config_of_today
        self.config = dict(config or {}) | {"strategy_settings": own}
        self.done = 0
        """Experiences of `stream` that are complete."""
        self.saved_at: int | None = None
        """Iterations trained when the last checkpoint was written or read."""
        self._signals = StopSignals()
        self._stop = 0  # the signal that all processes have agreed to stop at
        self._start = time.monotonic()
        self._elapsed = 0.0
        strategy.after_step = self._after_step
        strategy.after_data_error = self._after_data_error

    @property
    def stream_hash(self) -> str:
        """A short hash of the fingerprint of the stream; equal for equal streams, wherever their images lie."""
        return settings_hash(self.fingerprint)[:16]

    @property
    def seconds(self) -> float:
        """How long the run has taken, without the time between its interruptions and resumes."""
        return self._elapsed + time.monotonic() - self._start

    @property
    def writing(self) -> float:
        """Seconds that went into writing checkpoints, before interruptions too."""
        return self.timer.total

    def resume(self) -> bool:
        """Restore the newest intact checkpoint; False if there is none.

        Raises:
            UsageError: it was written by another version, with other settings or another stream (which are named), or
                cannot be used.
        """
        state = distributed.on_main(lambda: file_format.latest(self.path))
        if state is None:
            return False
        try:
            self._restore(state)
        except UsageError:
            raise
        except (KeyError, TypeError, ValueError, AttributeError, IndexError, RuntimeError) as error:
            reason = f"{type(error).__name__}: {' '.join(str(error).split())}"
            raise UsageError(f"the checkpoint {self.path} does not fit this run ({reason})") from error
        return True

    def _restore(self, state: file_format.State) -> None:
        if state["hash"] != settings_hash(state["config"]):
            raise UsageError(
                f"the checkpoint {self.path} contradicts itself: its settings are not those it was made of"
            )
        check_own_version(state["versions"])
        check_same(self._config_of_today(state["config"]), self.config)
        check_same_stream(state["stream"], self.fingerprint)
        warn_of_last_bits(state["versions"], state["threads"])
        restore_strategy(self.strategy, state["strategy"], self.images)
        self.done, self._elapsed, self.timer.total = state["done"], state["seconds"], state["writing"]
        self._start = time.monotonic()
        self.timer.restart()
        if self.log:
            self.log.rewind(state["log"])
        self.saved_at = self.strategy.clock.train_iterations
        inside = state["loader"] is not None and int(state["loader"]["taken"]) >= 0
        self.strategy.enter_with((lambda: self._enter(state)) if inside else None)

    def _enter(self, state: file_format.State) -> None:
        """Enter the interrupted epoch. The state is restored again, since hooks have changed it in between."""
        restore_strategy(self.strategy, state["strategy"], self.images)
        self.strategy.dataloader.start_at(state["loader"])

    def stream(self, experiences: Iterable[Experience]) -> Iterator[Experience]:
        """The experiences that are not complete yet; a checkpoint is written before the first and after each.

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
            self._agree_to_stop()
            self._stop_if_agreed()

    def save(self, inside: bool = False) -> None:
        """Write a checkpoint now.

        Args:
            inside: between two steps of an epoch, not between two experiences.

        Raises:
            UsageError: the disk is full, the state is not finite, or it holds something that cannot be saved.
        """
        start = time.monotonic()
        self.strategy.nonfinite_guard.check(self.strategy)
        check_processes_agree(self.strategy, self.images)
        state = {
            "strategy": capture_strategy(self.strategy, self.images),
            "loader": self.strategy.dataloader.position() if inside else None,
            "done": self.done,
            "seconds": self.seconds,
            "writing": self.writing,
            "log": self.log.position() if self.log else None,
            "config": self.config,
            "hash": settings_hash(self.config),
            "stream": self.fingerprint,
            "versions": package_versions() | {OWN: version(OWN)},
            "threads": torch.get_num_threads(),
        }
        distributed.on_main(lambda: file_format.write(self.path, state))
        self.saved_at = self.strategy.clock.train_iterations
        self.timer.written(start)

    def signals(self) -> StopSignals:
        """A block in which SIGINT and SIGTERM end the run after the present step, with a checkpoint.

        `RunInterruptedError` is raised then. A second SIGINT stops at once. For the main thread only.
        """
        return self._signals

    def _after_data_error(self) -> None:
        """Save; loader processes may have died of the signal that came to the whole process group.

        One of several processes cannot save: the others have read their images.
        """
        if distributed.size() == 1:
            self.save(inside=True)
            self._signals.raise_if_received()

    def _after_step(self) -> None:
        if not isinstance(self.strategy.dataloader, RawDataLoader):  # set by a plugin; it does not know its position
            return
        since = self.strategy.clock.train_iterations - (self.saved_at or 0)
        if self._agree_to_stop(self.timer.is_due(since)):
            self.save(inside=True)
        self._stop_if_agreed()

    def _agree_to_stop(self, due: bool = False) -> bool:
        """Let a signal to one of several processes stop all of them.

        A signal that comes meanwhile is for the next time: the others do not know of it yet.

        Args:
            due: whether a checkpoint is, of which process 0 decides.

        Returns:
            Whether to write one.
        """
        due = due and distributed.is_main()
        agreed = distributed.agreed(2 * self._signals.received + due)
        self._stop = agreed // 2
        return agreed > 0

    def _stop_if_agreed(self) -> None:
        if self._stop:
            raise RunInterruptedError(self._stop)
