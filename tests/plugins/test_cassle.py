"""CaSSLe: its term by value, its copy and predictors, its options and what is refused."""

import copy

import pytest
import torch
from crashes.small_run import few_digits
from helpers import resuming
from helpers.encoders import tiny
from helpers.methods import SMALL
from helpers.strategies import Spy, assert_same, make, state, train
from helpers.streams import array_stream
from torch import nn
from torch.optim import Adam, AdamW

from avalanche_ssl.errors import UsageError
from avalanche_ssl.functional import l2_normalize
from avalanche_ssl.losses import patch_info_nce
from avalanche_ssl.methods import (
    BYOL,
    CMC,
    CPC,
    PIRL,
    BarlowTwins,
    DeepCluster,
    MoCo,
    SimCLR,
    SimSiam,
    Supervised,
    SwAV,
    VICReg,
)
from avalanche_ssl.plugins import CaSSLe, ContinualPlugin, Replay, Teacher, cassle
from avalanche_ssl.plugins.likeness import likeness_loss
from avalanche_ssl.streams import online_stream

STREAM = array_stream(3, n=32)


def build(cls, **settings):
    torch.manual_seed(0)
    return cls(tiny, **SMALL[cls] | settings)


def learn(plugin=None, model=None, *, others=(), look=None, experiences=2, benchmark=STREAM, **settings):
    """Train on two experiences of two steps; `look` is called in each step after the backward pass."""
    plugins = [*others, *([plugin] if plugin else [])]
    spy = Spy(after_backward=look or (lambda strategy: None))
    given = {"train_mb_size": 16, "evaluator": None, "plugins": [*plugins, spy]} | settings
    return train(make(model or build(SimCLR), **given), benchmark, experiences)


def small(**settings):
    return CaSSLe(**{"hidden_dim": 16} | settings)


def unpredicted(plugin):
    """The plugin with predictors that change nothing."""
    build_networks = plugin.build

    def build_identities(strategy):
        build_networks(strategy)
        plugin.predictors = nn.ModuleList(nn.Identity() for _ in plugin.predictors)

    plugin.build = build_identities
    return plugin


# -- the term --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cls", [SimCLR, MoCo, CMC, BYOL, BarlowTwins, VICReg, SwAV, DeepCluster])
def test_the_term_compares_with_what_the_last_experiences_model_makes_of_the_same_views(cls):
    plugin, found = unpredicted(small(weight=0)), []

    def look(strategy):
        method = strategy.model
        if plugin.loss is None:
            return
        old = copy.deepcopy(method)
        old.load_state_dict(first)
        now, past = (m.embeddings(m.embed(strategy.mb_views)) for m in (method, old))
        books = (old.codebook(), old.codebook()) if method.family == "knowledge" else None
        losses = [likeness_loss(method.family, z, y, codebooks=books) for z, y in zip(now, past, strict=True)]
        found.append((plugin.loss.item(), (sum(losses) / len(losses)).item()))

    first = state(learn(model=build(cls), experiences=1))
    learn(plugin, build(cls), look=look)
    assert len(found) == 2
    assert all(term == pytest.approx(expected, rel=1e-4) for term, expected in found)


@pytest.mark.parametrize("cls", [MoCo, CMC, CPC, PIRL, SwAV])
def test_nothing_happens_in_experience_1_nor_with_weight_0(cls):
    plain = [state(learn(model=build(cls), experiences=n)) for n in (1, 2)]
    assert_same(plain[0], state(learn(small(weight=3), build(cls), experiences=1)))
    assert_same(plain[1], state(learn(small(weight=0), build(cls))))
    trained = state(learn(small(weight=3), build(cls)))
    assert any(not torch.equal(trained[name], plain[1][name]) for name in trained if "encoder" in name)


def test_the_copy_is_taken_at_the_end_of_an_experience_and_stays_bit_for_bit():
    plugin, copies = small(), []

    def look(strategy):
        copies.append({name: z.clone() for name, z in plugin.teacher.state_dict().items()})

    first = state(learn(model=build(MoCo), experiences=1))
    learn(plugin, build(MoCo), look=look)
    assert [int(c["taken"]) for c in copies] == [0, 0, 1, 1]
    assert_same(copies[2], copies[3])
    took = {name.removeprefix("method."): z for name, z in copies[3].items() if name.startswith("method.")}
    assert_same({name: first[name] for name in took}, took)
    assert not any("momentum_encoder" in name or "queue" in name for name in took)
    after = plugin.teacher.method.state_dict()
    assert any(not torch.equal(after[name], took[name]) for name in took), "the next boundary takes the model as it is"


