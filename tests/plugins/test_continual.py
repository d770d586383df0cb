"""What continual plugins have in common: how they join, weights, boundaries, refusals, steps that are skipped."""

import pytest
import torch
from crashes.small_run import few_digits
from helpers.encoders import tiny
from helpers.plugins import Centered, Tether, memory
from helpers.strategies import Spy, assert_same, make, state
from torch import nn
from torch.optim import SGD

from avalanche_ssl.errors import UsageError
from avalanche_ssl.methods import CPC, BarlowTwins, SimCLR, Supervised, VICReg
from avalanche_ssl.plugins import ContinualPlugin, embedding_dims
from avalanche_ssl.plugins.continual import online_part, replay_before, trial_images
from avalanche_ssl.streams import online_stream


def simclr(cls=SimCLR, **settings):
    torch.manual_seed(0)
    return cls(tiny, output_dim=8, **settings)


class Noting(ContinualPlugin):
    """Notes the number of steps at each boundary."""

    needs_spaces = False

    def __init__(self, **settings):
        super().__init__(**settings)
        self.boundaries, self.steps = [], 0

    def after_step(self, strategy):
        self.steps += 1

    def boundary(self, strategy):
        self.boundaries.append(self.steps)


class Bounded(Noting):
    needs_boundaries = True


def learn(plugin, experiences, model=None, size=16, plugins=(), **settings):
    """Train on experiences; the strategy."""
    settings = {"train_mb_size": size, "evaluator": None} | settings
    strategy = make(model or simclr(), plugins=[*plugins, plugin], **settings)
    strategy.train(experiences, eval_streams=[])
    return strategy


def parts(size=24, access=False, experiences=2, drop=False):
    stream = few_digits().train_stream[:experiences]
    return online_stream(stream, size, access_task_boundaries=access, seed=0)


# -- joining a strategy ----------------------------------------------------------------------------------------------


def test_parameters_get_one_group_without_weight_decay():
    plugins, model = [Centered(), Centered()], simclr()
    optimizer = SGD(model.parameters(), lr=0.05, momentum=0.9, weight_decay=1e-4)
    make(model, plugins=plugins, optimizer=optimizer)
    assert [group["weight_decay"] for group in optimizer.param_groups] == [1e-4, 0, 0]
    for plugin, group in zip(plugins, optimizer.param_groups[1:], strict=True):
        assert all(a is b for a, b in zip(group["params"], plugin.parameters(), strict=True))
        assert group["lr"] == group["initial_lr"] == 0.05 and group["momentum"] == 0.9


class Quick(Centered):
    def build(self, strategy):
        super().build(strategy)
        self.lr_factor = 4.0


def test_a_plugin_may_have_another_learning_rate_which_the_schedule_scales():
    rates = []
    spy = Spy(before_update=lambda strategy: rates.append([group["lr"] for group in strategy.optimizer.param_groups]))
    strategy = learn(Quick(), few_digits().train_stream[0], plugins=[spy])
    assert strategy.optimizer.param_groups[1]["initial_lr"] == pytest.approx(0.2)
    assert len(rates) == 4 and all(own == pytest.approx(4 * of_method) for of_method, own in rates)


def test_a_plugin_without_parameters_gets_no_group():
    assert len(make(simclr(), plugins=[Tether()]).optimizer.param_groups) == 1


def test_building_draws_from_a_random_state_of_its_own():
    heads = []
    for seed in (0, 0, 1):
        plugin = Centered()
        model = simclr()
        state_before = torch.get_rng_state()
        make(model, plugins=[plugin], seed=seed)
        assert torch.equal(torch.get_rng_state(), state_before)
        heads.append(plugin.head.weight)
    assert torch.equal(heads[0], heads[1]) and not torch.equal(heads[0], heads[2])
    twins = [Centered(), Centered()]
    make(simclr(), plugins=twins)
    assert not torch.equal(twins[0].head.weight, twins[1].head.weight)


def test_a_second_strategy_is_refused():
    plugin = Centered()
    make(simclr(), plugins=[plugin])
    with pytest.raises(UsageError, match="this Centered belongs to another strategy: make a new one for each"):
        make(simclr(), plugins=[plugin])


def test_a_method_without_embeddings_is_refused():
    torch.manual_seed(0)
    with pytest.raises(UsageError, match=r"^Supervised declares no embeddings to keep: give it `spaces`, or a plugin"):
        make(Supervised(tiny, classes=10), plugins=[Tether()])
    make(Supervised(tiny, classes=10), plugins=[Noting()])  # reads no embeddings


class OnReplayed(Centered):
    needs_replay = True

    def build(self, strategy):
        super().build(strategy)
        self.found = replay_before(self, strategy)


