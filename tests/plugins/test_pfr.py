"""PFR and FD: which features are compared, by value; hooks that live for a forward pass only; what is refused."""

import copy

import pytest
import torch
from crashes.small_run import few_digits
from helpers import resuming
from helpers.encoders import tiny
from helpers.methods import SMALL
from helpers.strategies import Spy, assert_same, make, state, train
from helpers.streams import array_stream

from avalanche_ssl.errors import UsageError
from avalanche_ssl.functional import l2_normalize
from avalanche_ssl.methods import BYOL, CMC, CPC, PIRL, DeepCluster, MoCo, SimCLR, Supervised, SwAV
from avalanche_ssl.plugins import FD, PFR
from avalanche_ssl.plugins.encoder_calls import Watch, encoders

STREAM = array_stream(3, n=32)


def build(cls, **settings):
    torch.manual_seed(0)
    return cls(tiny, **SMALL[cls] | settings)


def learn(plugin=None, model=None, *, experiences=2, **settings):
    """Train on two experiences of two steps; functions by hook are called in each step."""
    hooks = {name: settings.pop(name) for name in list(settings) if name.startswith(("before", "after"))}
    plugins = [*([plugin] if plugin else []), Spy(**hooks)]
    given = {"train_mb_size": 16, "evaluator": None, "plugins": plugins} | settings
    return train(make(model or build(SimCLR), **given), STREAM, experiences)


def hooks_of(module):
    return sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in module.modules())


CALLS = {
    SimCLR: {0: [32]},
    BYOL: {0: [16, 16]},
    MoCo: {0: [16]},
    PIRL: {0: [16, 16 * 9]},
    CPC: {0: [16 * 49]},
    CMC: {0: [16], 1: [16]},
    Supervised: {0: [16]},
    DeepCluster: {0: [32]},
}
"""Rows of each call of each encoder, with 16 images."""


@pytest.mark.parametrize("cls", CALLS)
def test_the_term_is_the_mean_cosine_over_calls_of_the_encoder(cls):
    plugin, found = FD(weight=0), []

    def look(strategy):
        if plugin.loss is None:
            return
        method, old = strategy.model, copy.deepcopy(strategy.model)
        old.load_state_dict(first)
        calls = []
        for network in (method, old):
            with Watch(encoders(network)) as watch:
                network.embed(strategy.mb_views)
            calls.append(watch.take())
        rows = {}
        for number, h in calls[0]:
            rows.setdefault(number, []).append(len(h))
        assert rows == CALLS[cls]
        pairs = [(h, g) for (_, h), (_, g) in zip(*calls, strict=True)]
        cosines = [sum(torch.dot(l2_normalize(a), l2_normalize(b)) for a, b in zip(h, g)) / len(h) for h, g in pairs]
        found.append((plugin.loss.item(), -(sum(cosines) / len(cosines)).item()))

    first = state(learn(model=build(cls), experiences=1))
    learn(plugin, build(cls), after_backward=look)
    assert len(found) == 2
    assert all(term == pytest.approx(expected, rel=1e-4) for term, expected in found)


def test_small_crops_are_calls_too():
    watched = []

    class Watched(FD):
        def _predicted(self, calls):
            watched.append([len(h) for _, h in calls])
            return super()._predicted(calls)

    learn(Watched(), build(SwAV, small_crops=2))
    assert watched == [[32, 32], [32, 32]]


@pytest.mark.parametrize("kind", [FD, PFR])
@pytest.mark.parametrize("cls", [MoCo, CMC, PIRL])
def test_nothing_happens_in_experience_1_nor_with_weight_0(kind, cls):
    plain = [state(learn(model=build(cls), experiences=n)) for n in (1, 2)]
    assert_same(plain[0], state(learn(kind(weight=3), build(cls), experiences=1)))
    assert_same(plain[1], state(learn(kind(weight=0), build(cls))))
    trained = state(learn(kind(weight=3), build(cls)))
    assert any(not torch.equal(trained[name], plain[1][name]) for name in trained if "encoder" in name)


@pytest.mark.parametrize("kind", [FD, PFR])
def test_the_copy_stays_bit_for_bit(kind):
    plugin, copies = kind(), []

    def look(strategy):
        copies.append({name: z.clone() for name, z in plugin.teacher.state_dict().items()})

    learn(plugin, after_training_iteration=look)
    assert [int(c["taken"]) for c in copies] == [0, 0, 1, 1]
    assert_same(copies[2], copies[3])


