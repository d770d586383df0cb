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


COMPLETE = {"strategy", "benchmark", "data", "benchmark_options", "probes", "seed", "device", "precision", "settings"}
"""What the configuration of a run has at least, as the run leaves it; a file written by hand names some of them."""

FORMER_DIGITS = {
    ("split-digits", "photographs"): ("digits-on-photographs", {"experiences": 5, "composites": 8}),
    ("split-digits", "color"): ("split-digits", {"experiences": 5, "composites": 6}),
    ("digits-domain", "color"): ("rotated-digits", {"experiences": 2, "composites": 6}),
}
"""Today's name of a stream of digits, by its former one and the former option `ground`, with the defaults of then."""


def former(values: dict[str, Any]) -> dict[str, Any]:
    """The configuration of a run, by today's names, with what held before it could say so.

    The seed did not reach the stream, which was drawn by its own, 0 where the benchmark has none; digits were on
    photographs; features were fp32. `split-digits` without a `ground` is today's stream, in a file of one's own and in
    a run that notes `stream_seed`, as all have since there was a choice of grounds.
    """
    options = values.get("benchmark_options")
    if not isinstance(options, dict):
        return values
    if values.keys() >= COMPLETE:
        name, precision = FORMER_EVALUATION
        values = values if name in values else values | {name: precision}
        if "stream_seed" not in values:
            digits = {"ground": "photographs"} if values["benchmark"] in ("split-digits", "digits-domain") else {}
            seed, others = options.get("seed", 0), {name: given for name, given in options.items() if name != "seed"}
            values = values | {"stream_seed": seed, "eval_on": "test", "benchmark_options": digits | others}
    return _with_digits(values)


def _with_digits(values: dict[str, Any]) -> dict[str, Any]:
    """The options with today's name of a stream of digits, where they have the former `ground`."""
    options, benchmark = values["benchmark_options"], values.get("benchmark") or "split-digits"
    today_s = FORMER_DIGITS.get((str(benchmark), str(options.get("ground"))))
    if today_s is None:  # also photographs of `digits-domain`, which is gone
        return values
    name, defaults = today_s
    given = {key: value for key, value in options.items() if key != "ground" and (key, value) != ("composites", None)}
    return values | {"benchmark": name, "benchmark_options": defaults | given}


def checkpoint_of_today(saved: Mapping[str, Any], benchmark: str) -> dict[str, Any]:
    """Decisive settings in a checkpoint, by today's names.

    Args:
        saved: as `RunConfig.decisive` was; photographs were not named.
        benchmark: that of the run, by today's name.
    """
    values, options = dict(saved), saved.get("benchmark_options")
    if not isinstance(options, dict):
        return values
    unnamed = {"ground": "photographs"} if benchmark == "digits-on-photographs" else {}
    found = _with_digits(values | {"benchmark_options": unnamed | options})
    return found if found.get("benchmark") == benchmark else values


def read_config(path: Path) -> dict[str, Any]:
    """The options in a `config.yaml`, by today's names.

    Raises:
        UsageError: it cannot be read, or holds no options.
    """
    from avalanche_ssl.recipes import read_yaml

    try:
        values = read_yaml(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:  # ValueError: no UTF-8, or no YAML
        raise UsageError(f"cannot read {path}: {' '.join(str(error).split())}") from error
    if not isinstance(values, dict):
        raise UsageError(f"{path} holds no options: give the config.yaml of a run")
    return former(today(values))