def test_a_boundary_moves_the_copy_all_the_way_and_an_average_of_momentum_0_999_nowhere():
    class Average(ContinualPlugin):
        def build(self, strategy):
            self.teacher = Teacher(strategy.model)

        def after_step(self, strategy):
            self.teacher.follow(strategy.model, 0.999)

    def distance(teacher):
        own = dict(teacher.method.named_parameters())
        return sum(float((own[n] - p).detach().square().sum()) for n, p in model.named_parameters() if n in own) ** 0.5

    plugin, average, model = small(), Average(), build(SimCLR)
    start = Teacher(model)
    with pytest.warns(UserWarning, match="CaSSLe keeps a copy of the method beside that of Average"):
        learn(plugin, model, others=[average], experiences=1)
    assert distance(plugin.teacher) == 0
    assert distance(average.teacher) == pytest.approx(distance(start), rel=0.01), "two steps of a thousandth"


def test_predictors_are_learned_and_each_is_in_one_group_of_the_optimizer():
    plugin, before = small(), []

    def look(strategy):
        if not before:
            before.append([p.clone() for p in plugin.parameters()])

    strategy = learn(plugin, build(CMC), look=look)
    groups = [[id(p) for p in group["params"]] for group in strategy.optimizer.param_groups]
    own = {id(p) for p in plugin.predictors.parameters()}
    assert len(plugin.predictors) == 2, "each modality has its own"
    assert own == set(groups[1]) and not own & set(groups[0]) and len(groups) == 2
    assert strategy.optimizer.param_groups[1]["weight_decay"] == 0
    moved = [p for p, then in zip(plugin.parameters(), before[0], strict=True) if not torch.equal(p, then)]
    assert {id(p) for p in moved} >= own - {id(g[0].bias) for g in plugin.predictors if g[0].bias is not None}
    assert not any(p.requires_grad for p in plugin.teacher.parameters())


def test_all_views_of_a_space_pass_the_predictor_as_one_batch():
    plugin, sizes = small(), []

    def look(strategy):
        if not plugin.predictors[0]._forward_hooks:
            plugin.predictors[0].register_forward_hook(lambda module, given, _: sizes.append(len(given[0])))

    learn(plugin, look=look)
    assert sizes == [32, 32], "two views of 16 images"


def test_a_boundary_comes_every_so_many_steps_of_a_stream_that_tells_none():
    stream = online_stream(STREAM.train_stream, 16)
    plugin, taken = small(every=3), []
    spy = Spy(after_backward=lambda strategy: taken.append(int(plugin.teacher.taken)))
    strategy = make(build(SimCLR), plugins=[plugin, spy], train_mb_size=16, evaluator=None)
    strategy.train(stream, eval_streams=[])
    assert taken == [0, 0, 0, 1]
    strategy = make(build(SimCLR), plugins=[small()], train_mb_size=16, evaluator=None)
    with pytest.raises(UsageError, match=r"CaSSLe learns .* tells no boundaries: give every=N steps"):
        strategy.train(online_stream(STREAM.train_stream, 16), eval_streams=[])


# -- options ---------------------------------------------------------------------------------------------------------


def test_replayed_rows_alone_are_compared_by_cla_s_aligner():
    plugin, found = CaSSLe(rows="replayed", weight=0), []
    assert plugin.hidden_dim == 512 and CaSSLe().hidden_dim == 2048
    unpredicted(plugin)

    def look(strategy):
        if plugin.loss is not None:
            new = strategy.n_new
            now, past = (
                [z[new:] for z in s[0]] for s in (strategy.model.embeddings(strategy.mb_output), old(strategy))
            )
            assert len(now[0]) == 10
            found.append((plugin.loss.item(), likeness_loss("contrastive", now, past).item()))

    def old(strategy):
        return plugin.teacher.embeddings(strategy)

    learn(plugin, others=[Replay(size=20, batch=10)], look=look)
    assert len(found) == 2
    assert all(term == pytest.approx(expected, rel=1e-5) for term, expected in found)


def test_replayed_rows_need_a_replay():
    with pytest.raises(UsageError, match="CaSSLe works on replayed images: put one Replay before it"):
        learn(CaSSLe(rows="replayed"))


