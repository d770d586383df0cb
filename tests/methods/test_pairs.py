"""Methods that compare two views without stored negatives, MoCo v3, split batch norm, the supervised reference."""

import copy
import math
from functools import partial

import numpy as np
import pytest
import torch
from avalanche.training import plugins as av
from helpers.lcg import lcg
from torch import nn
from torch.nn import functional as F

from avalanche_ssl import SelfSupervised
from avalanche_ssl.checks.contract import ContractError, check_method
from avalanche_ssl.checks.harness import textured
from avalanche_ssl.errors import UsageError
from avalanche_ssl.functional import l2_normalize
from avalanche_ssl.losses.contrastive import info_nce, pair_info_nce, similarity_scores_in_batch
from avalanche_ssl.losses.noncontrastive import barlow_loss, byol_loss, cosine_similarity, vicreg_loss
from avalanche_ssl.memory.momentum import MomentumEncoder, cosine_momentum
from avalanche_ssl.methods import BYOL, BarlowTwins, MoCo, MoCoV3, SimSiam, Supervised, VICReg
from avalanche_ssl.models.norms import SplitBatchNorm
from avalanche_ssl.models.smallconv import smallconv
from avalanche_ssl.transforms.augmentation import RandomView

tiny = partial(smallconv, width=8)
GENTLE = RandomView(scale=(0.7, 1), hflip_prob=0, jitter_prob=0, gray_prob=0)

MAKE = {
    "byol": lambda **s: BYOL(tiny, **{"output_dim": 16, "hidden_dim": 32} | s),
    "byol scheduled": lambda **s: BYOL(tiny, **{"output_dim": 16, "hidden_dim": 32, "momentum_steps": 3} | s),
    "byol with a norm at the end": lambda **s: BYOL(
        tiny, **{"output_dim": 16, "hidden_dim": 32, "head_norm": True} | s
    ),
    "simsiam": lambda **s: SimSiam(tiny, **{"output_dim": 16, "hidden_dim": 8} | s),
    "simsiam of 3 layers": lambda **s: SimSiam(tiny, **{"output_dim": 16, "hidden_dim": 8, "layers": 3} | s),
    "barlow_twins": lambda **s: BarlowTwins(tiny, **{"output_dim": 16} | s),
    "vicreg": lambda **s: VICReg(tiny, **{"output_dim": 16} | s),
    "supervised": lambda **s: Supervised(tiny, **{"classes": 4} | s),
    "supervised behind a hidden layer": lambda **s: Supervised(tiny, **{"classes": 4, "hidden_dim": 16} | s),
    "moco v3": lambda **s: MoCoV3(tiny, **{"output_dim": 16, "hidden_dim": 32} | s),
    "moco v3 scheduled": lambda **s: MoCoV3(tiny, **{"output_dim": 16, "hidden_dim": 32, "momentum_steps": 2} | s),
    "moco split": lambda **s: MoCo(tiny, **{"output_dim": 16, "queue_size": 24, "split_norm": True} | s),
    "moco split symmetric": lambda **s: MoCo(
        tiny, **{"output_dim": 16, "queue_size": 24, "split_norm": True, "symmetric": True} | s
    ),
}


def seeded(method, seed=0):
    method.generator = torch.Generator().manual_seed(seed)
    return method


def make(name, **settings):
    torch.manual_seed(0)
    return seeded(MAKE[name](**settings))


def step(method, images, optimizer):
    """One training step; the detached outputs and the loss."""
    outputs = method(images)
    loss = method.loss(outputs)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    outputs = {name: rows.detach() for name, rows in outputs.items()}
    method.update(outputs)
    return outputs, loss.item()


def sgd(method, lr=0.05):
    return torch.optim.SGD([p for p in method.parameters() if p.requires_grad], lr=lr, momentum=0.9)


@pytest.mark.parametrize("name", MAKE)
def test_the_contract_is_kept(name):
    check_method(make(name))


# -- golden values: methods.md, appendix A ---------------------------------------------------------------------


def leaf(seed, *shape):
    return lcg(seed, *shape).requires_grad_()


