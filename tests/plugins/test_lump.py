"""Mixed views, the losses of both identities, and what is remembered of an image."""

import pytest
import torch
from helpers.methods import make as small
from helpers.methods import narrow
from helpers.resuming import assert_survives
from helpers.resuming import make as with_probe
from helpers.strategies import Spy, assert_same, make, state, train
from helpers.streams import array_stream

from avalanche_ssl.errors import UsageError
from avalanche_ssl.methods import BYOL, CMC, PIRL, DeepCluster, MoCo, SimCLR, Supervised
from avalanche_ssl.models import frozen_buffers
from avalanche_ssl.plugins import LUMP, Replay
from avalanche_ssl.plugins.replay import mean_embeddings


@pytest.fixture(scope="module")
def stream():
    """Two experiences of 32 images."""
    return array_stream(3)


def run(method, plugins, stream, **settings):
    return train(make(method, plugins=plugins, evaluator=None, **{"train_mb_size": 8} | settings), stream)


def fixed(monkeypatch, lam):
    monkeypatch.setattr(LUMP, "_draw", lambda self: lam)


def recorded(method):
    """Images and views of each call of `random_views`."""
    calls, draw = [], method.random_views

    def random_views(x):
        calls.append((x.clone(), draw(x)))
        return calls[-1][1]

    method.random_views = random_views
    return calls


@pytest.mark.parametrize("kind", [SimCLR, PIRL])
def test_lam_1_is_the_run_without_it(kind, stream, monkeypatch):
    fixed(monkeypatch, 1.0)
    plain, mixed = (run(small(kind), plugins, stream) for plugins in ([], [LUMP()]))
    assert_same(state(plain), state(mixed))
    assert torch.equal(plain.view_generator.get_state(), mixed.view_generator.get_state())


@pytest.mark.parametrize("kind", [SimCLR, BYOL])
def test_lam_0_is_training_on_remembered_images_alone(kind, stream, monkeypatch):
    fixed(monkeypatch, 0.0)
    method, steps = small(kind), []
    calls = recorded(method)
    spy = Spy(after_views=lambda strategy: steps.append(calls[-1][0]))
    mixed = run(method, [LUMP(), spy], stream)

    def replay(strategy):
        images = steps[strategy.clock.train_iterations]
        if not torch.equal(images, strategy.mb_x):  # the first step has none to remember
            strategy.mb_views = strategy.model.random_views(images)

    alone = run(small(kind), [Spy(after_views=replay)], stream)
    assert_same(state(alone), state(mixed))


@pytest.mark.parametrize("kind", [SimCLR, PIRL])
@pytest.mark.parametrize("replay", [False, True])
def test_float_views_of_new_images_are_mixed(kind, replay, stream):
    method, mixed_steps = small(kind), []
    calls = recorded(method)
    lump = LUMP(alpha=1.0)

    def compare(strategy):
        if lump.lam == 1:
            return
        (_, new), (old_images, old) = calls[-2:]
        n = strategy.n_new
        mixed_steps.append(len(strategy.mb_x))
        assert len(old_images) == n == 8 and old_images.dtype == torch.uint8
        for name, rows in strategy.mb_views.items():
            if name == "ids":
                assert torch.equal(rows, new[name])
                continue
            assert rows.dtype == torch.float32
            for i in range(len(rows)):
                image = lump.lam * new[name][i] + (1 - lump.lam) * old[name][i] if i < n else new[name][i]
                assert torch.equal(rows[i], image)

    plugins = [Replay(size=20, batch=4)] if replay else []
    run(method, [*plugins, lump, Spy(after_views=compare)], stream)
    assert mixed_steps == ([12] * 7 if replay else [8] * 7)
    assert (lump.memory is None) == replay


@pytest.mark.parametrize("kind", [PIRL, CMC, DeepCluster])
def test_targets_of_both_images_count_by_their_share(kind, stream):
    """The loss is that of mixup: each image's targets, by its share in the views."""
    method, lump, steps = small(kind), LUMP(alpha=1.0), []
    calls = recorded(method)

    def compare(strategy):
        if lump.lam == 1:
            return
        outputs, old = strategy.mb_output, calls[-1][1]["ids"]
        assert not torch.equal(outputs["ids"], old)
        new_loss = method.loss(outputs).detach()
        old_loss = method.loss(outputs | {"ids": old}).detach()
        expected = lump.lam * new_loss + (1 - lump.lam) * old_loss
        torch.testing.assert_close(strategy.method_loss.detach(), expected)
        steps.append(abs(float(new_loss - old_loss)))

    run(method, [lump, Spy(before_backward=compare)], stream)
    assert len(steps) == 7 and max(steps) > 1e-3


