"""Time of a step with plugins over the plain step, all measured in turn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from speed.case import Case
from speed.rows import HEAD
from speed.timing import in_turn, median_range, ratios
from speed.training_step import FullStep

from avalanche_ssl.errors import UsageError
from avalanche_ssl.plugins import PLUGINS, build_plugins, complete_plugins

PLAIN = "plain"
PLUGIN_HEAD = f"{HEAD}  {'plugins':24}{'ms/step':>22}{'over plain':>19}{'over one fewer':>19}"

Settings = Mapping[str, Any]


def plugin_sets(text: str) -> dict[str, tuple[str, ...]]:
    """Sets of plugins by name: "cassle,replay+cla-e" has two; those that a set adds its last plugin to come before it.

    Raises:
        UsageError: a plugin is not known.
    """
    found: dict[str, tuple[str, ...]] = {}
    for word in text.split(","):
        names = tuple(complete_plugins({name: {} for name in word.split("+")}))
        for count in range(1, len(names) + 1):
            if count == len(names) or names[:count] == ("replay",):
                found["+".join(names[:count])] = names[:count]
    return found


def compare_plugins(
    case: Case, steps: int, rounds: int, sets: Mapping[str, tuple[str, ...]], settings: Settings
) -> list[dict[str, Any]]:
    """Seconds per plain step and with each set of plugins, in turn; a row for each.

    Copies have been taken and memories are full before a step counts.

    Args:
        case: what is trained.
        steps: that count, in a round.
        rounds: of all measurements in turn.
        sets: names of plugins by the name of their set, see `plugin_sets`.
        settings: of the recipe, and those of plugins as NAME.KEY.
    """
    own = {name: value for name, value in settings.items() if name.partition(".")[0] not in PLUGINS}
    measured = [FullStep(case, steps, own)]
    for names in sets.values():
        given = {name: _settings_of(name, settings) for name in names}
        step = FullStep(case, steps, own, build_plugins(complete_plugins(given)))
        _fill(step.strategy.plugins, case)
        measured.append(step)
    seconds = in_turn(rounds, *measured)
    return [
        case._asdict() | {"plugins": name, "full_seconds": taken}
        for name, taken in zip([PLAIN, *sets], seconds, strict=True)
    ]


def plugin_lines(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """A line of text for each row of `compare_plugins`."""
    seconds = {row["plugins"]: row["full_seconds"] for row in rows}
    lines = []
    for row in rows:
        name, taken = row["plugins"], row["full_seconds"]
        fewer = name.rpartition("+")[0]
        over = "" if name == PLAIN else median_range(ratios(taken, seconds[PLAIN]))
        more = median_range(ratios(taken, seconds[fewer])) if fewer in seconds else ""
        what = f"{row['strategy']:16}{row['encoder']:11}{row['batch']:>6}  {name:24}"
        lines.append(f"{what}{median_range([1e3 * s for s in taken], 1):>22}{over:>19}{more:>19}".rstrip())
    return lines


def _settings_of(plugin: str, settings: Settings) -> dict[str, Any]:
    """The settings of a plugin by their names."""
    return {name.partition(".")[2]: v for name, v in settings.items() if name.partition(".")[0] == plugin}


def _fill(plugins: Sequence[Any], case: Case) -> None:
    """Fill memories of images, with random ones of random features."""
    for plugin in plugins:
        buffer = getattr(plugin, "buffer", None)
        if buffer is not None:
            if not buffer.size:
                raise UsageError("--plugin replay is measured with a full memory: give replay.size instead of bytes")
            images = torch.from_numpy(case.images(buffer.size)).permute(0, 3, 1, 2).contiguous()
            features = torch.randn(len(images), buffer.dim, generator=torch.Generator().manual_seed(0))
            buffer.insert(images, features, torch.zeros(len(images), dtype=torch.long))
