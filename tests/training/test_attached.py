"""Plugins that join a strategy as modules: order, hooks, gradients, the loss in the place of the method's."""

import warnings

import pytest
import torch
from crashes.small_run import few_digits
from helpers.encoders import tiny
from helpers.plugins import Centered
from helpers.strategies import Spy, assert_same, make, moco, simclr, state
from torch import nn

from avalanche_ssl.errors import UsageError
from avalanche_ssl.methods import BarlowTwins, SimCLR
from avalanche_ssl.plugins import (
    CLA,
    CLIMB,
    LUMP,
    PLUGINS,
    CaSSLe,
    ContinualPlugin,
    Osiris,
    Replay,
    build_plugins,
    complete_plugins,
)
from avalanche_ssl.training import DivergedError
from avalanche_ssl.training.attached import objective, trained_modules


def learn(*plugins, model=None, **settings):
    strategy = make(model or simclr(), plugins=plugins, **{"train_mb_size": 16, "evaluator": None} | settings)
    strategy.train(few_digits().train_stream[0], eval_streams=[])
    return strategy


class Joining(Centered):
    """Notes when it joins."""

    def __init__(self, order):
        super().__init__()
        self.order = order

    def build(self, strategy):
        super().build(strategy)
        self.order.append(self)


def test_plugins_join_in_their_order_and_steps_move_method_and_modules():
    order = []
    plugins = [Joining(order), Spy(), Joining(order)]
    strategy = make(simclr(), plugins=plugins)
    assert order == [plugins[0], plugins[2]]
    assert trained_modules(strategy) == [strategy.model, plugins[0], plugins[2]]
    groups = [[id(p) for p in group["params"]] for group in strategy.optimizer.param_groups]
    assert groups == [[id(p) for p in module.parameters()] for module in trained_modules(strategy)]


def test_the_plugins_parameters_are_moved_by_steps():
    plugin = Centered()
    strategy = make(simclr(), plugins=[plugin], train_mb_size=16, evaluator=None)
    before = plugin.head.weight.detach().clone()
    strategy.train(few_digits().train_stream[0], eval_streams=[])
    assert not torch.equal(before, plugin.head.weight)


def test_views_are_kept_and_can_be_changed():
    found = {}

    def change(strategy):
        strategy.mb_views = {name: torch.zeros_like(view) for name, view in strategy.mb_views.items()}

    def look(strategy):
        found["views"] = {name: view.clone() for name, view in strategy.mb_views.items()}
        found["outputs"] = {name: z.detach().clone() for name, z in strategy.mb_output.items()}

    strategy = learn(Spy(after_views=change, before_backward=look))
    assert set(found["views"]) == {"first", "second"}
    assert all(view.shape == (16, 3, 32, 32) and not view.any() for view in found["views"].values())
    for z in found["outputs"].values():
        assert torch.allclose(z, z[:1].expand_as(z), atol=1e-6)  # all images look the same
    assert all(not view.any() for view in strategy.mb_views.values())  # also after the step


def test_views_of_a_step_are_those_of_its_images():
    found = []

    def look(strategy):
        found.append(({n: v.clone() for n, v in strategy.mb_views.items()}, strategy.mb_x.clone()))

    learn(Spy(after_views=look))
    model = simclr()
    model.generator = torch.Generator().manual_seed(0)  # as the strategy's
    for views, x in found:
        assert_same(views, model.random_views(x))


def test_a_hook_that_only_looks_changes_nothing():
    assert_same(state(learn(Spy(after_views=lambda strategy: None))), state(learn()))


def test_the_new_hooks_are_known():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        make(simclr(), plugins=[Centered(), Spy(after_views=lambda strategy: None)])
    with pytest.warns(UserWarning, match="after_lunch"):
        make(simclr(), plugins=[Spy(after_lunch=lambda strategy: None)])


# -- objective -------------------------------------------------------------------------------------------------------


class Replacing(ContinualPlugin):
    """Another loss in the place of the method's, from a step on."""

    def __init__(self, value, start=0):
        super().__init__()
        self.value, self.start = value, start

    def objective(self, strategy):
        z = strategy.mb_output["first"]
        return (z - z.detach()).sum() + self.value if strategy.clock.train_iterations >= self.start else None


