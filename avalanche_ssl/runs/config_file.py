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


def today(values: Mapping[str, Any]) -> dict[str, Any]:
    """Options by today's names, of a mapping that may have former ones."""
    known = {FORMER_OPTIONS.get(str(name), str(name)): value for name, value in values.items()}
    size, batch = (known.pop(f"{name}_size", known.pop(name, 0)) for name in ("replay", "replay_batch"))
    if size:
        known["plugins"] = {"replay": {"size": size} | ({"batch": batch} if batch else {})}
    return known | ({"on_nan": "raise"} if known.get("on_nan") == "stop" else {})


def read_config(path: Path) -> dict[str, Any]:
    """The options in a `config.yaml`.

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
    return values