def test_of_many_positions_the_same_few_are_compared(monkeypatch):
    monkeypatch.setattr(cassle, "MAX_POSITIONS", 20)
    plugin, rows, likeness = unpredicted(small()), [], cassle.likeness_loss

    def spied(family, predictions, targets, *rest):
        rows.append((predictions[0].detach(), targets[0]))
        return likeness(family, predictions, targets, *rest)

    monkeypatch.setattr(cassle, "likeness_loss", spied)
    views = []

    def look(strategy):
        if plugin.loss is not None:
            now = strategy.model.embeddings(strategy.mb_output)[0][0].flatten(0, 1)
            views.append((now, plugin.teacher.embeddings(strategy)[0][0].flatten(0, 1)))

    learn(plugin, build(CPC), look=look)
    drawn = []
    for (p, z), (now, past) in zip(rows, views, strict=True):
        assert p.shape == (20, 16) and len(now) == 16 * 49
        where = [int((now == row).all(1).nonzero()[0]) for row in p]
        drawn.append(where)
        assert len(set(where)) == 20
        assert torch.allclose(z, past[where], atol=1e-5)
    assert drawn[0] != drawn[1]


@pytest.mark.parametrize("cls", [SwAV, DeepCluster])
def test_prototypes_are_frozen_or_learned(cls):
    frozen, learned = small(), small(prototypes="learned")
    model = build(cls)
    learn(frozen, model)
    assert frozen.prototypes is None
    books = []

    def look(strategy):
        books.append(learned.prototypes.detach().clone())

    strategy = learn(learned, build(cls), look=look)
    expected = {SwAV: (1, 12, 16), DeepCluster: (3, 4, 16)}[cls]
    assert learned.prototypes.shape == expected
    assert torch.equal(books[0], books[2]) and not torch.equal(books[2], books[3])
    assert any(learned.prototypes is p for p in strategy.optimizer.param_groups[1]["params"])
    assert frozen.loss is not None and learned.loss is not None


def test_across_each_space_predicts_the_others():
    plugin, found = unpredicted(small(across=True, weight=0)), []

    def look(strategy):
        if plugin.loss is not None:
            (light,), (ab,) = strategy.model.embeddings(strategy.mb_output)
            (old_light,), (old_ab,) = plugin.teacher.embeddings(strategy)
            pairs = [([light], [old_ab]), ([ab], [old_light])]
            found.append((plugin.loss.item(), sum(likeness_loss("contrastive", p, z).item() for p, z in pairs) / 2))

    learn(plugin, build(CMC), look=look)
    assert len(found) == 2
    assert all(term == pytest.approx(expected, rel=1e-5) for term, expected in found)


@pytest.mark.parametrize("settings", [{}, {"directions": 4, "offsets": (3,)}])
def test_cpc_foretells_the_old_targets(settings):
    plugin, found = unpredicted(small(foretell=True, weight=0)), []

    def look(strategy):
        if plugin.loss is None:
            return
        method, outputs = strategy.model, strategy.mb_output
        old = plugin.teacher.method.embed(strategy.mb_views)["targets"]
        turns = [(int(d), int(k)) for d, k in (name.split("-") for name in outputs if name != "targets")]
        losses = [patch_info_nce(outputs[f"{d}-{k}"], old.rot90(d, (2, 3)), k, method.scale) for d, k in turns]
        found.append((plugin.loss.item(), torch.stack(losses).mean().item()))

    learn(plugin, build(CPC, **settings), look=look)
    assert len(found) == 2
    assert all(term == pytest.approx(expected, rel=1e-5) for term, expected in found)


def test_foretelling_draws_from_a_generator_of_its_own_and_learns():
    plain = state(learn(model=build(CPC, count=50)))
    assert_same(plain, state(learn(small(foretell=True, weight=0), build(CPC, count=50))))
    plugin, moved = small(foretell=True), []
    learn(plugin, build(CPC, count=50), look=lambda s: moved.append(plugin.predictors[0][0].weight.detach().clone()))
    assert not torch.equal(moved[2], moved[3])


@pytest.mark.parametrize(("cls", "weight", "factor"), [(SimSiam, 0.25, 4), (SimSiam, 2, 1), (SimCLR, 0.25, 1)])
def test_a_predictive_term_of_small_weight_has_a_faster_predictor(cls, weight, factor):
    strategy = learn(small(weight=weight), build(cls))
    method, predictor = strategy.optimizer.param_groups
    assert predictor["lr"] == pytest.approx(factor * method["lr"])
    assert predictor["initial_lr"] == pytest.approx(factor * method["initial_lr"])


