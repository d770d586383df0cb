"""Work-arounds for avalanche-lib 0.6."""

import warnings
from pathlib import Path

import pytest
import torch
from avalanche.checkpointing import maybe_load_checkpoint, save_checkpoint
from avalanche.training import plugins as av
from avalanche.training.storage_policy import ReservoirSamplingBuffer
from crashes.comparison import compare
from crashes.small_run import few_digits
from helpers.strategies import small

from avalanche_ssl.training import AvalancheReplay, allow_save_checkpoint


def test_avalanches_own_checkpoints_work_on_request(tmp_path: Path) -> None:
    benchmark = few_digits()
    allow_save_checkpoint()
    first, second = small(), small()
    first.train(benchmark.train_stream[0], eval_streams=[])
    save_checkpoint(first, tmp_path / "theirs")
    second, start = maybe_load_checkpoint(second, tmp_path / "theirs")
    assert start == 1
    for strategy in (first, second):
        strategy.train(benchmark.train_stream[1], eval_streams=[])
    assert not compare(first.model.state_dict(), second.model.state_dict(), "")


@pytest.mark.filterwarnings("ignore:__array_wrap__")
def test_synaptic_intelligence_remembers_weights_of_its_own() -> None:
    plugin = av.SynapticIntelligencePlugin(si_lambda=1.0)
    strategy = small(plugins=[plugin])
    moved = []

    def look() -> None:
        old = plugin.syn_data["old_theta"]["encoder.stages.0.0.weight"].data
        moved.append(not torch.equal(old, strategy.model.encoder.stages[0][0].weight.detach().flatten()))

    strategy.after_step = look
    strategy.train(few_digits().train_stream[0], eval_streams=[])
    assert all(moved) and moved


def test_replay_warns_of_nothing_and_draws_from_each_experience() -> None:
    replay = AvalancheReplay(mem_size=20, storage_policy=ReservoirSamplingBuffer(20))
    strategy = small(plugins=[replay])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for experience in few_digits().train_stream:
            strategy.train(experience, eval_streams=[])
    assert len(replay.storage_policy.buffer) == 20