def test_the_replay_before_a_plugin_is_found():
    replay, plugin = memory(), OnReplayed()
    make(simclr(), plugins=[replay, plugin])
    assert plugin.found is replay


@pytest.mark.parametrize("behind", [[], ["replay"]])
def test_no_replay_before_a_plugin_is_refused(behind):
    with pytest.raises(UsageError, match=r"^OnReplayed works on replayed images: put one Replay before it.*, not 0$"):
        make(simclr(), plugins=[OnReplayed(), *(memory() for _ in behind)])


# -- weights ---------------------------------------------------------------------------------------------------------


class Weighted(Noting):
    default_weights = {"CPC": 0.02, "contrastive": 3.0, "mse": 25.0}


@pytest.mark.parametrize(
    "cls, settings, expected",
    [(SimCLR, {}, 3.0), (VICReg, {}, 25.0), (BarlowTwins, {}, 1.0), (CPC, {"hidden_dim": 8}, 0.02)],
)
def test_default_weights_are_by_class_then_by_family(cls, settings, expected):
    plugin = Weighted()
    make(simclr(cls, **settings), plugins=[plugin])
    assert plugin.weight == expected


def test_subclasses_of_a_method_have_its_weight():
    plugin = Weighted()
    make(simclr(type("Mine", (CPC,), {}), hidden_dim=8), plugins=[plugin])
    assert plugin.weight == 0.02


@pytest.mark.parametrize("weight", [0.0, 0.5])
def test_a_given_weight_counts(weight):
    plugin = Weighted(weight=weight)
    make(simclr(), plugins=[plugin])
    assert plugin.weight == weight
    plugin = Weighted(balance=0.3)
    plugin.set_weight(weight)
    make(simclr(), plugins=[plugin])
    assert plugin.weight == weight and plugin.gradients.balance is None


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"weight": -1}, "weight"),
        ({"every": -1}, "every"),
        ({"balance": 0}, "balance"),
        ({"weight": 2, "balance": 0.5}, "weight is 2 and balance 0.5, which sets the weight: give one of them"),
    ],
)
def test_settings_out_of_range_are_refused(settings, message):
    with pytest.raises(UsageError, match=message):
        Noting(**settings)


class Constant(ContinualPlugin):
    """A term that depends on the encoder, with a known value."""

    def term(self, strategy):
        z = strategy.mb_output["first"]
        return 2.0 + (z - z.detach()).sum()


def test_the_weighted_term_is_added_to_the_loss():
    losses = []
    spy = Spy(before_update=lambda s: losses.append((s.loss.item(), s.method_loss.item())))
    plugin = Constant(weight=1.5)
    learn(plugin, few_digits().train_stream[0], plugins=[spy])
    assert losses and all(total == pytest.approx(own + 1.5 * 2, abs=1e-5) for total, own in losses)
    assert plugin.loss == 2.0 and not plugin.loss.requires_grad


def test_an_idle_plugin_has_no_loss():
    plugin = Tether()
    learn(plugin, few_digits().train_stream[0])
    assert plugin.loss is None


# -- boundaries ------------------------------------------------------------------------------------------------------


def test_the_ends_of_whole_experiences_are_boundaries():
    plugin = Bounded()
    learn(plugin, few_digits(3).train_stream)
    assert plugin.boundaries == [4, 8, 12] and not plugin.under_way


def test_parts_with_access_have_a_boundary_at_the_last_part():
    plugin = Bounded()
    strategy = make(simclr(), plugins=[plugin], train_mb_size=24, evaluator=None)
    ends = []
    for part in parts(access=True):
        strategy.train(part, eval_streams=[])
        ends.append((part.is_last_subexp, len(plugin.boundaries), bool(plugin.under_way)))
    assert plugin.boundaries == [3, 6]
    first = [(False, 0, True), (False, 0, True), (True, 1, False)]
    assert ends == [*first, (False, 1, True), (False, 1, True), (True, 2, False)]


def test_parts_without_access_are_refused_where_boundaries_are_needed():
    message = "^Bounded learns from the model of the last experience, and this stream tells no boundaries: give every=N"
    with pytest.raises(UsageError, match=message) as caught:
        learn(Bounded(), list(parts()), size=24)
    assert "\n" not in str(caught.value)


def test_parts_without_access_have_no_boundary():
    plugin = Noting()
    learn(plugin, list(parts()), size=24)
    assert plugin.boundaries == [] and plugin.steps == 6 and not plugin.under_way