@pytest.mark.parametrize("kind", [Adam, AdamW])
def test_adam_s_steps_do_not_follow_the_weight_and_its_predictor_is_no_faster(kind):
    model = build(SimSiam)
    optimizer = kind(model.parameters(), lr=0.01)
    make(model, optimizer=optimizer, plugins=[small(weight=0.25)])
    assert [group["lr"] for group in optimizer.param_groups] == [0.01, 0.01]


@pytest.mark.parametrize(("cls", "weight"), [(SimCLR, 1), (VICReg, 25), (CPC, 0.1), (SwAV, 1)])
def test_default_weights(cls, weight):
    plugin = small()
    make(build(cls), plugins=[plugin])
    assert plugin.weight == weight


def test_a_predictor_may_be_without_batch_norm():
    plugin = small(predictor_norm="none")
    learn(plugin)
    assert not any(isinstance(m, nn.BatchNorm1d) for m in plugin.predictors.modules())
    assert plugin.loss is not None


def test_the_norm_of_the_copy_is_printed():
    plugin = small(norm="eval")
    make(build(SimCLR), plugins=[plugin])
    assert plugin.teacher.norm == "eval"
    assert "norm='eval'" in repr(plugin)


def test_few_rows_are_warned_of_once():
    plugin = small()
    with pytest.warns(UserWarning, match="CaSSLe normalizes by the statistics of 8 rows") as caught:
        learn(plugin, build(CMC), train_mb_size=8)
    assert len([w for w in caught if "normalizes" in str(w.message)]) == 1


# -- exact resume, refusals ------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("settings", [{"balance": 0.3}, {"rows": "replayed"}])
def test_an_interrupted_run_goes_on_bit_for_bit(tmp_path, monkeypatch, settings):
    monkeypatch.chdir(tmp_path)
    benchmark = few_digits()

    def build_strategy():
        return resuming.make(benchmark, [Replay(size=40, batch=16), small(**settings)])

    resuming.assert_survives(build_strategy, benchmark)


def test_the_draw_of_positions_goes_on_from_a_state():
    plugins = [small(), small()]
    for plugin in plugins:
        make(build(CPC), plugins=[plugin])
    plugins[0].generator.manual_seed(5)
    plugins[1].load_state_dict(plugins[0].state_dict())
    draws = [torch.rand(3, generator=plugin.generator) for plugin in plugins]
    assert torch.equal(*draws)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"rows": "new"}, "no value for 'rows' 'new': .*all, replayed"),
        ({"norm": "group"}, "no value for 'norm' 'group': .*batch, eval"),
        ({"predictor_norm": "layer"}, "no value for 'predictor_norm' 'layer'"),
        ({"prototypes": "learn"}, "no value for 'prototypes' 'learn': did you mean 'learned'"),
        ({"hidden_dim": -1}, "setting 'hidden_dim' is -1: give 0 or more"),
        ({"temperature": 0.0}, "setting 'temperature' is 0.0"),
        ({"weight": -1.0}, "setting 'weight' is -1.0"),
        ({"weight": 1.0, "balance": 0.3}, "weight is 1 and balance 0.3, which sets the weight: give one of them"),
    ],
)
def test_settings_out_of_range_are_refused(settings, message):
    with pytest.raises(UsageError, match=message):
        CaSSLe(**settings)


@pytest.mark.parametrize(
    ("cls", "settings", "message"),
    [
        (BYOL, {"temperature": 0.2}, "CaSSLe's temperature has no effect on BYOL: only the families contrastive and"),
        (SimCLR, {"prototypes": "learned"}, "prototypes='learned' has no effect on SimCLR: only SwAV and DeepCluster"),
        (SimCLR, {"across": True}, "across=True has no effect on SimCLR: it needs several spaces of one length"),
        (CMC, {"foretell": True}, "foretell=True has no effect on CMC: only CPC predicts; leave it out"),
        (CPC, {"foretell": True, "temperature": 0.2}, "temperature has no effect on CPC"),
        (Supervised, {}, "Supervised declares no embeddings to keep"),
    ],
)
def test_settings_without_an_effect_are_refused(cls, settings, message):
    with pytest.raises(UsageError, match=message):
        make(build(cls), plugins=[small(**settings)])


def test_learned_prototypes_are_unit_rows_at_the_start():
    plugin = small(prototypes="learned")
    make(build(SwAV), plugins=[plugin])
    assert torch.allclose(plugin.prototypes, l2_normalize(plugin.prototypes))
