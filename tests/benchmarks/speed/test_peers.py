"""Peers: lightly's parts and a plain Avalanche strategy."""

import pytest
from speed.peers import SETTINGS, Lightly, PlainAvalanche, _two_view_strategies, available_cores, check_peer

from avalanche_ssl.errors import UsageError


def test_plain_avalanche_writes_the_memory_of_its_method(moco):
    peer = PlainAvalanche(moco, 2, 0)
    queue = peer.strategy.model.method.queue
    before = queue.rows.clone()
    assert peer() > 0
    assert queue.n_enqueued == 3 * 8 and (queue.rows != before).any(1).sum() == 3 * 8


@pytest.mark.parametrize("name", [*SETTINGS])
def test_our_side_understands_the_settings_of_the_comparison(name, moco):
    moco._replace(strategy=name).recipe(SETTINGS[name]).build_method()


def test_strategies_of_two_views_are_found():
    found = _two_view_strategies()
    assert {"simclr", "byol", "vicreg"} <= {*found} and not {"cmc", "cpc", "swav_multicrop"} & {*found}


@pytest.mark.parametrize("strategy", [*SETTINGS])
def test_lightly_takes_steps(strategy, moco):
    pytest.importorskip("lightly", reason="an optional dependency")
    assert Lightly(moco._replace(strategy=strategy), 1, 0)() > 0


def test_unknown_peers_are_refused(moco):
    with pytest.raises(UsageError, match="did you mean 'lightly'"):
        check_peer("lightning", [moco])
    check_peer("avalanche", [moco])


def test_at_least_one_core_is_available():
    assert available_cores() >= 1
