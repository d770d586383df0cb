"""Replay: the rows of a batch, when images enter, what follows, what is refused."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from avalanche.training import plugins as av
from crashes.small_run import few_digits
from helpers import resuming
from helpers.encoders import tiny
from helpers.strategies import Spy, assert_same, cmc, make, moco, simclr, state
from helpers.streams import array_stream, images

from avalanche_ssl.data import ArrayDataset
from avalanche_ssl.errors import UsageError
from avalanche_ssl.memory import ImageBuffer, MemoryBank, MinRed, content_hash
from avalanche_ssl.methods import Supervised
from avalanche_ssl.plugins import CLIMB
from avalanche_ssl.plugins.replay import Replay, mean_embeddings
from avalanche_ssl.streams import online_stream
from avalanche_ssl.streams.benchmark import benchmark_from_parts


def learn(replay, size=4, steps=10, model=None, look=None, plugins=(), passes=1, benchmark=None):
    """Train on so many mini-batches; `look` is called in each step before the forward pass."""
    spy = Spy(before_forward=look or (lambda strategy: None))
    strategy = make(
        model or simclr(), plugins=[replay, *plugins, spy], train_mb_size=size, train_epochs=passes, evaluator=None
    )
    stream = online_stream((benchmark or few_digits()).train_stream, size)
    strategy.train([part for _, part in zip(range(steps), stream, strict=False)], eval_streams=[])
    return strategy


def streamed(size=4, steps=10):
    """The images of the mini-batches of `learn`, in order."""
    stream = online_stream(few_digits().train_stream, size)
    return torch.cat([images(part.dataset) for _, part in zip(range(steps), stream, strict=False)])


def unlabeled(labels=None):
    benchmark = few_digits()
    x = np.concatenate([images(e.dataset).permute(0, 2, 3, 1).numpy() for e in benchmark.train_stream])
    data = ArrayDataset(x, [-1] * len(x) if labels is None else labels)
    parts = np.split(np.arange(len(x)), 2)
    return benchmark_from_parts(data, parts, data, parts, [f"class {i}" for i in range(10)])


# -- rows ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("passes", [1, 3])
def test_replayed_rows_come_last_and_are_raw(passes):
    replay, sizes = Replay(size=20, batch=8), []

    def look(strategy):
        new = strategy.n_new
        assert new == 4 and strategy.mb_x.dtype == torch.uint8
        assert torch.equal(strategy.mb_x[new:], replay.buffer.images(replay.slots))
        assert torch.equal(strategy.mb_y[new:], replay.buffer.labels[replay.slots])
        assert strategy.mb_task_id.tolist() == [0] * len(strategy.mb_x)
        ids = content_hash(strategy.mb_x).tolist()
        assert len(set(ids)) == len(ids), "no image meets itself"
        sizes.append(len(ids))

    learn(replay, look=look, passes=passes, steps=20)
    assert sizes == ([4] * 3 + [12] * 17 if passes == 1 else [4] * 9 + [12] * 51), "more than 8 must be held"
    assert len(set(replay.buffer.labels.tolist())) > 1


@pytest.mark.parametrize("passes", [1, 3])
def test_an_image_enters_once_after_its_last_step(passes):
    replay, seen = Replay(size=12, policy="fifo"), []
    learn(replay, look=lambda strategy: seen.append(int(replay.buffer.seen)), passes=passes)
    assert seen == [4 * step for step in range(10) for _ in range(passes)]
    last = content_hash(replay.buffer.images(replay.buffer.born.argsort())).view(3, 4)  # by mini-batch
    assert torch.equal(last.sort().values, content_hash(streamed()[-12:]).view(3, 4).sort().values)
    assert sorted(replay.ages().tolist()) == list(range(12))


def test_as_many_join_as_are_new_and_twice_as_many_in_mini_batches():
    sizes, replay = [], Replay(size=50)
    learn(replay, look=lambda strategy: sizes.append((strategy.n_new, len(strategy.mb_x))))
    assert sizes == [(4, 4)] * 3 + [(4, 12)] * 7
    sizes, replay = [], Replay(size=50)
    spy = Spy(before_forward=lambda strategy: sizes.append((strategy.n_new, len(strategy.mb_x))))
    strategy = make(simclr(), plugins=[replay, spy], train_mb_size=16, train_epochs=2)
    strategy.train(few_digits().train_stream, eval_streams=[])
    # images enter in the last pass of an experience
    assert sizes == [(16, 16)] * 6 + [(16, 32)] * 10
    assert replay.buffer.seen == 2 * 64, "the last 8 of 72 are in no step"


def test_a_memory_smaller_than_its_batch_is_replayed_whole():
    sizes = []
    learn(Replay(size=5, batch=8), look=lambda strategy: sizes.append(len(strategy.mb_x)))
    assert sizes == [4, 4] + [9] * 8


def test_a_memory_that_never_replays_changes_nothing():
    runs = [make(moco(), plugins=plugins, train_epochs=2) for plugins in ([Replay(batch=1999)], [])]
    for strategy in runs:
        strategy.train(few_digits().train_stream, eval_streams=[])
    assert_same(*map(state, runs))
    assert torch.equal(*(strategy.view_generator.get_state() for strategy in runs))


def test_keys_of_new_images_only_are_queued_and_banks_recognize_replayed_ones():
    strategy = learn(Replay(size=20, batch=8), model=moco(queue_size=16), steps=12)
    assert strategy.model.queue.n_enqueued == 48
    rows = []
    model = cmc(capacity=100, count=16)
    learn(Replay(size=20, batch=8), model=model, steps=12, look=lambda s: rows.append(len(s.mb_x) - s.n_new))
    banks = [module for module in model.modules() if isinstance(module, MemoryBank)]
    assert {int(bank.n_hits) for bank in banks} == {sum(rows)} == {72}


def test_single_images_are_filled_up_and_those_that_cannot_be_enter_all_the_same():
    replay, sizes = Replay(size=20), []
    with pytest.warns(UserWarning, match="an experience of a single image is skipped: training takes two"):
        learn(replay, size=1, look=lambda strategy: sizes.append(len(strategy.mb_x)))
    assert sizes == [3] * 7, "three images must be held before two are replayed"
    assert replay.buffer.seen == 10
    held = replay.buffer.held()
    order = held[replay.buffer.born[held].argsort()]
    assert torch.equal(replay.buffer.images(order), streamed(1))
    assert (replay.buffer.features[held].norm(dim=1) > 0).all()


def test_images_of_a_training_that_stopped_early_enter():
    replay = Replay(size=100, policy="fifo")
    strategy = make(simclr(), plugins=[replay, Spy(after_training_epoch=lambda s: s.stop_training())], train_epochs=3)
    strategy.train(few_digits().train_stream[0], eval_streams=[])
    assert strategy.clock.train_iterations == 2
    assert replay.buffer.seen == 72
    assert torch.equal(replay.buffer.images(torch.arange(72)), images(few_digits().train_stream[0].dataset))
    assert replay.buffer.labels[:72].tolist() == list(few_digits().train_stream[0].dataset.targets)
    assert (replay.buffer.features[:72].norm(dim=1) > 0).all() and not replay.entered


# -- features --------------------------------------------------------------------------------------------------------


def test_a_feature_is_the_mean_over_views_and_patches_with_spaces_side_by_side():
    g = torch.Generator().manual_seed(0)
    a, b, c = (torch.randn(5, *shape, generator=g) for shape in ((3,), (3,), (4, 2)))
    found = mean_embeddings(SimpleNamespace(embeddings=lambda outputs: [[a, b], [c]]), {})
    for i in range(5):
        patches = [sum(float(c[i, n, d]) for n in range(4)) / 4 for d in range(2)]
        expected = [(float(a[i, d]) + float(b[i, d])) / 2 for d in range(3)] + patches
        assert torch.allclose(found[i], torch.tensor(expected))


@pytest.mark.parametrize("refresh", [True, False])
def test_features_of_replayed_images_follow(refresh):
    replay, checked = Replay(size=40, batch=8, refresh=refresh), []

    def remember(strategy):
        before = replay.buffer.features.clone()
        features = mean_embeddings(strategy.model, strategy.mb_output)
        expected = before.clone()
        if refresh:
            expected[replay.slots] = (before[replay.slots] + features[4:]) / 2
        start = int(replay.buffer.seen)
        expected[start : start + 4] = features[:4]
        checked.append(expected)

    def look(strategy):
        if checked:
            assert torch.allclose(replay.buffer.features, checked[-1], atol=1e-6)

    learn(replay, plugins=[Spy(before_update=remember)], look=look)
    assert len(checked) == 10 and replay.buffer.dim == 8


# -- training on the memory alone ------------------------------------------------------------------------------------


@pytest.mark.parametrize("passes", [1, 2])
def test_memory_alone_gives_each_image_to_the_queue_once(passes):
    replay, met = Replay(size=20, batch=8, policy="minred", only=True), []

    def look(strategy):
        new = strategy.n_new
        slots = torch.cat([replay._first_met, replay.slots])
        assert torch.equal(strategy.mb_x, replay.buffer.images(slots)) and len(slots) == len(set(slots.tolist()))
        ids = content_hash(strategy.mb_x).tolist()
        if strategy.clock.train_exp_epochs == passes - 1:
            assert not set(ids[:new]) & set(met) and set(ids[new:]) <= set(met)
            met.extend(ids[:new])

    strategy = learn(replay, model=moco(queue_size=16), look=look, steps=20, passes=passes)
    assert replay.buffer.seen == 80, "all images enter, in their first pass"
    assert strategy.model.queue.n_enqueued == len(met) == len(set(met)) > 40
    assert (replay.buffer.features.norm(dim=1) > 0).all()


def test_memory_alone_begins_with_what_there_is():
    sizes = []
    learn(Replay(size=20, batch=8, only=True), look=lambda s: sizes.append((s.n_new, len(s.mb_x))), steps=3)
    assert sizes[0] == (4, 4) and [rows for _, rows in sizes] == [4, 8, 8]


# -- beside others ---------------------------------------------------------------------------------------------------


def test_labels_of_replayed_images_reach_a_method_that_reads_them():
    benchmark = few_digits()
    torch.manual_seed(0)
    model, labels = Supervised(tiny, classes=10), []
    loss = model.loss
    model.loss = lambda outputs: labels.append(outputs["labels"].clone()) or loss(outputs)
    replay = Replay(size=30, batch=8)
    learn(replay, model=model, steps=12)
    by_id = {}
    for experience in benchmark.train_stream:
        by_id |= dict(zip(content_hash(images(experience.dataset)).tolist(), experience.dataset.targets, strict=True))
    held = replay.buffer.held()
    assert replay.buffer.labels[held].tolist() == [by_id[i] for i in content_hash(replay.buffer.images(held)).tolist()]
    assert [len(each) for each in labels] == [4] * 3 + [12] * 9 and min(map(min, labels)) >= 0


@pytest.mark.parametrize("other", [lambda: av.EWCPlugin(0.1), lambda: av.AGEMPlugin(10, 10)], ids=["ewc", "agem"])
def test_penalties_of_avalanche_work_beside_it(other):
    replay = Replay(size=40, batch=8)
    strategy = make(simclr(), plugins=[replay, other()], train_mb_size=16)
    strategy.train(few_digits().train_stream, eval_streams=[])
    assert replay.buffer.seen == 128 and replay.buffer.count == 40
    assert torch.isfinite(strategy.loss)


@pytest.mark.slow
@pytest.mark.parametrize("online, settings", [(0, {"policy": "minred"}), (16, {"policy": "cluster", "only": True})])
def test_an_interrupted_memory_goes_on_bit_for_bit(online, settings, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    benchmark = few_digits()

    def build():
        return resuming.make(benchmark, [Replay(bytes="100 kB", batch=8, **settings)])

    resuming.assert_survives(build, benchmark, online_batch_size=online)


# -- refusals --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"size": 0}, "setting 'size' is 0: give a number above 0"),
        ({"bytes": "many"}, "'many' is no size: give a number of bytes, such as 6000000, '6MB' or '512 KiB'"),
        ({"size": 5, "bytes": 100}, "a memory has a size or a number of bytes, not size=5 and bytes=100: give one"),
        ({"batch": -1}, "setting 'batch' is -1: give 0 or more"),
        ({"policy": "fife"}, "no policy 'fife': did you mean 'fifo'?"),
    ],
)
def test_settings_out_of_range_are_refused(settings, message):
    with pytest.raises(UsageError) as error:
        Replay(**settings)
    assert str(error.value).startswith(message) and "\n" not in str(error.value)


@pytest.mark.parametrize("second", [Replay, lambda: av.ReplayPlugin(20)])
def test_two_memories_are_refused(second):
    with pytest.raises(UsageError, match=r"^Replay and Replay(Plugin)? both replay images: give one of them$"):
        make(simclr(), plugins=[Replay(), second()])


@pytest.mark.parametrize("policy, name", [("minred", "minred"), (MinRed(), "minred"), ("cluster", "cluster")])
def test_policies_that_compare_features_need_embeddings(policy, name):
    with pytest.raises(UsageError) as error:
        make(Supervised(tiny, classes=10), plugins=[Replay(policy=policy)])
    assert str(error.value) == (
        f"policy '{name}' compares features, and Supervised declares no embeddings: choose reservoir, fifo or class"
    )


@pytest.mark.parametrize("online", [False, True])
def test_classes_of_a_stream_without_labels_are_refused(online):
    strategy = make(simclr(), plugins=[Replay(policy="class")])
    stream = unlabeled().train_stream
    with pytest.raises(UsageError) as error:
        strategy.train(online_stream(stream, 8) if online else stream, eval_streams=[])
    assert str(error.value) == (
        "policy 'class' reads labels, and the stream has none: choose one of reservoir, fifo, cluster, minred, climb"
    )
    assert strategy.clock.train_iterations == 0


def test_only_the_policy_of_classes_reads_labels():
    assert Replay(policy="class").reads_labels and not Replay().reads_labels
    learn(Replay(policy="class"), benchmark=unlabeled([-1] * 60 + [0, 1, 2] * 28), steps=3)
    learn(Replay(), benchmark=unlabeled(), steps=3)


@pytest.mark.parametrize("kind", [Replay, CLIMB])
def test_bytes_that_hold_no_image_are_refused_before_training(kind):
    begun = []
    strategy = make(simclr(), plugins=[kind(bytes=100), Spy(before_training=begun.append)])
    with pytest.raises(UsageError) as error:
        strategy.train(few_digits().train_stream, eval_streams=[])
    message = str(error.value)
    assert message.startswith("a memory of 100 B holds no image of 3x32x32 with 8 features (")
    assert message.endswith(" bytes): give size, or more bytes") and "\n" not in message and not begun


def test_bytes_must_hold_an_image_as_batches_have_it():
    needed = []
    for channels in (1, 3):
        one = ImageBuffer(8, size=1)
        one.reserve((channels, 32, 32))
        needed.append(one.nbytes())
    make(simclr(), plugins=[Replay(bytes=needed[1])]).try_shapes([(1, 32, 32), (3, 32, 32)])
    with pytest.raises(UsageError, match=rf"holds no image of 3x32x32 with 8 features \({needed[1]:,} bytes\)"):
        make(simclr(), plugins=[Replay(bytes=needed[0])]).try_shapes([(1, 32, 32)])


def test_images_of_another_size_than_those_held_are_refused():
    strategy = make(simclr(), plugins=[Replay(size=50)], train_mb_size=16)
    strategy.train(array_stream(3, size=32).train_stream[0], eval_streams=[])
    with pytest.raises(UsageError, match=r"images of 3x24x24 .* come to a memory of images of 3x32x32"):
        strategy.train(array_stream(3, size=24).train_stream[1], eval_streams=[])