def test_hooks_live_from_before_forward_to_after_forward_and_in_no_copy():
    plugin, counts = PFR(), []

    def look(strategy):
        counts.append((hooks_of(strategy.model), hooks_of(plugin.teacher)))

    strategy = learn(plugin, build(CMC), before_forward=look, before_backward=look, after_update=look)
    assert counts == [(0, 0)] * 6 + [(2, 0), (0, 0), (0, 0)] * 2
    assert hooks_of(strategy.model) == 0

    plugin._watch.start(encoders(strategy.model))  # as if the forward pass had failed
    assert hooks_of(strategy.model) == 2
    assert copy.deepcopy(plugin._watch).take() == []
    plugin.before_forward(strategy)
    assert hooks_of(strategy.model) == 2, "those of the failed step are gone"
    plugin.after_forward(strategy)
    assert hooks_of(strategy.model) == 0


def test_each_encoder_has_a_predictor_that_is_trained_in_one_group():
    plugin, before = PFR(), []

    def look(strategy):
        if not before:
            before.append([p.clone() for p in plugin.parameters()])

    strategy = learn(plugin, build(CMC, views=("l", "ab", "edges")), after_backward=look)
    widths = [e.out_features for e in strategy.model.encoder.values()]
    shapes = [tuple(p[0].weight.shape) for p in plugin.predictors.values()]
    assert shapes == [(w // 2, w) for w in widths], "hidden layers have half the features"
    own = {id(p) for p in plugin.predictors.parameters()}
    groups = [[id(p) for p in group["params"]] for group in strategy.optimizer.param_groups]
    assert set(groups[1]) == own and len(groups[1]) == len(own) and not own & set(groups[0])
    moved = {id(p) for p, then in zip(plugin.parameters(), before[0], strict=True) if not torch.equal(p, then)}
    weights = {id(p[i].weight) for p in plugin.predictors.values() for i in (0, 3)}
    assert weights <= moved


def test_all_calls_of_an_encoder_pass_its_predictor_as_one_batch():
    plugin, sizes = PFR(hidden_dim=6), []

    def look(strategy):
        if not plugin.predictors["0"]._forward_hooks:
            plugin.predictors["0"].register_forward_hook(lambda module, given, _: sizes.append(len(given[0])))

    learn(plugin, build(PIRL), after_backward=look)
    assert sizes == [16 + 16 * 9] * 2
    assert plugin.predictors["0"][0].out_features == 6


@pytest.mark.parametrize("kind", [FD, PFR])
def test_features_under_autocast_are_compared_in_float32(kind):
    plugin, kept = kind(), []

    class Kept(Watch):
        def take(self):
            kept.extend(calls := super().take())
            return calls

    plugin._watch = Kept()
    learn(plugin, precision="bf16")
    assert kept and all(h.dtype == torch.float32 for _, h in kept)
    assert plugin.loss.dtype == torch.float32


@pytest.mark.parametrize(("kind", "weight"), [(FD, 0.1), (PFR, 0.1)])
def test_default_weights(kind, weight):
    for cls, expected in ((SimCLR, 1), (CPC, weight)):
        plugin = kind()
        make(build(cls), plugins=[plugin])
        assert plugin.weight == expected


def test_few_rows_of_a_call_are_warned_of():
    with pytest.warns(UserWarning, match="PFR normalizes by the statistics of 8 rows"):
        learn(PFR(), build(MoCo), train_mb_size=8)


@pytest.mark.slow
@pytest.mark.parametrize("kind", [FD, PFR])
def test_an_interrupted_run_goes_on_bit_for_bit(tmp_path, monkeypatch, kind):
    monkeypatch.chdir(tmp_path)
    benchmark = few_digits()
    resuming.assert_survives(lambda: resuming.make(benchmark, [kind()]), benchmark, kills=(12,))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"norm": "group"}, "no value for 'norm' 'group'.*batch, eval"),
        ({"predictor_norm": "layer"}, "no value for 'predictor_norm' 'layer'.*batch, none"),
        ({"hidden_dim": -1}, "setting 'hidden_dim' is -1: give 0 or more"),
        ({"every": -1}, "setting 'every' is -1: give 0 or more"),
    ],
)
def test_settings_out_of_range_are_refused(settings, message):
    with pytest.raises(UsageError, match=message):
        PFR(**settings)
