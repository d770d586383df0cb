"""SwAV and DeepCluster: golden values, loops from the papers' equations, what they remember, and the contract."""

import math
from functools import partial
from itertools import combinations

import pytest
import torch
from avalanche.training import plugins as av
from helpers.lcg import unit_rows
from torch.nn import functional as F

from avalanche_ssl.checks.contract import check_method
from avalanche_ssl.checks.harness import textured
from avalanche_ssl.functional import l2_normalize
from avalanche_ssl.losses.clustering import cluster_prediction, sinkhorn, swapped_prediction
from avalanche_ssl.memory.bank import content_hash
from avalanche_ssl.memory.clusters import Clusters, perplexity, spherical_kmeans
from avalanche_ssl.memory.prototypes import Prototypes
from avalanche_ssl.methods import DeepCluster, SwAV
from avalanche_ssl.models.encoders import ENCODERS
from avalanche_ssl.models.smallconv import smallconv
from avalanche_ssl.recipes.loading import load_recipe
from avalanche_ssl.transforms.augmentation import RandomView

GOLDEN = 1e-9
tiny = partial(smallconv, width=8)
SMALL_SWAV = {"output_dim": 16, "prototypes": 12, "small_size": 16}
SMALL_DEEPCLUSTER = {"output_dim": 16, "clusters": 4, "heads": 3, "capacity": 64}

SOUND = {
    "swav": lambda: SwAV(tiny, freeze=0, **SMALL_SWAV),
    "swav frozen": lambda: SwAV(tiny, freeze=5, **SMALL_SWAV),
    "swav hard": lambda: SwAV(tiny, codes="hard", **SMALL_SWAV),
    "swav with a queue": lambda: SwAV(tiny, queue_size=20, freeze=2, **SMALL_SWAV),
    "swav multi-crop": lambda: SwAV(tiny, queue_size=20, small_crops=3, **SMALL_SWAV),
    "deepcluster": lambda: DeepCluster(tiny, **SMALL_DEEPCLUSTER),
    "deepcluster online": lambda: DeepCluster(tiny, clustering="online", **SMALL_DEEPCLUSTER),
    "deepcluster v1": lambda: DeepCluster(tiny, version=1, **SMALL_DEEPCLUSTER),
    "deepcluster v1 kept": lambda: DeepCluster(tiny, version=1, redraw=False, **SMALL_DEEPCLUSTER),
    "deepcluster v1 with hidden layers": lambda: DeepCluster(tiny, version=1, hidden_dim=32, **SMALL_DEEPCLUSTER),
    "deepcluster v1 online": lambda: DeepCluster(tiny, version=1, clustering="online", **SMALL_DEEPCLUSTER),
}


@pytest.mark.parametrize("name", SOUND)
def test_methods_keep_the_contract(name):
    torch.manual_seed(0)
    check_method(SOUND[name]())


def seeded(method, seed=0):
    method.generator = torch.Generator().manual_seed(seed)
    return method


def swav(**kwargs):
    torch.manual_seed(0)
    return seeded(SwAV(tiny, **{"freeze": 0} | SMALL_SWAV | kwargs))


def deepcluster(**kwargs):
    torch.manual_seed(0)
    return seeded(DeepCluster(tiny, **SMALL_DEEPCLUSTER | kwargs))


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


def sgd(method, lr=0.05, **kwargs):
    return torch.optim.SGD(method.parameters(), lr=lr, momentum=0.9, **kwargs)


# -- golden values: methods.md, appendix A ---------------------------------------------------------------------

W = unit_rows(21, 12, 16)


def golden_scores():
    """Leaves P_v = Z_v W' of crops 0 to 3, each (8, 12)."""
    return [(unit_rows(seed, 8, 16) @ W.T).requires_grad_() for seed in (30, 31, 32, 33)]


def test_swav_golden():
    scores = golden_scores()
    codes = torch.stack([sinkhorn(s, 0.05) for s in scores[:2]], 1)
    loss = swapped_prediction(torch.stack(scores, 1), codes, 0.1)
    loss.backward()
    assert loss.ndim == 0 and loss.item() == pytest.approx(4.930612430081, rel=GOLDEN)
    assert scores[0].grad.norm().item() == pytest.approx(0.5419440202429, rel=GOLDEN)
    assert scores[2].grad.norm().item() == pytest.approx(1.027940967154, rel=GOLDEN)


def test_swav_with_queue_golden():
    scores = golden_scores()
    queues = [unit_rows(seed, 16, 16) @ W.T for seed in (40, 41)]
    codes = torch.stack([sinkhorn(torch.cat([s, q]), 0.05)[:8] for s, q in zip(scores, queues)], 1)
    loss = swapped_prediction(torch.stack(scores, 1), codes, 0.1)
    assert loss.item() == pytest.approx(4.844322749195, rel=GOLDEN)


