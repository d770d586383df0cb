"""PIRL: the bank, both anchors, puzzles and rotations."""

import copy
import math
from functools import partial

import pytest
import torch
from helpers.lcg import unit_rows
from helpers.methods import GENTLE, NO_AUGMENT, detached, make, seeded, sgd, step
from torch.nn import functional as F

from avalanche_ssl.checks.contract import check_method
from avalanche_ssl.checks.harness import textured
from avalanche_ssl.functional import l2_normalize
from avalanche_ssl.losses.contrastive import info_nce
from avalanche_ssl.methods import PIRL
from avalanche_ssl.transforms.augmentation import RandomView

VARIANTS = {
    "jigsaw": {},
    "nce": {"objective": "nce"},
    "paper": {"objective": "paper"},
    "rotation": {"pretext": "rotation"},
    "both, hidden layers": {"pretext": "both", "hidden_dim": 16},
    "with norm in the heads": {"hidden_dim": 16, "head_norm": True},
    "with other patches": {"cells": 2, "cell": 16, "patch": 12},
}
pirl = partial(make, PIRL)


@pytest.mark.contract
@pytest.mark.parametrize("name", VARIANTS)
def test_the_contract_is_kept(name):
    check_method(pirl(capacity=24, count=12, **VARIANTS[name]))


def pirl_reference(method, outputs, bank, known):
    """PIRL's loss written out with every row of the bank as a negative of every other image; InfoNCE or eq. 5."""
    terms = {}
    for name in ("transformed", "image"):
        losses = []
        for b, image in enumerate(outputs["ids"].tolist()):
            key = bank[image] if known else outputs["image"][b].detach()
            negatives = [row for other, row in bank.items() if other != image]
            scores = torch.stack([outputs[name][b] @ row for row in [key, *negatives]]) / method.temperature
            exps = scores.exp()
            h = exps / (exps + exps[1:].sum()) if method.objective == "paper" else exps / exps.sum()
            noise = (1 - h[1:]).log().sum() if method.objective == "paper" else 0
            losses.append(-h[0].log() - noise)
        terms[name] = torch.stack(losses).mean()
    return method.weight * terms["transformed"] + (1 - method.weight) * terms["image"]


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("objective", ["info_nce", "paper"])
@pytest.mark.parametrize("weight", [0.0, 0.3, 0.5, 1.0])
def test_pirl_both_anchors_look_for_the_images_row(weight, objective, known):
    """Value and gradient against a loop: keys and negatives are rows of untransformed images, without gradient."""
    method = pirl(weight=weight, objective=objective, temperature=0.2)
    old = detached(method(textured(8)))
    method.update(old)
    bank = dict(zip(old["ids"].tolist(), old["image"]))
    outputs = method(textured(8) if known else textured(16)[8:])
    leaves = {name: outputs[name].detach().requires_grad_() for name in ("image", "transformed")}
    ours = method.loss(leaves | {"ids": outputs["ids"]})
    theirs = pirl_reference(method, leaves | {"ids": outputs["ids"]}, bank, known)
    assert ours.item() == pytest.approx(theirs.item(), rel=1e-5)
    gradients = (torch.autograd.grad(loss, list(leaves.values())) for loss in (ours, theirs))
    for a, b in zip(*gradients):
        assert torch.allclose(a, b, atol=1e-5)


@pytest.mark.parametrize("pretext", ["jigsaw", "rotation", "both"])
def test_pirl_bank_is_written_with_the_untransformed_image_only(pretext):
    """methods.md 17, 18: rows are unit moving averages of f(v_I); other patches leave the bank bit for bit."""
    a, images = pirl(pretext=pretext, bank_momentum=0.25), textured(8)
    first = detached(a(images))
    a.update(first)
    assert torch.allclose(a.bank.read(first["ids"], torch.zeros(8, 16)), first["image"], atol=1e-6)
    b = copy.deepcopy(a)
    second = detached(a(images))
    a.update(second)
    b.update(second | {"transformed": l2_normalize(torch.randn(8, 16))})
    moved = l2_normalize(0.25 * first["image"] + 0.75 * second["image"])
    rows = a.bank.read(second["ids"], torch.zeros(8, 16))
    assert torch.allclose(rows, moved, atol=1e-6) and torch.allclose(rows.norm(dim=1), torch.ones(8))
    assert torch.equal(a.bank.rows, b.bank.rows) and a.bank.n_written == 8 and a.bank.n_hits == 8


