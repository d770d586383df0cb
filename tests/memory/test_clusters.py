"""Spherical k-means, and clusterings that are fitted at once or batch by batch."""

import pytest
import torch
from helpers.lcg import unit_rows

from avalanche_ssl.functional import l2_normalize
from avalanche_ssl.memory.clusters import Clusters, perplexity, spherical_kmeans


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
    _, stuck = spherical_kmeans(rows, start, 1, torch.Generator().manual_seed(0))
    _, labels = spherical_kmeans(rows, start, 10, torch.Generator().manual_seed(0))
    assert len(stuck.unique()) > 1 and len(labels.unique()) == 6


def test_kmeans_in_parts_is_the_same(monkeypatch):
    rows, _ = blobs()
    at_once = spherical_kmeans(rows, rows[:7], 4)
    monkeypatch.setattr("avalanche_ssl.memory.clusters.CHUNK", 17)
    parts = spherical_kmeans(rows, rows[:7], 4)
    assert torch.allclose(at_once[0], parts[0], atol=1e-6) and torch.equal(at_once[1], parts[1])


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
    clusters.fitted += 1  # a warm start, and sizes that let no cluster restart
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
