"""The store of images: bytes, exact state, features that follow, refusals."""

import copy
import io

import pytest
import torch
from helpers.image_memory import POLICY_NAMES, numbers, small, stream
from helpers.memory import assert_restorable

from avalanche_ssl.errors import UsageError
from avalanche_ssl.memory import POLICIES, ImageBuffer
from avalanche_ssl.rng import capture

policies = pytest.mark.parametrize("policy", POLICY_NAMES)


def step(buffer, number):
    """A step of replay: images are drawn, their features follow, and new images enter."""
    images, features, labels = stream(3, buffer.dim, seed=number)
    slots = buffer.sample(4)
    buffer.follow(slots, stream(len(slots), buffer.dim, seed=1000 + number)[1])
    buffer.insert(images, features, labels)
    return buffer.images(slots)


def assert_same(a, b):
    one, two = a.state_dict(), b.state_dict()
    assert one.keys() == two.keys()
    assert all(torch.equal(one[name], two[name]) and one[name].dtype == two[name].dtype for name in one)


def test_all_policies_are_tested():
    assert set(POLICY_NAMES) == set(POLICIES)


@policies
@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
def test_slots_hold_the_images_of_their_numbers(policy, dtype):
    buffer = ImageBuffer(4, 10, policy=small(policy))
    images, features, labels = stream(40, dtype=dtype)
    for start in range(0, 40, 4):
        part = slice(start, start + 4)
        slots = buffer.insert(images[part], features[part], labels[part])
        kept = slots >= 0
        assert torch.equal(buffer.born[slots[kept]], torch.arange(start, start + 4)[kept])
        held = buffer.held()
        assert len(held) == buffer.count <= min(10, start + 4)
        assert policy == "climb" or buffer.count == min(10, start + 4)
        born = buffer.born[held]
        assert torch.equal(buffer.images(held), images[born]) and buffer.pixels.dtype == dtype
        assert torch.equal(buffer.features[held], features[born]) and torch.equal(buffer.labels[held], labels[born])
        assert torch.equal(buffer.ages(), start + 3 - born)
    assert buffer.seen == 40


@policies
@pytest.mark.parametrize("dtype, pixel", [(torch.uint8, 1), (torch.float32, 4)])
@pytest.mark.parametrize("budget", [6000, 8000, "7.123kB"])
def test_bytes_are_never_exceeded_and_used_up(policy, dtype, pixel, budget):
    buffer = ImageBuffer(4, bytes=budget, policy=small(policy))
    images, features, labels = stream(80, dtype=dtype)
    for start in range(0, 80, 8):
        buffer.insert(*(each[start : start + 8] for each in (images, features, labels)))
        taken = sum(value.nbytes for name, value in buffer.state_dict().items() if name != "_extra_state")
        assert taken == buffer.nbytes() <= buffer.budget
    slot = 48 * pixel + 4 * 4 + 16 + {"cluster": 8, "minred": 16, "climb": 8}.get(policy, 0)
    fixed = 16 + {"cluster": 20 * 4 * 4, "climb": 10 * (4 * 4 + 24) + 4008}.get(policy, 0)
    assert buffer.size == len(buffer.pixels) == (buffer.budget - fixed) // slot


@policies
def test_to_check_the_room_changes_nothing(policy):
    buffer = ImageBuffer(4, bytes=20_000, policy=small(policy))
    before = copy.deepcopy(buffer)
    buffer.check_room((3, 8, 8))
    with pytest.raises(UsageError, match="a memory of 20 kB holds no image of 3x100x100"):
        buffer.check_room((3, 100, 100))
    assert_same(buffer, before)
    step(buffer, 0)
    before = copy.deepcopy(buffer)
    buffer.check_room((3, 100, 100))  # another matter, that is noted when they come
    assert_same(buffer, before)


def test_bytes_that_hold_no_image_are_refused_with_what_one_takes():
    buffer = ImageBuffer(512, bytes="100 kB")
    with pytest.raises(UsageError) as error:
        buffer.reserve((3, 224, 224))
    assert str(error.value) == (
        "a memory of 100 kB holds no image of 3x224x224 with 512 features (152,608 bytes): give size, or more bytes"
    )
    one = ImageBuffer(512, bytes=152_608)
    one.reserve((3, 224, 224))
    assert one.size == 1 and one.nbytes() == 152_608


