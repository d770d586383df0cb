"""The probe that is trained along with the encoder does what CaSSLe's does and leaves the encoder alone."""

import copy
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from avalanche.core import SupervisedPlugin
from helpers.encoders import tiny
from torch import nn

from avalanche_ssl import ProbePlugin, Recipe
from avalanche_ssl.data.datasets import ArrayDataset
from avalanche_ssl.errors import UsageError
from avalanche_ssl.methods import SimCLR
from avalanche_ssl.models.encoders import ENCODERS
from avalanche_ssl.probes.online import LeakyStatistics, OnlineProbe
from avalanche_ssl.probes.protocols import PROTOCOLS, get_protocol
from avalanche_ssl.streams.benchmark import benchmark_from_parts
from avalanche_ssl.transforms.augmentation import RandomView


@pytest.fixture(autouse=True)
def narrow(monkeypatch):
    monkeypatch.setitem(ENCODERS, "smallconv", tiny)


def strategy_with(*plugins, epochs=1):
    return Recipe(partial(SimCLR, output_dim=8), batch_size=64, epochs=epochs, lr=0.01).build(plugins=list(plugins))


def statistics(model):
    return {k: v.clone() for k, v in model.encoder.state_dict().items() if "running" in k}


@pytest.mark.slow
def test_the_leaky_statistics_are_those_of_labeled_batches_that_really_pass_and_the_models_own_stay(digits):
    """Against a run whose encoder does forward the same batches in training mode."""
    plugin = ProbePlugin(digits, probes=["cassle-online-leak"])
    leaky, batches = strategy_with(plugin), []
    extract_features = leaky.model.extract_features

    def spy(x):
        batches.extend([x] if x.is_floating_point() else [])  # views, not the raw images of a measurement
        return extract_features(x)

    leaky.model.extract_features = spy

    class Passes(SupervisedPlugin):
        def after_backward(self, strategy, **kwargs):
            with torch.no_grad():
                strategy.model.extract_features(batches[strategy.clock.train_iterations])

    class Nothing(SupervisedPlugin):
        pass

    polluted, clean = strategy_with(Passes()), strategy_with(Nothing())
    for experience in list(digits.train_stream)[:2]:
        for strategy in (leaky, polluted, clean):
            strategy.train(experience, eval_streams=[])
    assert len(batches) > 10
    own, expected = statistics(clean.model), statistics(polluted.model)
    assert own and all(torch.equal(v, own[k]) for k, v in statistics(leaky.model).items())
    with plugin.online["cassle-online-leak"].test_mode(leaky.model):
        inside = statistics(leaky.model)
    torch.testing.assert_close(inside, expected, rtol=1e-4, atol=1e-5)
    assert any(not torch.allclose(own[k], expected[k], rtol=1e-2) for k in own), "the leak is no rounding error"
    assert all(torch.equal(v, own[k]) for k, v in statistics(leaky.model).items())


class Colors(nn.Module):
    """Mean colors behind batch norm, from images as they are."""

    def __init__(self):
        super().__init__()
        self.augment = RandomView(scale=(1.0, 1.0), jitter_prob=0.0, gray_prob=0.0)
        self.norm = nn.BatchNorm1d(3)

    def extract_features(self, x):
        return self.norm((x if x.is_floating_point() else x / 255).mean((2, 3)))


@pytest.mark.parametrize("leak", [False, True])
def test_it_learns_all_classes_whatever_the_encoder_is_trained_on(leak):
    shades, labels = np.eye(3, dtype=np.uint8)[np.arange(90) % 3] * 200, np.arange(90) % 3
    data = ArrayDataset(np.tile(shades[:, None, None], (1, 8, 8, 1)), labels)
    stream = benchmark_from_parts(data, [np.arange(90)], data, [np.arange(90)], list("rgb")).train_stream
    model = Colors()
    probe = OnlineProbe([stream[0].dataset], [torch.as_tensor(labels)], 3, leak)
    optimizer = torch.optim.SGD(model.parameters(), lr=7.0)  # only its schedule counts
    strategy = SimpleNamespace(model=model, mb_x=torch.zeros(90), device=torch.device("cpu"), optimizer=optimizer)
    for _ in range(150):  # of all images each
        probe.step(strategy, model, use_dataset_transforms=False)
    with probe.test_mode(model) as differs:
        test = model.extract_features(torch.from_numpy(data.data).permute(0, 3, 1, 2)), torch.as_tensor(labels)
    assert differs == leak and probe.accuracies([test]).tolist() == [1.0]
    assert model.training and (model.norm.running_mean == 0).all() and model.norm.num_batches_tracked == 0
    assert (test[0].mean(0).abs() < 0.1).all() == leak, "only statistics of these images center them"


def test_its_rows_are_next_to_those_of_other_probes(digits):
    events = []
    plugin = ProbePlugin(digits, probes=["cassle-online", "cassle-online-leak", "ridge"], log=events.append)
    strategy_with(plugin).train(digits.train_stream[0], eval_streams=[])
    assert set(plugin.rows[1]) == {"all", "cassle-online-leak/all", "ridge/all", "ridge/seen", "ridge/task"}
    assert not (plugin.matrix("all", "cassle-online")[0] == plugin.matrix("all", "cassle-online-leak")[0]).all()
    caveat = {event.probe: event.caveat for event in events}
    assert caveat == {name: PROTOCOLS[name].caveat or None for name in ("cassle-online", "cassle-online-leak", "ridge")}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["cassle-online", "cassle-online-leak@50%"])
def test_it_continues_from_a_checkpoint_as_if_nothing_had_happened(digits, name):
    plugin = ProbePlugin(digits, probes=["ridge", name], scopes=["all"])
    strategy = strategy_with(plugin)
    strategy.train(digits.train_stream[0], eval_streams=[])
    other = ProbePlugin(digits, probes=["ridge", name], scopes=["all"])
    resumed = strategy_with(other)
    other.load_state_dict(copy.deepcopy(plugin.state_dict()))
    resumed.model.load_state_dict(strategy.model.state_dict())
    resumed.optimizer.load_state_dict(copy.deepcopy(strategy.optimizer.state_dict()))
    resumed.view_generator.set_state(strategy.view_generator.get_state())
    resumed.order_generator.set_state(strategy.order_generator.get_state())
    for each in (strategy, resumed):
        each.train(digits.train_stream[1], eval_streams=[])
    for mine, theirs in zip(plugin.online[name].classifier.parameters(), other.online[name].classifier.parameters()):
        assert torch.equal(mine, theirs)
    assert (plugin.matrix("all", name)[1] == other.matrix("all", name)[1]).all()


def test_few_labels_are_the_only_ones_it_gets(digits):
    plugin = ProbePlugin(digits, probes=["ridge", "cassle-online@2"])
    assert sum(map(len, plugin.online["cassle-online@2"].data)) == 2 * 10


def test_batch_norm_without_a_momentum_is_refused():
    model = nn.Sequential(nn.BatchNorm1d(3, momentum=None))
    with pytest.raises(UsageError, match="needs batch norm with a momentum"), LeakyStatistics().applied(model, True):
        pass


def test_the_leak_is_off_by_default_and_both_have_a_caveat():
    assert get_protocol("cassle-online").online == "clean" and get_protocol("cassle-online-leak").online == "leaky"
    assert PROTOCOLS["cassle-online-leak"].caveat.startswith("LEAK")
    with pytest.raises(UsageError, match="trained along with the encoder"):
        get_protocol("cassle-online").fit([(torch.zeros(4, 2), torch.arange(4))], 4, [0])