def test_byol_golden():
    p0, p1, z0, z1 = (leaf(seed, 8, 16) for seed in (11, 12, 1, 2))
    loss = byol_loss(p0, z1) + byol_loss(p1, z0)
    loss.backward()
    assert loss.item() == pytest.approx(3.992898533977, abs=1e-9)
    assert p0.grad.norm().item() == pytest.approx(0.2988591145179, abs=1e-9)
    assert p1.grad.norm().item() == pytest.approx(0.3048341478197, abs=1e-9)
    assert z0.grad is None and z1.grad is None


def test_byol_sums_both_directions_golden():
    """The method's own loss: each prediction with the target that `embed` names beside it."""
    outputs = {"prediction": lcg(11, 8, 16), "target": lcg(2, 8, 16)}
    outputs |= {"prediction2": lcg(12, 8, 16), "target2": lcg(1, 8, 16)}
    assert make("byol").loss(outputs).item() == pytest.approx(3.992898533977, abs=1e-9)


def test_moco_v3_golden():
    query, key = l2_normalize(lcg(1, 8, 16)), l2_normalize(lcg(2, 8, 16))
    two_tau = 2 * 0.2
    one_direction = two_tau * info_nce(similarity_scores_in_batch(query, key), 0.2)
    assert one_direction.item() == pytest.approx(0.962813759011, abs=1e-9)
    both = pair_info_nce(query, key, 0.2)
    assert torch.allclose(
        both, sum(info_nce(similarity_scores_in_batch(*z), 0.2) for z in ((query, key), (key, query)))
    )


def test_momentum_schedule_golden():
    assert cosine_momentum(torch.tensor(5), 10, 0.996, 1.0).item() == pytest.approx(0.998, abs=1e-12)
    assert cosine_momentum(torch.tensor(0), 10, 0.996, 1.0).item() == pytest.approx(0.996, abs=1e-12)
    assert cosine_momentum(torch.tensor(10), 10, 0.996, 1.0).item() == pytest.approx(1, abs=1e-12)


# -- naive loops from the equations ----------------------------------------------------------------------------


def test_byol_equals_equation_2():
    p, z = lcg(5, 6, 4), lcg(6, 6, 4)
    distances = [float(((a / a.norm() - b / b.norm()) ** 2).sum()) for a, b in zip(p, z)]
    assert byol_loss(p, z).item() == pytest.approx(sum(distances) / 6, rel=1e-12)


def test_simsiam_equals_equation_4():
    method = make("simsiam")
    p1, z2, p2, z1 = (lcg(seed, 8, 16) for seed in (1, 2, 3, 4))
    loss = method.loss({"prediction": p1, "target": z2, "prediction2": p2, "target2": z1})
    pairs = [(p1, z2), (p2, z1)]
    each = [-sum(float(a @ b / (a.norm() * b.norm())) for a, b in zip(p, z)) / 8 for p, z in pairs]
    assert loss.item() == pytest.approx(sum(each) / 2, rel=1e-12)


def test_barlow_equals_equations_1_and_2():
    a, b, weight = lcg(7, 9, 5), lcg(8, 9, 5), 0.02
    x, y = (((z - z.mean(0)) / (z.var(0, correction=0) + 1e-5).sqrt()).numpy() for z in (a, b))
    total = 0.0
    for i in range(5):
        for j in range(5):
            c = sum(x[n, i] * y[n, j] for n in range(9)) / 9
            total += (1 - c) ** 2 if i == j else weight * c**2
    assert barlow_loss(a, b, weight).item() == pytest.approx(total, rel=1e-12)


def test_vicreg_equals_equations_1_to_6():
    a, b = lcg(7, 9, 5), lcg(8, 9, 5)
    total = 25 * sum(float((a[n, d] - b[n, d]) ** 2) for n in range(9) for d in range(5)) / (9 * 5)
    for z in (a, b):
        total += 25 / 2 * sum(max(0.0, 1 - math.sqrt(float(z[:, d].var()) + 1e-4)) for d in range(5)) / 5
        c = np.cov(z.numpy().T)
        total += sum(c[i, j] ** 2 for i in range(5) for j in range(5) if i != j) / 5
    assert vicreg_loss(a, b).item() == pytest.approx(total, rel=1e-12)


LOSSES = pytest.mark.parametrize(
    "loss",
    [byol_loss, lambda a, b: -cosine_similarity(a, b), partial(barlow_loss, weight=0.005), vicreg_loss],
    ids=["byol", "simsiam", "barlow_twins", "vicreg"],
)


