"""Gradients of a term and of the method's loss: their ratio by value, and weights that follow it."""

import pytest
import torch
from helpers.encoders import tiny
from helpers.methods import SMALL
from helpers.plugins import Tether
from helpers.strategies import Spy, assert_same, make, state, train
from helpers.streams import array_stream
from torch import nn

from avalanche_ssl.errors import UsageError
from avalanche_ssl.methods import CMC, CPC, SimCLR
from avalanche_ssl.plugins import CaSSLe, ContinualPlugin
from avalanche_ssl.plugins.balance import GradientBalance, gradient_norm, is_compiled, last_layers

STREAM = array_stream(3, n=64)


def build(cls=SimCLR, **settings):
    torch.manual_seed(0)
    return cls(tiny, **SMALL[cls] | settings)


class Small(ContinualPlugin):
    """The mean square of the embeddings, times a factor."""

    factor = 1.0

    def term(self, strategy):
        spaces = strategy.model.embeddings(strategy.mb_output)
        return self.factor * sum(z.square().mean() + z[0, 0] for space in spaces for z in space)


def learn(*plugins, model=None, experiences=2, **settings):
    """Train on two experiences of four steps."""
    given = {"train_mb_size": 16, "evaluator": None, "plugins": list(plugins)} | settings
    return train(make(model or build(), **given), STREAM, experiences)


def naive_norm(loss, parameters):
    gradients = torch.autograd.grad(loss, parameters, retain_graph=True)
    return sum(float(g.square().sum()) for g in gradients) ** 0.5


def last_weights(method):
    """The last convolution of each encoder."""
    networks = method.encoder.values() if isinstance(method.encoder, nn.ModuleDict) else [method.encoder]
    return [[m for m in e.modules() if isinstance(m, nn.Conv2d)][-1].weight for e in networks]


class Norms(Spy):
    """The norms of both gradients in each step, measured apart."""

    def __init__(self, plugin):
        self.found, self.ratios, self.weights = [], [], []
        super().__init__(before_backward=self.look)
        self.plugin = plugin

    def look(self, strategy):
        layers = last_weights(strategy.model)
        term = self.plugin.term(strategy)
        self.found.append((naive_norm(term, layers), naive_norm(strategy.method_loss, layers)))
        self.ratios.append(float(self.plugin.gradients.ratio))
        self.weights.append(float(self.plugin.gradients.weight))


