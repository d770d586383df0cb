"""Strategies that are killed at chosen steps, resumed, and compared with uninterrupted ones."""

from typing import Any

import torch
from crashes import comparison
from torch.optim import SGD

from avalanche_ssl import ProbePlugin, SelfSupervised
from avalanche_ssl.checkpointing import Checkpointer
from avalanche_ssl.checkpointing.strategy_state import capture_strategy
from avalanche_ssl.methods import MoCo
from avalanche_ssl.plugins import RepresentationMonitor
from avalanche_ssl.rng import seed_all
from avalanche_ssl.streams import online_stream
from helpers.encoders import tiny


class Killed(BaseException):
    """Stands for SIGKILL: what it is raised in goes no further."""


def moco() -> MoCo:
    torch.manual_seed(0)
    return MoCo(tiny, output_dim=8, queue_size=40)


def make(benchmark: Any, plugins: Any = (), model: Any = None, evaluator: Any = None, **settings: Any) -> Any:
    model = model or moco()
    seed_all(0)
    probe = ProbePlugin(benchmark)
    optimizer = SGD(model.parameters(), lr=0.05, momentum=0.9)
    given = {
        "train_mb_size": 16,
        "train_epochs": 2,
        "plugins": [probe, RepresentationMonitor(benchmark), *plugins],
    } | settings
    return SelfSupervised(model=model, optimizer=optimizer, evaluator=evaluator, **given)


def train(
    checkpointer: Checkpointer, benchmark: Any, kill_at: int = -1, online_batch_size: int = 0, **settings: Any
) -> Any:
    """Train on the stream, or die in the given step, after it and all its plugins."""
    strategy, save = checkpointer.strategy, checkpointer.strategy.after_step

    def after_step() -> None:
        save()
        if strategy.clock.train_iterations == kill_at:
            raise Killed

    strategy.after_step = after_step
    for experience in checkpointer.stream(benchmark.train_stream):
        parts = online_stream(experience, online_batch_size, seed=0) if online_batch_size else experience
        strategy.train(parts, eval_streams=[], **settings)
        if strategy.evaluator.metrics:
            strategy.eval(benchmark.test_stream)
    return strategy


def state(checkpointer: Checkpointer) -> Any:
    return capture_strategy(checkpointer.strategy, checkpointer.images)


def assert_survives(build: Any, benchmark: Any, kills: Any = (5, 12), every: str = "3it", **settings: Any) -> Any:
    """Kill, resume and compare with the run that was not killed; the strategy that survived."""
    uninterrupted = Checkpointer("uninterrupted", build(), benchmark.train_stream, every="never")
    train(uninterrupted, benchmark, **settings)
    for kill_at in (*kills, -1):
        killed = Checkpointer("killed", build(), benchmark.train_stream, every=every)
        seed_all(0 if kill_at == kills[0] else 99)  # another process has other random states
        assert killed.resume() == (kill_at != kills[0])
        try:
            train(killed, benchmark, kill_at=kill_at, **settings)
            assert kill_at == -1
        except Killed:
            pass
    found = comparison.compare(state(uninterrupted), state(killed), "")
    assert not found, found
    return killed.strategy


CONFIG = {"lr": 1, "deep": {"a": 1}}


def save(benchmark: Any, **settings: Any) -> None:
    """Leave a checkpoint of an untrained strategy in the present folder."""
    checkpointer(make(benchmark, **settings), benchmark).save()


def checkpointer(strategy: Any, benchmark: Any, config: Any = CONFIG) -> Checkpointer:
    return Checkpointer("checkpoint", strategy, benchmark.train_stream, config=config)
