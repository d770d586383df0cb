"""The mechanism of each method: what it compares, what it remembers, and when it writes it."""

import copy
import math
from functools import partial

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from avalanche_ssl.checks.harness import textured
from avalanche_ssl.functional import l2_normalize
from avalanche_ssl.losses.contrastive import nt_xent, pair_info_nce
from avalanche_ssl.methods import CMC, MoCo, SimCLR
from avalanche_ssl.models.smallconv import smallconv
from avalanche_ssl.transforms.augmentation import RandomView
from avalanche_ssl.transforms.color import lab_views, sobel

tiny = partial(smallconv, width=8)
THREE = ("l", "ab", "edges")


def seeded(method, seed=0):
    method.generator = torch.Generator().manual_seed(seed)
    return method


def moco(**kwargs):
    torch.manual_seed(0)
    return seeded(MoCo(tiny, **{"output_dim": 16, "queue_size": 24, "momentum": 0.9} | kwargs))


def cmc(**kwargs):
    torch.manual_seed(0)
    return seeded(CMC(tiny, **{"output_dim": 16, "capacity": 32, "count": 32} | kwargs))


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


def cross_entropy(query, key, rows, temperature):
    """InfoNCE of MoCo eq. 1, one query at a time."""
    losses = []
    for q, k in zip(query, key):
        scores = torch.stack([q @ k, *(q @ row for row in rows)]) / temperature
        losses.append(scores.logsumexp(0) - scores[0])
    return torch.stack(losses).mean()


# -- SimCLR ----------------------------------------------------------------------------------------------------


def test_simclr_contrasts_its_two_views():
    torch.manual_seed(0)
    method = seeded(SimCLR(tiny, output_dim=16, temperature=0.3))
    outputs = method(textured(8))
    assert torch.equal(method.loss(outputs), nt_xent(outputs["first"], outputs["second"], 0.3))
    assert all(torch.allclose(rows.norm(dim=1), torch.ones(8)) for rows in outputs.values())


def test_simclr_embeds_both_views_in_one_forward():
    method, batches = SimCLR(tiny, output_dim=16), []
    method.encoder.register_forward_hook(lambda module, inputs, features: batches.append(len(features)))
    method(textured(8))
    assert batches == [16]


def test_simclr_remembers_nothing():
    norms = ("running_mean", "running_var", "num_batches_tracked")
    assert all(name.endswith(norms) for name, _ in SimCLR(tiny).named_buffers())


# -- MoCo ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("symmetric", [False, True])
def test_moco_queue_holds_the_keys_of_the_last_steps(symmetric):
    method = moco(symmetric=symmetric, queue_size=40)
    optimizer, keys = sgd(method), []
    for _ in range(4):
        outputs, _ = step(method, textured(8), optimizer)
        keys += [outputs["key"], outputs["key2"]] if symmetric else [outputs["key"]]
    keys = torch.cat(keys)[-40:]
    oldest_first = method.queue.ages().argsort(descending=True)[: len(keys)]
    assert torch.equal(method.queue.rows[oldest_first], keys)
    assert method.queue.n_enqueued == (64 if symmetric else 32)


def test_moco_keys_of_a_step_take_the_next_slots():
    method = moco(queue_size=10)
    optimizer = sgd(method)
    step(method, textured(8), optimizer)
    outputs, _ = step(method, textured(5), optimizer)
    assert torch.equal(method.queue.rows[[8, 9, 0, 1, 2]], outputs["key"])


@pytest.mark.parametrize("symmetric", [False, True])
def test_moco_loss_is_against_the_queue_before_the_step(symmetric):
    method = moco(symmetric=symmetric, temperature=0.2)
    optimizer = sgd(method)
    for _ in range(3):
        old = method.queue.rows.clone()
        outputs, loss = step(method, textured(8), optimizer)
        expected = cross_entropy(outputs["query"], outputs["key"], old, 0.2)
        if symmetric:
            expected = expected + cross_entropy(outputs["query2"], outputs["key2"], old, 0.2)
        assert loss == pytest.approx(expected.item(), rel=1e-5)
        assert not torch.equal(method.queue.rows, old)