@pytest.mark.parametrize("kind", [PIRL, CMC, DeepCluster])
def test_identities_remember_unmixed_images(kind, stream):
    """Before `update`, outputs are those of the views that were not mixed; statistics do not see these twice."""
    method, lump, steps = small(kind), LUMP(alpha=1.0), []
    calls = recorded(method)
    before = {}

    def keep(strategy):
        before.update(views=strategy.mb_views, buffers={k: b.clone() for k, b in method.named_buffers()})

    def compare(strategy):
        if lump.lam == 1:
            return
        views = calls[-2][1]
        assert all(torch.equal(rows, views[name]) for name, rows in strategy.mb_views.items())
        assert all(torch.equal(b, before["buffers"][k]) for k, b in method.named_buffers())
        with torch.no_grad():
            expected = method.embed(views)
            mixed = method.embed(before["views"])
        for name, rows in expected.items():
            torch.testing.assert_close(strategy.mb_output[name], rows)
            assert name == "ids" or not torch.allclose(mixed[name], rows)
        for k, b in method.named_buffers():
            b.copy_(before["buffers"][k])
        steps.append(1)

    run(method, [Spy(before_update=keep), lump, Spy(before_update=compare)], stream)
    assert len(steps) == 7
    assert int(method.bank.n_written) == 64


@pytest.mark.parametrize("kind", [SimCLR, PIRL])
def test_features_of_a_replay_are_of_unmixed_images(kind, stream):
    method, lump = small(kind), LUMP(alpha=1.0)
    replay, calls, expected, mixed = Replay(size=100, policy="fifo", batch=4, refresh=False), recorded(method), [], []

    def own(strategy):
        views = calls[-1 if lump.lam == 1 else -2][1]
        with torch.no_grad(), frozen_buffers(method):
            expected.append(mean_embeddings(method, method.embed(views))[: strategy.n_new])
        mixed.append(lump.lam < 1)

    run(method, [replay, Spy(before_update=own), lump], stream)
    torch.testing.assert_close(replay.buffer.features[:64], torch.cat(expected))
    assert sum(mixed) == 7


@pytest.mark.parametrize("replay", [False, True])
def test_a_queue_gets_keys_of_mixed_views_with_a_replay_and_without(replay, stream):
    method, lump, steps = small(MoCo), LUMP(alpha=1.0), []
    memory = [Replay(size=100, batch=4)] if replay else []
    spies = [Spy(before_update=lambda s: steps.append((s.mb_output, s.mb_views)))] * 2
    run(method, [*memory, spies[0], lump, spies[1]], stream)
    assert len(steps) == 16
    assert all(before[0] is after[0] and before[1] is after[1] for before, after in zip(steps[::2], steps[1::2]))


def test_outputs_of_a_skipped_step_make_no_features_of_the_next(stream, monkeypatch):
    replay, lump, seen = Replay(size=100, batch=4), LUMP(alpha=1.0), []

    def spoil(strategy):
        if strategy.clock.train_iterations == 3:
            next(strategy.model.parameters()).grad.fill_(float("nan"))
            monkeypatch.setattr(LUMP, "_draw", lambda self: 1.0)

    spies = [Spy(before_update=spoil), Spy(before_forward=lambda strategy: seen.append(replay.unmixed))]
    strategy = run(small(SimCLR), [replay, lump, *spies], stream, on_nan="skip")
    assert strategy.nonfinite_guard.skipped == 1 and seen == [None] * 8


def test_an_image_enters_its_memory_once(stream):
    lump, counts = LUMP(size=40), []
    run(small(SimCLR), [lump, Spy(after_update=lambda s: counts.append(int(lump.memory.seen)))], stream, train_epochs=2)
    assert counts == [0, 0, 0, 0, 8, 16, 24, 32, 32, 32, 32, 32, 40, 48, 56, 64]
    assert int(lump.memory.count) == 40
    pixels = {image.numpy().tobytes() for image in lump.memory.pixels}
    assert len(pixels) == 40


def test_lam_is_drawn_from_a_beta_distribution():
    lump = LUMP(alpha=0.4)
    lump.generator.manual_seed(0)
    draws = torch.tensor([lump._draw() for _ in range(4000)], dtype=torch.float64)
    assert draws.mean().item() == pytest.approx(0.5, abs=0.02)
    assert draws.var().item() == pytest.approx(1 / (4 * (2 * 0.4 + 1)), abs=0.005)


def test_few_images_are_drawn_as_often_as_each_other(stream):
    lump = LUMP(size=3)
    run(small(SimCLR), [lump], stream)
    assert lump._slots(lump.memory, 8).bincount().sort().values.tolist() == [2, 3, 3]
    assert len(lump._slots(lump.memory, 2).unique()) == 2


def test_its_draws_leave_the_global_generator_alone(stream):
    """Only the method's generator is drawn from, for the views of old images."""
    states = []
    for plugins in ([], [LUMP()]):
        torch.manual_seed(5)
        run(small(SimCLR), plugins, stream)
        states.append(torch.get_rng_state())
    assert torch.equal(*states)


def test_what_it_cannot_mix_is_refused():
    with pytest.raises(UsageError, match="alpha"):
        LUMP(alpha=0.0)
    with pytest.raises(UsageError, match=r"LUMP mixes images, and Supervised reads their labels.*use replay"):
        make(Supervised(narrow, classes=4), plugins=[LUMP()], evaluator=None)
    with pytest.raises(UsageError, match=r"size=5 is that of a memory of its own: leave it out"):
        make(small(SimCLR), plugins=[Replay(size=20), LUMP(size=5)], evaluator=None)


@pytest.mark.slow
def test_goes_on_bit_for_bit(stream, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    strategy = assert_survives(lambda: with_probe(stream, [LUMP(size=20)], small(PIRL), train_mb_size=8), stream)
    assert any(isinstance(plugin, LUMP) and plugin.memory.seen == 64 for plugin in strategy.plugins)
