"""Short runs of a method with and without a continual plugin, and what they leave, for the checks of plugins."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from avalanche_ssl import rng
from avalanche_ssl.checkpointing import Checkpointer
from avalanche_ssl.checks.harness import SEED, full_state, isolated_randomness, textured, trial_optimizer
from avalanche_ssl.checks.plugin_watch import Step, Watch
from avalanche_ssl.checks.snapshot import Snapshot, attributes
from avalanche_ssl.data import ArrayDataset
from avalanche_ssl.methods import Method, channels_of
from avalanche_ssl.plugins import ContinualPlugin, Replay
from avalanche_ssl.streams import benchmark_from_parts
from avalanche_ssl.training import SelfSupervised

BATCH = 8
"""New images of a step."""
STEPS = 3
"""Steps of an experience."""
EXPERIENCES = 2
MEMORY = 32
"""Images in the memory of a `Replay` that is added."""


class _StopError(Exception):
    """Ends a run after a step, like a signal that nothing can follow."""


class Run:
    """A run over the whole stream.

    Args:
        strategy: a new one.
        plugin: that is checked, one of the strategy's; None: a run without it.
        steps: gets what is seen in each step.
    """

    def __init__(self, strategy: Any, plugin: ContinualPlugin | None, steps: list[Step]) -> None:
        self.strategy, self.plugin, self.steps = strategy, plugin, steps
        self.started = rng.capture()
        self.ends: list[Snapshot] = []
        """The method and all random states after each experience."""

    def end_experience(self) -> None:
        """Note the state."""
        order = {"order of the images": self.strategy.order_generator.get_state()}
        self.ends.append(full_state(self.strategy.model) | order)

    def state(self) -> Snapshot:
        """Everything that decides how the run goes on, but plain attributes of the plugin."""
        own = {} if self.plugin is None else flat_state(self.plugin)
        return self.ends[-1] | {f"plugin.{name}": value for name, value in own.items()}

    def plain_attributes(self) -> Snapshot:
        """Numbers, strings and tensors of the plugin that are neither parameter nor buffer."""
        return {} if self.plugin is None else attributes(self.plugin)


class PluginTrial:
    """A pair of a plugin and a method, both new, on two experiences of three mini-batches each.

    Runs are made when first read, on deep copies.

    Args:
        plugin: belongs to no strategy yet.
        method: in any state.
        before: plugins that join the strategy before it, and belong to none yet. A plugin that needs a `Replay` gets
            one if there is none.
    """

    def __init__(self, plugin: ContinualPlugin, method: Method, before: Sequence[ContinualPlugin] = ()) -> None:
        self.plugin, self.method = plugin, method
        replayed = any(other.fills_batches for other in before)
        needed = [Replay(size=MEMORY)] if plugin.needs_replay and not replayed else []
        self.before: tuple[ContinualPlugin, ...] = (*needed, *before)
        self.device = next(method.parameters()).device
        self._resumed: dict[int, Run] = {}

    @property
    def name(self) -> str:
        """The plugins and the method, for messages."""
        plugins = " + ".join(type(plugin).__name__ for plugin in (*self.before, self.plugin))
        return f"{plugins} with {type(self.method).__name__}"

    @property
    def has_term(self) -> bool:
        """Whether the plugin adds to the loss."""
        return type(self.plugin).term is not ContinualPlugin.term

    @property
    def replaces_something(self) -> bool:
        """Whether it changes more of a run than the loss that it adds to: the batch, the views or the method's loss."""
        changes = {"before_training_iteration", "after_views", "objective"}
        return self.plugin.fills_batches or any(
            getattr(type(self.plugin), name, None) is not getattr(ContinualPlugin, name, None) for name in changes
        )

    @cached_property
    def stream(self) -> Any:
        """Experiences of different textures, with labels that a method may read."""
        channels, side = channels_of(self.method) or 3, self.method.augment.size
        images = textured(EXPERIENCES * STEPS * BATCH, side, channels=channels).permute(0, 2, 3, 1).numpy()
        labels = np.arange(len(images)) % (self.method.num_classes_read or 4)
        parts = np.split(np.arange(len(images)), EXPERIENCES)
        return benchmark_from_parts(ArrayDataset(images, labels.tolist()), parts, None, [], None).train_stream

    @cached_property
    def plain(self) -> Run:
        """The run without the plugin."""
        return self._run(None)

    @cached_property
    def on(self) -> Run:
        """The run with the plugin."""
        return self._run(copy.deepcopy(self.plugin))

    @cached_property
    def off(self) -> Run:
        """The run with the plugin at weight 0."""
        plugin = copy.deepcopy(self.plugin)
        plugin.set_weight(0.0)
        return self._run(plugin)

    def resumed(self, stop: int) -> Run:
        """The run with the plugin, stopped after a step and continued by a new strategy from its checkpoint file."""
        if stop not in self._resumed:
            self._resumed[stop] = self._interrupt(stop)
        return self._resumed[stop]

    def _interrupt(self, stop: int) -> Run:
        with TemporaryDirectory() as folder, self._trial():
            path = Path(folder) / "checkpoint"
            first = self._start(copy.deepcopy(self.plugin))
            checkpointer = Checkpointer(path, first.strategy, self.stream, every="never")

            def stop_there() -> None:
                if first.strategy.clock.train_iterations == stop:
                    checkpointer.save(inside=True)
                    raise _StopError

            first.strategy.after_step = stop_there
            with suppress(_StopError):
                self._train(first, checkpointer)
            second = self._start(copy.deepcopy(self.plugin))
            rng.seed_all(SEED + 1, cuda=self.device.type == "cuda")  # another process has other random states
            checkpointer = Checkpointer(path, second.strategy, self.stream, every="never")
            checkpointer.resume()
            self._train(second, checkpointer)
        return second

    def join(self) -> None:
        """Make a strategy, which refuses what does not fit.

        Raises:
            UsageError: the plugin and the method, or the other plugins, do not fit.
        """
        with self._trial():
            self._start(copy.deepcopy(self.plugin))

    def _run(self, plugin: ContinualPlugin | None) -> Run:
        with self._trial():
            run = self._start(plugin)
            self._train(run)
        return run

    def _train(self, run: Run, checkpointer: Checkpointer | None = None) -> None:
        for experience in list(self.stream)[checkpointer.done if checkpointer else 0 :]:
            run.strategy.train(experience, eval_streams=[])
            if checkpointer:
                checkpointer.done += 1
            run.end_experience()

    def _start(self, plugin: ContinualPlugin | None) -> Run:
        """A new strategy; the same plugins have the same place in its list, which decides about their random start."""
        method = copy.deepcopy(self.method)
        watch = Watch(plugin)
        others = [copy.deepcopy(other) for other in self.before]
        strategy = SelfSupervised(
            model=method,
            optimizer=trial_optimizer(method),
            train_mb_size=BATCH,
            device=self.device,
            plugins=[*others, *([plugin] if plugin is not None else []), watch],
            evaluator=None,
            seed=SEED,
        )
        return Run(strategy, plugin, watch.steps)

    @contextmanager
    def _trial(self) -> Iterator[None]:
        """A block with the same random states at its start, which leaves none behind.

        Its images are few; warnings of that are about the trial.
        """
        with isolated_randomness(), warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            rng.seed_all(SEED, cuda=self.device.type == "cuda")
            yield


def flat_state(module: nn.Module) -> Snapshot:
    """Copies of what is in `state_dict`."""
    state = module.state_dict()
    return {name: value.detach().clone() if isinstance(value, Tensor) else value for name, value in state.items()}


def global_draws(run: Run) -> bool:
    """Whether a run has drawn from torch's global generator."""
    return not torch.equal(run.started["torch"], run.ends[-1]["torch's global generator"])