def test_the_first_objective_takes_the_place_of_the_methods_loss():
    losses = []
    spy = Spy(before_backward=lambda s: losses.append((s.loss.item(), s.method_loss.item())))
    learn(Replacing(5.0, start=2), Replacing(7.0, start=1), spy)
    assert losses[0][0] not in (5.0, 7.0)
    assert losses[1:] == [(7.0, 7.0), (5.0, 5.0), (5.0, 5.0)]


def test_without_an_objective_the_loss_is_the_methods():
    seen = []

    def compare(strategy):
        seen.append(torch.equal(strategy.method_loss, strategy.model.loss(strategy.mb_output)))
        assert objective(strategy) == strategy.loss

    learn(Spy(before_backward=compare))
    assert seen == [True] * 4


# -- n_new -----------------------------------------------------------------------------------------------------------


class Doubling(ContinualPlugin):
    """Puts each image behind the batch once more, as a memory that holds it would."""

    def before_training_iteration(self, strategy, **kwargs):
        strategy.mbatch = [torch.cat([rows, rows]) for rows in strategy.mbatch]


def test_rows_that_a_plugin_appends_are_not_new():
    counts = []
    spy = Spy(after_update=lambda s: counts.append((s.n_new, len(s.mb_x), s.model.n_new)))
    strategy = learn(Doubling(), spy, model=moco(queue_size=400))
    assert counts == [(16, 32, 16)] * 4
    assert strategy.model.queue.n_enqueued == 4 * 16  # replayed keys do not enter again


def test_all_rows_are_new_without_replay():
    counts = []
    learn(Spy(after_update=lambda s: counts.append((s.n_new, s.model.n_new))), model=moco(queue_size=400))
    assert counts == [(16, None)] * 4


class Fewer(ContinualPlugin):
    """Says that only some of the rows are new, as a memory that is trained on alone does."""

    def before_training_iteration(self, strategy, **kwargs):
        strategy.n_new = 3


def test_a_plugin_may_say_how_many_rows_are_new():
    strategy = learn(Fewer(), model=moco(queue_size=400))
    assert strategy.model.queue.n_enqueued == 4 * 3


# -- clipping and numbers that are not finite ------------------------------------------------------------------------


class Steep(Centered):
    """A large gradient of its head, and a small one of the encoder."""

    def term(self, strategy):
        return 100 * self.head(strategy.mb_output["first"].detach()).sum()


def test_method_and_plugins_are_each_clipped_by_their_own_norm():
    norms, plugin = [], Steep()

    def look(strategy):
        norms.append([_norm(module) for module in trained_modules(strategy)])

    learn(plugin, Spy(after_update=look), max_grad_norm=1e-3)
    assert len(norms) == 4
    for of_method, of_plugin in norms:
        assert of_method == pytest.approx(1e-3, rel=1e-2) and of_plugin == pytest.approx(1e-3, rel=1e-2)


def _norm(module):
    return torch.stack([p.grad.norm() for p in module.parameters() if p.grad is not None]).norm().item()


def test_a_plugin_does_not_change_how_the_method_is_clipped():
    plain = learn(max_grad_norm=1e-3)
    clipped = learn(Steep(), max_grad_norm=1e-3)
    assert_same(state(plain), state(clipped))


class Exploding(Centered):
    """The gradient of its head alone is not finite in the third step."""

    def build(self, strategy):
        self.head = nn.Sequential(nn.Linear(8, 8), nn.BatchNorm1d(8))
        self.calls = 0
        self.head[0].weight.register_hook(self._break)

    def _break(self, gradient):
        self.calls += 1
        return gradient * float("inf") if self.calls == 3 else gradient


def test_a_gradient_of_a_plugin_that_is_not_finite_skips_the_step():
    plugin, seen = Exploding(), []
    strategy = make(simclr(), plugins=[plugin], train_mb_size=16, evaluator=None, on_nan="skip")
    whole = lambda: state(strategy) | {f"head.{n}": t.clone() for n, t in plugin.head.state_dict().items()}  # noqa: E731
    strategy.after_step = lambda: seen.append(whole())
    strategy.train(few_digits().train_stream[0], eval_streams=[])
    assert strategy.nonfinite_guard.skipped == 1
    assert_same(seen[1], seen[2])  # statistics of the plugin's batch norm too
    assert not torch.equal(seen[2]["head.0.weight"], seen[3]["head.0.weight"])


