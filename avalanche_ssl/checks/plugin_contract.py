"""`check_plugin`: checks any continual plugin with any method, and names the rule that is broken.

Each rule is a small function of a `PluginTrial`: short runs of the pair, with the plugin, without it, and resumed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from avalanche_ssl.checks.contract import ContractError
from avalanche_ssl.checks.harness import RuleError
from avalanche_ssl.checks.plugin_state import (
    counters_are_tensors,
    goes_on_bit_for_bit,
    hooks_are_removed,
    randomness_comes_from_its_generator,
    replayed_rows_come_last,
    shapes_never_change,
)
from avalanche_ssl.checks.plugin_terms import (
    idle_where_it_says_so,
    its_gradient_reaches_the_encoder,
    its_parameters_are_trained_once,
    off_is_off,
    the_teacher_stays,
)
from avalanche_ssl.checks.plugin_trial import PluginTrial
from avalanche_ssl.methods import Method
from avalanche_ssl.plugins import ContinualPlugin

PluginCheck = Callable[[PluginTrial], None]


def check_plugin(plugin: ContinualPlugin, method: Method, before: Sequence[ContinualPlugin] = ()) -> None:
    """Run all of `PLUGIN_CHECKS` on deep copies of a plugin and a method, which are left unchanged.

    Args:
        plugin: a new one, that belongs to no strategy.
        method: any method, untrained or trained.
        before: new plugins that join the strategy before it. A plugin that needs a `Replay` gets one if there is none;
            give it where it must have certain settings.

    Raises:
        ContractError: a rule is broken; names the first one.
        UsageError: the plugin and the method do not fit, or the plugins do not.
    """
    trial = PluginTrial(plugin, method, before)
    trial.join()
    for check in PLUGIN_CHECKS:
        run_plugin_check(check, trial)


def run_plugin_check(check: PluginCheck, trial: PluginTrial) -> None:
    """Run one of `PLUGIN_CHECKS`.

    Raises:
        ContractError: the rule is broken, or a run fails; names plugins, method, rule and finding.
    """
    try:
        check(trial)
    except Exception as error:
        found = f"{error}" if isinstance(error, RuleError) else f"{type(error).__name__}: {error}"
        message = f'{trial.name} breaks "{check.__name__}": {found}'
        raise ContractError(message) from (None if isinstance(error, RuleError) else error)


PLUGIN_CHECKS: tuple[PluginCheck, ...] = (
    its_gradient_reaches_the_encoder,
    its_parameters_are_trained_once,
    the_teacher_stays,
    hooks_are_removed,
    randomness_comes_from_its_generator,
    idle_where_it_says_so,
    off_is_off,
    replayed_rows_come_last,
    shapes_never_change,
    goes_on_bit_for_bit,
    counters_are_tensors,
)
"""All rules, causes before consequences: the first that is broken is the one to repair."""
