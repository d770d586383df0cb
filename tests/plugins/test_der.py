"""DER: its term by loops, features that stay, and what it needs."""

import pytest
import torch
from crashes.small_run import few_digits
from helpers.strategies import Spy, assert_same, cmc, cpc, make, simclr, state

from avalanche_ssl.errors import UsageError
from avalanche_ssl.plugins.climb import CLIMB
from avalanche_ssl.plugins.der import DER
from avalanche_ssl.plugins.replay import Replay
from avalanche_ssl.streams import online_stream

METHODS = {"simclr": simclr, "cmc": lambda: cmc(capacity=100, count=16), "cpc": cpc}


def strategy_with(*plugins, model=None):
    return make(model or simclr(), plugins=list(plugins), train_mb_size=8, evaluator=None)


def learn(strategy, steps=6):
    parts = online_stream(few_digits().train_stream, 8)
    strategy.train([part for _, part in zip(range(steps), parts, strict=False)], eval_streams=[])
    return strategy


def replay(**settings):
    return Replay(**{"size": 40, "batch": 16, "refresh": False} | settings)


@pytest.mark.parametrize("name", METHODS)
def test_the_term_is_the_mean_squared_difference_from_stored_features(name):
    memory, der, checked = replay(), DER(), []

    @torch.no_grad()
    def look(strategy):
        if not len(memory.slots):
            assert der.loss is None
            return
        spaces, offset = [], 0
        for space in strategy.model.embeddings(strategy.mb_output):
            squares = []
            for z in space:
                for row, slot in zip(z[strategy.n_new :], memory.slots, strict=True):
                    old = memory.buffer.features[slot, offset : offset + z.shape[-1]]
                    for patch in row if row.ndim == 2 else [row]:
                        squares += [(float(a) - float(b)) ** 2 for a, b in zip(patch, old, strict=True)]
            spaces.append(sum(squares) / len(squares))
            offset += space[0].shape[-1]
        assert float(der.loss) == pytest.approx(sum(spaces) / len(spaces), rel=1e-4)
        checked.append(True)

    learn(strategy_with(memory, der, Spy(before_update=look), model=METHODS[name]()), steps=4)
    assert checked


def test_features_stay_as_they_came():
    memory, first = replay(policy="fifo"), {}

    @torch.no_grad()
    def look(strategy):
        for slot in memory.buffer.held().tolist():
            feature = memory.buffer.features[slot].clone()
            assert torch.equal(first.setdefault(int(memory.buffer.born[slot]), feature), feature)

    learn(strategy_with(memory, DER(), Spy(after_training_iteration=look)), steps=8)
    assert len(first) == 64


def test_it_keeps_embeddings_near_the_stored_ones_and_weight_zero_changes_nothing():
    losses, runs = [], []
    for weight in (0.0, 100.0):
        der, seen = DER(weight), []
        spy = Spy(after_update=lambda strategy, der=der, seen=seen: seen.append(der.loss))
        runs.append(learn(strategy_with(replay(), der, spy, model=METHODS["cmc"]()), steps=15))
        losses.append(sum(map(float, seen[-5:])))
    assert losses[1] < 0.9 * losses[0]
    assert_same(state(runs[0]), state(learn(strategy_with(replay(), model=METHODS["cmc"]()), steps=15)))


def test_weights_follow_the_scale_of_embeddings():
    for name, weight in (("simclr", 50.0), ("cmc", 100.0), ("cpc", 0.3)):
        der = DER()
        strategy_with(replay(), der, model=METHODS[name]())
        assert der.weight == weight


def test_a_memory_whose_features_follow_is_refused():
    with pytest.raises(UsageError) as error:
        strategy_with(Replay(), DER())
    assert str(error.value) == (
        "DER compares with features of the time when an image was new, and Replay refreshes them: give "
        "Replay(refresh=False) (--plugin replay --set replay.refresh=false)"
    )
    with pytest.raises(UsageError, match=r"CLIMB refreshes them: give Replay\(refresh=False\) in its place \(--plugin"):
        strategy_with(CLIMB(size=20), DER())


def test_a_memory_is_needed():
    with pytest.raises(UsageError, match=r"^DER works on replayed images: put one Replay before it .* not 0$"):
        strategy_with(DER())
