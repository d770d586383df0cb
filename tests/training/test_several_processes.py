"""What cannot learn in several processes is refused before it trains, in one line."""

import pytest
from avalanche.training.plugins import AGEMPlugin
from helpers.several import stream
from helpers.strategies import Spy, make, moco
from torch.utils.data import DataLoader

from avalanche_ssl.distributed.processes import _Group
from avalanche_ssl.errors import UsageError


@pytest.fixture
def four_processes(monkeypatch):
    """As if this were the first of four processes."""
    monkeypatch.setattr(_Group, "size", 4)


@pytest.mark.parametrize(
    ("settings", "found"),
    [
        ({"train_mb_size": 3}, r"batches of 3 images are too few for 4 processes, .*: give batch_size 4 or more"),
        ({"compile": True}, r"compiled encoders do not work in 4 processes: leave --compile out"),
        ({"use_dataset_transforms": True}, r"use_dataset_transforms=True draws the same transforms in each of 4"),
        ({"plugins": [AGEMPlugin(8, 8)]}, r"AGEMPlugin loads its memory .*: train in one process, or use Replay"),
    ],
)
def test_settings_are_refused_when_the_strategy_is_made(four_processes, settings, found):
    with pytest.raises(UsageError, match=found):
        make(**settings)


def test_activation_checkpointing_is_refused(four_processes):
    model = moco()
    model.encoder.grad_checkpointing = True  # as timm's networks have it
    with pytest.raises(UsageError, match=r"activation checkpointing .* leave grad_checkpointing out"):
        make(model)


def test_a_loader_that_knows_no_shares_is_refused(four_processes):
    def replace(strategy):
        strategy.dataloader = DataLoader(strategy.adapted_dataset, batch_size=8)

    strategy = make(plugins=[Spy(before_training_exp=replace)], train_mb_size=8)
    with pytest.raises(UsageError, match="a plugin loads images with a DataLoader, which gives each process other"):
        strategy.train(stream().train_stream[0], eval_streams=[])


def test_processes_that_do_not_know_of_each_other_are_refused(monkeypatch):
    for name, value in (("RANK", "0"), ("WORLD_SIZE", "2"), ("MASTER_ADDR", "localhost"), ("MASTER_PORT", "29500")):
        monkeypatch.setenv(name, value)
    with pytest.raises(UsageError, match="2 processes were launched, and each would train for itself"):
        make()