def test_pirl_finds_rows_by_the_image_not_by_its_place():
    method, images = pirl(), textured(16)
    outputs = detached(method(images))
    method.update(outputs)
    order = torch.tensor([5, 0, 11, 3])
    rows = method.bank.read(method(images[order])["ids"], torch.zeros(4, 16))
    assert torch.allclose(rows, outputs["image"][order], atol=1e-6)


@pytest.mark.parametrize("pretext", ["jigsaw", "rotation", "both"])
def test_pirl_statistics_are_those_of_full_images(pretext):
    """After a step running statistics are what one forward of the untransformed view leaves (methods.md 32)."""
    method = pirl(pretext=pretext)
    alone = copy.deepcopy(method.encoder)
    views = method.views(textured(8))
    method.embed(views)
    alone(views["image"])
    for (name, a), b in zip(method.encoder.named_buffers(), alone.buffers()):
        assert torch.equal(a, b), name
    assert next(a for n, a in method.encoder.named_buffers() if "tracked" in n) == 1


def test_pirl_transformed_forward_learns():
    method = pirl(weight=1.0)
    method.update(detached(method(textured(8))))
    method.loss(method(textured(8))).backward()
    for part in (method.patch_head, method.transformed_head, method.encoder):
        assert sum(p.grad.abs().sum() for p in part.parameters()) > 0
    assert (
        sum(p.grad.abs().sum() for p in method.projection_head.parameters()) == 0
    )  # the row is a constant, not f(v_I)


def test_pirl_patches_are_views_of_their_own_image_with_their_own_colors():
    method = pirl(augment=NO_AUGMENT, transform=RandomView(scale=(1, 1), ratio=(1, 1), hflip_prob=0, gray_prob=0))
    levels = torch.full((8, 3, 32, 32), 128, dtype=torch.uint8)
    views = method.views(levels)
    assert views["transformed"].shape == (8, 9, 3, 8, 8)
    values = views["transformed"].mean((2, 3, 4))
    assert (values.std(dim=1) > 0.01).all(), "patches of one image share their color jitter"
    plain = pirl(augment=NO_AUGMENT, transform=NO_AUGMENT).views(levels)
    assert torch.allclose(plain["transformed"], plain["image"].mean().expand(8, 9, 3, 8, 8), atol=1e-5)


def test_pirl_views_of_the_image_and_of_its_puzzle_are_drawn_apart():
    """The same crop or mirror for both would give the puzzle away (methods.md 41)."""
    method = pirl(transform=RandomView(scale=(0.2, 1), hflip_prob=0.5, jitter_prob=0, gray_prob=0), augment=GENTLE)
    first, second = (seeded(method, seed).views(textured(8)) for seed in (0, 1))
    assert not torch.equal(first["transformed"], second["transformed"])
    same = pirl(pretext="rotation", transform=GENTLE, augment=GENTLE).views(textured(8))
    for k in range(4):
        assert not torch.allclose(same["image"], same["transformed"].rot90(k, (2, 3)), atol=1e-3)


def test_pirl_rotation_turns_the_full_image():
    views = pirl(pretext="rotation", augment=NO_AUGMENT, transform=NO_AUGMENT).views(textured(64))
    turned = [(views["image"].rot90(k, (2, 3)) - views["transformed"]).abs().flatten(1).amax(1) for k in range(4)]
    which = torch.stack(turned).argmin(0)
    assert torch.stack(turned).amin(0).max() < 1e-5 and set(which.tolist()) == {0, 1, 2, 3}


def test_pirl_order_of_the_patches_counts_for_the_head():
    """The head sees the patches' order (it is no mean), so that a random one must be trained away."""
    method = pirl().eval()
    views = method.views(textured(8))
    flipped = views | {"transformed": views["transformed"].flip(1)}
    assert not torch.allclose(method.embed(views)["transformed"], method.embed(flipped)["transformed"], atol=1e-3)


