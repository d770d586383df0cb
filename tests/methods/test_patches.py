"""Patches, and the methods that learn from them: PIRL and CPC."""

import copy
import math
from functools import partial

import pytest
import torch
from helpers.lcg import lcg, unit_rows
from torch.nn import functional as F

from avalanche_ssl.checks.contract import check_method
from avalanche_ssl.checks.harness import textured
from avalanche_ssl.functional import l2_normalize, log_mean_exp
from avalanche_ssl.losses.contrastive import info_nce, nce, similarity_scores, softmax_nce
from avalanche_ssl.losses.patches import patch_info_nce, patch_scores
from avalanche_ssl.methods import CPC, PIRL
from avalanche_ssl.models.norms import frozen_buffers
from avalanche_ssl.models.pixel_cnn import PixelCNN
from avalanche_ssl.models.smallconv import smallconv
from avalanche_ssl.transforms.augmentation import RandomView
from avalanche_ssl.transforms.patches import drop_colors, grid, jigsaw, quarter_turns, random_turns

tiny = partial(smallconv, width=8)
NO_AUGMENT = RandomView(scale=(1, 1), ratio=(1, 1), hflip_prob=0, jitter_prob=0, gray_prob=0)
GENTLE = RandomView(scale=(0.7, 1), hflip_prob=0, jitter_prob=0, gray_prob=0)


def seeded(method, seed=0):
    method.generator = torch.Generator().manual_seed(seed)
    return method


def pirl(**kwargs):
    torch.manual_seed(0)
    return seeded(PIRL(tiny, **{"output_dim": 16, "capacity": 32, "count": 32} | kwargs))


def cpc(**kwargs):
    torch.manual_seed(0)
    return seeded(CPC(tiny, **{"output_dim": 16, "hidden_dim": 16} | kwargs))


def step(method, images, optimizer):
    outputs = method(images)
    loss = method.loss(outputs)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    method.update(detached(outputs))
    return detached(outputs), loss.item()


def detached(outputs):
    return {name: rows.detach() for name, rows in outputs.items()}


def sgd(method, lr=0.05):
    return torch.optim.SGD(method.parameters(), lr=lr, momentum=0.9)


def coordinates(size, batch=1):
    """Images whose three channels are row, column and number of the image: a pixel says where it is from."""
    rows, columns = torch.meshgrid(torch.arange(float(size)), torch.arange(float(size)), indexing="ij")
    return torch.stack([torch.stack([rows, columns, torch.full_like(rows, b)]) for b in range(batch)])


# -- patches ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size, patch, stride, side", [(32, 8, 4, 7), (32, 8, 8, 4), (33, 9, 6, 5), (8, 8, 4, 1)])
def test_grid_holds_every_patch_at_its_place(size, patch, stride, side):
    x = lcg(1, 2, 3, size, size)
    patches = grid(x, patch, stride)
    assert patches.shape == (2, side, side, 3, patch, patch)
    for row in range(side):
        for column in range(side):
            top, left = row * stride, column * stride
            assert torch.equal(patches[:, row, column], x[:, :, top : top + patch, left : left + patch])


def test_grid_of_oblong_images():
    assert grid(torch.zeros(2, 3, 16, 24), 8, 4).shape == (2, 3, 5, 3, 8, 8)
    with pytest.raises(ValueError, match="8 pixels does not fit images of 6x32"):
        grid(torch.zeros(1, 3, 6, 32), 8, 4)


def test_jigsaw_takes_one_patch_of_each_cell():
    """Every patch is a square piece of its own image and of one cell; all cells are there once (methods.md 42)."""
    patches = jigsaw(coordinates(33, 50), 3, 8, torch.Generator().manual_seed(0))
    assert patches.shape == (50, 9, 3, 8, 8)
    corner = patches[:, :, :, :1, :1]
    offsets = coordinates(8)[0, :2]
    assert torch.equal(patches[:, :, :2] - corner[:, :, :2], offsets.expand(50, 9, 2, 8, 8))
    assert torch.equal(patches[:, :, 2], torch.arange(50.0).view(50, 1, 1, 1).expand(50, 9, 8, 8))
    first, last = patches[:, :, :2, 0, 0] // 11, patches[:, :, :2, -1, -1] // 11
    assert torch.equal(first, last), "a patch lies in two cells: neighbours may share or continue a border"
    cells = (3 * first[:, :, 0] + first[:, :, 1]).sort(dim=1).values
    assert torch.equal(cells, torch.arange(9.0).expand(50, 9))


