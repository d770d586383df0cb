"""What holds for many methods: the contract, which view goes where, labels, plugins, learning."""

import pytest
import torch
from avalanche.training import plugins as av
from helpers.methods import GENTLE, make, narrow, seeded, sgd, step
from helpers.methods_on_digits import train
from helpers.strategies import state
from torch import nn

from avalanche_ssl.checks.contract import check_method
from avalanche_ssl.checks.harness import textured
from avalanche_ssl.errors import UsageError
from avalanche_ssl.functional import l2_normalize
from avalanche_ssl.methods import BYOL, CMC, BarlowTwins, MoCo, MoCoV3, SimCLR, SimSiam, Supervised, VICReg
from avalanche_ssl.models import pool2x2

METHODS = {
    "byol": (BYOL, {}),
    "byol scheduled": (BYOL, {"momentum_steps": 3}),
    "byol with a norm at the end": (BYOL, {"head_norm": True}),
    "simsiam": (SimSiam, {}),
    "simsiam of 3 layers": (SimSiam, {"layers": 3}),
    "barlow_twins": (BarlowTwins, {}),
    "vicreg": (VICReg, {}),
    "supervised": (Supervised, {}),
    "supervised behind a hidden layer": (Supervised, {"hidden_dim": 16}),
    "moco v3": (MoCoV3, {}),
    "moco v3 scheduled": (MoCoV3, {"momentum_steps": 2}),
    "moco split": (MoCo, {"split_norm": True, "momentum": 0.99}),
    "moco split symmetric": (MoCo, {"split_norm": True, "symmetric": True, "momentum": 0.99}),
}


def named(name, **settings):
    """The small method of a name in `METHODS`."""
    cls, own = METHODS[name]
    return make(cls, **own | settings)


@pytest.mark.contract
@pytest.mark.parametrize("name", METHODS)
def test_the_contract_is_kept(name):
    check_method(named(name))


@pytest.mark.slow
@pytest.mark.parametrize(
    "build, names",
    [
        (lambda: SimCLR(narrow, output_dim=32, augment=GENTLE), ("first", "second")),
        (lambda: MoCo(narrow, output_dim=32, queue_size=128, momentum=0.9, augment=GENTLE), ("query", "key")),
        (lambda: CMC(narrow, output_dim=32, negatives="batch", temperature=0.1, augment=GENTLE), ("l", "ab")),
        (lambda: CMC(narrow, output_dim=32, capacity=64, count=64, temperature=0.1, augment=GENTLE), ("l", "ab")),
    ],
    ids=["simclr", "moco", "cmc in the batch", "cmc"],
)
def test_contrasted_views_of_an_image_come_to_agree(build, names):
    torch.manual_seed(0)
    method, images = seeded(build()), textured(64)

    def found():
        """Share of images whose other view is found among the 64."""
        with torch.no_grad():
            outputs = seeded(method, 1)(images)
        first, second = (outputs[name] for name in names)
        return ((first @ second.T).argmax(1) == torch.arange(64)).float().mean().item()

    before, optimizer = found(), sgd(method, 0.03)
    for seed in range(80):
        step(seeded(method, 2 + seed), images, optimizer)
    assert found() > before + 0.1


@pytest.mark.parametrize(
    "name, of_first, of_second",
    [
        ("byol", ["prediction", "target2", "first"], ["prediction2", "target", "second"]),
        ("simsiam", ["prediction", "target2", "first"], ["prediction2", "target", "second"]),
        ("moco v3", ["query", "key2", "first"], ["query2", "key", "second"]),
        ("moco split symmetric", ["query", "key2"], ["query2", "key"]),
        ("moco split", ["query"], ["key"]),
        ("barlow_twins", ["first"], ["second"]),
        ("vicreg", ["first"], ["second"]),
    ],
)
def test_what_is_compared_comes_from_different_views(name, of_first, of_second):
    method = named(name)
    views = method.views(textured(8))
    outputs = method.embed(views)
    assert set(outputs) == {*of_first, *of_second}
    for changed, follow in (("first", of_first), ("second", of_second)):
        again = method.embed(views | {changed: views[changed].flip(3)})
        assert [n for n in outputs if not torch.equal(outputs[n], again[n])] == [n for n in outputs if n in follow]


