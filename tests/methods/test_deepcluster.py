"""DeepCluster: clusters by image, the bank, the classifier, both ways of clustering."""

import math
from functools import partial

import pytest
import torch
from avalanche.training import plugins as av
from helpers.methods import make, narrow, seeded, sgd, step
from torch.nn import functional as F

from avalanche_ssl.checks.contract import check_method
from avalanche_ssl.checks.harness import textured
from avalanche_ssl.functional import l2_normalize
from avalanche_ssl.losses.clustering import cluster_prediction
from avalanche_ssl.memory.bank import content_hash
from avalanche_ssl.memory.clusters import perplexity
from avalanche_ssl.methods import DeepCluster
from avalanche_ssl.models.encoders import ENCODERS
from avalanche_ssl.recipes.loading import load_recipe

VARIANTS = {
    "v2": {},
    "online": {"clustering": "online"},
    "v2, rows of the last epoch": {"reembed": False},
    "v1": {"version": 1},
    "v1 kept": {"version": 1, "redraw": False},
    "v1 with hidden layers": {"version": 1, "hidden_dim": 32},
    "v1 online": {"version": 1, "clustering": "online"},
}
deepcluster = partial(make, DeepCluster)


@pytest.mark.contract
@pytest.mark.parametrize("name", VARIANTS)
def test_the_contract_is_kept(name):
    check_method(deepcluster(**VARIANTS[name]))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["deepcluster", "deepcluster_v1"])
def test_recipes_train_on_two_experiences(name, digits):
    recipe = load_recipe(name).override({"batch_size": 32, "epochs": 2, "optimizer": "adam", "lr": 0.003})
    strategy = recipe.build(seed=0)
    for experience in digits.train_stream[:2]:
        strategy.train(experience, eval_streams=[])
        assert strategy.loss.isfinite()
    assert (perplexity(strategy.model.clusters.sizes) > 5).all()


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
def test_deepcluster_v1_redraws_its_classifier(redraw):
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


@pytest.mark.parametrize("reembed", [True, False])
def test_deepcluster_clusters_by_the_rows_of_the_last_epoch_where_wanted(reembed):
    """What k-means is given: fresh embeddings, or the rows of the last step, and embeddings of new images alone."""
    method, images = deepcluster(reembed=reembed), textured(40)
    method.prepare(images[:32].split(16))
    step(method, images[:32], sgd(method))
    ids = content_hash(images)
    rows = method.bank.read(ids, torch.zeros(40, 2, 16)).clone()
    given, embedded = [], []
    method.clusters.fit = lambda z, *_: given.append(z)
    method.encoder.register_forward_hook(lambda module, inputs, features: embedded.append(len(features)))
    method.prepare(images.split(20))  # the second batch has known images and new ones
    same = (given[0][:32] - rows[:32]).abs().amax((1, 2)) < 1e-6
    assert (same.all() if not reembed else not same.any()) and given[0].shape == (40, 2, 16)
    assert sum(embedded) == (40 if reembed else 8)
    assert torch.equal(given[0][32:, 0], given[0][32:, 1]), "a new image has one row for both crops"


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


@pytest.mark.slow
@pytest.mark.parametrize("name", ["deepcluster", "deepcluster_v1"])
def test_replayed_images_keep_their_rows_while_another_experience_is_clustered(name, digits, monkeypatch):
    """k-means sees the new images alone; a replayed one is found by its content, and its row goes on."""
    monkeypatch.setitem(ENCODERS, "smallconv", narrow)
    recipe = load_recipe(name).override({"batch_size": 32, "epochs": 1, "optimizer": "adam", "lr": 0.003})
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