@policies
@pytest.mark.parametrize("bytes_", [None, "7kB"])
def test_a_memory_goes_on_bit_for_bit(policy, bytes_):
    """A state that went through a file in the midst of the stream, into a memory that has seen nothing."""

    def new():
        return ImageBuffer(4, None if bytes_ else 12, bytes=bytes_, policy=small(policy), seed=5)

    buffer = new()
    for number in range(13):
        step(buffer, number)
    file = io.BytesIO()
    torch.save(buffer.state_dict(), file)
    file.seek(0)
    resumed = new()
    resumed.load_state_dict(torch.load(file, weights_only=True))
    assert_same(buffer, resumed)
    for number in range(13, 26):
        assert torch.equal(step(buffer, number), step(resumed, number))
    assert_same(buffer, resumed)


@policies
def test_a_state_from_before_the_first_image_goes_on(policy):
    buffer = ImageBuffer(4, 12, policy=small(policy))
    state = copy.deepcopy(buffer.state_dict())
    used = ImageBuffer(4, 12, policy=small(policy), seed=9)
    for number in range(6):
        step(used, number)
    used.load_state_dict(state)
    for number in range(8):
        step(buffer, number), step(used, number)
    assert_same(buffer, used)


@policies
def test_a_copy_has_a_generator_of_its_own(policy):
    buffer = ImageBuffer(4, 12, policy=small(policy))
    for number in range(6):
        step(buffer, number)
    assert_restorable(buffer)
    one, two = copy.deepcopy(buffer), copy.deepcopy(buffer)
    for number in range(6, 12):
        step(one, number)
    for number in range(6, 12):
        step(two, number)
    assert_same(one, two)


def test_a_state_of_another_size_is_refused():
    buffer = ImageBuffer(4, 12)
    step(buffer, 0)
    with pytest.raises(UsageError, match="of 12 images of 3x4x4, and this one has room for 9: give it the settings"):
        ImageBuffer(4, 9).load_state_dict(buffer.state_dict())


@policies
def test_seeds_decide_and_global_randomness_does_not_change(policy):
    before = capture()
    kept = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed + 7)
        state = torch.get_rng_state()
        buffer = ImageBuffer(4, 12, policy=small(policy), seed=seed)
        drawn = [step(buffer, number) for number in range(20)]
        assert torch.equal(torch.get_rng_state(), state)
        after = capture()
        assert after["python"] == before["python"] and after["numpy"] == before["numpy"]
        kept.append((numbers(buffer), torch.cat(drawn).sum().item()))
    assert kept[0] == kept[1] != kept[2]


def test_features_move_half_way():
    buffer = ImageBuffer(2, 3)
    buffer.insert(stream(3)[0], torch.tensor([[1.0, 0.0], [0.0, 1.0], [4.0, 4.0]]))
    buffer.follow(torch.tensor([2, 0]), torch.tensor([[0.0, 2.0], [0.0, 1.0]], requires_grad=True))
    assert buffer.features.tolist() == [[0.5, 0.5], [0.0, 1.0], [2.0, 3.0]]
    assert not buffer.features.requires_grad


def test_free_slots_have_no_features_that_could_follow():
    buffer = ImageBuffer(4, 9)
    buffer.insert(*stream(5))
    with pytest.raises(ValueError, match="one of these is free"):
        buffer.follow(torch.tensor([4, 5]), torch.zeros(2, 4))


@policies
def test_removed_images_make_room(policy):
    buffer = ImageBuffer(4, 6, policy=small(policy))
    buffer.insert(*stream(6))
    held = buffer.held()
    buffer.remove(held[[2, 1]])
    assert torch.equal(buffer.held(), held[[0, *range(3, len(held))]]) and buffer.count == len(held) - 2
    with pytest.raises(ValueError, match="holds no image that could be removed"):
        buffer.remove(held[1:2])
    buffer.insert(*stream(1, seed=1))
    assert buffer.count == len(held) - 1 and numbers(buffer)[-1] == 6


