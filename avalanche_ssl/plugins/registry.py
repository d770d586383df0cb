"""Continual plugins by the names that a command line or a configuration gives them; imports nothing heavy."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from avalanche_ssl.errors import UsageError, unknown_name

if TYPE_CHECKING:
    from avalanche_ssl.plugins.continual import ContinualPlugin


class PluginEntry(NamedTuple):
    """Where a plugin is."""

    module: str
    """In `avalanche_ssl.plugins`."""
    kind: str
    """Name of the class."""
    preset: Mapping[str, Any] = {}
    """Arguments that make the plugin of this name."""


PLUGINS: dict[str, PluginEntry] = {
    "replay": PluginEntry("replay", "Replay"),
    "climb": PluginEntry("climb", "CLIMB"),
    "lump": PluginEntry("lump", "LUMP"),
    "cassle": PluginEntry("cassle", "CaSSLe", {"rows": "all"}),
    "cassle-r": PluginEntry("cassle", "CaSSLe", {"rows": "replayed"}),
    "pfr": PluginEntry("pfr", "PFR"),
    "fd": PluginEntry("pfr", "FD"),
    "cla-b": PluginEntry("cla", "CLA", {"to": "stream"}),
    "cla-e": PluginEntry("cla", "CLA", {"to": "ema"}),
    "cla-r": PluginEntry("cla", "CLA", {"to": "stored"}),
    "der": PluginEntry("der", "DER"),
    "osiris": PluginEntry("osiris", "Osiris"),
    "anchor": PluginEntry("anchor", "Anchor"),
}
"""Plugins by name, in the order in which they join a strategy: what fills batches and mixes views comes first."""


def plugin_class(name: str) -> type[ContinualPlugin]:
    """The class of a plugin.

    Raises:
        UsageError: there is no such name; the nearest is proposed.
    """
    if name not in PLUGINS:
        raise unknown_name("plugin", name, PLUGINS)
    entry = PLUGINS[name]
    kind: type[ContinualPlugin] = getattr(import_module(f"avalanche_ssl.plugins.{entry.module}"), entry.kind)
    return kind


def plugin_line(name: str) -> str:
    """The first line of a plugin's documentation and what its name presets, read without importing it."""
    line = (ast.get_docstring(_definition(name)) or "").partition("\n")[0]
    preset = ", ".join(f"{key}={value}" for key, value in PLUGINS[name].preset.items())
    return f"{line} ({preset})" if preset else line


def plugin_settings(name: str) -> list[str]:
    """The names of a plugin's settings, read without importing it."""
    (function,) = (
        node for node in _definition(name).body if isinstance(node, ast.FunctionDef) and node.name == "__init__"
    )
    return [argument.arg for argument in function.args.args[1:] if argument.arg not in PLUGINS[name].preset]


def _definition(name: str) -> ast.ClassDef:
    """The source of a plugin's class."""
    entry = PLUGINS[name]
    text = (Path(__file__).parent / f"{entry.module}.py").read_text(encoding="utf-8")
    body = ast.parse(text).body
    return next(node for node in body if isinstance(node, ast.ClassDef) and node.name == entry.kind)


def complete_plugins(plugins: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """All settings of plugins by name, as plain values, in the order in which they join a strategy.

    Args:
        plugins: those of their settings that are given, by name.

    Raises:
        UsageError: a name or setting is not known, or a value has a wrong type or range.
    """
    for name in plugins:
        plugin_class(name)
    complete = {name: _settings(name, plugins[name] or {}) for name in PLUGINS if name in plugins}
    build_plugins(complete)  # a value out of range shows now
    return complete


def build_plugins(plugins: Mapping[str, Mapping[str, Any]]) -> list[ContinualPlugin]:
    """The plugins, as `complete_plugins` gives them."""
    return [_built(name, given) for name, given in plugins.items()]


def _built(name: str, given: Mapping[str, Any]) -> ContinualPlugin:
    typed = _typed(name, given)
    try:
        plugin = plugin_class(name)(**PLUGINS[name].preset, **typed)
    except UsageError as error:  # it knows neither the name, nor that there are others
        raise UsageError(f"plugin '{name}': {error}") from None
    plugin.name = name
    return plugin


def _settings(name: str, given: Any) -> dict[str, Any]:
    """All settings of a plugin, those that are given checked."""
    from avalanche_ssl.recipes import to_plain

    if not isinstance(given, Mapping):
        raise UsageError(f"plugin '{name}' is {given!r}: give its settings as KEY: VALUE lines")
    defaults = {key: value for key, (_, value) in _arguments(name).items()}
    return {key: to_plain(value) for key, value in (defaults | _typed(name, given)).items()}


def _typed(name: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Settings as the constructor takes them."""
    from avalanche_ssl.recipes import convert  # YAML is loaded when it is needed

    known = _arguments(name)
    for key in given:
        if key not in known:
            raise unknown_name(f"setting of plugin '{name}'", key, known)
    return {str(key): convert(value, known[key][0], f"{name}.{key}") for key, value in given.items()}


def _arguments(name: str) -> dict[str, tuple[Any, Any]]:
    """Type and default of each setting that is not preset."""
    from avalanche_ssl.recipes import arguments

    found = arguments(partial(plugin_class(name), **PLUGINS[name].preset))
    return {key: typed for key, typed in found.items() if key not in PLUGINS[name].preset}
