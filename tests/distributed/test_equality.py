"""Several processes learn what one process would, to rounding: every recipe, every plugin; and sabotage is noticed."""

import pytest
import torch
from helpers.several import cases, differences, spawned, traces
from helpers.several_sabotage import sabotaged
from helpers.several_work import ONLINE, decoded, online_traces, probed, with_dropout

from avalanche_ssl.plugins import PLUGINS
from avalanche_ssl.recipes.installed import recipe_names

NAMES = list(cases())

STORED_IN_32_BITS = 1e-5
"""Features of remembered images are float32, whose last bit a rounding in float64 may turn."""

THREE = ["simclr", "swav", "cmc_bank", "deepcluster", "cla-e on simclr", "lump on pirl"]


def tolerance(name):
    stored = any(word in name for word in ("der", "cla-r", "minred", "climb"))
    return STORED_IN_32_BITS if stored else 1e-11


@pytest.fixture(scope="module")
def one():
    return traces(NAMES)


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    return spawned(traces, 2, tmp_path_factory.mktemp("two"), NAMES)


@pytest.fixture(scope="module")
def three(tmp_path_factory):
    return spawned(traces, 3, tmp_path_factory.mktemp("three"), THREE)


def test_every_recipe_and_plugin_is_compared():
    assert set(recipe_names()) <= set(NAMES)
    assert {name.partition(" on ")[0] for name in NAMES if " on " in name} >= set(PLUGINS)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_two_processes_learn_as_one(name, one, two):
    assert not isinstance(one[name], str), one[name]
    assert len(one[name]["losses"]) == 4
    for found in two:
        assert not isinstance(found[name], str), found[name]
        assert differences(found[name], one[name], tolerance(name)) == []


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_processes_are_equal_bit_for_bit(name, two):
    first, second = (found[name] for found in two)
    assert all(torch.equal(first[key], second[key]) or first[key].isnan().any() for key in first)


@pytest.mark.slow
@pytest.mark.parametrize("name", THREE)
def test_three_processes_learn_as_one(name, one, three):
    for found in three:
        assert not isinstance(found[name], str), found[name]
        assert differences(found[name], one[name], tolerance(name)) == []


@pytest.mark.slow
def test_mini_batches_of_a_stream_are_learned_as_by_one_process(tmp_path):
    one = online_traces()
    for found in spawned(online_traces, 2, tmp_path):
        for name in ONLINE:
            assert differences(found[name], one[name], tolerance(name)) == [], name


@pytest.mark.slow
def test_sabotage_is_noticed(tmp_path, one):
    first, second = spawned(sabotaged, 2, tmp_path)
    for fault, name in first:
        found = first[fault, name]
        assert isinstance(found, str) or differences(found, one[name], 1e-5), f"{fault} was not noticed by {name}"
    assert set(first) == set(second)


@pytest.mark.slow
def test_probes_are_those_of_one_process_from_one_pass_shared_by_all(tmp_path):
    one, several = probed(), spawned(probed, 2, tmp_path)
    for found in several:
        assert found["accuracies"] == one["accuracies"]
        assert torch.equal(found["labels"], one["labels"])
        torch.testing.assert_close(found["features"], one["features"], rtol=1e-5, atol=1e-6)
        for mine, sums in zip(found["sums"], one["sums"], strict=True):
            torch.testing.assert_close(mine, sums, rtol=1e-12, atol=1e-12)
    assert sum(found["encoded"] for found in several) == one["encoded"]


@pytest.mark.slow
def test_loader_processes_decode_the_share_of_their_process(tmp_path):
    one = decoded(0)
    assert len(one) == 10
    for found in spawned(decoded, 2, tmp_path, 2):
        assert found == pytest.approx(one, rel=1e-11)


@pytest.mark.slow
def test_dropout_leaves_processes_in_one_state(tmp_path):
    first, second = spawned(with_dropout, 2, tmp_path)
    assert all(torch.equal(first[key], second[key]) for key in first)
