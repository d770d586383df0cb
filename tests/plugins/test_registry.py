"""Plugins by name: every plugin has one, settings are checked, and the order is that of the table."""

import inspect
import subprocess
import sys

import pytest

from avalanche_ssl import plugins
from avalanche_ssl.errors import UsageError
from avalanche_ssl.plugins import (
    PLUGINS,
    ContinualPlugin,
    build_plugins,
    complete_plugins,
    plugin_class,
    plugin_line,
    plugin_settings,
)


def test_every_plugin_has_a_name() -> None:
    kinds = {name for name in plugins.__all__ if inspect.isclass(getattr(plugins, name))}
    ours = {name for name in kinds if issubclass(getattr(plugins, name), ContinualPlugin)} - {"ContinualPlugin"}
    assert ours == {entry.kind for entry in PLUGINS.values()}


@pytest.mark.parametrize("name", PLUGINS)
def test_a_name_makes_its_plugin_with_plain_settings(name: str) -> None:
    complete = complete_plugins({name: {}})
    assert list(complete) == [name]
    (plugin,) = build_plugins(complete)
    assert type(plugin) is plugin_class(name)
    assert not complete[name].keys() & PLUGINS[name].preset.keys(), "what makes the name is no setting"
    for key, value in PLUGINS[name].preset.items():
        assert getattr(plugin, {"to": "target"}.get(key, key)) == value
    line = (inspect.getdoc(plugin_class(name)) or "").partition("\n")[0]
    assert plugin_line(name).partition(" (to=")[0].partition(" (rows=")[0] == line
    assert plugin_settings(name) == list(complete[name])


def test_names_of_one_class_differ_in_the_list_by_what_they_preset() -> None:
    assert plugin_line("cla-r").endswith(" (to=stored)") and plugin_line("cassle-r").endswith(" (rows=replayed)")


def test_plugins_join_in_the_order_of_the_table() -> None:
    assert list(complete_plugins({"cla-e": {}, "replay": {"size": 50}})) == ["replay", "cla-e"]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"cassel": {}}, "no plugin 'cassel': did you mean 'cassle'?"),
        ({"cla-e": {"wait": 1}}, "no setting of plugin 'cla-e' 'wait': did you mean 'weight'?"),
        ({"cla-e": {"to": "ema"}}, "no setting of plugin 'cla-e' 'to'"),
        ({"cla-e": {"weight": "heavy"}}, "setting 'cla-e.weight' is 'heavy': give a number"),
        ({"cla-e": {"weight": -1}}, "plugin 'cla-e': setting 'weight' is -1.0: give 0 or more"),
        ({"cassle": {"weight": 1, "balance": 0.3}}, "plugin 'cassle': weight is 1 and balance 0.3"),
        ({"replay": 5}, "plugin 'replay' is 5: give its settings as KEY: VALUE lines"),
    ],
)
def test_mistakes_are_one_line(given: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        complete_plugins(given)
    assert message in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.slow
def test_the_list_needs_no_torch() -> None:
    code = (
        "import sys; from avalanche_ssl.plugins import PLUGINS, plugin_line, plugin_settings; "
        "print(all(plugin_line(name) and plugin_settings(name) for name in PLUGINS), 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "False"]
