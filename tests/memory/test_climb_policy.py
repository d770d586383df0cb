"""CLIMB's memory: novelty, two kinds of centroids, their images."""

import pytest
import torch
from helpers.image_memory import numbers, stream

from avalanche_ssl.errors import UsageError
from avalanche_ssl.functional import l2_normalize
from avalanche_ssl.memory import Climb, ImageBuffer
from avalanche_ssl.memory.climb_policy import FREE, LONG, SHORT


def direction(degrees):
    angle = torch.deg2rad(torch.tensor(float(degrees)))
    return torch.stack([angle.cos(), angle.sin()])


def insert(buffer, *degrees):
    """Insert an image with a feature in each direction; the slots."""
    return buffer.insert(stream(len(degrees))[0], torch.stack([direction(each) for each in degrees])).tolist()


def judged_by(buffer, distance):
    """Make it a memory where an image is novel beyond `distance`, the percentile of 1,000 distances."""
    buffer.reserve((3, 4, 4))
    buffer.policy.recent.fill_(distance)
    buffer.policy.measured.fill_(1000)


def known(buffer):
    """Rows in use."""
    return (buffer.policy.kind != FREE).nonzero().squeeze(1).tolist()


def assert_consistent(buffer):
    policy = buffer.policy
    assert torch.equal(policy.owner >= 0, buffer.born >= 0)
    assert (policy.kind[policy.owner[buffer.held()]] != FREE).all()
    assert (policy.kind == SHORT).sum() <= policy.short and (policy.kind == LONG).sum() <= policy.most_long
    assert policy.owner[buffer.held()].bincount().max() <= policy.most_images


def test_images_like_a_centroid_join_it_and_move_it():
    buffer = ImageBuffer(2, 20, policy=Climb())
    insert(buffer, 0, 8)
    assert known(buffer) == [0] and buffer.policy.owner[:2].tolist() == [0, 0]
    assert torch.allclose(buffer.policy.centroids[0], 0.9 * direction(0) + 0.1 * direction(8))
    assert buffer.policy.recent[0] == pytest.approx(float(1 - direction(0) @ direction(8)), abs=1e-6)


@pytest.mark.parametrize("degrees, novel", [(24, False), (27, True)])
def test_an_image_beyond_the_percentile_of_distances_is_novel(degrees, novel):
    """Of 21 distances, the 95th percentile is the second largest: the image's own if one of the others is larger."""
    buffer = ImageBuffer(2, 60, policy=Climb())
    insert(buffer, 0)
    buffer.policy.recent[:20] = torch.linspace(0, 0.1, 20)  # 1 - cos of 25.8 degrees
    buffer.policy.measured += 20
    insert(buffer, degrees)
    assert known(buffer) == [0, 1][: 1 + novel] and buffer.policy.owner[:2].tolist() == [0, int(novel)]
    assert buffer.policy.recent[20] == pytest.approx(float(1 - direction(degrees)[0]), abs=1e-6)
    moved = direction(degrees) if novel else 0.9 * direction(0) + 0.1 * direction(degrees)
    assert torch.allclose(buffer.policy.centroids[int(novel)], moved)


def test_the_last_thousand_distances_count():
    buffer = ImageBuffer(2, 60, policy=Climb())
    judged_by(buffer, 0.5)
    insert(buffer, 0, 50, 0, 0)
    assert (buffer.policy.recent[:4] != 0.5).tolist() == [True, True, True, False]  # the first image has no distance
    assert buffer.policy.measured == 1003


def test_with_no_novelty_there_is_one_centroid():
    buffer = ImageBuffer(2, 60, policy=Climb(novelty=1))
    insert(buffer, 0, 40, 90, 180, 300)
    assert known(buffer) == [0]


def test_a_centroid_keeps_so_many_images_and_no_more():
    buffer = ImageBuffer(2, 60, policy=Climb(examples=5, matches=100))
    assert insert(buffer, *[0] * 9) == [0, 1, 2, 3, 4, -1, -1, -1, -1]
    assert numbers(buffer) == [0, 1, 2, 3, 4] and buffer.policy.met[0] == 8


def test_a_centroid_that_is_met_often_becomes_long_term_and_stays_where_it_is():
    buffer = ImageBuffer(2, 60, policy=Climb(matches=4))
    insert(buffer, 0, 8, 0, 8)
    assert buffer.policy.kind[0] == SHORT and buffer.policy.met[0] == 3
    insert(buffer, 0)
    assert buffer.policy.kind[0] == LONG
    centroid = buffer.policy.centroids[0].clone()
    insert(buffer, 1, 2)
    assert torch.equal(buffer.policy.centroids[0], centroid)
    assert buffer.policy.owner[:7].tolist() == [0] * 7  # it takes images all the same