def test_weights_of_a_plugin_that_are_not_finite_are_not_worth_a_checkpoint():
    plugin = Centered()
    strategy = make(simclr(), plugins=[plugin])
    plugin.head.bias.data.fill_(float("nan"))
    with pytest.raises(DivergedError, match=r"after step 0 1 of \d+ weights are not finite"):
        strategy.nonfinite_guard.check(strategy)


# -- refusals --------------------------------------------------------------------------------------------------------


class Refusing(Centered):
    """Is refused after it has made something."""

    def build(self, strategy):
        super().build(strategy)
        raise UsageError("no")


def named(name):
    """The plugin of a name, behind the replay that it needs."""
    needs = {"cassle-r", "cla-e", "cla-r", "der", "osiris"}
    settings = {"replay": {"size": 20, "refresh": name != "der"}} if name in needs else {}
    small = {"hidden_dim": 8} if name.startswith(("cassle", "cla")) else {"size": 20} if name == "climb" else {}
    return build_plugins(complete_plugins(settings | {name: small}))


def numbers(module):
    """Its state, with a number for what is not measured yet."""
    return {name: tensor.nan_to_num(-1) for name, tensor in module.state_dict().items()}


def sgd(model):
    return torch.optim.SGD(model.parameters(), lr=0.05, weight_decay=1e-4)


@pytest.mark.parametrize("name", PLUGINS)
def test_a_refusal_leaves_all_plugins_and_the_optimizer_as_they_were(name):
    plugins, model = named(name), simclr()
    optimizer, keys = sgd(model), [list(plugin.state_dict()) for plugin in plugins]
    with pytest.raises(UsageError, match=r"^no$"):
        make(model, optimizer=optimizer, plugins=[*plugins, Refusing()])
    assert len(optimizer.param_groups) == 1
    assert [list(plugin.state_dict()) for plugin in plugins] == keys
    learn(*plugins, model=model, optimizer=optimizer)
    fresh, new = simclr(), named(name)
    learn(*new, model=fresh, optimizer=sgd(fresh))
    for used, unused in zip([model, *plugins], [fresh, *new], strict=True):
        assert_same(numbers(used), numbers(unused))


@pytest.mark.parametrize(
    "plugin, others, method, message",
    [
        (lambda: Osiris(), [lambda: Replay(size=20)], BarlowTwins, "Osiris needs a contrastive method"),
        (lambda: CaSSLe(hidden_dim=8, temperature=0.1), [], BarlowTwins, "temperature has no effect"),
        (lambda: CLIMB(size=20), [lambda: CLA("stream", hidden_dim=8)], SimCLR, "align the same embeddings"),
        (lambda: LUMP(size=5), [lambda: Replay(size=20)], SimCLR, "size=5 is that of a memory of its own"),
    ],
)
def test_a_plugin_that_was_refused_joins_a_strategy_that_it_fits(plugin, others, method, message):
    used, beside = plugin(), [other() for other in others]
    torch.manual_seed(0)
    with pytest.raises(UsageError, match=message):
        make(method(tiny, output_dim=8), plugins=[*beside, used])
    again, new = ([*beside, used], [*(other() for other in others), plugin()])
    if method is SimCLR:  # where the others were the reason
        again, new = [used], new[-1:]
    learn(*again), learn(*new)
    assert_same(numbers(used), numbers(new[-1]))


def test_a_strategy_that_cannot_be_compiled_leaves_its_plugins(monkeypatch):
    def fail(model, device):
        raise UsageError("no compiler")

    plugin = Centered()
    monkeypatch.setattr("avalanche_ssl.training.strategy.compile_encoders", fail)
    with pytest.raises(UsageError, match="no compiler"):
        make(simclr(), plugins=[plugin], compile=True)
    assert not hasattr(plugin, "head")
    learn(plugin)


def test_a_plugin_that_is_no_module_is_left_as_it_was_too():
    class Plain(Spy):
        made = ()

        def attach(self, strategy):
            self.made = (*self.made, strategy)

    plain = Plain()
    with pytest.raises(UsageError, match=r"^no$"):
        make(simclr(), plugins=[plain, Refusing()])
    assert plain.made == ()
    strategy = make(simclr(), plugins=[plain])
    assert plain.made == (strategy,)
