"""Trial runs: what they share, what they leave, what they refuse."""

import random

import numpy as np
import pytest
import torch
from helpers.encoders import tiny
from helpers.plugins import Centered, Tether, memory
from helpers.strategies import simclr
from torch import nn

from avalanche_ssl.checks.harness import require_unchanged
from avalanche_ssl.checks.plugin_trial import PluginTrial, global_draws
from avalanche_ssl.checks.snapshot import changed
from avalanche_ssl.errors import UsageError
from avalanche_ssl.methods import SimCLR, Supervised
from avalanche_ssl.models import smallconv
from avalanche_ssl.plugins import ContinualPlugin
from avalanche_ssl.transforms import RandomView


def test_runs_are_repeated_exactly_and_made_once():
    first, second = PluginTrial(Tether(), simclr()), PluginTrial(Tether(), simclr())
    require_unchanged(first.on.state(), second.on.state(), "differs")
    assert first.on is first.on and first.resumed(2) is first.resumed(2)
    assert "plugin.teacher.taken" in first.on.state() and len(first.on.ends) == 2


def test_a_run_of_another_kind_ends_elsewhere():
    trial = PluginTrial(Centered(), simclr())
    assert changed(trial.plain.ends[-1], trial.on.ends[-1])
    assert [step.experience for step in trial.on.steps] == [0, 0, 0, 1, 1, 1]
    assert trial.plain.steps == []


def test_nothing_outside_changes():
    plugin, method = Tether(), simclr()
    state = {name: value.clone() for name, value in method.state_dict().items()}
    drawn = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].copy()
    trial = PluginTrial(plugin, method)
    assert trial.on.steps and trial.resumed(2).ends
    assert all(torch.equal(value, state[name]) for name, value in method.state_dict().items())
    assert torch.equal(torch.get_rng_state(), drawn[0]) and random.getstate() == drawn[1]
    assert np.array_equal(np.random.get_state()[1], drawn[2])
    assert not plugin._attached and "term" not in vars(plugin)


@pytest.mark.parametrize("channels, side", [(1, 32), (5, 32), (3, 24)])
def test_images_fit_the_method(channels, side):
    torch.manual_seed(0)
    encoder = lambda: smallconv(width=4, in_channels=channels)  # noqa: E731
    trial = PluginTrial(Tether(), SimCLR(encoder, output_dim=8, augment=RandomView(size=side)))
    assert trial.on.steps[0].images.shape == (8, channels, side, side)


def test_labels_are_those_that_a_method_reads():
    torch.manual_seed(0)
    trial = PluginTrial(memory(), Supervised(tiny, classes=3))
    labels = {int(y) for experience in trial.stream for y in experience.dataset.targets}
    assert labels == {0, 1, 2} and trial.on.ends


class NeedsReplay(Centered):
    needs_replay = True


def test_a_replay_is_added_where_it_is_needed():
    assert PluginTrial(NeedsReplay(), simclr()).name == "Replay + NeedsReplay with SimCLR"
    own = memory()
    assert PluginTrial(NeedsReplay(), simclr(), [own]).before == (own,)
    assert PluginTrial(Centered(), simclr()).before == ()
    trial = PluginTrial(NeedsReplay(), simclr(), [own])
    assert [step.n_new for step in trial.on.steps] == [8] * 6
    assert [len(step.images) for step in trial.on.steps] == [8, 8, 16, 16, 16, 16]


class Mixing(ContinualPlugin):
    def after_views(self, strategy, **kwargs):
        pass


def test_what_a_plugin_changes_is_read_from_its_class():
    assert PluginTrial(Centered(), simclr()).has_term and not PluginTrial(Centered(), simclr()).replaces_something
    assert not PluginTrial(memory(), simclr()).has_term and PluginTrial(memory(), simclr()).replaces_something
    assert PluginTrial(Mixing(), simclr()).replaces_something


def test_draws_of_a_method_are_seen():
    dropping = simclr()
    dropping.encoder.stages.append(nn.Dropout2d(0.1))
    assert global_draws(PluginTrial(Centered(), dropping).plain)
    assert not global_draws(PluginTrial(Centered(), simclr()).plain)


def test_what_does_not_fit_is_refused_before_a_run():
    torch.manual_seed(0)
    with pytest.raises(UsageError, match="declares no embeddings"):
        PluginTrial(Tether(), Supervised(tiny, classes=4)).join()
    used = Tether()
    used._attached = True
    with pytest.raises(UsageError, match="belongs to another strategy"):
        PluginTrial(used, simclr()).join()