@pytest.mark.parametrize("name", ["byol", "moco v3", "simsiam"])
def test_targets_have_no_gradient(name):
    outputs = named(name)(textured(8))
    targets = [n for n in outputs if n.startswith(("target", "key"))]
    assert len(targets) == 2 and not any(outputs[n].requires_grad for n in targets)
    assert all(outputs[n].requires_grad for n in outputs if n not in targets)


@pytest.mark.parametrize("name", ["moco v3", "simsiam"])
def test_the_last_norm_of_projections_has_no_scale(name):
    norm = named(name).projection_head[-1]
    assert isinstance(norm, nn.BatchNorm1d) and norm.weight is None


@pytest.mark.parametrize("name", ["simsiam", "barlow_twins", "vicreg", "supervised"])
def test_methods_without_memory_remember_only_weights(name):
    norms = ("running_mean", "running_var", "num_batches_tracked")
    assert all(entry.endswith(norms) for entry, _ in named(name).named_buffers())


def test_methods_without_shared_statistics_normalize_each_view_on_its_own():
    for name in ("simsiam", "barlow_twins", "vicreg", "byol", "moco v3"):
        method, batches = named(name), []
        method.encoder.register_forward_hook(lambda m, inputs, features, seen=batches: seen.append(len(features)))
        method(textured(8))
        assert batches == [8, 8], name


class Scramble(av.SupervisedPlugin):
    """Other labels, and other values for the rest of a batch but its images."""

    def before_training_iteration(self, strategy, **kwargs):
        for labels in strategy.mbatch[1:]:
            labels.copy_(torch.randint(0, 4, labels.shape, generator=torch.Generator().manual_seed(1)))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["byol", "simsiam", "barlow_twins", "vicreg", "moco v3", "supervised"])
def test_labels_are_read_by_the_supervised_reference_alone(digits, name):
    settings = {"classes": 10} if name == "supervised" else {}
    plain = state(train(named(name, **settings), digits, experiences=1))
    noise = state(train(named(name, **settings), digits, experiences=1, plugins=[Scramble()]))
    same = all(torch.equal(plain[k], noise[k]) for k in plain)
    assert same == (name != "supervised")
    assert bool(named(name).num_classes_read) == (name == "supervised")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")
@pytest.mark.parametrize("name", ["supervised", "byol", "moco split"])
@pytest.mark.parametrize(
    "plugin",
    [
        lambda: av.EWCPlugin(ewc_lambda=1.0),
        lambda: av.AGEMPlugin(patterns_per_experience=16, sample_size=8),
        lambda: av.ReplayPlugin(mem_size=32),
        lambda: av.SynapticIntelligencePlugin(si_lambda=0.1),
    ],
    ids=["ewc", "agem", "replay", "si"],
)
def test_plugins_work(digits, name, plugin):
    settings = {"classes": 10} if name == "supervised" else {}
    strategy = train(named(name, **settings), digits, plugins=[plugin()], train_mb_size=64)
    assert all(torch.isfinite(v).all() for v in state(strategy).values())


@pytest.mark.slow
@pytest.mark.parametrize(
    "name, names",
    [
        ("byol", ("prediction", "target")),
        ("simsiam", ("prediction", "target")),
        ("barlow_twins", ("first", "second")),
        ("vicreg", ("first", "second")),
        ("moco v3", ("query", "key")),
    ],
)
def test_views_of_an_image_come_to_agree(name, names):
    wider = {"hidden_dim": 64} if name in ("byol", "moco v3") else {}
    method, images = named(name, augment=GENTLE, output_dim=32, **wider), textured(64)
    assert method.positive_pair == names

    def found():
        """Share of images whose other view is found among the 64."""
        with torch.no_grad():
            outputs = seeded(method, 1)(images)
        first, second = (l2_normalize(outputs[n] - outputs[n].mean(0)) for n in names)
        return ((first @ second.T).argmax(1) == torch.arange(64)).float().mean().item()

    before, optimizer = found(), sgd(method, 0.01 if name in ("barlow_twins", "vicreg") else 0.05)
    for seed in range(80):
        step(seeded(method, 2 + seed), images, optimizer)
    assert found() > before + 0.1