@pytest.mark.parametrize(("cls", "settings"), [(SimCLR, {}), (CMC, {"negatives": "batch"})])
def test_the_ratio_of_the_gradients_is_measured_every_few_steps(cls, settings, monkeypatch):
    monkeypatch.setattr(GradientBalance, "EVERY", 3)
    plugin = Small(weight=0.5)
    norms = Norms(plugin)
    learn(plugin, norms, model=build(cls, **settings))
    expected = [of_term / of_loss for of_term, of_loss in norms.found]
    assert norms.ratios == pytest.approx([expected[i // 3 * 3] for i in range(8)], rel=1e-4)
    assert norms.weights == [0.5] * 8
    assert int(plugin.gradients.measured) == 3


def test_the_ratio_is_that_to_the_method_s_loss_without_the_terms_of_others(monkeypatch):
    monkeypatch.setattr(GradientBalance, "EVERY", 1)
    ratios = []
    for others in ([], [Small(weight=100.0)]):
        plugin = Small(weight=0.0)
        learn(*others, plugin, experiences=1, max_grad_norm=1e-9)
        ratios.append(float(plugin.gradients.ratio))
    assert ratios[0] == pytest.approx(ratios[1], rel=1e-3)


def test_a_balance_gives_the_term_its_share_of_the_gradient(monkeypatch):
    monkeypatch.setattr(GradientBalance, "EVERY", 1)
    monkeypatch.setattr(GradientBalance, "MOMENTUM", 0.5)
    plugin = Small(balance=0.3)
    norms = Norms(plugin)
    learn(plugin, norms)
    of_term = of_loss = 0.0
    for step, (found, weight) in enumerate(zip(norms.found, norms.weights, strict=True)):
        past = min(0.5, 1 - 1 / (step + 1))
        of_term, of_loss = (past * mean + (1 - past) * new for mean, new in zip((of_term, of_loss), found))
        assert weight == pytest.approx(0.3 * of_loss / of_term, rel=1e-4)
    first = norms.found[0]
    assert norms.weights[0] * first[0] == pytest.approx(0.3 * first[1], rel=1e-4), "at once"


@pytest.mark.parametrize("factor", [1e-3, 1e3])
def test_a_balanced_run_does_not_depend_on_the_scale_of_the_term(factor):
    plugins = [Small(balance=0.3), Small(balance=0.3)]
    plugins[1].factor = factor
    weights = []
    for plugin in plugins:
        state_of = state(learn(plugin, experiences=1))
        weights.append(torch.cat([z.flatten().float() for z in state_of.values()]))
    assert torch.allclose(*weights, atol=1e-3)
    assert float(plugins[0].gradients.weight) == pytest.approx(factor * float(plugins[1].gradients.weight), rel=1e-2)


def test_one_balance_serves_methods_that_no_weight_does():
    shares = {}
    for cls in (SimCLR, CPC):
        plugin = CaSSLe(balance=0.3, hidden_dim=16)
        learn(plugin, model=build(cls))
        shares[cls] = float(plugin.gradients.weight * plugin.gradients.ratio)
    assert shares == pytest.approx({SimCLR: 0.3, CPC: 0.3}, rel=0.5)


def test_the_gradient_ratio_of_cpc_is_far_above_that_of_simclr_before_it_has_begun_to_learn():
    ratios = []
    for cls in (SimCLR, CPC):
        plugin = CaSSLe(weight=1.0, hidden_dim=16)
        learn(plugin, model=build(cls))
        ratios.append(float(plugin.gradients.ratio))
    assert ratios[1] > 10 * ratios[0]


def test_measuring_changes_nothing(monkeypatch):
    plain = state(learn())
    monkeypatch.setattr(GradientBalance, "EVERY", 1)
    plugin = Small(weight=0.0)
    assert_same(plain, state(learn(plugin)))
    assert int(plugin.gradients.measured) == 8


def test_a_balance_is_measured_in_all_of_the_first_steps_and_then_every_few(monkeypatch):
    monkeypatch.setattr(GradientBalance, "EVERY", 3)
    monkeypatch.setattr(GradientBalance, "WARMUP", 2)
    counts = []
    plugin = Small(balance=1.0)
    spy = Spy(before_backward=lambda strategy: counts.append(int(plugin.gradients.measured)))
    learn(plugin, spy)
    assert counts == [1, 2, 2, 3, 3, 3, 4, 4]


@pytest.mark.parametrize("balance", [None, 0.3])
def test_measurements_begin_some_steps_after_a_boundary_where_the_method_has_left_its_copy(balance, monkeypatch):
    monkeypatch.setattr(GradientBalance, "SETTLE", 2)
    monkeypatch.setattr(GradientBalance, "EVERY", 50)
    monkeypatch.setattr(GradientBalance, "WARMUP", 3)
    plugin = Tether(balance=balance)
    norms, ages, counts = Norms(plugin), [], []

    def look(strategy):
        if plugin.teacher.taken:
            norms.look(strategy)
            ages.append(int(plugin.gradients.age) - 1)
            counts.append(int(plugin.gradients.measured))

    learn(plugin, Spy(before_backward=look), experiences=2)
    learn_on = list(zip(*norms.found))
    assert ages == [0, 1, 2, 3]
    (none, *of_term), (_, *of_loss) = learn_on
    assert none == pytest.approx(0, abs=1e-6 * of_term[0]), "a copy equals its method"
    ratios = [t / loss for t, loss in zip(of_term, of_loss)]
    if balance is None:
        assert counts == [0, 0, 1, 1] and norms.weights == [1.0] * 4
        assert norms.ratios == pytest.approx([float("nan"), *ratios[:2], ratios[1]], rel=1e-4, nan_ok=True)
    else:
        assert counts == [0, 0, 1, 2]
        assert norms.ratios == pytest.approx([float("nan"), *ratios], rel=1e-4, nan_ok=True)
        mean = (of_loss[1] + of_loss[2]) / (of_term[1] + of_term[2])
        assert norms.weights == pytest.approx([0.0, 0.3 / ratios[0], 0.3 / ratios[1], 0.3 * mean], rel=1e-4)


def test_a_later_boundary_keeps_what_was_measured(monkeypatch):
    for name, value in {"SETTLE": 1, "WARMUP": 2, "EVERY": 1}.items():
        monkeypatch.setattr(GradientBalance, name, value)
    plugin, seen = Tether(balance=0.3, every=3), []
    spy = Spy(before_backward=lambda s: seen.append((int(plugin.gradients.measured), float(plugin.gradients.weight))))
    learn(plugin, spy)
    counts, weights = zip(*seen[3:])
    assert counts == (0, 1, 2, 2, 3)
    assert weights[0] == 0 < weights[1] != weights[2] == weights[3] != weights[4]


def test_a_plugin_without_boundaries_is_measured_at_once_and_whatever_ends():
    plugin = Small(balance=0.3, every=4)
    learn(plugin)
    assert int(plugin.gradients.measured) == 8


def test_a_term_without_a_gradient_has_no_weight_and_one_with_little_a_bounded_one():
    layer = nn.Linear(2, 1)

    class Method(nn.Module):
        encoder = layer

    class Strategy:
        model = Method()
        method_loss = layer(torch.ones(2)).sum()

    balance = GradientBalance(1.0)
    assert balance.weigh(torch.ones(()), 1.0, Strategy).item() == 0
    assert balance.weigh(0 * Strategy.method_loss, 1.0, Strategy).item() == 0
    balance = GradientBalance(1.0)
    balance.weigh(1e-6 * Strategy.method_loss, 1.0, Strategy)
    assert float(balance.weight) == GradientBalance.LIMIT
    Strategy.method_loss, loss = 0 * Strategy.method_loss, Strategy.method_loss
    balance.weigh(loss, 1.0, Strategy)
    assert float(balance.ratio) == pytest.approx(1e-6), "no ratio to a loss without a gradient, as of an empty bank"
    Strategy.method_loss = loss
    balance = GradientBalance(1.0)
    balance.weigh(2 * Strategy.method_loss, 1.0, Strategy)
    balance.weigh(float("nan") * Strategy.method_loss, 1.0, Strategy)
    assert float(balance.weight) == pytest.approx(0.5), "what is not finite does not count"
    assert float(balance.ratio) == 2 and int(balance.measured) == 1


def test_norms_by_hand():
    a, b, c = (nn.Parameter(torch.tensor(x)) for x in ([3.0], [4.0], [9.0]))
    assert float(gradient_norm((a.square() / 2 + b.square() / 2).sum(), [a, b, c])) == 5
    assert float(gradient_norm(c.sum() * 0, [a])) == 0
    assert float(gradient_norm(torch.ones(()), [a])) == 0


def test_the_last_layers_are_the_last_trained_weights_of_the_encoders():
    method = build(CMC)
    assert [id(p) for p in last_layers(method)] == [id(p) for p in last_weights(method)]
    method.encoder.requires_grad_(False)
    assert last_layers(method) == []
    next(iter(method.encoder.values())).requires_grad_(True)
    assert len(last_layers(method)) == 1


def test_what_cannot_be_balanced_is_refused():
    with pytest.raises(UsageError, match="setting 'balance' is 0"):
        Small(balance=0)
    with pytest.raises(UsageError, match=r"weight is 2 and balance 0\.3, which sets the weight: give one of them"):
        Small(weight=2.0, balance=0.3)
    method = build()
    method.encoder.requires_grad_(False)
    with pytest.raises(UsageError, match="nothing of the encoder of SimCLR is trained: give Small a weight instead"):
        make(method, plugins=[Small(balance=0.3)])
    make(method, plugins=[Small()])
    with pytest.raises(UsageError, match="compiled encoder of SimCLR does not allow: give Small a weight instead"):
        make(build(), plugins=[Small(balance=0.3)], compile=True)


@pytest.mark.slow
def test_compiled_code_is_known_and_not_measured():
    method = build()
    assert not is_compiled(method)
    compiled = build()
    compiled.encoder.stages[0] = torch.compile(compiled.encoder.stages[0])
    assert is_compiled(compiled)
    compiled = build()
    compiled.projection_head.compile()
    assert is_compiled(compiled)
    compiled = build()
    compiled.encoder.compile()
    assert is_compiled(compiled)
    plugin = Small()

    class Strategy:
        model = compiled
        method_loss = torch.ones(())

    plugin.gradients.weigh(torch.ones(()), 1.0, Strategy)
    assert plugin.gradients.ratio.isnan() and int(plugin.gradients.steps) == 1