def test_moco_own_key_is_never_a_negative():
    """Queries equal to their keys, and a queue of the opposite: any own key in the queue would cost ln 2."""
    method = moco(queue_size=8, temperature=0.05)
    row = l2_normalize(torch.ones(1, 16)).expand(8, 16)
    method.queue.enqueue(-row)
    outputs = {"query": row, "key": row}
    assert method.loss(outputs) < 1e-6
    method.update(outputs)
    assert method.loss(outputs).item() == pytest.approx(math.log(9))


@pytest.mark.parametrize("momentum", [0.0, 0.9, 0.999, 1.0])
def test_moco_slow_copy_moves_towards_the_updated_encoder(momentum):
    method = moco(momentum=momentum)
    optimizer = sgd(method)
    for _ in range(3):
        slow = [p.clone() for p in method.momentum_encoder.copy.parameters()]
        step(method, textured(8), optimizer)
        fast = list(method.online_network().parameters())
        for old, new, target in zip(slow, method.momentum_encoder.copy.parameters(), fast):
            assert torch.allclose(new, momentum * old + (1 - momentum) * target, atol=1e-7)
    if momentum == 0:
        assert all(torch.equal(a, b) for a, b in zip(method.momentum_encoder.copy.parameters(), fast))


def test_moco_slow_copy_starts_equal_and_shares_nothing():
    method = moco()
    for fast, slow in zip(method.online_network().parameters(), method.momentum_encoder.copy.parameters()):
        assert torch.equal(fast, slow) and fast.data_ptr() != slow.data_ptr()
        assert fast.requires_grad and not slow.requires_grad


def test_moco_keys_and_queue_have_no_gradient():
    method = moco(symmetric=True)
    outputs = method(textured(8))
    assert not outputs["key"].requires_grad and not outputs["key2"].requires_grad
    method.loss(outputs).backward()
    assert all(p.grad is None for p in method.momentum_encoder.parameters())
    assert not method.queue.rows.requires_grad


def test_moco_gradient_survives_a_push():
    method = moco()
    loss = method.loss(method(textured(8)))
    with pytest.raises(RuntimeError, match="inplace"):  # why `update` comes after the optimiser step
        method.queue.enqueue(torch.zeros(8, 16))
        loss.backward()


def test_moco_slow_batch_norm_keeps_its_own_statistics():
    method = moco(momentum=1.0)
    step(method, textured(8), sgd(method))
    fast, slow = (
        next(m for m in n.modules() if isinstance(m, nn.BatchNorm2d))
        for n in (method.online_network(), method.momentum_encoder)
    )
    assert slow.num_batches_tracked == 1 and not torch.equal(fast.running_mean, slow.running_mean)
    assert slow.running_mean.abs().sum() > 0


def test_moco_heads_of_both_versions():
    first, second = moco(hidden_dim=0), moco()
    assert [type(layer) for layer in first.projection_head] == [nn.Linear] and first.projection_head[0].bias is not None
    assert [type(layer) for layer in second.projection_head] == [nn.Linear, nn.ReLU, nn.Linear]
    assert second.projection_head[0].weight.shape == (64, 64) and second.projection_head[2].weight.shape == (16, 64)


def test_cmc_heads_are_linear_or_have_a_hidden_layer_with_norm():
    layers = [nn.Linear, nn.BatchNorm1d, nn.ReLU, nn.Linear]
    for head in cmc(hidden_dim=0).heads.values():
        assert [type(layer) for layer in head] == layers[:1] and head[0].bias is not None
    for head in cmc(hidden_dim=16).heads.values():
        assert [type(layer) for layer in head] == layers
    for head in cmc(hidden_dim=16, head_norm=True).heads.values():
        assert [type(layer) for layer in head] == [*layers, nn.BatchNorm1d]