def test_sinkhorn_golden():
    codes = sinkhorn(golden_scores()[0], 0.05)
    assert codes[0, 0].item() == pytest.approx(3.047707565552e-06, rel=GOLDEN)
    assert codes.max().item() == pytest.approx(0.7597836316752, rel=GOLDEN)
    entropy = torch.special.entr(codes).sum(1).mean()
    assert entropy.item() == pytest.approx(0.9287042926924, rel=GOLDEN)


def test_deepcluster_golden():
    labels = torch.tensor([[(7 * i + 3 * h) % 12 for h in range(3)] for i in range(8)])
    heads = torch.stack([unit_rows(seed, 12, 16) for seed in (50, 51, 52)])
    views = [torch.einsum("bd,hkd->bhk", unit_rows(seed, 8, 16), heads) / 0.1 for seed in (30, 31)]
    loss = torch.stack([cluster_prediction(v, labels) for v in views]).mean()
    assert loss.item() == pytest.approx(4.770182097611, rel=GOLDEN)


def test_swav_equals_lightly():
    """Codes, and value and gradients of the loss, without a queue and with one."""
    swav_loss = pytest.importorskip("lightly.loss.swav_loss")
    for seeds in ((), (40, 41)):
        ours, theirs = golden_scores(), golden_scores()
        queues = [unit_rows(seed, 16, 16) @ W.T for seed in seeds]
        joined = [torch.cat([s, q]) for s, q in zip(ours, queues)] or ours[:2]
        codes = torch.stack([sinkhorn(s, 0.05)[:8] for s in joined], 1)
        assert torch.allclose(sinkhorn(joined[0], 0.05), swav_loss.sinkhorn(joined[0].detach()), rtol=1e-12)
        a = swapped_prediction(torch.stack(ours, 1), codes, 0.1)
        criterion = swav_loss.SwaVLoss(temperature=0.1, sinkhorn_iterations=3, sinkhorn_epsilon=0.05)
        b = criterion(theirs[:2], theirs[2:], queues or None)
        for loss in (a, b):
            loss.backward()
        assert torch.allclose(a, b.squeeze(), rtol=1e-12)
        assert all(torch.allclose(x.grad, y.grad, rtol=1e-10) for x, y in zip(ours, theirs))


# -- the losses and codes, against loops and closed forms ------------------------------------------------------


def naive_sinkhorn(scores, epsilon, iterations):
    """Algorithm 1 of the paper, one division at a time."""
    plan = (scores / epsilon).exp().T.clone()
    plan /= plan.sum()
    for _ in range(iterations):
        for k in range(len(plan)):
            plan[k] /= plan[k].sum() * len(plan)
        for b in range(plan.shape[1]):
            plan[:, b] /= plan[:, b].sum() * plan.shape[1]
    return plan.T * plan.shape[1]


@pytest.mark.parametrize("epsilon, iterations", [(0.05, 3), (0.3, 1), (0.1, 10)])
def test_sinkhorn_is_the_papers_algorithm(epsilon, iterations):
    scores = unit_rows(5, 10, 7)
    assert torch.allclose(sinkhorn(scores, epsilon, iterations), naive_sinkhorn(scores, epsilon, iterations))