def test_labels_are_unknown_if_not_given():
    buffer = ImageBuffer(4, 6)
    buffer.insert(*stream(3)[:2])
    assert buffer.labels.tolist() == [-1] * 6


def test_a_memory_can_do_without_features():
    buffer = ImageBuffer(0, 6)
    buffer.insert(stream(9)[0], torch.empty(9, 0))
    assert buffer.count == 6 and buffer.features.shape == (6, 0)


def test_it_stays_on_the_cpu_in_its_dtypes():
    buffer = ImageBuffer(4, 6, policy="minred")
    buffer.insert(*stream(3))
    torch.nn.ModuleList([buffer]).double().to("meta")
    assert all(value.device.type == "cpu" for value in buffer.buffers())
    assert buffer.features.dtype == buffer.policy.near.dtype == torch.float32


@pytest.mark.parametrize(
    "images, fault",
    [
        (
            torch.zeros(2, 3, 8, 4, dtype=torch.uint8),
            r"images of 3x8x4 \(torch.uint8\) come to a memory of images of 3x4",
        ),
        (torch.zeros(2, 3, 4, 4), r"images of 3x4x4 \(torch.float32\) come to .* of 3x4x4 \(torch.uint8\): bring all"),
        (torch.zeros(2, 3, 4, 4, dtype=torch.float16), "images of uint8 or float32, not torch.float16: convert them"),
    ],
)
def test_images_of_another_kind_are_refused_in_one_line(images, fault):
    buffer = ImageBuffer(4, 6)
    buffer.insert(*stream(3))
    before = copy.deepcopy(buffer)
    with pytest.raises(UsageError, match=fault) as error:
        buffer.insert(images, torch.zeros(2, 4))
    assert "\n" not in str(error.value)
    assert_same(buffer, before)


@policies
def test_features_that_the_policy_does_not_read_stay_where_they_are(policy):
    """Those on "meta" cannot be moved to the CPU."""
    buffer = ImageBuffer(4, 10, policy=small(policy))
    images, features, labels = stream(6)

    def use():
        buffer.insert(images, features.to("meta"), labels)
        buffer.follow(torch.arange(2), features[:2].to("meta"))

    if buffer.policy.reads_features:
        with pytest.raises(NotImplementedError, match="meta"):
            use()
        return
    use()
    assert buffer.features.device.type == "meta" and buffer.features.shape == (10, 4)
    assert torch.equal(buffer.images(torch.arange(6)), images) and buffer.born.device.type == "cpu"


@policies
def test_features_of_one_batch_are_those_of_the_images_that_stay(policy):
    buffer = ImageBuffer(4, 10, policy=small(policy))
    images, features, labels = stream(40)
    slots = buffer.insert(images, features, labels)
    held = buffer.held()
    assert (slots >= 0).sum() == len(held) and torch.equal(buffer.features[held], features[buffer.born[held]])


def test_features_that_are_not_finite_are_refused():
    buffer = ImageBuffer(4, 6)
    images, features, _ = stream(3)
    features[1, 2] = torch.nan
    with pytest.raises(UsageError, match="1 of 3 features are not finite: lower the learning rate"):
        buffer.insert(images, features)
    assert buffer.seen == 0
    with pytest.raises(ValueError, match=r"3 images have features \(3, 4\), not \(3, 5\)"):
        buffer.insert(images, torch.zeros(3, 5))


@pytest.mark.parametrize(
    "settings, fault",
    [
        ({}, "a memory has a size or a number of bytes, neither is given: give one, such as size=2000"),
        ({"size": 5, "bytes": "6MB"}, "not size=5 and bytes=6MB: give one"),
        ({"size": 0}, "setting 'size' is 0: give a number above 0"),
        ({"bytes": "6 megs"}, "'6 megs' is no size"),
    ],
)
def test_settings_are_refused_at_once(settings, fault):
    with pytest.raises(UsageError, match=fault):
        ImageBuffer(4, **settings)
