"""SwAV: crops, codes, queues, prototypes."""

from functools import partial
from itertools import combinations

import pytest
import torch
from helpers.lcg import unit_rows
from helpers.methods import make, sgd, step
from helpers.sinkhorn import naive_sinkhorn
from torch.nn import functional as F

from avalanche_ssl.checks.contract import check_method
from avalanche_ssl.checks.harness import textured
from avalanche_ssl.functional import l2_normalize
from avalanche_ssl.losses.clustering import swapped_prediction
from avalanche_ssl.memory.clusters import perplexity
from avalanche_ssl.methods import SwAV
from avalanche_ssl.recipes.loading import load_recipe
from avalanche_ssl.transforms.augmentation import RandomView

VARIANTS = {
    "plain": {},
    "frozen": {"freeze": 5},
    "hard": {"codes": "hard", "freeze": 100},
    "with a queue": {"queue_size": 20, "freeze": 2},
    "multi-crop": {"queue_size": 20, "small_crops": 3, "freeze": 100},
}
swav = partial(make, SwAV)


@pytest.mark.contract
@pytest.mark.parametrize("name", VARIANTS)
def test_the_contract_is_kept(name):
    check_method(swav(**VARIANTS[name]))


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


def test_swav_small_crops_keep_the_colors_of_the_large():
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


def test_swav_queue_gets_no_gradient_and_codes_come_before_the_update():
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


@pytest.mark.slow
@pytest.mark.parametrize("name", ["swav", "swav_multicrop"])
def test_recipes_train_on_two_experiences(name, digits):
    recipe = load_recipe(name).override({"batch_size": 32, "epochs": 2, "optimizer": "adam", "lr": 0.003})
    strategy = recipe.build(seed=0)
    for experience in digits.train_stream[:2]:
        strategy.train(experience, eval_streams=[])
        assert strategy.loss.isfinite()