def test_sinkhorn_balances_prototypes_and_follows_their_order():
    scores = unit_rows(6, 40, 8) + torch.tensor([1.0, 0, 0, 0, 0, 0, 0, 0])  # all like prototype 0 best
    codes = sinkhorn(scores, 0.2, 30)
    assert torch.allclose(codes.sum(1), torch.ones(40).double())
    assert torch.allclose(codes.sum(0), torch.full((8,), 5.0).double(), atol=1e-3)
    order = torch.randperm(8, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(sinkhorn(scores[:, order], 0.2, 30), codes[:, order])


def test_sinkhorn_leaves_out_samples_that_do_not_count():
    scores, valid = unit_rows(7, 20, 6), torch.arange(20) < 12
    assert torch.allclose(sinkhorn(scores, 0.05, 3, valid)[:12], sinkhorn(scores[:12], 0.05, 3))
    assert torch.equal(sinkhorn(scores, 0.05, 3, valid | True), sinkhorn(scores, 0.05, 3))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_sinkhorn_does_not_overflow(dtype):
    codes = sinkhorn(torch.ones(8, 4, dtype=dtype, requires_grad=True), 0.001)
    assert codes.dtype == torch.float32 and not codes.requires_grad
    assert torch.allclose(codes, torch.full((8, 4), 0.25))


def test_swapped_prediction_is_the_papers_sum():
    scores, codes = unit_rows(8, 5, 4, 6), unit_rows(9, 5, 2, 6).abs()
    total = 0.0
    for image in range(5):
        for assigned in range(2):
            for crop in {0, 1, 2, 3} - {assigned}:
                log_p = scores[image, crop] / 0.3 - (scores[image, crop] / 0.3).exp().sum().log()
                total -= (codes[image, assigned] * log_p).sum().item() / 3
    assert swapped_prediction(scores, codes, 0.3).item() == pytest.approx(total / (5 * 2))


def test_a_crop_does_not_predict_its_own_code():
    scores, codes = unit_rows(8, 5, 2, 6).requires_grad_(), unit_rows(9, 5, 2, 6).abs()
    zeroed = codes * torch.tensor([1.0, 0.0])[:, None]  # only crop 0 has a code: crop 1 alone predicts
    (gradient,) = torch.autograd.grad(swapped_prediction(scores, zeroed, 0.1), scores)
    assert gradient[:, 0].count_nonzero() == 0 and gradient[:, 1].count_nonzero() > 0


def test_uniform_scores_cost_the_logarithm_of_the_prototypes():
    scores = torch.zeros(6, 3, 10)
    codes = torch.stack([sinkhorn(scores[:, crop], 0.05) for crop in range(2)], 1)
    assert swapped_prediction(scores, codes, 0.1).item() == pytest.approx(math.log(10))


def test_no_gradient_flows_into_codes():
    codes = unit_rows(9, 5, 2, 6).requires_grad_()
    loss = swapped_prediction(unit_rows(8, 5, 3, 6).requires_grad_(), codes, 0.1)
    assert torch.autograd.grad(loss, codes, allow_unused=True)[0] is None


def test_cluster_prediction_weighs_clusters():
    scores, labels = unit_rows(10, 6, 2, 4), torch.tensor([[0, 1], [0, 1], [0, 1], [0, 2], [3, 1], [3, 0]])
    weight = torch.tensor([[0.25, 1, 1, 0.5], [1, 0.25, 1, 1]]).double()
    total = mass = 0.0
    for b in range(6):
        for h in range(2):
            w = weight[h, labels[b, h]].item()
            total -= w * scores[b, h].log_softmax(0)[labels[b, h]].item()
            mass += w
    assert cluster_prediction(scores, labels, weight).item() == pytest.approx(total / mass)


# -- k-means ---------------------------------------------------------------------------------------------------


def blobs(clusters=6, each=20, dim=8, noise=0.05):
    """Rows around orthogonal directions, and their true cluster."""
    generator = torch.Generator().manual_seed(1)
    truth = torch.arange(clusters).repeat(each)
    return l2_normalize(torch.eye(dim)[truth] + noise * torch.randn(len(truth), dim, generator=generator)), truth


def test_kmeans_finds_separate_clusters_from_a_warm_start():
    rows, truth = blobs()
    centroids, labels = spherical_kmeans(rows, l2_normalize(torch.eye(8)[:6] + 0.1), 5)
    assert torch.equal(labels, truth)
    assert torch.allclose(centroids.norm(dim=1), torch.ones(6))
    means = l2_normalize(torch.stack([rows[truth == k].sum(0) for k in range(6)]))
    assert torch.allclose(centroids, means, atol=1e-6)


def test_kmeans_fills_empty_clusters():
    rows, _ = blobs()
    start = l2_normalize(torch.cat([rows[:1], -torch.ones(5, 8)]))  # everything is nearest to the first
    _, stuck = spherical_kmeans(rows, start, 0 + 1, torch.Generator().manual_seed(0))
    _, labels = spherical_kmeans(rows, start, 10, torch.Generator().manual_seed(0))
    assert len(stuck.unique()) > 1 and len(labels.unique()) == 6


def test_kmeans_in_parts_is_the_same(monkeypatch):
    rows, _ = blobs()
    whole = spherical_kmeans(rows, rows[:7], 4)
    monkeypatch.setattr("avalanche_ssl.memory.clusters.CHUNK", 17)
    parts = spherical_kmeans(rows, rows[:7], 4)
    assert torch.allclose(whole[0], parts[0], atol=1e-6) and torch.equal(whole[1], parts[1])


@pytest.mark.parametrize("images, used", [(200, 12), (119, 11), (57, 5), (20, 2), (7, 2), (1, 2)])
def test_clusters_have_ten_images_at_least(images, used):
    clusters = Clusters(2, 12, 1, 8)
    rows, _ = blobs(each=50)
    clusters.fit(rows[:images, None], 5, torch.Generator().manual_seed(0))
    assert clusters.active == used
    assert clusters.assign(rows[:, None]).max() < used
    assert torch.isinf(clusters.mask(torch.zeros(12))).sum() == 12 - used
    assert torch.equal(clusters.sizes.sum(1), torch.full((2,), float(images)))
    clusters.fit(rows[:, None], 5, torch.Generator().manual_seed(0))  # and more again later
    assert clusters.active == 12 and (clusters.sizes > 0).all()


def test_clusters_start_warm():
    rows, truth = blobs(each=30)
    clusters, generator = Clusters(1, 6, 1, 8), torch.Generator().manual_seed(0)
    clusters.centroids[0] = torch.eye(8)[torch.tensor([3, 1, 4, 0, 5, 2])]
    clusters.fitted += 1
    clusters.fit(rows[:, None], 1, generator)
    assert torch.equal(clusters.assign(rows[:, None])[:, 0], torch.tensor([3, 1, 5, 0, 2, 4])[truth])


@pytest.mark.parametrize("way", ["fit", "partial_fit"])
def test_clusterings_take_turns_with_the_crops(way):
    """Clustering h moves towards crop h modulo V: as if it had been given that crop alone."""
    crops = torch.stack([unit_rows(seed, 60, 8).float() for seed in (1, 2)], 1)
    torch.manual_seed(0)
    clusters = Clusters(3, 4, 2, 8)
    clusters.fitted += 1  # a warm start, and sizes that let no cluster begin anew
    clusters.sizes.fill_(15)
    start = clusters.centroids.clone()
    clusters.fit(crops, 3) if way == "fit" else clusters.partial_fit(crops)
    for head in range(3):
        alone = Clusters(1, 4, 1, 8)
        alone.load_state_dict(
            clusters.state_dict()
            | {"centroids": start[head : head + 1], "sizes": torch.full((1, 4), 15.0), "mean": torch.zeros(1, 8)}
        )
        data = crops[:, head % 2, None]
        alone.fit(data, 3) if way == "fit" else alone.partial_fit(data)
        assert torch.allclose(alone.centroids[0], clusters.centroids[head], atol=1e-6)


def test_first_clusters_are_of_the_data():
    rows = l2_normalize(torch.tensor([10.0, 0, 0, 0]) + torch.randn(300, 4, generator=torch.Generator().manual_seed(0)))
    clusters = Clusters(1, 20, 1, 4)
    clusters.fit(rows[:, None], 5, torch.Generator().manual_seed(0))
    assert perplexity(clusters.sizes) > 14 and (clusters.sizes > 0).all()


def test_whitened_clusters_ignore_a_common_mean():
    rows, _ = blobs(each=30)
    shifted = l2_normalize(rows + 20)[:, None]
    found = {}
    for whiten in (False, True):
        clusters = Clusters(1, 6, 1, 8, whiten=whiten)
        clusters.fit(shifted, 20, torch.Generator().manual_seed(3))
        found[whiten] = clusters.sizes
        white = clusters._whitened(shifted)
        assert torch.allclose(white.norm(dim=2), torch.ones(180, 1), atol=1e-5)
    assert clusters.basis.allclose(clusters.basis.mT, rtol=1e-3)  # ZCA: symmetric, turns no axis
    assert perplexity(found[True]) > 4


@pytest.mark.parametrize("count", [6, 40])
def test_online_clusters_follow_without_collapse(count):
    clusters, generator = Clusters(2, count, 1, 8), torch.Generator().manual_seed(0)
    clusters.centroids.copy_(l2_normalize(-torch.ones(8)))  # the worst start: all the same, and far away
    rows, truth = blobs(each=100)
    for _ in range(60):
        batch = torch.randperm(len(rows), generator=generator)[:32]
        clusters.partial_fit(rows[batch][:, None], generator)
    labels = clusters.assign(rows[:, None])
    assert torch.allclose(clusters.centroids.norm(dim=2), torch.ones(2, count))
    for head in range(2):
        sizes = labels[:, head].bincount(minlength=count).float()
        assert perplexity(sizes) > min(4.5, count / 2)
        pure = sum((truth[labels[:, head] == k].bincount().max() for k in labels[:, head].unique()), torch.tensor(0))
        assert pure / len(rows) > 0.6


def test_perplexity_counts_the_clusters_in_use():
    assert perplexity(torch.tensor([[4, 4, 4, 0], [9, 0, 0, 0]])).tolist() == pytest.approx([3, 1])


# -- prototypes ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("optimizer", [sgd, partial(sgd, weight_decay=0.1), "adam"])
def test_frozen_prototypes_stay_bit_for_bit_then_move(optimizer):
    """Neither momentum nor weight decay moves them, also not momentum from before."""
    method = swav(freeze=3)
    make = partial(torch.optim.Adam, lr=0.01, weight_decay=0.1) if optimizer == "adam" else None
    opt = make(method.parameters()) if make else optimizer(method)
    before = method.prototypes.weight.detach().clone()
    for _ in range(3):
        step(method, textured(8), opt)
        assert torch.equal(method.prototypes.weight, before)
        assert method.prototypes.weight.grad.count_nonzero() == 0
    step(method, textured(8), opt)
    assert not torch.equal(method.prototypes.weight, before)
    assert method.prototypes.weight.grad.count_nonzero() > 0
    assert method.prototypes.steps == 4


def test_prototypes_are_unit_at_every_forward_and_have_no_bias():
    method, optimizer = swav(), sgd(swav())
    optimizer = sgd(method, lr=1.0)
    for _ in range(3):
        norms = method.prototypes.weight.norm(dim=1)
        assert torch.allclose(norms, torch.ones(12), atol=1e-6)
        step(method, textured(8), optimizer)
    assert [name for name, _ in method.prototypes.named_parameters()] == ["weight"]


def test_prototypes_compare_by_cosine_whatever_their_length():
    prototypes, z = Prototypes(5, 4), unit_rows(3, 6, 4).float()
    scores = prototypes(z)
    with torch.no_grad():
        prototypes.weight.mul_(7)
    assert torch.allclose(prototypes(z), scores, atol=1e-6)


def test_frozen_prototypes_still_teach_the_encoder():
    method = swav(freeze=10)
    method.loss(method(textured(8))).backward()
    assert all(p.grad.count_nonzero() for p in method.projection_head.parameters() if p.ndim > 1)


# -- SwAV ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("small", [0, 3])
def test_swav_views_are_different_crops_of_two_sizes(small):
    method = swav(small_crops=small)
    views = method.views(textured(8))
    shapes = {name: tuple(view.shape) for name, view in views.items()}
    large, few = (8, 3, 32, 32), {"small": (8, 3, 3, 16, 16)} if small else {}
    assert shapes == {"first": large, "second": large} | few
    crops = [views["first"], views["second"]], list(views["small"].unbind(1)) if small else []
    assert all((a - b).abs().mean() > 0.1 for size in crops for a, b in combinations(size, 2))
    outputs = method.embed(views)
    assert {name: tuple(rows.shape) for name, rows in outputs.items()} == {
        name: (8, 3, 16) if name == "small" else (8, 16) for name in shapes
    }
    assert all(torch.allclose(rows.norm(dim=-1), torch.ones(rows.shape[:-1])) for rows in outputs.values())


def test_swav_small_crops_leave_the_running_statistics_to_the_large():
    alone, both = swav(), swav(small_crops=2)
    both.load_state_dict(alone.state_dict())
    views = both.views(textured(8))
    for method in (alone, both):
        method.train().embed({name: views[name] for name in views if method is both or name != "small"})
    for (name, a), b in zip(alone.encoder.named_buffers(), both.encoder.buffers()):
        assert torch.equal(a, b) and (a.ndim == 0 or a.std() > 0), name


def test_swav_small_crops_keep_the_colours_of_the_large():
    method = swav(small_crops=2, augment=RandomView(gray_prob=0.5, blur_prob=0.3))
    assert method.small == RandomView(size=16, scale=(0.05, 0.2), gray_prob=0.5, blur_prob=0.3)


def test_swav_encodes_crops_of_a_size_together():
    method, batches = swav(small_crops=3), []
    method.encoder.register_forward_hook(lambda module, inputs, features: batches.append(len(features)))
    method(textured(8))
    assert batches == [16, 24]


@pytest.mark.parametrize("codes", ["soft", "hard"])
def test_swav_loss_swaps_codes(codes):
    method = swav(small_crops=2, codes=codes, epsilon=0.1, temperature=0.2)
    outputs = method(textured(8))
    z = torch.cat([outputs["first"][:, None], outputs["second"][:, None], outputs["small"]], 1)
    scores = z @ method.prototypes.weight.T
    q = torch.stack([naive_sinkhorn(scores[:, crop].detach(), 0.1, 3) for crop in range(2)], 1)
    if codes == "hard":
        q = F.one_hot(q.argmax(2), 12).float()
    assert method.loss(outputs).item() == pytest.approx(swapped_prediction(scores, q, 0.2).item(), rel=1e-4)


def test_swav_queue_takes_part_when_it_is_full():
    method, plain = swav(queue_size=24), swav()
    optimizer = sgd(method)
    for n_enqueued in range(0, 40, 8):
        outputs = {name: rows.detach() for name, rows in method(textured(8)).items()}
        plain.load_state_dict(method.state_dict(), strict=False)
        same = torch.allclose(method.loss(outputs), plain.loss(outputs), rtol=1e-6)
        assert same == (n_enqueued < 24)
        step(method, textured(8), optimizer)


def test_swav_codes_of_a_crop_are_computed_with_its_own_queue():
    method = swav(queue_size=8)
    for queue, seed in zip(method.queues, (40, 41)):
        queue.enqueue(unit_rows(seed, 8, 16).float())
    outputs = {name: unit_rows(seed, 8, 16).float() for name, seed in (("first", 30), ("second", 31))}
    prototypes = l2_normalize(method.prototypes.weight.detach())
    scores = [outputs[name] @ prototypes.T for name in ("first", "second")]
    joined = [torch.cat([s, queue.rows @ prototypes.T]) for s, queue in zip(scores, method.queues)]
    codes = torch.stack([naive_sinkhorn(s, 0.05, 3)[:8] for s in joined], 1)
    expected = swapped_prediction(torch.stack(scores, 1), codes, 0.1)
    assert method.loss(outputs).item() == pytest.approx(expected.item(), rel=1e-4)


def test_swav_queues_hold_the_last_embeddings_of_their_crop():
    method = swav(queue_size=12, small_crops=1)
    optimizer, kept = sgd(method), []
    for _ in range(3):
        outputs, _ = step(method, textured(8), optimizer)
        kept.append(torch.stack([outputs["first"], outputs["second"]], 1))
    for crop, queue in enumerate(method.queues):
        oldest_first = queue.ages().argsort(descending=True)
        assert torch.equal(queue.rows[oldest_first], torch.cat(kept)[-12:, crop])


def test_swav_queue_gets_no_gradient_and_codes_come_before_the_push():
    method = swav(queue_size=8)
    step(method, textured(8), sgd(method))
    outputs = method(textured(8))
    first = method.loss(outputs)
    assert torch.equal(first, method.loss(outputs)) and not any(q.rows.requires_grad for q in method.queues)


def test_swav_remembers_across_a_reload():
    method = swav(queue_size=8, freeze=2)
    step(method, textured(8), sgd(method))
    names = {name for name in method.state_dict() if not name.startswith(("encoder", "projection_head"))}
    assert names == {"prototypes.weight", "prototypes.kept", "prototypes.steps"} | {
        f"queues.{crop}.{part}" for crop in (0, 1) for part in ("rows", "n_enqueued")
    }
    fresh = swav(queue_size=8, freeze=2)
    outputs = {name: rows.detach() for name, rows in method(textured(8)).items()}
    assert not torch.equal(fresh.loss(outputs), method.loss(outputs))  # what is not carried over is missed
    fresh.load_state_dict(method.state_dict())
    assert torch.equal(fresh.loss(outputs), method.loss(outputs))


def test_swav_assignments_are_the_nearest_prototypes_of_both_large_crops():
    method = swav(small_crops=1)
    outputs = method(textured(8))
    labels, count = method.cluster_assignments(outputs)
    assert count == 12 and labels.shape == (8, 2)
    for crop, name in enumerate(("first", "second")):
        assert torch.equal(labels[:, crop], (outputs[name] @ method.prototypes.weight.T).argmax(1))


def test_swav_uses_its_prototypes_after_training():
    method, images = swav(prototypes=8), textured(64)
    optimizer = torch.optim.Adam(method.parameters(), lr=0.003)
    for _ in range(15):
        step(method, images, optimizer)
    best, count = method.cluster_assignments(method(images))
    assert count == 8
    assert best.shape == (64, 2) and perplexity(best.flatten().bincount(minlength=8)) > 4


@pytest.mark.parametrize(
    "wrong",
    [{"epsilon": 0}, {"temperature": -1}, {"queue_size": -1}, {"small_crops": -2}, {"prototypes": 1}, {"freeze": -1}],
)
def test_swav_refuses(wrong):
    with pytest.raises(ValueError, match=str(next(iter(wrong.values())))):
        swav(**wrong)


# -- DeepCluster -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", [1, 2])
def test_deepcluster_first_loss_is_finite(version):
    method, images = deepcluster(version=version), textured(40)
    for prepared in (False, True):
        if prepared:
            method.prepare(images.split(16))
        assert method.loss(method(images)).isfinite()
        labels = method.clusters.assign(method._rows(method(images)))
        assert labels.shape == (40, 3) and labels.min() >= 0 and labels.max() < 4


@pytest.mark.parametrize("version", [1, 2])
def test_deepcluster_labels_follow_the_image_not_its_place(version):
    method, images = deepcluster(version=version), textured(40)
    method.prepare(images.split(16))
    blank = torch.zeros(40, len(method.names), method.bank.rows.shape[2])
    labels = method.clusters.assign(method.bank.read(content_hash(images), blank))
    order = torch.randperm(40, generator=torch.Generator().manual_seed(0))
    again = method.clusters.assign(method.bank.read(content_hash(images[order]), blank))
    assert torch.equal(again, labels[order])
    sizes = torch.stack([labels[:, h].bincount(minlength=4) for h in range(3)])
    assert torch.equal(sizes.float(), method.clusters.sizes) and (sizes > 0).all()


def test_deepcluster_loss_is_that_of_the_stored_clusters():
    method, images = deepcluster(temperature=0.2), textured(40)
    method.prepare(images.split(16))
    outputs = method(images[:8])
    rows = method.bank.read(outputs["ids"], torch.zeros(8, 2, 16))
    total = 0.0
    for view in ("first", "second"):
        for h, centroids in enumerate(method.clusters.centroids):
            labels = (rows[:, h % 2] @ centroids.T).argmax(1)
            logits = F.normalize(outputs[view], dim=1) @ centroids.T / 0.2
            total += F.cross_entropy(logits, labels).item() / 6
    assert method.loss(outputs).item() == pytest.approx(total, rel=1e-5)


def test_deepcluster_images_without_a_row_belong_to_the_nearest_centroid():
    method, images = deepcluster(), textured(48)
    method.prepare(images[:40].split(16))
    outputs = method(images[40:])
    rows = l2_normalize(torch.stack([outputs["first"], outputs["second"]], 1))
    labels = torch.stack([(rows[:, h % 2] @ method.clusters.centroids[h].T).argmax(1) for h in range(3)], 1)
    scores = torch.stack([method._scores(outputs[v]) for v in ("first", "second")])
    expected = torch.stack([cluster_prediction(s, labels) for s in scores]).mean()
    assert method.loss(outputs).item() == pytest.approx(expected.item(), rel=1e-5)


def test_deepcluster_scale_of_a_projection_does_not_matter():
    method = deepcluster()
    views = method.views(textured(8))
    outputs = method.embed(views)
    with torch.no_grad():
        for parameter in method.projection_head[-1].parameters():
            parameter.mul_(7)
    larger = method.embed(views)
    assert torch.allclose(method.loss(larger), method.loss(outputs), rtol=1e-5)


def test_deepcluster_prepare_starts_from_the_last_centroids():
    method, images = deepcluster(iterations=1), textured(80)
    method.prepare(images[:40].split(16))
    kept = method.clusters.centroids.clone()
    method.prepare(images[40:].split(16))  # the next experience
    again = deepcluster(iterations=1)
    again.prepare(images[40:].split(16))
    alike = (method.clusters.centroids * kept).sum(2).mean(), (again.clusters.centroids * kept).sum(2).mean()
    assert method.clusters.fitted == 2 and not torch.equal(method.clusters.centroids, kept)
    assert alike[0] > alike[1]


def test_deepcluster_prepare_leaves_the_mode_and_batch_statistics():
    method, images = deepcluster(), textured(40)
    method.encoder.eval()
    before = {name: b.clone() for name, b in method.encoder.named_buffers()}
    method.prepare(images.split(16))
    assert method.training and not method.encoder.training
    assert all(torch.equal(b, before[name]) for name, b in method.encoder.named_buffers())
    assert method.prepare(iter(())) is None  # an empty experience


@pytest.mark.parametrize("redraw", [True, False])
def test_deepcluster_v1_draws_its_classifier_anew(redraw):
    method, images = deepcluster(version=1, redraw=redraw), textured(40)
    before = method.classifier.weight.clone()
    method.prepare(images.split(16))
    assert torch.equal(method.classifier.weight, before) != redraw
    if redraw:
        assert method.classifier.weight.std().item() == pytest.approx(0.01, rel=0.2)
        assert method.classifier.bias.count_nonzero() == 0


def test_deepcluster_v1_counts_all_clusters_the_same():
    method, images = deepcluster(version=1, heads=1), textured(40)
    method.prepare(images.split(16))
    method.clusters.sizes[0] = torch.tensor([1.0, 10, 10, 10])
    outputs = method(images[:12])
    labels = method.clusters.assign(method.bank.read(outputs["ids"], torch.zeros(12, 1, 64)))[:, 0]
    weight = torch.tensor([1, 0.1, 0.1, 0.1])
    expected = F.cross_entropy(method.classifier(outputs["first"]), labels, weight=weight)
    assert method.loss(outputs).item() == pytest.approx(expected.item(), rel=1e-5)


def test_deepcluster_v1_clusters_and_classifies_what_its_hidden_layers_give():
    method, images = deepcluster(version=1, heads=1, hidden_dim=32), textured(40)
    method.prepare(images.split(16))
    method.clusters.sizes.fill_(10)
    outputs = method(images[:12])
    features = method.projection_head(method.encoder(method.augment.normalize_only(images[:12])))
    assert outputs["first"].shape == features.shape == (12, 16) and features.min() < 0
    labels = method.clusters.assign(method.bank.read(outputs["ids"], torch.zeros(12, 1, 16)))[:, 0]
    expected = F.cross_entropy(method.classifier(outputs["first"].clamp(min=0)), labels)
    assert method.loss(outputs).item() == pytest.approx(expected.item(), rel=1e-5)


def test_deepcluster_bank_follows_the_steps():
    method, images = deepcluster(), textured(16)
    method.prepare((images,))
    outputs, _ = step(method, images, sgd(method))
    rows = method.bank.read(outputs["ids"], torch.zeros(16, 2, 16))
    assert torch.allclose(rows, l2_normalize(torch.stack([outputs["first"], outputs["second"]], 1)), atol=1e-6)


@pytest.mark.parametrize("version", [1, 2])
def test_deepcluster_online_needs_no_boundary(version):
    method, images = deepcluster(version=version, clustering="online"), textured(64)
    before = {name: entry.clone() for name, entry in method.state_dict().items()}
    method.prepare(iter((images,)))
    assert all(torch.equal(entry, before[name]) for name, entry in method.state_dict().items())
    optimizer = sgd(method)
    for batch in images.split(16) * 4:
        _, loss = step(method, batch, optimizer)
        assert math.isfinite(loss)
    assert not torch.equal(method.clusters.centroids, before["clusters.centroids"])
    labels = method.clusters.assign(method._rows(method(images)))
    assert all(perplexity(labels[:, h].bincount(minlength=4)) > 1.5 for h in range(3))


@pytest.mark.parametrize("version", [1, 2])
def test_deepcluster_remembers_across_experiences(version):
    """Experience 2 begins with the bank and the centroids of experience 1, and without them goes another way."""
    method, images = deepcluster(version=version), textured(80)
    method.prepare(images[:40].split(16))
    step(method, images[:16], sgd(method))
    fresh = deepcluster(version=version)
    weights = {n: w for n, w in method.state_dict().items() if not n.startswith(("bank", "clusters"))}
    fresh.load_state_dict(weights, strict=False)
    carried = deepcluster(version=version)
    carried.load_state_dict(method.state_dict())
    for model in (method, fresh, carried):
        seeded(model, 5).prepare(images[40:].split(16))
    losses = [seeded(model, 6).loss(model(images[40:56])).item() for model in (method, fresh, carried)]
    assert losses[0] == losses[2] != losses[1]
    assert method.bank.n_written == 80 and fresh.bank.n_written == 40


@pytest.mark.parametrize("wrong", [{"clusters": 1}, {"heads": 0}, {"temperature": 0}, {"iterations": 0}])
def test_deepcluster_refuses(wrong):
    with pytest.raises(ValueError, match=str(next(iter(wrong.values())))):
        deepcluster(**wrong)


# -- with the strategy -----------------------------------------------------------------------------------------

RECIPES = ["swav", "swav_multicrop", "deepcluster", "deepcluster_v1"]
SMALL = {"batch_size": 32, "epochs": 2, "optimizer": "adam", "lr": 0.003}


@pytest.mark.parametrize("name", RECIPES)
def test_recipes_train_on_two_experiences(name, digits):
    recipe = load_recipe(name).override(SMALL)
    strategy = recipe.build(seed=0)
    for experience in digits.train_stream[:2]:
        strategy.train(experience, eval_streams=[])
        assert strategy.loss.isfinite()
    if name.startswith("deepcluster"):
        assert (perplexity(strategy.model.clusters.sizes) > 5).all()


@pytest.mark.parametrize("name", ["deepcluster", "deepcluster_v1"])
def test_replayed_images_keep_their_rows_while_another_experience_is_clustered(name, digits, monkeypatch):
    """k-means sees the new images alone; a replayed one is found by its content, and its row goes on."""
    monkeypatch.setitem(ENCODERS, "smallconv", tiny)
    recipe = load_recipe(name).override(SMALL | {"epochs": 1})
    replay, known = av.ReplayPlugin(mem_size=64, batch_size_mem=16), []

    class Look(av.SupervisedPlugin):
        def before_backward(self, strategy, **kwargs):
            ids = strategy.mb_output["ids"]
            known.append((len(ids), strategy.model.bank.find(ids)[1].all() and strategy.loss.isfinite()))

    strategy = recipe.build(seed=0, plugins=[replay, Look()])
    sizes = [len(experience.dataset) for experience in digits.train_stream[:2]]
    for size, experience in zip(sizes, digits.train_stream[:2]):
        strategy.train(experience, eval_streams=[])
        assert torch.equal(strategy.model.clusters.sizes.sum(1), torch.full((3,), float(size)))
    assert known[-1][0] == 48 and all(found for _, found in known)
    assert strategy.model.bank.n_written == sum(sizes)
