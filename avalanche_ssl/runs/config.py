"""The configuration of a run."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any, Literal

from avalanche_ssl.errors import UsageError, unknown_name
from avalanche_ssl.runs.build import _recipe
from avalanche_ssl.streams import BENCHMARKS

HEADLINES = {name: "core50" for name in BENCHMARKS if name.startswith("core50-")}
"""The probe that a stream's users report first, where it is not ridge."""

DEFAULTS: dict[str, Any] = {
    "strategy": None,
    "benchmark": "split-digits",
    "data": None,
    "stream": {},
    "online": 0,
    "replay": 0,
    "replay_batch": 0,
    "probe_every": "",
    "seed": 0,
    "device": "auto",
    "precision": "auto",
    "compile": False,
    "probes": None,
    "probe_boundaries": 0,
    "workers": 0,
    "on_nan": "stop",
    "settings": {},
}
"""What `config.yaml` holds and `--config` takes."""

KINDS: dict[str, Any] = {
    "strategy": str,
    "benchmark": str,
    "data": str | None,
    "online": int,
    "replay": int,
    "replay_batch": int,
    "probe_every": str,
    "seed": int,
    "device": str,
    "precision": str,
    "compile": bool,
    "probes": str,
    "probe_boundaries": int,
    "workers": int,
    "on_nan": Literal["stop", "skip"],
}


def _config(options: argparse.Namespace) -> dict[str, Any]:
    """Defaults, then --config, then the command line; checked, but for `settings`, which are those of --config."""
    from avalanche_ssl.recipes.settings import convert, parse_settings

    config = {k: dict(v) if isinstance(v, dict) else v for k, v in DEFAULTS.items()}
    if options.config:
        config |= _read_config(Path(options.config))
    given = {name: value for name in DEFAULTS if (value := getattr(options, name, None)) is not None}
    config |= given | {"stream": config["stream"] | parse_settings(options.stream)}
    if options.experiences is not None:
        config["stream"]["experiences"] = options.experiences
    if "data" in config["stream"]:
        config["data"] = config["stream"].pop("data")
    if not config["strategy"]:
        raise UsageError("no strategy: give --strategy NAME (see --list) or --strategy PATH")
    config["probes"] = config["probes"] or HEADLINES.get(config["benchmark"], "ridge")
    for name, kind in KINDS.items():
        config[name] = convert(config[name], kind, name)
        if kind is int and not 0 <= config[name] < 2**63:
            raise UsageError(f"{name} is {config[name]}: give 0 or more")
    if config["benchmark"] not in BENCHMARKS:
        raise unknown_name("benchmark", config["benchmark"], BENCHMARKS)
    for name in ("strategy", "data"):  # so that config.yaml can be used from any folder
        if config[name] is not None and (name == "data" or config[name].endswith(".py")):
            config[name] = str(Path(config[name]).expanduser().absolute())
    return config


def of_folder(folder: Path) -> tuple[dict[str, Any], Any]:
    """Configuration and recipe of the run in a folder.

    Raises:
        UsageError: there is none, or its configuration is damaged.
    """
    from avalanche_ssl.cli.run import _parser

    options = _parser().parse_args([f"--config={folder / 'config.yaml'}"])
    config = _config(options)
    return config, _recipe(options, config)


def _check_probes(names: str) -> None:
    """Unknown names show before anything is built."""
    from avalanche_ssl.probes.protocols import get_protocol

    headline, *_ = [get_protocol(name) for name in names.split(",")]
    if "all" not in headline.scopes:
        raise UsageError(f"probe '{headline.name}' has no scope 'all' for the tables: put another first, e.g. ridge")


def _check_points(config: dict[str, Any]) -> None:
    """Points lie between mini-batches, of which there are some with --online."""
    from avalanche_ssl.evaluation.schedule import ProbeSchedule

    ProbeSchedule.parse(config["probe_every"])
    if config["probe_every"] and not config["online"]:
        raise UsageError("--probe-every is about a stream of mini-batches: give --online, too")


def _read_config(path: Path) -> dict[str, Any]:
    from avalanche_ssl.recipes.settings import read_yaml

    try:
        config = read_yaml(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:  # ValueError: no UTF-8, or no YAML
        raise UsageError(f"cannot read --config {path}: {' '.join(str(error).split())}") from error
    if not isinstance(config, dict):
        raise UsageError(f"--config {path} holds no settings: give the config.yaml of a run")
    for key in config:
        if key not in DEFAULTS:
            raise unknown_name(f"key in {path}", key, DEFAULTS)
    for key in ("stream", "settings"):
        if not isinstance(config.get(key, {}), dict):
            raise UsageError(f"'{key}' in {path} is {config[key]!r}: give KEY: VALUE lines")
    return config
