"""The contracts of methods and of continual plugins, as checks that run over any of them; imported when first used."""

from typing import TYPE_CHECKING

from avalanche_ssl.lazy import lazy_names

if TYPE_CHECKING:
    from avalanche_ssl.checks.contract import CHECKS as CHECKS
    from avalanche_ssl.checks.contract import ContractError as ContractError
    from avalanche_ssl.checks.contract import check_method as check_method
    from avalanche_ssl.checks.harness import textured as textured
    from avalanche_ssl.checks.plugin_contract import PLUGIN_CHECKS as PLUGIN_CHECKS
    from avalanche_ssl.checks.plugin_contract import check_plugin as check_plugin
    from avalanche_ssl.checks.plugin_contract import run_plugin_check as run_plugin_check
    from avalanche_ssl.checks.plugin_trial import PluginTrial as PluginTrial

__all__ = [
    "CHECKS",
    "PLUGIN_CHECKS",
    "ContractError",
    "PluginTrial",
    "check_method",
    "check_plugin",
    "run_plugin_check",
    "textured",
]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "CHECKS": "contract",
        "ContractError": "contract",
        "PLUGIN_CHECKS": "plugin_contract",
        "PluginTrial": "plugin_trial",
        "check_method": "contract",
        "check_plugin": "plugin_contract",
        "run_plugin_check": "plugin_contract",
        "textured": "harness",
    },
)
