"""Command-line options of a run, derived from the fields of `RunConfig`."""

from __future__ import annotations

import argparse
import dataclasses
import os
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

from avalanche_ssl.cli.trust import add_trust
from avalanche_ssl.errors import UsageError
from avalanche_ssl.plugins import PLUGINS
from avalanche_ssl.runs import RunConfig
from avalanche_ssl.runs.config_file import read_config

SHORTCUTS: dict[str, tuple[str, Any, str, str]] = {
    "experiences": ("benchmark_options", int, "N", "short for --benchmark-option experiences=N"),
    "epochs": ("settings", int, "N", "short for --set epochs=N: passes over each experience"),
    "encoder": (
        "settings",
        str,
        "NAME|PATH:NAME",
        "short for --set encoder=...: smallconv, resnet18, torchvision:NAME, timm:NAME or mine.py:FUNCTION; "
        "its arguments with --set encoder.width=32",
    ),
}
"""Options that set a frequent entry of another one: which, its type, metavar and help."""


ORIGINS = {
    "init": ("init_sha256", "continue_from", "continue_from_sha256", "lineage"),
    "continue_from": ("continue_from_sha256", "lineage", "init", "init_sha256"),
}
"""Options that say what a run starts from, with the entries of --config that they replace."""


MAPPINGS = ("settings", "benchmark_options", "plugins")
"""Options that are repeated to fill a mapping."""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add an option for each field of `RunConfig`, the shortcuts, and --config; none has a default of its own."""
    kinds = get_type_hints(RunConfig)
    for field in option_fields():
        kind, more = kinds[field.name], dict(field.metadata)
        settings: dict[str, Any] = {"dest": field.name, "default": None, "help": _help(field).replace("%", "%%")}
        if kind == dict[str, Any]:
            settings |= {"action": "append", "metavar": more["metavar"], "default": []}
        elif kind is bool:
            settings |= {"action": "store_const", "const": True}
        elif get_origin(kind) is Literal:
            settings |= {"choices": get_args(kind)}
        else:
            settings |= {"type": int if kind in (int, int | None) else str, "metavar": more["metavar"]}
            settings |= {"nargs": "?", "const": more["const"]} if "const" in more else {}
            settings |= {"action": JoinPaths} if "joined" in more else {}
        parser.add_argument(flag(field), **settings)
    for name, (_, kind, metavar, about) in SHORTCUTS.items():
        parser.add_argument(f"--{name}", type=kind, metavar=metavar, help=about)
    parser.add_argument("--config", type=Path, metavar="FILE", help="start from the config.yaml of an earlier run")
    add_trust(parser)


class JoinPaths(argparse.Action):
    """Join the values of an option that is given several times by the system's separator of paths."""

    def __call__(
        self, parser: Any, namespace: argparse.Namespace, values: Any, option_string: str | None = None
    ) -> None:
        """Add a value."""
        before = getattr(namespace, self.dest)
        setattr(namespace, self.dest, values if before is None else f"{before}{os.pathsep}{values}")


def read_options(options: argparse.Namespace) -> RunConfig:
    """The configuration that parsed options give: defaults, then --config, then the command line.

    Settings of --config that a newly cut stream of mini-batches changes (see `runs.build.online_settings`) yield.

    Raises:
        UsageError: an option is not known or its value is wrong.
    """
    from avalanche_ssl.recipes import parse_settings

    values = read_config(options.config) if options.config else {}
    settings, benchmark_options = (_mapping(values, name) for name in ("settings", "benchmark_options"))
    if twice := [name for name in options.plugins if options.plugins.count(name) > 1]:
        raise UsageError(f"--plugin {twice[0]} is given twice: give it once")
    plugins: dict[str, Any] = {name: {} for name in options.plugins} | _mapping(values, "plugins")
    given = {
        f.name: value
        for f in option_fields()
        if f.name not in MAPPINGS and (value := getattr(options, f.name)) is not None
    }
    for option, notes in ORIGINS.items():
        if option in given:
            values |= dict.fromkeys(notes)
    changes = {
        "settings": parse_settings(options.settings),
        "benchmark_options": parse_settings(options.benchmark_options, "--benchmark-option"),
    }
    for name, (target, *_) in SHORTCUTS.items():
        if (value := getattr(options, name)) is not None:
            changes[target][name] = value
    plugins = _with_settings(plugins, changes["settings"])
    benchmark_options |= changes["benchmark_options"]
    if "data" in benchmark_options:
        given["data"] = benchmark_options.pop("data")
    _check_stream_seed(given, changes["benchmark_options"])
    if settings and options.strategy:
        _check_settings(settings, values, options)
    if settings and given.get("online_batch_size"):
        settings |= _online_settings(values | given, options, changes["settings"].get("encoder"))
    values |= given | {"settings": settings | changes["settings"], "benchmark_options": benchmark_options}
    values |= {"plugins": plugins}
    return _configuration(values, options, changes["settings"].get("encoder"))


