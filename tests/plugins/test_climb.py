"""CLIMB is its memory and CLA-E in one plugin."""

import pytest
import torch
from helpers.methods import make as small
from helpers.resuming import assert_survives
from helpers.resuming import make as with_probe
from helpers.strategies import Spy, assert_same, make, state, train
from helpers.streams import array_stream

from avalanche_ssl.errors import UsageError
from avalanche_ssl.memory import Climb
from avalanche_ssl.methods import BYOL, SimCLR, Supervised
from avalanche_ssl.models import frozen_buffers
from avalanche_ssl.plugins import CLA, CLIMB, Replay


@pytest.fixture(scope="module")
def stream():
    """Two experiences of 32 images."""
    return array_stream(3)


def run(plugins, stream, kind=SimCLR):
    return train(make(small(kind), plugins=plugins, evaluator=None, train_mb_size=16), stream)


def test_the_term_aligns_replayed_images_with_a_slow_copy(stream):
    climb, steps = CLIMB(size=40, batch=20, momentum=0.5), []

    def compare(strategy):
        if climb.loss is None:
            return
        n, copy = strategy.n_new, climb.alignment.teacher.method
        with torch.no_grad(), frozen_buffers(copy), frozen_buffers(climb):
            past = copy.embed({name: rows[n:] for name, rows in strategy.mb_views.items()})
            now = torch.cat([strategy.mb_output[name][n:] for name in ("first", "second")])
            aligned = climb.alignment.aligners[0](now)
        past = torch.cat([past["first"], past["second"]])
        cosines = [float(a @ b / (a.norm() * b.norm())) for a, b in zip(aligned, past, strict=True)]
        assert float(climb.loss) == pytest.approx(-sum(cosines) / len(cosines), rel=1e-4)
        added = float((strategy.loss - strategy.method_loss).detach())
        assert added == pytest.approx(2 * float(climb.loss), rel=1e-4)
        steps.append(len(cosines))

    run([climb, Spy(before_backward=compare)], stream)
    assert steps == [40] * 2
    assert isinstance(climb.buffer.policy, Climb) and climb.buffer.seen == 64


def test_weight_0_is_replay_alone(stream):
    replay = run([Replay(size=40, batch=20, policy="climb")], stream)
    assert_same(state(replay), state(run([CLIMB(size=40, batch=20, weight=0.0)], stream)))


def test_its_settings():
    climb = CLIMB()
    make(small(BYOL), plugins=[climb], evaluator=None)
    assert (climb.buffer.size, climb.weight) == (2500, 2.0)
    assert CLIMB(weight=0.7).weight == 0.7
    balanced = CLIMB(balance=0.3, bytes="1MB")
    assert balanced.gradients.balance == 0.3 and balanced.buffer.budget == 1_000_000
    for settings in ({"weight": -1.0}, {"momentum": 2.0}, {"size": 5, "bytes": "1MB"}, {"weight": 1.0, "balance": 1.0}):
        with pytest.raises(UsageError):
            CLIMB(**settings)


def test_what_does_not_fit_is_refused():
    for plugins, message in (
        ([CLIMB(), CLA()], "CLIMB and CLA align the same embeddings: give one of them"),
        ([CLIMB(), Replay()], "CLIMB and Replay both replay images: give one of them"),
    ):
        with pytest.raises(UsageError, match=message):
            make(small(SimCLR), plugins=plugins, evaluator=None)
    with pytest.raises(UsageError, match="declares no embeddings to keep"):
        make(small(Supervised), plugins=[CLIMB()], evaluator=None)


@pytest.mark.slow
def test_goes_on_bit_for_bit(stream, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert_survives(lambda: with_probe(stream, [CLIMB(size=20, batch=8)], small(SimCLR), train_mb_size=8), stream)
