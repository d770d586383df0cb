"""Options as a `config.yaml` or a log holds them: read, with former names as today's."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from avalanche_ssl.errors import UsageError

FORMER_OPTIONS = {
    "stream": "benchmark_options",
    "online": "online_batch_size",
    "probe_every": "probe_every_images",
    "probe_boundaries": "probe_every_experiences",
    "workers": "num_workers",
}
"""Names of options in the logs of version 0.1.0 before they changed, with today's."""

FORMER_EVALUATION = ("eval_precision", "fp32")
"""How runs were evaluated before it was an option; checkpoints do not name it."""


def today(values: Mapping[str, Any]) -> dict[str, Any]:
    """Options by today's names, of a mapping that may have former ones."""
    known = {FORMER_OPTIONS.get(str(name), str(name)): value for name, value in values.items()}
    size, batch = (known.pop(f"{name}_size", known.pop(name, 0)) for name in ("replay", "replay_batch"))
    if size:
        known["plugins"] = {"replay": {"size": size} | ({"batch": batch} if batch else {})}
    return known | ({"on_nan": "raise"} if known.get("on_nan") == "stop" else {})


COMPLETE = {"strategy", "benchmark", "benchmark_options", "probes", "seed", "settings"}
"""What the configuration of a run has at least, as the run leaves it."""


def former(values: dict[str, Any]) -> dict[str, Any]:
    """The configuration of a run, by today's names, with what held before it could say so.

    The seed did not reach the stream, which was drawn by its own, 0 where the benchmark has none; digits were on
    photographs; features were fp32.
    """
    options = values.get("benchmark_options")
    if not values.keys() >= COMPLETE or not isinstance(options, dict):
        return values
    name, precision = FORMER_EVALUATION
    values = values if name in values else values | {name: precision}
    if "stream_seed" in values:
        return values
    digits = {"ground": "photographs"} if values["benchmark"] in ("split-digits", "digits-domain") else {}
    others = {name: value for name, value in options.items() if name != "seed"}
    return values | {"stream_seed": options.get("seed", 0), "eval_on": "test", "benchmark_options": digits | others}


def read_config(path: Path) -> dict[str, Any]:
    """The options in a `config.yaml`, by today's names.

    Raises:
        UsageError: it cannot be read, or holds no options.
    """
    from avalanche_ssl.recipes.settings import read_yaml

    try:
        values = read_yaml(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:  # ValueError: no UTF-8, or no YAML
        raise UsageError(f"cannot read {path}: {' '.join(str(error).split())}") from error
    if not isinstance(values, dict):
        raise UsageError(f"{path} holds no options: give the config.yaml of a run")
    return former(today(values))
