"""Where a name belongs that was given in the wrong place: to the settings of a recipe, or to a benchmark's options."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from avalanche_ssl.errors import UsageError, unknown_name
from avalanche_ssl.streams import BENCHMARKS

DEFAULT_BENCHMARKS = ("split-digits", "folder")
"""The streams of runs that name none."""


def place(name: str, strategy: str, benchmark: str) -> str | None:
    """The field of `RunConfig` whose entries have the name, "settings" or "benchmark_options"; None if none has.

    A strategy that is a Python file is not run for this: only what every recipe has is known of it. An empty name of
    a benchmark stands for `DEFAULT_BENCHMARKS`.
    """
    from avalanche_ssl.recipes import Recipe, arguments, load_recipe, recipe_names  # torch, for an error only

    head = name.partition(".")[0]
    if strategy.replace("-", "_") in recipe_names():
        known: Mapping[str, Any] = load_recipe(strategy).settings
    else:
        known = {field: None for field in Recipe.__dataclass_fields__ if field != "method"}
    if head in known:
        return "settings"
    candidates = [benchmark] if benchmark else DEFAULT_BENCHMARKS
    options = [arguments(BENCHMARKS[candidate]) for candidate in candidates if candidate in BENCHMARKS]
    return "benchmark_options" if any(name in each for each in options) else None


def unknown_option(
    name: str, names: Sequence[str], values: Mapping[str, Any], source: str, strategy: str | None
) -> UsageError:
    """The error for a name that is no option of a run: where it belongs, or the nearest of the options.

    Args:
        name: what is no option.
        names: of the options.
        values: options by name, among which it was found.
        source: where these are from.
        strategy: what stands for that of the values, if anything.
    """
    given = str(strategy or values.get("strategy", "")), str(values.get("benchmark", ""))
    if (field := place(name, *given)) is not None:
        return UsageError(f"'{name}' in {source} is not an option by itself: put it under '{field}:'")
    return unknown_name(f"option in {source}", name, names)