@pytest.mark.parametrize("hidden_dim", [0, 16])
def test_head_norm_centres_embeddings_in_each_batch(hidden_dim):
    """Whatever the weights: young networks lean one way."""
    method, images = moco(hidden_dim=hidden_dim, head_norm=True), textured(16)
    rows = method.online_network()(method.augment.normalize_only(images))
    assert torch.allclose(rows.mean(0), torch.zeros(16), atol=1e-5)
    two = cmc(hidden_dim=hidden_dim, head_norm=True)
    views = two.views(images)
    for name in two.names:
        rows = two.heads[name](two.encoder[name](views[name]))
        assert torch.allclose(rows.mean(0), torch.zeros(16), atol=1e-5)


def test_moco_represents_with_the_fast_encoder():
    method = moco().eval()
    for parameter in method.momentum_encoder.parameters():
        parameter.zero_()
    images = textured(8)
    assert torch.equal(method.extract_features(images), method.encoder(method.augment.normalize_only(images)))
    assert method.extract_features(images).count_nonzero() > 0


# -- CMC -------------------------------------------------------------------------------------------------------


def test_cmc_views_are_lab_in_the_range_of_one():
    method = cmc(views=THREE, augment=RandomView(jitter_prob=0, gray_prob=0))
    views = method.views(textured(16))
    assert {name: views[name].shape[1:] for name in THREE} == {
        "l": (1, 32, 32),
        "ab": (2, 32, 32),
        "edges": (2, 32, 32),
    }
    for name in THREE:
        assert views[name].abs().max() <= 1
    assert views["l"].std() > 0.1 and views["ab"].std() > 0.02


def test_cmc_views_of_gray_black_and_white():
    method = cmc(augment=RandomView(jitter_prob=0, gray_prob=0))
    levels = torch.tensor([0, 128, 255], dtype=torch.uint8).view(3, 1, 1, 1).expand(3, 3, 32, 32).contiguous()
    views = method.views(levels)
    lightness = 50 * views["l"].mean((1, 2, 3)) + 50
    assert torch.allclose(lightness, torch.tensor([0.0, 53.585, 100.0]), atol=0.01)
    a, b = 92.208 * views["ab"][:, 0] + 6.025, 101.1675 * views["ab"][:, 1] - 6.6895
    assert a.abs().max() < 0.02 and b.abs().max() < 0.02


def test_cmc_edges_are_derivatives_of_lightness():
    method = cmc(
        views=("l", "edges"), augment=RandomView(scale=(1, 1), ratio=(1, 1), hflip_prob=0, jitter_prob=0, gray_prob=0)
    )
    ramp = torch.arange(0, 256, 8, dtype=torch.uint8).expand(1, 3, 32, 32).contiguous()
    views = method.views(ramp)
    x, y = views["edges"][0, :, 1:-1, 1:-1]
    slope = (views["l"][0, 0, 1:-1, 2:] - views["l"][0, 0, 1:-1, :-2]) / 2
    assert torch.allclose(x.abs(), slope.abs(), atol=1e-6) and y.abs().max() < 1e-6


@pytest.mark.parametrize("views", [("l", "ab"), THREE])
def test_cmc_features_are_those_of_all_views(views):
    method = cmc(views=views).eval()
    features = method.extract_features(textured(8))
    widths = [method.encoder[v].out_features for v in views]
    assert features.shape == (8, sum(widths))
    assert all(part.count_nonzero() > 0 for part in features.split(widths, dim=1))
    assert [method.encoder[v].in_channels for v in views] == [1, 2, 2][: len(views)]


def test_cmc_encoders_see_lab_of_the_raw_image():
    """Neither normalised nor jittered before: L of each encoder's own view, from the pixels themselves."""
    method, images, seen = cmc(views=THREE).eval(), textured(4), {}
    for name, encoder in method.encoder.items():
        encoder.register_forward_pre_hook(lambda module, given, name=name: seen.update({name: given[0]}))
    method.extract_features(images)
    lightness, colour = lab_views(images / 255)
    assert torch.allclose(seen["l"], lightness, atol=1e-5) and torch.allclose(seen["ab"], colour, atol=1e-5)
    assert torch.allclose(seen["edges"], sobel(lightness), atol=1e-5)