def misplaced(name: str, options: argparse.Namespace) -> str | None:
    """The option that takes a name as an entry: "--set", "--benchmark-option", or None if no other has it."""
    from avalanche_ssl.runs.misplaced import place

    fields = {f.name: f for f in option_fields()}
    strategy, _, _ = (options.strategy or "").partition(",")  # a sweep has several
    field = place(name, strategy, getattr(options, "benchmark", None) or "")
    return flag(fields[field]) if field else None


def _configuration(values: dict[str, Any], options: argparse.Namespace, encoder: str | None) -> RunConfig:
    """The configuration, where the command line may have named strategy and encoder."""
    source = str(options.config or "the command line")
    trust = options.trust_strategy
    return RunConfig.from_mapping(values, source, strategy=options.strategy, encoder=encoder, trust_strategy=trust)


def options_table() -> str:
    """The options as a table in Markdown: a row for each field of `RunConfig` and each shortcut."""
    lines = ["| option | default | meaning |", "|---|---|---|"]
    for field in option_fields():
        name = f"{flag(field)} {field.metadata['metavar']}".strip().replace("|", "\\|")
        lines.append(f"| `{name}` | {_default(field)} | {field.metadata['help']} |")
    for name, (_, _, metavar, about) in SHORTCUTS.items():
        lines.append(f"| `--{name} {metavar}` | | {about} |".replace("NAME|", "NAME\\|"))
    return "\n".join(lines)


def option_fields() -> list[dataclasses.Field[Any]]:
    """The fields of `RunConfig` that are options, without what a run notes by itself."""
    return [field for field in dataclasses.fields(RunConfig) if not field.metadata.get("noted")]


def flag(field: dataclasses.Field[Any]) -> str:
    """The option of a field on the command line."""
    return str(field.metadata.get("flag") or f"--{field.name.replace('_', '-')}")


def _help(field: dataclasses.Field[Any]) -> str:
    default = _default(field)
    return str(field.metadata["help"]) + (f" ({default})" if default else "")


def _default(field: dataclasses.Field[Any]) -> str:
    """The default in words; nothing where there is none to show."""
    value = "" if field.default in (dataclasses.MISSING, None) else str(field.default)
    return str(field.metadata.get("shown", value))


def _mapping(values: dict[str, Any], name: str) -> dict[str, Any]:
    value = values.get(name, {})
    if not isinstance(value, dict):
        raise UsageError(f"'{name}' is {value!r}: give KEY: VALUE lines")
    return dict(value)


def _with_settings(plugins: dict[str, Any], settings: dict[str, Any]) -> dict[str, Any]:
    """The plugins with those of the settings that are theirs, which are taken out of `settings`.

    Raises:
        UsageError: a setting is that of a plugin which is not among them.
    """
    changed = {name: dict(_mapping(plugins, name) if plugins[name] else {}) for name in plugins}
    for name in [name for name in settings if name.partition(".")[0] in PLUGINS]:
        plugin, _, key = name.partition(".")
        if plugin not in changed or not key:
            raise UsageError(f"--set {name} is about a plugin: give --plugin {plugin} and --set {plugin}.KEY=VALUE")
        changed[plugin][key] = settings.pop(name)
    return changed


def _check_stream_seed(given: dict[str, Any], options: dict[str, Any]) -> None:
    """Refuse two seeds of the stream."""
    seed, other = given.get("stream_seed"), options.get("seed")
    if seed is not None and other is not None and seed != other:
        raise UsageError(f"--stream-seed {seed} and --benchmark-option seed={other} both seed the stream: give one")


def _check_settings(settings: dict[str, Any], values: dict[str, Any], options: argparse.Namespace) -> None:
    """Refuse the settings of --config that the strategy of the command line does not have, those of another one."""
    from avalanche_ssl.recipes import load_recipe

    known = load_recipe(options.strategy).settings
    foreign = [str(name) for name in settings if str(name).partition(".")[0] not in known]
    before = values.get("strategy")
    if foreign and before != options.strategy:
        raise UsageError(
            f"{options.config} has settings of '{before}' which '{options.strategy}' does not have "
            f"({', '.join(foreign)}): give --strategy {before}, or a file without them"
        )


def _online_settings(values: dict[str, Any], options: argparse.Namespace, encoder: str | None) -> dict[str, Any]:
    from avalanche_ssl.recipes import load_recipe
    from avalanche_ssl.runs.build import online_settings

    config = _configuration(values, options, encoder)
    return online_settings(config, load_recipe(config.strategy, config.strategy_sha256))
