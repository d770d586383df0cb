"""What tells whether a plugin does its work: its gradient beside the method's, its memory's age, its copy's pace."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from avalanche_ssl.memory import ImageBuffer
from avalanche_ssl.plugins.continual import ContinualPlugin
from avalanche_ssl.plugins.teacher import Teacher


def plugin_vitals(plugins: Sequence[Any], steps: int) -> dict[str, dict[str, float | str]]:
    """The vital signs of each continual plugin by its name, as a `representation` event has them.

    Args:
        plugins: of a strategy; others than continual ones are left out.
        steps: of the optimizer in the latest experience.
    """
    found: dict[str, dict[str, float | str]] = {}
    for plugin in plugins:
        if isinstance(plugin, ContinualPlugin):
            name = plugin.name or type(plugin).__name__
            count = sum(other.partition(" ")[0] == name for other in found)
            found[f"{name} {count + 1}" if count else name] = _vitals(plugin, steps)
    return found


def _vitals(plugin: ContinualPlugin, steps: int) -> dict[str, float | str]:
    """Those that a plugin has: a value that is not finite or not measured yet is left out."""
    gradients = plugin.gradients
    numbers: dict[str, Tensor] = {}
    if gradients.steps:
        numbers = {"gradient_ratio": gradients.ratio, "term": gradients.term, "weight": gradients.weight}
    memories = [part for part in plugin.modules() if isinstance(part, ImageBuffer)]
    ages = torch.cat([memory.ages() for memory in memories]) if memories else torch.zeros(0)
    if len(ages):
        numbers |= {"images": torch.tensor(len(ages)), "age_median": ages.median(), "age_oldest": ages.max()}
    found: dict[str, float | str] = {name: number.item() for name, number in numbers.items() if number.isfinite()}
    teachers = [part for part in plugin.modules() if isinstance(part, Teacher)]
    if teachers:
        parts = [part for part in plugin.modules() if isinstance(part, ContinualPlugin)]  # CLIMB is made of another
        given: list[Any] = [part.momentum for part in parts if hasattr(part, "momentum")]
        found |= {"momentum": float(given[0]), "steps": steps} if given else {}
        found["teacher_norm"] = teachers[0].norm
    return found