def test_jigsaw_places_and_orders_are_uniform_and_each_images_own():
    patches = jigsaw(coordinates(33, 4000), 3, 8, torch.Generator().manual_seed(0))
    top, left = patches[:, :, 0, 0, 0], patches[:, :, 1, 0, 0]
    for start in (top, left):
        shares = torch.bincount((start % 11).long().flatten(), minlength=4) / 36000
        assert shares.shape == (4,) and (shares - 1 / 4).abs().max() < 0.01
    cells = (top // 11 * 3 + left // 11).long()
    for place in range(9):
        shares = torch.bincount(cells[:, place], minlength=9) / 4000
        assert (shares - 1 / 9).abs().max() < 0.025
    assert len(cells.unique(dim=0)) > 3900  # of 9! orders
    again = jigsaw(coordinates(33, 4000), 3, 8, torch.Generator().manual_seed(1))
    assert not torch.equal(patches, again)


def test_jigsaw_without_room_covers_the_image():
    patches = jigsaw(coordinates(24, 2), 3, 8, torch.Generator().manual_seed(0))
    pixels = (patches[:, :, 0] * 24 + patches[:, :, 1]).flatten(1).sort(dim=1).values
    assert torch.equal(pixels, torch.arange(576.0).expand(2, 576))


@pytest.mark.parametrize("size, cells, patch", [(32, 3, 8), (33, 3, 12), (30, 4, 5)])
def test_jigsaw_refuses_what_does_not_divide(size, cells, patch):
    with pytest.raises(ValueError, match=f"do not fit images of {size}x{size}: give a multiple of {cells}"):
        jigsaw(torch.zeros(1, 3, size, size), cells, patch)


def test_quarter_turns_equal_rot90():
    x = lcg(2, 12, 3, 6, 6)
    turns = torch.arange(12) - 4
    turned = quarter_turns(x, turns)
    for image, k, result in zip(x, turns.tolist(), turned):
        assert torch.equal(result, torch.rot90(image, k, (1, 2)))


def test_random_turns_are_equally_likely():
    image = lcg(3, 1, 1, 4, 4)
    turned = random_turns(image.expand(4000, 1, 4, 4), torch.Generator().manual_seed(0))
    for k in range(4):
        share = (turned == torch.rot90(image, k, (2, 3))).flatten(1).all(1).float().mean()
        assert share == pytest.approx(0.25, abs=0.025)


@pytest.mark.parametrize("probability", [0.0, 0.3, 1.0])
def test_dropped_colours_leave_one_channel(probability):
    x = lcg(4, 3000, 3, 2, 2) + 2
    y = drop_colors(x, probability, torch.Generator().manual_seed(0))
    kept = (y == x).all((2, 3))
    assert torch.equal(y, x * kept.view(3000, 3, 1, 1))
    count = kept.sum(1)
    assert set(count.tolist()) <= {1, 3}
    assert (count == 1).float().mean() == pytest.approx(probability, abs=0.03)
    for channel in range(3 if probability else 0):
        assert kept[count == 1, channel].float().mean() == pytest.approx(1 / 3, abs=0.05)


@pytest.mark.parametrize("norm", ["batch", "split"])
def test_frozen_buffers_are_as_if_there_had_been_no_forward(norm):
    """And the forward itself is the same as outside, by the statistics of its own batch (methods.md 32)."""
    torch.manual_seed(0)
    network = smallconv(width=8, norm=norm)
    before = {name: (buffer, buffer.clone()) for name, buffer in network.named_buffers()}
    x = torch.randn(16, 3, 8, 8)
    with frozen_buffers(network):
        inside = network(x)
        inside.sum().backward()
    for name, buffer in network.named_buffers():
        assert buffer is before[name][0] and torch.equal(buffer, before[name][1]), name
    assert torch.equal(network(x), inside)
    assert not torch.equal(network.stages[0][1].running_mean, before["stages.0.1.running_mean"][1])


def test_frozen_buffers_come_back_after_an_error_and_when_nested():
    network = smallconv(width=8)
    own = dict(network.named_buffers())
    with pytest.raises(RuntimeError), frozen_buffers(network), frozen_buffers(network):
        network(torch.randn(4, 3, 8, 8))
        network(torch.randn(4, 5, 8, 8))
    assert all(buffer is own[name] for name, buffer in network.named_buffers())
    assert list(network.state_dict()) == list(smallconv(width=8).state_dict())


# -- PIRL: the loss --------------------------------------------------------------------------------------------

Y = torch.tensor([3, 1, 4, 15, 9, 2, 6, 5])
NEGATIVES = torch.tensor([[(7 * i + 3 * k + 1) % 20 for k in range(1, 7)] for i in range(8)])


def pirl_case(leaf=False):
    """Scores of g and f against the bank: methods.md, appendix A."""
    bank = unit_rows(63, 20, 16)
    anchors = [unit_rows(seed, 8, 16).requires_grad_(leaf) for seed in (71, 61)]
    return [similarity_scores(anchor, bank[Y], bank[NEGATIVES]) for anchor in anchors], anchors


def test_pirl_softmax_golden():
    (g, f), _ = pirl_case()
    assert (0.5 * info_nce(g, 0.07) + 0.5 * info_nce(f, 0.07)).item() == pytest.approx(4.935043367547, rel=1e-9)


def test_pirl_nce_golden():
    """The authors' code: one normaliser, of the patches' scores, for both terms."""
    (g, f), _ = pirl_case()
    log_z = log_mean_exp(g, 0.07)
    assert 20 * log_z.exp().item() == pytest.approx(1199.784315805, rel=1e-9)
    loss = 0.5 * nce(g, 0.07, log_z) + 0.5 * nce(f, 0.07, log_z)
    assert loss.item() == pytest.approx(6.598782487147, rel=1e-5)  # the code adds an epsilon in the logs


def test_pirl_equation_5_golden():
    (g, f), _ = pirl_case()
    assert softmax_nce(g, 0.07).item() == pytest.approx(6.467796848075, rel=1e-9)
    assert softmax_nce(f, 0.07).item() == pytest.approx(4.944538012671, rel=1e-9)


def equation_5(scores, temperature):
    """Eq. 4 for the key and, to the letter, for each negative: it stands in its own numerator and among the noise."""
    total = 0.0
    for row in (scores.detach() / temperature).exp().tolist():
        h = [value / (value + sum(row[1:])) for value in row]
        total -= math.log(h[0]) + sum(math.log(1 - value) for value in h[1:])
    return total / len(scores)


@pytest.mark.parametrize("temperature", [0.07, 0.5])
def test_softmax_nce_equals_equations_4_and_5_of_pirl(temperature):
    (g, _), (anchor, _) = pirl_case(leaf=True)
    assert softmax_nce(g, temperature).item() == pytest.approx(equation_5(g, temperature), rel=1e-12)
    bank = unit_rows(63, 20, 16)

    def loss(rows):
        return softmax_nce(similarity_scores(l2_normalize(rows), bank[Y[:3]], bank[NEGATIVES[:3]]), temperature)

    assert torch.autograd.gradcheck(loss, lcg(71, 3, 16).requires_grad_())
    softmax_nce(g, temperature).backward()
    assert anchor.grad.norm() > 0


def test_softmax_nce_of_equal_scores():
    """h = 1 / (1 + K), as in binary NCE where the model is the noise: ln(1 + K) + K ln(1 + 1/K)."""
    for count in (1, 6, 4096):
        value = softmax_nce(torch.full((4, 1 + count), 0.3, dtype=torch.float64), 0.07).item()
        assert value == pytest.approx(math.log1p(count) + count * math.log1p(1 / count), rel=1e-9)


@pytest.mark.parametrize("best", [0, 3])
def test_softmax_nce_of_a_certain_choice_is_finite(best):
    """The key far ahead: only the noise's own share is left. A negative far ahead: the gap, and its own ln 2."""
    scores = torch.zeros(4, 8)
    scores[:, best] = 1.0
    scores.requires_grad_()
    loss = softmax_nce(scores, 0.001)
    loss.backward()
    assert loss.item() == pytest.approx(7 * math.log(8 / 7) if best == 0 else 1000 + math.log(2), rel=1e-5)
    assert scores.grad.isfinite().all()


def test_softmax_nce_leaves_out_what_does_not_count():
    bank, anchor = unit_rows(63, 20, 16), lcg(71, 8, 16).requires_grad_()
    valid = torch.arange(20) % 3 > 0
    masked, absent = (
        softmax_nce(similarity_scores(l2_normalize(anchor), bank[Y], rows, use), 0.1)
        for rows, use in ((bank, valid), (bank[valid], None))
    )
    assert torch.allclose(masked, absent, rtol=1e-12)
    alone = softmax_nce(similarity_scores(l2_normalize(anchor), bank[Y], bank, torch.zeros(20, dtype=torch.bool)), 0.1)
    (masked + alone).backward()
    assert alone == 0 and anchor.grad.isfinite().all()


# -- PIRL: the mechanism ---------------------------------------------------------------------------------------


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
    n_updates = l2_normalize(0.25 * first["image"] + 0.75 * second["image"])
    rows = a.bank.read(second["ids"], torch.zeros(8, 16))
    assert torch.allclose(rows, n_updates, atol=1e-6) and torch.allclose(rows.norm(dim=1), torch.ones(8))
    assert torch.equal(a.bank.rows, b.bank.rows) and a.bank.n_written == 8 and a.bank.n_hits == 8


def test_pirl_finds_rows_by_the_image_not_by_its_place():
    method, images = pirl(), textured(16)
    outputs = detached(method(images))
    method.update(outputs)
    order = torch.tensor([5, 0, 11, 3])
    rows = method.bank.read(method(images[order])["ids"], torch.zeros(4, 16))
    assert torch.allclose(rows, outputs["image"][order], atol=1e-6)


@pytest.mark.parametrize("pretext", ["jigsaw", "rotation", "both"])
def test_pirl_statistics_are_those_of_whole_images(pretext):
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


def test_pirl_patches_are_views_of_their_own_image_with_their_own_colours():
    method = pirl(augment=NO_AUGMENT, transform=RandomView(scale=(1, 1), ratio=(1, 1), hflip_prob=0, gray_prob=0))
    levels = torch.full((8, 3, 32, 32), 128, dtype=torch.uint8)
    views = method.views(levels)
    assert views["transformed"].shape == (8, 9, 3, 8, 8)
    values = views["transformed"].mean((2, 3, 4))
    assert (values.std(dim=1) > 0.01).all(), "patches of one image share their colour jitter"
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


def test_pirl_rotation_turns_the_whole_image():
    views = pirl(pretext="rotation", augment=NO_AUGMENT, transform=NO_AUGMENT).views(textured(64))
    turned = [(views["image"].rot90(k, (2, 3)) - views["transformed"]).abs().flatten(1).amax(1) for k in range(4)]
    which = torch.stack(turned).argmin(0)
    assert torch.stack(turned).amin(0).max() < 1e-5 and set(which.tolist()) == {0, 1, 2, 3}


def test_pirl_order_of_the_patches_counts_for_the_head():
    """The head sees the patches' order (it is no mean), so that a random one must be learnt away."""
    method = pirl().eval()
    views = method.views(textured(8))
    flipped = views | {"transformed": views["transformed"].flip(1)}
    assert not torch.allclose(method.embed(views)["transformed"], method.embed(flipped)["transformed"], atol=1e-3)


def test_pirl_nce_normalisers_are_running_means_of_the_noise_and_persist():
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
def test_pirl_negatives_of_the_batch_are_present_and_feel_the_push(known):
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


# -- CPC: the loss ---------------------------------------------------------------------------------------------


def cpc_case():
    return lcg(82, 3, 5, 7, 7).requires_grad_(), lcg(81, 3, 5, 7, 7).requires_grad_()


@pytest.mark.parametrize("offset, scale, value", [(3, 0.1, 4.995948069725), (1, 1.0, 5.297083803894)])
def test_cpc_golden(offset, scale, value):
    predictions, targets = cpc_case()
    loss = patch_info_nce(predictions[:, :, :-offset], targets, offset, scale)
    loss.backward()
    assert loss.item() == pytest.approx(value, rel=1e-9)
    if offset == 3:
        assert targets.grad.norm().item() == pytest.approx(0.01423620835682, rel=1e-9)
        assert predictions.grad.norm().item() == pytest.approx(0.01381998946845, rel=1e-9)


@pytest.mark.parametrize("drawn", [None, [20, 20, 33, 101, 101], [0, 5, 48, 49, 77, 146]])
def test_cpc_loss_equals_a_loop_over_positions(drawn):
    predictions, targets = (leaf.detach() for leaf in cpc_case())
    positions = [(b, h, w) for b in range(3) for h in range(7) for w in range(7)]
    total = 0.0
    for b in range(3):
        for row in range(5):
            for column in range(7):
                right = (b, row + 2, column)
                others = positions if drawn is None else [positions[i] for i in drawn]
                candidates = [right] + [position for position in others if position != right]
                anchor = predictions[b, :, row, column]
                scores = [math.exp(0.5 * float(anchor @ targets[i, :, h, w])) for i, h, w in candidates]
                total -= math.log(scores[0] / sum(scores)) / 105
    chosen = None if drawn is None else torch.tensor(drawn)
    loss = patch_info_nce(predictions[:, :, :-2], targets, 2, 0.5, chosen)
    assert loss.item() == pytest.approx(total, rel=1e-12)


def test_cpc_loss_is_the_same_with_all_positions_drawn():
    predictions, targets = cpc_case()
    upper = predictions[:, :, :-2]
    every = patch_info_nce(upper, targets, 2, 0.1, torch.arange(147))
    assert torch.allclose(every, patch_info_nce(upper, targets, 2, 0.1), rtol=1e-12)
    assert torch.allclose(every, info_nce(patch_scores(upper, targets, 2), 10), rtol=1e-12)


def test_cpc_predictions_of_zero_cannot_tell():
    _, targets = cpc_case()
    zero = torch.zeros(3, 5, 5, 7, dtype=torch.float64)
    assert patch_info_nce(zero, targets, 2, 0.1).item() == pytest.approx(math.log(147), rel=1e-12)


def test_cpc_dot_products_are_not_normalised():
    predictions, targets = cpc_case()
    once, larger = (patch_info_nce(c * predictions[:, :, :-2], targets, 2, 0.1) for c in (1, 7))
    assert not torch.allclose(once, larger)


# -- CPC: the mechanism ----------------------------------------------------------------------------------------


def test_cpc_context_sees_all_columns_of_the_rows_at_or_above():
    """By gradient (methods.md 33): none from rows below; from rows at or above, from all columns."""
    torch.manual_seed(0)
    network = PixelCNN(8, 16, 5).double()
    z = torch.rand(1, 8, 7, 7, dtype=torch.float64, requires_grad=True)
    for row in range(7):
        (gradient,) = torch.autograd.grad(network(z)[0, :, row, 3].sum(), z)
        seen = gradient[0].abs().sum(0) > 0
        assert not seen[row + 1 :].any()
        assert seen[max(0, row - 5) : row + 1].all()


@pytest.mark.parametrize("directions", [1, 4])
def test_cpc_predictions_do_not_see_the_rows_that_they_foretell(directions):
    """No pixel of a target's row, nor of a row between, reaches its prediction; above, all do."""
    method = cpc(directions=directions).double().eval()
    patches = torch.rand(2, 7, 7, 3, 8, 8, dtype=torch.float64, requires_grad=True)
    outputs = method.embed({"patches": patches})
    for turn in range(directions):
        for k in (2, 3, 4):
            prediction = outputs[f"{turn}-{k}"]
            assert prediction.shape == (2, 16, 7 - k, 7)
            (gradient,) = torch.autograd.grad(prediction[0, :, 1, 3].sum(), patches, retain_graph=True)
            seen = gradient.abs().sum((3, 4, 5)).rot90(turn, (1, 2)) > 0
            assert seen[0, :2].all() and not seen[0, 2:].any() and not seen[1].any()


def test_cpc_targets_are_where_the_labels_say():
    """Predictions that equal the targets k rows below are right at every position, in every direction."""
    method = cpc(directions=4, scale=1.0)
    targets = 10 * l2_normalize(torch.randn(3, 7, 7, 16)).movedim(3, 1)
    outputs = {"targets": targets}
    for turn in range(4):
        for k in (2, 3, 4):
            outputs[f"{turn}-{k}"] = targets.rot90(turn, (2, 3))[:, :, k:]
    assert method.loss(outputs) < 1e-3
    assert method.loss(outputs | {"3-2": outputs["3-3"].repeat(1, 1, 2, 1)[:, :, :5]}) > 1


def test_cpc_has_a_predictor_of_its_own_for_each_offset():
    """methods.md 35: W_k changes L_k only; the loss is the plain mean of the L_k."""
    method = cpc(directions=4)
    assert len(method.predictors) == 12 and len(method.contexts) == 4 and len(cpc().predictors) == 3
    views = method.views(textured(4))
    before = method.embed(views)
    with torch.no_grad():
        method.predictors["2-3"].weight.mul_(2)
    after = method.embed(views)
    assert [name for name in before if not torch.equal(before[name], after[name])] == ["2-3"]
    each = [
        patch_info_nce(before[f"{t}-{k}"], before["targets"].rot90(t, (2, 3)), k, 0.1) for t, k in method._predicted()
    ]
    assert torch.allclose(method.loss(before), torch.stack(each).mean())


def test_cpc_patches_do_not_see_each_other():
    """methods.md 32: z of a patch in train mode depends on that patch alone, and no batch norm is in the method."""
    method = cpc()
    assert not any("BatchNorm" in type(module).__name__ for module in method.modules())
    patches = method.views(textured(4))["patches"]
    changed = patches.clone()
    changed[1, 2, 3] = 0
    a, b = (method.embed({"patches": p})["targets"] for p in (patches, changed))
    differs = ~torch.isclose(a, b, atol=1e-6).all(1)
    assert differs.nonzero().tolist() == [[1, 2, 3]]


def test_cpc_refuses_batch_norm():
    class Stubborn:
        def __call__(self, in_channels=3, *, scale=1.0, norm="batch"):
            return tiny(in_channels, scale=scale)

    with pytest.raises(ValueError, match="batch norm, through which patches see each other: norm='layer'"):
        CPC(Stubborn())
    with pytest.raises(ValueError, match="norm='layer'"):
        cpc(norm="batch")


@pytest.mark.parametrize(
    "patch, stride, least", [(8, 4, 2), (16, 8, 2), (12, 5, 3), (8, 8, 1)], ids=["8/4", "16/8", "12/5", "8/8"]
)
def test_cpc_offsets_must_not_overlap_the_context(patch, stride, least):
    """methods.md 34: ceil(patch / stride), where the patches just stop to share pixels."""
    size = patch + 6 * stride
    make = partial(cpc, patch=patch, stride=stride, augment=RandomView(size=size))
    make(offsets=(least,))
    cut = grid(coordinates(size), patch, stride)
    assert cut[0, least, 0, 0].min() > cut[0, 0, 0, 0].max() >= cut[0, least - 1, 0, 0].min() or least == 1
    for bad in ((least - 1,), (least, 7), (least, least), ()):
        with pytest.raises(ValueError, match=f"give different ones from {least} to 6"):
            make(offsets=bad)


def test_cpc_refuses_patches_that_do_not_fit():
    for bad in ({"patch": 33}, {"stride": 9}, {"stride": 0}):
        with pytest.raises(ValueError, match=f"{next(iter(bad.values()))}"):
            cpc(**bad)


def test_cpc_represents_with_the_mean_of_the_grid():
    method, images = cpc().eval(), textured(3)
    plain = method.augment.normalize_only(images)
    z = [
        method.encoder(plain[:, :, top : top + 8, left : left + 8])
        for top in range(0, 25, 4)
        for left in range(0, 25, 4)
    ]
    assert torch.allclose(method.extract_features(images), torch.stack(z).mean(0), atol=1e-5)
    assert method.extract_features(textured(2, size=48)).shape == (2, 64)


def test_cpc_patch_augmentation_changes_each_patch_by_itself():
    level = torch.full((2, 3, 32, 32), 200, dtype=torch.uint8)
    jitter = RandomView(scale=(1, 1), ratio=(1, 1), hflip_prob=0, gray_prob=0)
    same = cpc(augment=jitter).views(level)["patches"].flatten(1, 2)
    assert torch.allclose(same, same[:, :1].expand_as(same), atol=1e-5)
    for settings in ({"patch_augment": jitter}, {"color_drop": 0.5}):
        patches = cpc(augment=NO_AUGMENT, **settings).views(level)["patches"].flatten(1, 2)
        assert len(patches.mean((2, 3, 4)).flatten().unique()) > (10 if "patch_augment" in settings else 1)
        assert patches.shape == (2, 49, 3, 8, 8)
    dropped = cpc(augment=NO_AUGMENT, color_drop=1.0).views(level)["patches"].flatten(0, 2)
    assert torch.equal((dropped != 0).all((2, 3)).sum(1), torch.ones(98, dtype=torch.long))


def test_cpc_draws_candidates_from_the_whole_batch():
    method = cpc()
    targets = torch.zeros(4, 16, 7, 7)
    drawn = method._draw(targets, 40)
    assert len(drawn.unique()) == 40 and drawn.min() < 10 and drawn.max() > 185 and drawn.max() < 196
    assert not torch.equal(drawn, method._draw(targets, 40))
    assert method._draw(targets, 196) is None and method._draw(targets, 0) is None


@pytest.mark.parametrize("count", [0, 40])
def test_cpc_contrasts_are_what_the_loss_learns_from(count):
    method = cpc(directions=4, count=count)
    outputs = method(textured(4))
    scores = seeded(method).contrastive_scores(outputs)
    assert list(scores) == ["2 rows on", "3 rows on", "4 rows on"] and not any(c.cosine for c in scores.values())
    loss = torch.stack([info_nce(c.scores, c.temperature) for c in scores.values()]).mean()
    assert torch.allclose(seeded(method).loss(outputs), loss)
    assert cpc().contrastive_scores(cpc()(textured(16)))["2 rows on"].scores.shape == (16 * 5 * 7, 513)


def test_cpc_remembers_nothing_beside_its_weights():
    assert not list(cpc().buffers())


# -- both ------------------------------------------------------------------------------------------------------

SMALL_PIRL = {"output_dim": 16, "capacity": 24, "count": 12}
SMALL_CPC = {"output_dim": 16, "hidden_dim": 16, "blocks": 2}
VARIANTS = {
    "pirl": lambda: PIRL(tiny, **SMALL_PIRL),
    "pirl nce": lambda: PIRL(tiny, objective="nce", **SMALL_PIRL),
    "pirl paper": lambda: PIRL(tiny, objective="paper", **SMALL_PIRL),
    "pirl rotation": lambda: PIRL(tiny, pretext="rotation", **SMALL_PIRL),
    "pirl both, hidden layers": lambda: PIRL(tiny, pretext="both", hidden_dim=16, **SMALL_PIRL),
    "pirl with norm in the heads": lambda: PIRL(tiny, hidden_dim=16, head_norm=True, **SMALL_PIRL),
    "pirl with other patches": lambda: PIRL(tiny, cells=2, cell=16, patch=12, **SMALL_PIRL),
    "cpc": lambda: CPC(tiny, **SMALL_CPC),
    "cpc v1": lambda: CPC(tiny, norm="none", **SMALL_CPC),
    "cpc v2": lambda: CPC(tiny, directions=4, color_drop=0.5, patch_augment=RandomView(scale=(0.6, 1)), **SMALL_CPC),
    "cpc drawing": lambda: CPC(tiny, count=50, **SMALL_CPC),
    "cpc with other patches": lambda: CPC(tiny, patch=16, stride=8, offsets=(2,), **SMALL_CPC),
}


@pytest.mark.parametrize("name", VARIANTS)
def test_patch_methods_keep_the_contract(name):
    torch.manual_seed(0)
    check_method(VARIANTS[name]())


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


def test_cpc_comes_to_foretell_rows_that_it_has_not_seen():
    torch.manual_seed(0)
    method = seeded(CPC(tiny, output_dim=16, hidden_dim=16, blocks=3, augment=NO_AUGMENT))
    images, optimizer = textured(32), torch.optim.Adam(method.parameters(), lr=0.01)
    losses = [step(method, images, optimizer)[1] for _ in range(40)]
    assert losses[0] == pytest.approx(math.log(32 * 49), abs=0.3)
    assert losses[-1] < losses[0] - 1