@pytest.mark.parametrize("name", ["byol", "simsiam", "barlow_twins", "vicreg", "moco v3"])
def test_sizes_of_0_are_refused(name):
    with pytest.raises(UsageError, match="dim"):
        named(name, output_dim=0)


# -- views given or drawn --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cls", [SimCLR, CMC, MoCo])
def test_forward_embeds_the_views_that_it_is_given(cls):
    method, images = make(cls), textured(8)
    views = method.random_views(images)
    drawn = method.generator.get_state()
    given = method(images, views)
    assert torch.equal(method.generator.get_state(), drawn)  # it draws no others
    for name, rows in method.embed(views).items():
        assert torch.equal(given[name], rows)


def test_forward_draws_views_as_in_training_without_them():
    images = textured(8)
    drawn, given = make(SimCLR), make(SimCLR)
    own = drawn(images)
    expected = given(images, given.random_views(images))
    assert all(torch.equal(own[name], expected[name]) for name in own)
    assert torch.equal(drawn.generator.get_state(), given.generator.get_state())


def test_random_views_are_made_without_gradient_and_in_full_precision():
    class Noting(SimCLR):
        def views(self, x):
            noted.append((torch.is_grad_enabled(), torch.is_autocast_enabled("cpu")))
            return super().views(x)

    noted = []
    method = seeded(Noting(narrow, output_dim=8))
    with torch.autocast("cpu", torch.bfloat16):
        views = method.random_views(textured(4))
        method(textured(4))
    assert noted == [(False, False)] * 2
    assert all(view.dtype == torch.float32 and not view.requires_grad for view in views.values())


READ = ["", "2x2", "stages", "projection"]


@pytest.mark.parametrize("name", ["simsiam", "byol", "moco v3", "supervised"])
def test_readouts_come_from_the_pass_of_the_features(name):
    method, images = named(name).eval(), textured(4)
    with torch.no_grad():
        found, features = method.read_out(images, READ), method.extract_features(images)
    assert list(found) == READ and torch.equal(found[""], features)
    assert torch.equal(found["projection"], method.projection_head(features))
    maps = method.encoder.stages(method.augment.normalize_only(images))
    torch.testing.assert_close(found["2x2"], pool2x2(maps))
    torch.testing.assert_close(found["stages"][:, -features.shape[1] :], features)
    assert list(method.read_out(images, ["stages"])) == ["stages"]


def test_readouts_of_several_encoders_lie_side_by_side():
    method, images = make(CMC).eval(), textured(4)
    with torch.no_grad():
        found, features = method.read_out(images, READ), method.extract_features(images)
    widths = [encoder.out_features for encoder in method.encoder.values()]
    parts = zip(method.heads.values(), features.split(widths, 1))
    assert torch.equal(found["projection"], torch.cat([head(part) for head, part in parts], 1))
    assert found["2x2"].shape == (4, 4 * sum(widths))


def test_readouts_that_a_method_does_not_have_are_refused():
    class Own(SimCLR):
        def extract_features(self, x):
            return super().extract_features(x)[:, :2]

    class Declared(Own):
        readouts = ("stages",)

    images = textured(4)
    with pytest.raises(UsageError, match="readout '2x2': Own has none but its features, leave it out"):
        Own(narrow, output_dim=8).read_out(images, ["", "2x2"])
    assert Declared(narrow, output_dim=8).eval().read_out(images, ["stages"])["stages"].ndim == 2
    with pytest.raises(UsageError, match="no readout of Declared '2x2'"):
        Declared(narrow, output_dim=8).read_out(images, ["2x2"])
    for method in (make(SimCLR), make(CMC)):
        method.choose_features("global_pool")
        with pytest.raises(UsageError, match=r"'projection': \w+ has feature_layer 'global_pool', leave it out"):
            method.read_out(images, ["projection"])
    method = make(SimCLR)
    del method.projection_head
    with pytest.raises(UsageError, match="'projection': SimCLR has no projection_head, leave it out"):
        method.read_out(images, ["projection"])
