"""Every continual plugin with every method, alone and behind a replay; refusals; what `check_plugin` reports.

What is cheap is checked of all pairs here; of interruption one pair for each plugin and each method. The rest is in
`benchmarks/check_plugins.py`.
"""

import inspect
from functools import cache
from itertools import cycle

import pytest
import torch
from check_plugins import OWN_REPLAY, small_plugin
from helpers.encoders import tiny
from helpers.methods import SMALL
from helpers.plugins import Centered, Tether, memory
from helpers.strategies import simclr

from avalanche_ssl import methods
from avalanche_ssl.checks import (
    PLUGIN_CHECKS,
    ContractError,
    PluginTrial,
    check_plugin,
    plugin_contract,
    run_plugin_check,
)
from avalanche_ssl.errors import UsageError
from avalanche_ssl.plugins import PLUGINS

INTERRUPTED = {"goes_on_bit_for_bit", "counters_are_tensors"}
"""Rules that take two more runs."""

REFUSED = {
    "lump": {"Supervised": "reads their labels"},
    **{name: {"Supervised": "declares no embeddings"} for name in ("cassle", "cassle-r", "cla-b", "cla-e", "cla-r")},
    "der": {"Supervised": "declares no embeddings"},
    "climb": {"Supervised": "declares no embeddings"},
    "anchor": {"Supervised": "whose pass over an experience has no labels"},
    "osiris": {
        "Supervised": "declares no embeddings",
        **dict.fromkeys(["BYOL", "SimSiam"], "is predictive"),
        **dict.fromkeys(["SwAV"], "is knowledge"),
        "BarlowTwins": "is decorrelative",
        "VICReg": "is mse",
        "DeepCluster": "is ",
        **dict.fromkeys(["MoCo", "MoCoV3", "CMC", "PIRL", "CPC"], "compares the embeddings of a batch"),
    },
}
"""Combinations that are refused, with words of the reason."""

METHODS = {cls.__name__: cls for cls in SMALL}
PAIRS = [(plugin, method) for plugin in PLUGINS for method in METHODS]
SOUND = [(plugin, method) for plugin, method in PAIRS if method not in REFUSED.get(plugin, {})]


def covering() -> list[tuple[str, str]]:
    """Some of the sound pairs: every plugin and every method at least once."""
    chosen = []
    order = cycle(sorted(METHODS))
    for plugin in [*PLUGINS] * 2:
        sound = [method for name, method in SOUND if name == plugin]
        chosen.append((plugin, next(method for method in order if method in sound)))
    return list(dict.fromkeys(chosen))


def small_method(name):
    torch.manual_seed(0)
    return METHODS[name](tiny, **SMALL[METHODS[name]])


@cache
def plain(method: str, replayed: bool):
    return PluginTrial(Centered(), small_method(method), [memory()] if replayed else []).plain


def trial_of(plugin, method, replayed=False):
    """The trial of a pair; the run without the plugin is that of all with the method."""
    own = OWN_REPLAY.get(plugin, {})
    trial = PluginTrial(
        small_plugin(plugin, replayed), small_method(method), [memory(**own)] if replayed or own else []
    )
    trial.join()
    if not own and (not trial.before or replayed):
        trial.plain = plain(method, replayed)
    return trial


@pytest.mark.contract
@pytest.mark.parametrize("plugin, method", SOUND, ids=str)
def test_every_plugin_keeps_the_contract_with_every_method(plugin, method):
    trial = trial_of(plugin, method)
    for check in PLUGIN_CHECKS:
        if check.__name__ not in INTERRUPTED:
            run_plugin_check(check, trial)


@pytest.mark.contract
@pytest.mark.parametrize("plugin, method", covering(), ids=str)
def test_interrupted_runs_go_on(plugin, method):
    trial = trial_of(plugin, method)
    for check in PLUGIN_CHECKS:
        if check.__name__ in INTERRUPTED:
            run_plugin_check(check, trial)


FILLING = ("replay", "climb")
"""Plugins that bring a memory of their own, and join no other."""


@pytest.mark.contract
@pytest.mark.parametrize("plugin, method", [pair for pair in covering() if pair[0] not in FILLING], ids=str)
def test_pairs_with_replay_keep_the_contract(plugin, method):
    trial = trial_of(plugin, method, replayed=True)
    for check in PLUGIN_CHECKS:
        if check.__name__ not in INTERRUPTED:
            run_plugin_check(check, trial)


@pytest.mark.parametrize("plugin, method", [pair for pair in PAIRS if pair not in SOUND], ids=str)
def test_what_cannot_work_is_refused_by_name(plugin, method):
    with pytest.raises(UsageError) as caught:
        trial_of(plugin, method)
    message = str(caught.value)
    assert REFUSED[plugin][method] in message and method in message.replace(" ", "") and "\n" not in message


def test_every_plugin_and_method_is_tested():
    exported = {name for name in methods.__all__ if is_method(getattr(methods, name))}
    assert set(METHODS) == exported
    assert {plugin for plugin, _ in PAIRS} == set(PLUGINS)
    assert {plugin for plugin, _ in covering()} == set(PLUGINS)
    assert {method for _, method in covering()} == exported
    assert REFUSED.keys() <= PLUGINS.keys() and all(refused.keys() <= exported for refused in REFUSED.values())


def is_method(value):
    """Whether it is a complete method, and no base class."""
    return inspect.isclass(value) and issubclass(value, methods.Method) and value.loss is not methods.Method.loss


def test_the_rules_are_those_of_the_modules_in_this_room():
    assert {check.__module__.rpartition(".")[2] for check in PLUGIN_CHECKS} == {"plugin_terms", "plugin_state"}
    assert len(set(PLUGIN_CHECKS)) == len(PLUGIN_CHECKS)


def test_an_error_inside_a_plugin_is_reported_with_its_cause():
    class Fails(Centered):
        def term(self, strategy):
            raise KeyError("head")

    with pytest.raises(ContractError, match=r"Fails with SimCLR breaks .*KeyError: 'head'") as caught:
        check_plugin(Fails(), simclr())
    assert isinstance(caught.value.__cause__, KeyError)


def test_plugins_before_it_are_named():
    class NeverReady(Tether):
        def boundary(self, strategy):
            pass

    with pytest.raises(ContractError, match=r"^Replay \+ NeverReady with SimCLR breaks"):
        check_plugin(NeverReady(), simclr(), [memory()])


def test_all_rules_are_run_in_order(monkeypatch):
    called = []
    names = [f"rule {i}" for i in range(3)]
    checks = tuple(lambda trial, name=name: called.append(name) for name in names)
    monkeypatch.setattr(plugin_contract, "PLUGIN_CHECKS", checks)
    check_plugin(Centered(), simclr())
    assert called == names