@LOSSES
def test_the_loss_is_0d_and_pairs_count_while_their_order_does_not(loss):
    a, b, order = leaf(1, 8, 16), lcg(2, 8, 16), torch.arange(8).roll(3)
    assert loss(a, b).ndim == 0
    assert torch.allclose(loss(a[order], b[order]), loss(a, b))
    assert not torch.allclose(loss(a[order], b), loss(a, b))
    assert loss(b, b) < loss(a, b), "agreement is better"
    assert torch.autograd.gradcheck(lambda z: loss(z, b), a)


@pytest.mark.parametrize("loss", [byol_loss, cosine_similarity, partial(barlow_loss, weight=0.005)])
def test_the_length_of_an_embedding_does_not_count(loss):
    a, b = lcg(1, 8, 16), lcg(2, 8, 16)
    assert torch.allclose(loss(7 * a, b), loss(a, b), rtol=1e-4)


def test_vicreg_reads_the_length_of_an_embedding():
    a, b = lcg(1, 8, 16), lcg(2, 8, 16)
    assert not torch.allclose(vicreg_loss(7 * a, 7 * b), vicreg_loss(a, b))


def test_closed_forms():
    z = lcg(1, 8, 16)
    assert byol_loss(z, z).item() == pytest.approx(0, abs=1e-12)
    constant = torch.ones(8, 16, dtype=torch.float64)
    assert barlow_loss(constant, constant, 0.005).item() == pytest.approx(16), "of a collapse: every diagonal entry"
    assert vicreg_loss(constant, constant).item() == pytest.approx(25 * (1 - 0.01)), "of a collapse: the hinge"
    same = l2_normalize(constant)
    assert info_nce(similarity_scores_in_batch(same, same), 0.2).item() == pytest.approx(math.log(8))


@pytest.mark.parametrize("kind", ["barlow_twins", "vicreg", "byol"])
def test_losses_equal_lightly(kind):
    losses = pytest.importorskip("lightly.loss")
    a, b = leaf(1, 8, 16), lcg(2, 8, 16)
    if kind == "barlow_twins":  # its batch norm has the same eps
        ours, theirs = barlow_loss(a, b, 0.005), losses.BarlowTwinsLoss(lambda_param=0.005)(a, b)
    elif kind == "vicreg":
        ours, theirs = vicreg_loss(a, b), losses.VICRegLoss()(a, b)
    else:
        ours, theirs = byol_loss(a, b), 2 + 2 * losses.NegativeCosineSimilarity()(a, b)
    assert ours.item() == pytest.approx(theirs.item(), rel=1e-6)
    mine, lightlys = (torch.autograd.grad(loss, a)[0] for loss in (ours, theirs))
    assert torch.allclose(mine, lightlys, rtol=1e-5, atol=1e-9)


# -- which view goes where -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name, of_first, of_second",
    [
        ("byol", ["prediction", "target2"], ["prediction2", "target"]),
        ("simsiam", ["prediction", "target2"], ["prediction2", "target"]),
        ("moco v3", ["query", "key2"], ["query2", "key"]),
        ("moco split symmetric", ["query", "key2"], ["query2", "key"]),
        ("moco split", ["query"], ["key"]),
        ("barlow_twins", ["first"], ["second"]),
        ("vicreg", ["first"], ["second"]),
    ],
)
def test_what_is_compared_comes_from_different_views(name, of_first, of_second):
    method = make(name)
    views = method.views(textured(8))
    outputs = method.embed(views)
    assert set(outputs) == {*of_first, *of_second}
    for changed, follow in (("first", of_first), ("second", of_second)):
        again = method.embed(views | {changed: views[changed].flip(3)})
        assert [n for n in outputs if not torch.equal(outputs[n], again[n])] == [n for n in outputs if n in follow]


