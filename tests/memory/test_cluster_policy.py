"""Balance over clusters, without labels."""

import pytest
import torch
from helpers.image_memory import stream

from avalanche_ssl.errors import UsageError
from avalanche_ssl.functional import l2_normalize
from avalanche_ssl.memory import ClusterBalanced, ImageBuffer


def blobs(classes, dim=6, noise=0.05):
    """Features near orthogonal directions, one for each of `classes` (n,)."""
    generator = torch.Generator().manual_seed(1)
    return torch.eye(dim)[classes] + noise * torch.randn(len(classes), dim, generator=generator)


def assert_consistent(buffer):
    """Members are those that are held, and centroids are the means of their features."""
    policy = buffer.policy
    assert torch.equal(policy.member >= 0, buffer.born >= 0)
    assert policy.sizes().sum() == buffer.count
    for cluster in range(policy.clusters):
        mean = l2_normalize(buffer.features[policy.member == cluster]).sum(0)
        assert torch.allclose(policy.centroids[cluster], l2_normalize(mean), atol=1e-6)


def test_a_skewed_stream_is_kept_in_equal_parts():
    classes = torch.tensor([0, 1, 2, 3] + [0] * 60 + [1] * 20 + [2] * 60 + [3] * 10)
    buffer = ImageBuffer(6, 20, policy=ClusterBalanced(4))
    images, _, _ = stream(len(classes))
    buffer.insert(images, blobs(classes), classes)
    assert buffer.labels.bincount().tolist() == [5, 5, 5, 5]
    assert_consistent(buffer)


def test_classes_that_come_one_after_the_other_stay():
    """Five classes in order, 100 images each: the last does not push out the first, as in a ring."""
    classes = torch.arange(5).repeat_interleave(40)
    images, features = stream(200)[0], blobs(classes)
    buffer = ImageBuffer(6, 40, policy=ClusterBalanced(8))
    buffer.insert(images, features, classes)
    counts = buffer.labels.bincount(minlength=5)
    assert counts.min() >= 6 and counts.max() <= 10  # 40 images: 8 of each
    assert_consistent(buffer)


def test_an_image_unlike_any_begins_a_cluster_and_the_most_similar_two_merge():
    def enter(*feature):
        buffer.insert(stream(1)[0], torch.tensor([feature]))

    buffer = ImageBuffer(2, 8, policy=ClusterBalanced(3))
    enter(1.0, 0.0), enter(0.0, 1.0), enter(0.1, 1.0)
    assert buffer.policy.member[:3].tolist() == [0, 1, 2]
    enter(0.999, 0.03)  # nearer to the first than the other two are to each other
    assert buffer.policy.member[:4].tolist() == [0, 1, 2, 0]
    enter(-1.0, 0.0)
    assert buffer.policy.member[:5].tolist() == [0, 1, 1, 0, 2]
    assert_consistent(buffer)


def test_one_cluster_is_a_memory_where_any_image_leaves():
    buffer = ImageBuffer(4, 5, policy=ClusterBalanced(1))
    buffer.insert(*stream(30))
    assert buffer.policy.sizes().tolist() == [5] and buffer.born.max() == 29
    assert_consistent(buffer)


def test_state_is_consistent_through_refresh_and_removal():
    buffer = ImageBuffer(6, 15, policy=ClusterBalanced(4))
    for step in range(20):
        images, features, _ = stream(4, 6, seed=step)
        buffer.insert(images, features)
        slots = buffer.sample(5)
        buffer.follow(slots, stream(len(slots), 6, seed=100 + step)[1])
        assert_consistent(buffer)
    buffer.remove(buffer.sample(6))
    assert_consistent(buffer)


def test_refreshed_images_join_the_nearest_centroid():
    buffer = ImageBuffer(6, 6, policy=ClusterBalanced(3))
    classes = torch.tensor([0, 1, 2, 0, 1, 2])
    buffer.insert(stream(6)[0], blobs(classes))
    assert buffer.policy.member.tolist() == [0, 1, 2, 0, 1, 2]
    buffer.follow(torch.tensor([3]), 10 * torch.eye(6)[2:3])
    assert buffer.policy.member.tolist() == [0, 1, 2, 2, 1, 2]


def test_no_cluster_is_refused():
    with pytest.raises(UsageError, match="setting 'clusters' is 0"):
        ClusterBalanced(0)