def test_cmc_bank_holds_each_view_in_its_own_row():
    method, images = cmc(bank_momentum=0.25), textured(8)
    optimizer = sgd(method)
    first, _ = step(method, images, optimizer)
    fresh = torch.stack([first["l"], first["ab"]], 1)
    assert torch.allclose(method.bank.read(first["ids"], torch.zeros(8, 2, 16)), fresh, atol=1e-6)
    second, _ = step(method, images.flip(0), optimizer)
    now = torch.stack([second["l"], second["ab"]], 1)
    n_updates = l2_normalize(0.25 * fresh.flip(0) + 0.75 * now)
    assert torch.allclose(method.bank.read(second["ids"], torch.zeros(8, 2, 16)), n_updates, atol=1e-6)
    assert method.bank.n_written == 8 and method.bank.n_hits == 8


@pytest.mark.parametrize("other", ["l", "ab"])
def test_cmc_bank_rows_of_a_view_depend_on_that_view_only(other):
    a = cmc()
    b = copy.deepcopy(a)
    outputs = {name: rows.detach() for name, rows in a(textured(8)).items()}
    a.update(outputs)
    b.update(outputs | {other: l2_normalize(torch.randn(8, 16))})
    same = {"l": 1, "ab": 0}[other]
    assert torch.equal(a.bank.rows[:, same], b.bank.rows[:, same])
    assert not torch.equal(a.bank.rows[:, 1 - same], b.bank.rows[:, 1 - same])


def cmc_reference(method, outputs, bank, known):
    """CMC's bank loss written out: anchor of view i, key and negatives the rows of view j, for each ordered pair.

    `bank` is a dict from image id to {view: row}; every row is a negative of every other image.
    """
    total = torch.zeros(())
    for i in method.names:
        for j in method.names:
            if i == j or (method.core and method.names[0] not in (i, j)):
                continue
            losses = []
            for b, image in enumerate(outputs["ids"].tolist()):
                key = bank[image][j] if known else outputs[j][b].detach()
                negatives = [rows[j] for other, rows in bank.items() if other != image]
                scores = torch.stack([outputs[i][b] @ row for row in [key, *negatives]]) / method.temperature
                losses.append(scores.logsumexp(0) - scores[0])
            total = total + torch.stack(losses).mean()
    return total


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("views, graph", [(("l", "ab"), "full"), (THREE, "core"), (THREE, "full")])
def test_cmc_anchor_looks_for_the_row_of_the_other_view(views, graph, known):
    """Value and gradient against a loop: keys come from the bank, of an unknown image from its fresh other view."""
    method = cmc(views=views, graph=graph)
    method.core = graph == "core"
    old = {name: rows.detach() for name, rows in method(textured(8)).items()}
    method.update(old)
    bank = {image: {v: old[v][b] for v in views} for b, image in enumerate(old["ids"].tolist())}
    outputs = method(textured(8) if known else textured(16)[8:])
    leaves = {v: outputs[v].detach().requires_grad_() for v in views}
    ours = method.loss(leaves | {"ids": outputs["ids"]})
    theirs = cmc_reference(method, leaves | {"ids": outputs["ids"]}, bank, known)
    assert ours.item() == pytest.approx(theirs.item(), rel=1e-5)
    gradients = (torch.autograd.grad(loss, list(leaves.values())) for loss in (ours, theirs))
    for a, b in zip(*gradients):
        assert torch.allclose(a, b, atol=1e-5)


def test_cmc_finds_rows_by_the_image_not_by_its_place():
    method, images = cmc(), textured(16)
    outputs = {name: rows.detach() for name, rows in method(images).items()}
    method.update(outputs)
    order = torch.tensor([5, 0, 11, 3])
    again = method(images[order])
    rows = method.bank.read(again["ids"], torch.zeros(4, 2, 16))
    assert torch.allclose(rows[:, 0], outputs["l"][order], atol=1e-6)


@pytest.mark.parametrize("views, graph, pairs", [(("l", "ab"), "core", 1), (THREE, "core", 2), (THREE, "full", 3)])
def test_cmc_in_the_batch_sums_over_the_pairs(views, graph, pairs):
    method = cmc(views=views, graph=graph, negatives="batch")
    outputs = method(textured(8))
    core, *others = (outputs[v] for v in views)
    contrasted = [(core, other) for other in others] + ([tuple(others)] if graph == "full" and len(others) > 1 else [])
    assert len(contrasted) == len(method.pairs) == pairs
    expected = sum(pair_info_nce(a, b, 0.07) for a, b in contrasted)
    assert torch.allclose(method.loss(outputs), expected)
    assert "ids" not in outputs and method.bank is None