# -- BYOL and MoCo v3: the slow copy ---------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["byol", "moco v3"])
@pytest.mark.parametrize("momentum", [0.0, 0.9, 1.0])
def test_slow_copy_moves_towards_the_encoder_after_the_step(name, momentum):
    method = make(name, momentum=momentum)
    optimizer = sgd(method)
    for _ in range(3):
        slow = [p.clone() for p in method.momentum_encoder.copy.parameters()]
        step(method, textured(8), optimizer)
        fast = list(method.online_network().parameters())
        for old, new, target in zip(slow, method.momentum_encoder.copy.parameters(), fast):
            assert torch.allclose(new, momentum * old + (1 - momentum) * target, atol=1e-7)
    if momentum == 0:
        assert all(torch.equal(a, b) for a, b in zip(method.momentum_encoder.copy.parameters(), fast))


@pytest.mark.parametrize("name", ["byol", "moco v3"])
def test_slow_copy_has_no_predictor_no_gradient_and_its_own_statistics(name):
    method = make(name)
    assert len(list(method.momentum_encoder.copy.parameters())) == len(list(method.online_network().parameters()))
    method.loss(method(textured(8))).backward()
    assert all(p.grad is None and not p.requires_grad for p in method.momentum_encoder.parameters())
    assert all(p.grad is not None for p in method.predictor.parameters())
    norm = next(m for m in method.momentum_encoder.modules() if isinstance(m, nn.BatchNorm2d))
    assert norm.training and norm.num_batches_tracked == 2 and norm.running_mean.abs().sum() > 0


@pytest.mark.parametrize("name", ["byol", "moco v3", "simsiam"])
def test_targets_have_no_gradient(name):
    outputs = make(name)(textured(8))
    targets = [n for n in outputs if n.startswith(("target", "key"))]
    assert len(targets) == 2 and not any(outputs[n].requires_grad for n in targets)
    assert all(outputs[n].requires_grad for n in outputs if n not in targets)


def test_momentum_rises_starts_again_and_never_freezes():
    fast = nn.Linear(1, 1, bias=False)
    slow, moved = MomentumEncoder(fast, 0.9, steps=4, final=0.99), []
    for _ in range(9):
        nn.init.zeros_(slow.copy.weight)
        nn.init.ones_(fast.weight)
        slow.update(fast)
        moved.append(1 - slow.copy.weight.item())
    expected = [0.99 - 0.09 * (1 + math.cos(math.pi * k / 4)) / 2 for k in (0, 1, 2, 3)]
    assert moved == pytest.approx((expected * 3)[:9], abs=1e-6)
    assert max(moved) < 0.99 and slow.n_updates == 9


def test_momentum_schedule_survives_a_reload():
    first = make("byol scheduled")
    for _ in range(2):
        step(first, textured(8), sgd(first))
    second = make("byol scheduled")
    second.load_state_dict(first.state_dict())
    assert second.momentum_encoder.n_updates == 2
    for method in (first, second):
        method.update({})
    pairs = zip(first.momentum_encoder.parameters(), second.momentum_encoder.parameters())
    assert all(torch.equal(a, b) for a, b in pairs)


@pytest.mark.parametrize("settings", [{"final": 1.0}, {"final": 0.5}, {"steps": -1}])
def test_a_schedule_that_would_freeze_the_copy_is_refused(settings):
    with pytest.raises(ValueError, match="cannot rise"):
        MomentumEncoder(nn.Linear(1, 1), 0.9, **{"steps": 10} | settings)


def test_moco_v3_is_symmetric_and_twice_tau():
    method = make("moco v3", temperature=0.3)
    outputs = method(textured(8))
    total = torch.zeros(())
    for q, k in (("query", "key"), ("query2", "key2")):
        for i in range(8):
            scores = outputs[k] @ outputs[q][i] / 0.3
            total = total + 0.6 * (scores.logsumexp(0) - scores[i]) / 8
    assert method.loss(outputs).item() == pytest.approx(total.item(), rel=1e-5)
    swapped = {"query": "query2", "key": "key2", "query2": "query", "key2": "key"}
    assert torch.allclose(method.loss({n: outputs[s] for n, s in swapped.items()}), method.loss(outputs))
    assert not any("queue" in name for name in method.state_dict())


@pytest.mark.parametrize("name", ["moco v3", "simsiam"])
def test_the_last_norm_of_projections_has_no_scale(name):
    norm = make(name).projection_head[-1]
    assert isinstance(norm, nn.BatchNorm1d) and norm.weight is None


