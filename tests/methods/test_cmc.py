"""CMC: color views, the memory bank, the graph of pairs, NCE."""

import copy
import math
from functools import partial

import pytest
import torch
from helpers.methods import make, seeded, sgd, step
from torch import nn
from torch.nn import functional as F

from avalanche_ssl.checks.harness import textured
from avalanche_ssl.functional import l2_normalize
from avalanche_ssl.losses.contrastive import pair_info_nce
from avalanche_ssl.methods import CMC
from avalanche_ssl.transforms.augmentation import RandomView
from avalanche_ssl.transforms.color import lab_views, sobel

cmc = partial(make, CMC)


THREE = ("l", "ab", "edges")


def test_cmc_heads_are_linear_or_have_a_hidden_layer_with_norm():
    layers = [nn.Linear, nn.BatchNorm1d, nn.ReLU, nn.Linear]
    for head in cmc(hidden_dim=0).heads.values():
        assert [type(layer) for layer in head] == layers[:1] and head[0].bias is not None
    for head in cmc(hidden_dim=16).heads.values():
        assert [type(layer) for layer in head] == layers
    for head in cmc(hidden_dim=16, head_norm=True).heads.values():
        assert [type(layer) for layer in head] == [*layers, nn.BatchNorm1d]


@pytest.mark.parametrize("hidden_dim", [0, 16])
def test_head_norm_centers_embeddings_in_each_batch(hidden_dim):
    """Whatever the weights: those of barely trained networks point in similar directions."""
    method, images = cmc(hidden_dim=hidden_dim, head_norm=True), textured(16)
    views = method.views(images)
    for name in method.names:
        rows = method.heads[name](method.encoder[name](views[name]))
        assert torch.allclose(rows.mean(0), torch.zeros(16), atol=1e-5)


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
    """Neither normalized nor jittered before: L of each encoder's own view, from the pixels themselves."""
    method, images, seen = cmc(views=THREE).eval(), textured(4), {}
    for name, encoder in method.encoder.items():
        encoder.register_forward_pre_hook(lambda module, given, name=name: seen.update({name: given[0]}))
    method.extract_features(images)
    lightness, color = lab_views(images / 255)
    assert torch.allclose(seen["l"], lightness, atol=1e-5) and torch.allclose(seen["ab"], color, atol=1e-5)
    assert torch.allclose(seen["edges"], sobel(lightness), atol=1e-5)


def test_cmc_bank_holds_each_view_in_its_own_row():
    method, images = cmc(bank_momentum=0.25), textured(8)
    optimizer = sgd(method)
    first, _ = step(method, images, optimizer)
    fresh = torch.stack([first["l"], first["ab"]], 1)
    assert torch.allclose(method.bank.read(first["ids"], torch.zeros(8, 2, 16)), fresh, atol=1e-6)
    second, _ = step(method, images.flip(0), optimizer)
    now = torch.stack([second["l"], second["ab"]], 1)
    moved = l2_normalize(0.25 * fresh.flip(0) + 0.75 * now)
    assert torch.allclose(method.bank.read(second["ids"], torch.zeros(8, 2, 16)), moved, atol=1e-6)
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


def test_cmc_nce_normalizer_is_a_running_mean_of_the_noise_and_persists():
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


def test_cmc_nce_uses_the_remembered_normalizer():
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
