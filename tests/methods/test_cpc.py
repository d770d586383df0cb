"""CPC: the grid of patches, predictions and targets, what sees what."""

import math
from functools import partial

import pytest
import torch
from helpers.images import coordinates
from helpers.methods import NO_AUGMENT, make, narrow, seeded, step

from avalanche_ssl.checks.contract import check_method
from avalanche_ssl.checks.harness import textured
from avalanche_ssl.functional import l2_normalize
from avalanche_ssl.losses.contrastive import info_nce
from avalanche_ssl.losses.patches import patch_info_nce
from avalanche_ssl.methods import CPC
from avalanche_ssl.transforms.augmentation import RandomView
from avalanche_ssl.transforms.patches import grid

VARIANTS = {
    "layer norm": {},
    "v1": {"norm": "none"},
    "v2": {"directions": 4, "color_drop": 0.5, "patch_augment": RandomView(scale=(0.6, 1))},
    "drawing": {"count": 50},
    "with other patches": {"patch": 16, "stride": 8, "offsets": (2,)},
}
cpc = partial(make, CPC)


@pytest.mark.contract
@pytest.mark.parametrize("name", VARIANTS)
def test_the_contract_is_kept(name):
    check_method(cpc(blocks=2, **VARIANTS[name]))


@pytest.mark.parametrize("directions", [1, 4])
def test_cpc_predictions_do_not_see_the_rows_that_they_predict(directions):
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
            return narrow(in_channels, scale=scale)

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


def test_cpc_extracts_the_mean_of_the_grid():
    method, images = cpc().eval(), textured(3)
    plain = method.augment.normalize_only(images)
    z = [
        method.encoder(plain[:, :, top : top + 8, left : left + 8])
        for top in range(0, 25, 4)
        for left in range(0, 25, 4)
    ]
    assert torch.allclose(method.extract_features(images), torch.stack(z).mean(0), atol=1e-5)
    assert method.extract_features(textured(2, size=48)).shape == (2, 64)


def test_cpc_patch_augmentation_changes_each_patch_separately():
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


def test_cpc_draws_candidates_from_the_full_batch():
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


def test_cpc_remembers_nothing_but_its_weights():
    assert not list(cpc().buffers())


@pytest.mark.slow
def test_cpc_comes_to_predict_rows_that_it_has_not_seen():
    torch.manual_seed(0)
    method = seeded(CPC(narrow, output_dim=16, hidden_dim=16, blocks=3, augment=NO_AUGMENT))
    images, optimizer = textured(32), torch.optim.Adam(method.parameters(), lr=0.01)
    losses = [step(method, images, optimizer)[1] for _ in range(40)]
    assert losses[0] == pytest.approx(math.log(32 * 49), abs=0.3)
    assert losses[-1] < losses[0] - 1