@pytest.mark.parametrize("name", ["byol", "moco v3"])
def test_only_the_second_view_is_solarised(name):
    plain = RandomView(scale=(1, 1), ratio=(1, 1), hflip_prob=0, jitter_prob=0, gray_prob=0)
    method, images = make(name, solarize_prob=1.0, augment=plain), textured(8)
    views = method.views(images)
    x = images / 255
    assert torch.allclose(views["first"], (x - 0.5) / 0.25, atol=1e-5)
    assert torch.allclose(views["second"], (torch.where(x >= 0.5, 1 - x, x) - 0.5) / 0.25, atol=1e-5)


@pytest.mark.parametrize("name", ["simsiam", "barlow_twins", "vicreg", "supervised"])
def test_methods_without_memory_remember_only_weights(name):
    norms = ("running_mean", "running_var", "num_batches_tracked")
    assert all(entry.endswith(norms) for entry, _ in make(name).named_buffers())


def test_simsiam_and_barlow_normalise_each_view_on_its_own():
    for name in ("simsiam", "barlow_twins", "vicreg", "byol", "moco v3"):
        method, batches = make(name), []
        method.encoder.register_forward_hook(lambda m, inputs, features, seen=batches: seen.append(len(features)))
        method(textured(8))
        assert batches == [8, 8], name


# -- split batch norm ------------------------------------------------------------------------------------------