@pytest.mark.parametrize("stream", ["whole", "parts", "access"])
def test_every_so_many_steps_is_a_boundary_in_any_stream(stream):
    plugin = Bounded(every=4)
    experiences = few_digits().train_stream if stream == "whole" else list(parts(size=16, access=stream == "access"))
    steps = learn(plugin, experiences).clock.train_iterations
    assert plugin.boundaries == list(range(4, steps + 1, 4)) and len(plugin.boundaries) >= 2


def test_an_experience_whose_last_part_was_dropped_ends_with_the_first_part_of_the_next():
    plugin = Bounded()
    given = [part for part in parts(access=True) if not part.is_last_subexp]
    learn(plugin, given, size=24)
    assert plugin.boundaries == [2] and plugin.under_way


def test_under_way_survives_a_resume():
    plugin = Bounded()
    given = list(parts(access=True))
    learn(plugin, given[:2], size=24)
    resumed = Bounded()
    resumed.load_state_dict(plugin.state_dict())
    assert resumed.under_way
    learn(resumed, given[3:4], size=24)
    assert resumed.boundaries == [0]


# -- steps that are skipped ------------------------------------------------------------------------------------------


class Breaking(Noting):
    """A term that is not finite in the third call; a buffer follows the steps."""

    def __init__(self, **settings):
        super().__init__(**settings)
        self.calls = 0

    def build(self, strategy):
        self.head = nn.Sequential(nn.Linear(8, 8), nn.BatchNorm1d(8))

    def term(self, strategy):
        self.calls += 1
        term = self.head(strategy.mb_output["first"]).square().mean()
        return term * float("nan") if self.calls == 3 else term


def test_a_step_that_is_skipped_leaves_the_plugin_as_it_was():
    plugin, seen = Breaking(), []
    spy = Spy(after_training_iteration=lambda strategy: seen.append({k: v.clone() for k, v in head(plugin).items()}))
    strategy = make(simclr(), plugins=[plugin, spy], train_mb_size=16, evaluator=None, on_nan="skip")
    strategy.train(few_digits().train_stream[0], eval_streams=[])
    assert strategy.nonfinite_guard.skipped == 1 and plugin.calls == 4 and plugin.steps == 3
    assert_same(seen[1], seen[2])
    assert not torch.equal(seen[2]["0.weight"], seen[3]["0.weight"])
    assert not torch.equal(seen[2]["1.running_mean"], seen[3]["1.running_mean"])


def head(plugin):
    return plugin.head.state_dict()


def test_a_step_that_is_skipped_is_a_boundary_all_the_same():
    plugin = Breaking(every=3)
    strategy = make(simclr(), plugins=[plugin], train_mb_size=16, evaluator=None, on_nan="skip")
    strategy.train(few_digits().train_stream, eval_streams=[])
    assert strategy.clock.train_iterations == 8 and plugin.boundaries == [2, 5]  # steps 3 and 6


# -- what plugins look up --------------------------------------------------------------------------------------------


def test_lengths_of_embeddings_are_found_and_nothing_changes():
    strategy = make(simclr())
    before, modes = state(strategy), [module.training for module in strategy.model.modules()]
    drawn = strategy.view_generator.get_state(), torch.get_rng_state()
    assert embedding_dims(strategy) == [8]
    assert_same(before, state(strategy))
    assert modes == [module.training for module in strategy.model.modules()]
    assert torch.equal(drawn[0], strategy.view_generator.get_state()) and torch.equal(drawn[1], torch.get_rng_state())
    assert embedding_dims(make(simclr(CPC, hidden_dim=8))) == [8]


def test_trial_images_fit_the_method():
    images = trial_images(make(simclr()))
    assert images.shape == (4, 3, 32, 32) and images.dtype == torch.uint8


def test_parts_are_seen_with_all_their_attributes():
    found = []
    spy = Spy(before_training_exp=lambda strategy: found.append(online_part(strategy)))
    learn(spy, list(parts(access=True))[:1], size=24)
    learn(spy, few_digits().train_stream[0])
    assert found[0].is_first_subexp and found[0].access_task_boundaries and found[1] is None


# -- the plugin of the documentation ---------------------------------------------------------------------------------


def test_the_example_of_the_documentation_works():
    source = ContinualPlugin.__doc__.split("```python\n")[1].split("```")[0]
    from torch.nn import functional as F

    from avalanche_ssl.plugins import Teacher

    names = {"ContinualPlugin": ContinualPlugin, "Teacher": Teacher, "F": F}
    exec("\n".join(line.removeprefix("    ") for line in source.splitlines()), names)
    plugin = names["Tether"]()
    learn(plugin, few_digits().train_stream)
    assert plugin.teacher.taken == 2 and plugin.loss > 0