def test_pirl_nce_normalizers_are_running_means_of_the_noise_and_persist():
    """methods.md 22: of the negatives alone, and not of the first batch, whose images are their own keys."""
    method, images = pirl(objective="nce"), textured(16)
    own = torch.eye(16, dtype=torch.bool)
    outputs = detached(method(images))
    assert method.loss(outputs).isfinite()
    method.update(outputs)
    assert method.nce_normalizer.steps == 0 and method.nce_normalizer.log_z.count_nonzero() == 0, "the bank was empty"
    optimizer, means = sgd(method), {"transformed": [], "image": []}
    for _ in range(2):
        rows = method.bank.rows[:16].clone()
        outputs, _ = step(method, images, optimizer)
        for name, values in means.items():  # the bank holds just these images: each is noise to the others
            values.append((outputs[name] @ rows.T / 0.07).exp()[~own].mean().item())
    assert method.nce_normalizer.steps == 2
    for i, name in enumerate(("transformed", "image")):
        assert method.nce_normalizer.log_z[i].exp().item() == pytest.approx(sum(means[name]) / 2, rel=1e-4)
    fresh = pirl(objective="nce")
    fresh.load_state_dict(method.state_dict())
    outputs = method(images)
    assert torch.equal(seeded(method).loss(outputs), seeded(fresh).loss(outputs))
    rows, total = method.bank.read(outputs["ids"], torch.zeros(16, 16)), 0.0
    for i, name in enumerate(("transformed", "image")):
        odds = outputs[name] @ rows.T / 0.07 - method.nce_normalizer.log_z[i] - math.log(15)
        total += -(F.logsigmoid(odds[own]).sum() + F.logsigmoid(-odds[~own]).sum()).item() / 32
    assert method.loss(outputs).item() == pytest.approx(total, rel=1e-4)


def test_pirl_contrasts_are_what_the_loss_learns_from():
    method = pirl(weight=0.3)
    for _ in range(2):
        outputs = method(textured(8))
        method.update(detached(outputs))
    scores = method.contrastive_scores(outputs)
    assert set(scores) == {"transformed to bank", "image to bank"}
    losses = {name.split()[0]: info_nce(c.scores, c.temperature) for name, c in scores.items()}
    assert torch.allclose(method.loss(outputs), 0.3 * losses["transformed"] + 0.7 * losses["image"])


@pytest.mark.parametrize("known", [True, False])
def test_pirl_negatives_of_the_batch_are_current_and_get_a_gradient(known):
    method, images = pirl(negatives="batch", weight=0.3, temperature=0.2), textured(8)
    if known:
        method.bank.write(method.views(images)["ids"], l2_normalize(torch.randn(8, 16)))
    outputs = method(images)
    image, bank = outputs["image"].detach().clone().requires_grad_(), method.bank.read(outputs["ids"], outputs["image"])
    total = torch.zeros(())
    for name, weight in (("transformed", 0.3), ("image", 0.7)):
        for b in range(8):
            anchor = image[b] if name == "image" else outputs[name][b].detach()
            key = bank[b] @ anchor / 0.2
            others = torch.stack([image[j] @ anchor / 0.2 for j in range(8) if j != b])
            total = total + weight * (torch.cat([key[None], others]).logsumexp(0) - key) / 8
    loss = method.loss({n: t.detach() for n, t in outputs.items()} | {"image": image})
    assert loss.item() == pytest.approx(total.item(), rel=1e-5)
    (a,), (b,) = torch.autograd.grad(loss, image), torch.autograd.grad(total, image)
    assert torch.allclose(a, b, atol=1e-6)


def test_pirl_an_image_twice_in_a_batch_is_no_negative_of_itself():
    method = pirl(negatives="batch", temperature=0.2)
    ids = torch.tensor([5, 7, 5, 9])
    z, g = unit_rows(1, 4, 16).float(), unit_rows(2, 4, 16).float()
    total = 0.0
    for anchors in (g, z):
        for b in range(4):
            key, others = z[b] @ anchors[b] / 0.2, [z[j] @ anchors[b] / 0.2 for j in range(4) if ids[j] != ids[b]]
            total += (torch.stack([key, *others]).logsumexp(0) - key).item() / 8
    assert method.loss({"image": z, "transformed": g, "ids": ids}).item() == pytest.approx(total, rel=1e-5)


@pytest.mark.parametrize("bad", [{"weight": 1.5}, {"weight": -0.1}, {"patch": 12}, {"patch": 0}, {"cells": 0}])
def test_pirl_refuses_impossible_settings(bad):
    with pytest.raises(ValueError, match=str(next(iter(bad.values())))):
        pirl(**bad)


@pytest.mark.slow
@pytest.mark.parametrize("pretext", ["jigsaw", "rotation"])
def test_pirl_an_image_and_its_transformed_version_come_to_agree(pretext):
    method, images = pirl(pretext=pretext, output_dim=32, capacity=64, count=64, temperature=0.1), textured(64)
    method.augment = method.transform = GENTLE

    def found():
        with torch.no_grad():
            outputs = seeded(method, 1)(images)
        own = torch.arange(64)
        return ((outputs["transformed"] @ outputs["image"].T).argmax(1) == own).float().mean().item()

    before, optimizer = found(), sgd(method, 0.03)
    for seed in range(60):
        step(seeded(method, 2 + seed), images, optimizer)
    assert found() > before + 0.2