def maps(count, channels=4):
    return torch.randn(count, channels, 3, 3, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("interleaved", [False, True])
@pytest.mark.parametrize("count, groups", [(64, 8), (67, 8), (33, 4), (16, 2), (8, 1), (2, 1)])
def test_split_norm_gives_each_group_its_own_statistics(count, groups, interleaved):
    layer, x = SplitBatchNorm(4), maps(count)
    layer.interleaved = interleaved
    index = torch.arange(count)
    parts = [index[i::groups] for i in range(groups)] if interleaved else index.tensor_split(groups)
    expected, means, variances = torch.empty_like(x), [], []
    for part in parts:
        expected[part] = nn.BatchNorm2d(4)(x[part])
        means.append(x[part].mean((0, 2, 3)))
        variances.append(x[part].transpose(0, 1).flatten(1).var(1))
    assert torch.allclose(layer(x), expected, atol=1e-5)
    assert torch.allclose(layer.running_mean, 0.1 * torch.stack(means).mean(0), atol=1e-6)
    assert torch.allclose(layer.running_var, 0.9 + 0.1 * torch.stack(variances).mean(0), atol=1e-6)
    assert layer.num_batches_tracked == 1


def test_permuting_the_batch_matters_only_to_split_norm():
    x, order = maps(64), torch.randperm(64, generator=torch.Generator().manual_seed(1))
    split, plain = SplitBatchNorm(4), nn.BatchNorm2d(4)
    assert not torch.allclose(split(x[order]), split(x)[order], atol=1e-3)
    assert torch.allclose(plain(x[order]), plain(x)[order], atol=1e-5)


def test_split_norm_in_eval_mode_is_batch_norm():
    split, plain = SplitBatchNorm(4), nn.BatchNorm2d(4)
    split(maps(64))
    plain.load_state_dict(split.state_dict())
    assert torch.equal(split.eval()(maps(64)), plain.eval()(maps(64)))


def test_split_norm_is_a_norm_of_every_encoder_and_learns():
    encoder = smallconv(norm="split", width=4)
    layers = [m for m in encoder.modules() if isinstance(m, nn.BatchNorm2d)]
    assert len(layers) == 4 and all(isinstance(m, SplitBatchNorm) and m.groups == 8 for m in layers)
    encoder(torch.randn(17, 3, 32, 32)).sum().backward()
    assert all(p.grad is not None for p in encoder.parameters())
    with pytest.raises(UsageError, match="split into 0 groups"):
        SplitBatchNorm(4, groups=0)


def test_moco_normalises_keys_in_other_company_than_queries():
    method = make("moco split")
    fast = [m.interleaved for m in method.online_network().modules() if isinstance(m, SplitBatchNorm)]
    slow = [m.interleaved for m in method.momentum_encoder.modules() if isinstance(m, SplitBatchNorm)]
    assert fast == [False] * 4 and slow == [True] * 4
    assert not any(isinstance(m, SplitBatchNorm) for m in MoCo(tiny, output_dim=16, queue_size=24).modules())


# -- the supervised reference ----------------------------------------------------------------------------------


def learn(model, digits, experiences=2, **settings):
    strategy = SelfSupervised(model=model, optimizer=sgd(model), **{"train_mb_size": 32} | settings)
    for experience in list(digits.train_stream)[:experiences]:
        strategy.train(experience, eval_streams=[])
    return strategy


class Scramble(av.SupervisedPlugin):
    """Other labels, and whatever else a batch tells beside its images."""

    def before_training_iteration(self, strategy, **kwargs):
        for labels in strategy.mbatch[1:]:
            labels.copy_(torch.randint(0, 4, labels.shape, generator=torch.Generator().manual_seed(1)))


def state(strategy):
    return {k: v.clone() for k, v in strategy.model.state_dict().items()}


@pytest.mark.parametrize("name", ["byol", "simsiam", "barlow_twins", "vicreg", "moco v3", "supervised"])
def test_labels_are_read_by_the_supervised_reference_alone(digits, name):
    settings = {"classes": 10} if name == "supervised" else {}
    plain = state(learn(make(name, **settings), digits, experiences=1))
    noise = state(learn(make(name, **settings), digits, experiences=1, plugins=[Scramble()]))
    same = all(torch.equal(plain[k], noise[k]) for k in plain)
    assert same == (name != "supervised")
    assert bool(make(name).num_classes_read) == (name == "supervised")


def test_supervised_loss_is_the_cross_entropy_of_the_labels():
    method, labels = make("supervised"), torch.tensor([0, 1, 2, 3, 3, 2, 1, 0])
    outputs = method(textured(8))
    assert "labels" not in outputs
    loss = method.loss(outputs | {"labels": labels})
    log_p = outputs["logits"].log_softmax(1)
    assert loss.item() == pytest.approx(-sum(log_p[i, c].item() for i, c in enumerate(labels)) / 8, rel=1e-5)
    with pytest.raises(UsageError, match="needs outputs"):
        method.loss(outputs)
    with pytest.raises(ValueError, match="2 classes or more"):
        make("supervised", classes=1)


def test_supervised_names_labels_it_has_no_class_for(digits):
    with pytest.raises(UsageError, match=r"reads labels 0 to 1, and the experience has \d: .*classes="):
        learn(make("supervised", classes=2), digits)


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
    strategy = learn(make(name, **settings), digits, plugins=[plugin()], train_mb_size=64)
    assert all(torch.isfinite(v).all() for v in state(strategy).values())


def test_a_method_that_reads_labels_is_checked_with_some():
    class Blind(Supervised):
        def loss(self, outputs):
            return F.cross_entropy(outputs["logits"], outputs["labels"]).detach()

    with pytest.raises(ContractError, match="the loss has no gradient"):
        check_method(seeded(Blind(tiny, classes=4)))


# -- a stream: what is remembered --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["byol", "moco v3"])
def test_the_slow_copy_carries_over_and_matters(digits, name):
    """Experience 2 starts from the slow copy that experience 1 left; a fresh one gives another result."""
    starts = []

    class Look(av.SupervisedPlugin):
        def before_training_exp(self, strategy, **kwargs):
            starts.append([p.clone() for p in strategy.model.momentum_encoder.parameters()])

    model = make(name)
    strategy = SelfSupervised(model=model, optimizer=sgd(model), train_mb_size=32, plugins=[Look()])
    first, second = list(digits.train_stream)[:2]
    untrained = copy.deepcopy(model.momentum_encoder)
    strategy.train(first, eval_streams=[])
    left = [p.clone() for p in model.momentum_encoder.parameters()]
    forgetful = copy.deepcopy(strategy)
    forgetful.model.momentum_encoder.load_state_dict(untrained.state_dict())
    for one in (strategy, forgetful):
        one.train(second, eval_streams=[])
    assert all(torch.equal(a, b) for a, b in zip(starts[1], left))
    assert not torch.equal(state(strategy)["projection_head.0.weight"], state(forgetful)["projection_head.0.weight"])


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
    method, images = make(name, augment=GENTLE, output_dim=32, **wider), textured(64)
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
        make(name, output_dim=0)