def test_the_most_similar_long_term_centroids_merge_with_a_part_of_their_images():
    buffer = ImageBuffer(2, 40, policy=Climb(long=2, examples=4, matches=3))
    judged_by(buffer, 0.03)
    insert(buffer, *[0] * 4, *[90] * 4)
    assert buffer.policy.kind[:2].tolist() == [LONG, LONG]
    insert(buffer, *[110] * 3)
    assert buffer.policy.kind[:3].tolist() == [LONG, LONG, SHORT]
    insert(buffer, 110)
    assert buffer.policy.kind[:3].tolist() == [LONG, LONG, FREE]
    assert torch.allclose(buffer.policy.centroids[1], (direction(90) + direction(110)) / 2, atol=1e-6)
    assert buffer.policy.met[:2].tolist() == [3, 6]
    assert len(buffer.policy.images_of(0)) == 4 and len(buffer.policy.images_of(1)) == 4
    assert_consistent(buffer)


def test_of_too_many_short_term_centroids_the_one_not_met_for_longest_leaves():
    buffer = ImageBuffer(2, 40, policy=Climb(short=2))
    judged_by(buffer, 0.03)
    insert(buffer, 0, 0, 90, 90, 0)
    insert(buffer, 180)
    assert numbers(buffer) == [0, 1, 4, 5]
    assert sorted(buffer.policy.last[known(buffer)].tolist()) == [4, 5]
    assert_consistent(buffer)


def test_a_full_memory_forgets_short_term_images_first():
    """Long-term images take 72 % of 20 slots at most."""
    buffer = ImageBuffer(2, 20, policy=Climb(examples=14, matches=3))
    judged_by(buffer, 0.03)
    insert(buffer, *[0] * 20)
    assert buffer.count == 14 and buffer.policy.most_long == 1
    insert(buffer, *range(40, 360, 40))
    assert buffer.count == 20 and len(buffer.policy.images_of(0)) == 14
    assert numbers(buffer)[14:] == [22, 23, 24, 25, 26, 27]
    assert_consistent(buffer)


def test_a_centroid_does_not_give_way_to_its_own_images():
    """Three long-term images and two of one short-term centroid fill the memory: its third is not kept."""
    buffer = ImageBuffer(2, 5, policy=Climb(examples=3, matches=3))
    judged_by(buffer, 0.03)
    assert insert(buffer, *[0] * 4, 90, 90, 90) == [0, 1, 2, -1, 3, 4, -1]
    assert numbers(buffer) == [0, 1, 2, 4, 5] and buffer.policy.kind[:2].tolist() == [LONG, SHORT]


def test_in_a_full_memory_centroids_are_the_means_of_what_has_followed():
    buffer = ImageBuffer(2, 6, policy=Climb())
    judged_by(buffer, 0.03)
    insert(buffer, 0, 0, 90, 90, 90)
    buffer.follow(torch.arange(5), 2 * torch.stack([direction(180)] * 5) - buffer.features[:5])
    assert torch.allclose(buffer.policy.centroids[0], direction(0))
    insert(buffer, 180)
    owner = buffer.policy.owner
    for row in owner.unique().tolist():
        assert torch.allclose(buffer.policy.centroids[row], l2_normalize(buffer.features[owner == row]).mean(0))


def test_half_of_a_sample_is_short_term():
    buffer = ImageBuffer(2, 60, policy=Climb(matches=20))
    judged_by(buffer, 0.03)
    insert(buffer, *[0] * 25, *[120] * 5)
    kinds = buffer.policy.kind[buffer.policy.owner]
    assert (kinds[buffer.held()] == SHORT).sum() == 5
    drawn = [buffer.sample(8) for _ in range(30)]
    assert all((kinds[slots] == SHORT).sum() == 4 and len(slots.unique()) == 8 for slots in drawn)
    assert len(torch.cat(drawn).unique()) == 30
    many = buffer.sample(20)
    assert (kinds[many] == SHORT).sum() == 5 and len(many.unique()) == 20
    assert len(buffer.sample(99)) == 30


def test_a_long_stream_stays_consistent():
    buffer = ImageBuffer(4, 30, policy=Climb(short=6, long=4, examples=5, matches=6, novelty=0.7))
    for step in range(60):
        images, features, _ = stream(5, seed=step)
        buffer.insert(images, features)
        slots = buffer.sample(6)
        buffer.follow(slots, stream(len(slots), seed=500 + step)[1])
        assert_consistent(buffer)
    assert {SHORT, LONG} <= set(buffer.policy.kind.tolist()) and buffer.policy.measured > 200


@pytest.mark.parametrize("settings", [{"short": 0}, {"novelty": 1.2}, {"examples": -1}])
def test_settings_are_checked(settings):
    with pytest.raises(UsageError, match=f"setting '{next(iter(settings))}' is "):
        Climb(**settings)