def test_cmc_in_the_batch_remembers_nothing():
    method = cmc(negatives="batch")
    before = {name: buffer.clone() for name, buffer in method.named_buffers() if "running" not in name}
    method.update({name: rows.detach() for name, rows in method(textured(8)).items()})
    buffers = dict(method.named_buffers())
    assert all(torch.equal(buffers[name], buffer) for name, buffer in before.items() if "num_batches" not in name)


def test_cmc_nce_normaliser_is_a_running_mean_of_the_noise_and_persists():
    method, images = cmc(objective="nce"), textured(16)
    optimizer, means = sgd(method), []
    own = torch.eye(16, dtype=torch.bool)
    step(method, images, optimizer)
    assert method.nce_normalizer.steps == 0, "the bank was empty"
    for t in range(3):
        rows = method.bank.rows[:16].clone()
        outputs, _ = step(method, images, optimizer)  # the bank holds just these images: each is noise to the others
        means.append([(outputs[v] @ rows[:, j].T / 0.07).exp()[~own].mean().item() for v, j in (("l", 1), ("ab", 0))])
        assert method.nce_normalizer.steps == t + 1
    expected = torch.tensor(means).mean(0)
    assert torch.allclose(method.nce_normalizer.log_z.exp(), expected, rtol=1e-4)
    fresh = cmc(objective="nce")
    fresh.load_state_dict(method.state_dict())
    assert torch.equal(fresh.nce_normalizer.log_z, method.nce_normalizer.log_z) and fresh.nce_normalizer.steps == 3
    outputs = method(images)
    assert torch.equal(seeded(method).loss(outputs), seeded(fresh).loss(outputs))


def test_cmc_nce_uses_the_remembered_normaliser():
    method, images = cmc(objective="nce"), textured(16)
    for _ in range(2):
        step(method, images, sgd(method))
    outputs = method(images)
    rows, total = method.bank.read(outputs["ids"], torch.zeros(16, 2, 16)), 0.0
    for i, j, name in ((0, 1, "l"), (1, 0, "ab")):
        odds = outputs[name] @ rows[:, j].T / 0.07 - method.nce_normalizer.log_z[i] - math.log(15)
        own = torch.eye(16, dtype=torch.bool)
        total += -(F.logsigmoid(odds[own]).sum() + F.logsigmoid(-odds[~own]).sum()).item() / 16
    assert method.loss(outputs).item() == pytest.approx(total, rel=1e-4)


@pytest.mark.parametrize("views", [("l",), ("l", "l"), ("l", "l", "ab"), ("l", "rgb")])
def test_cmc_refuses_views_it_cannot_split(views):
    with pytest.raises(ValueError, match="give two or more of l, ab, edges"):
        cmc(views=views)


def test_cmc_refuses_nce_in_the_batch():
    with pytest.raises(ValueError, match="needs negatives='bank'"):
        cmc(objective="nce", negatives="batch")


# -- every method learns ---------------------------------------------------------------------------------------


GENTLE = RandomView(scale=(0.7, 1), hflip_prob=0, jitter_prob=0, gray_prob=0)


@pytest.mark.parametrize(
    "build, names",
    [
        (lambda: SimCLR(tiny, output_dim=32, augment=GENTLE), ("first", "second")),
        (lambda: MoCo(tiny, output_dim=32, queue_size=128, momentum=0.9, augment=GENTLE), ("query", "key")),
        (lambda: CMC(tiny, output_dim=32, negatives="batch", temperature=0.1, augment=GENTLE), ("l", "ab")),
        (lambda: CMC(tiny, output_dim=32, capacity=64, count=64, temperature=0.1, augment=GENTLE), ("l", "ab")),
    ],
    ids=["simclr", "moco", "cmc in the batch", "cmc"],
)
def test_views_of_an_image_come_to_agree(build, names):
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
