"""What a plugin trains and keeps, counted."""

from __future__ import annotations

from torch import nn

from avalanche_ssl.evaluation import PluginCost
from avalanche_ssl.memory import ImageBuffer
from avalanche_ssl.plugins.teacher import Teacher


def plugin_cost(plugin: nn.Module) -> PluginCost:
    """Trainable parameters, and bytes of teachers, of memories of images and of everything else."""
    teachers, memories = (
        sum(_kept_bytes(part) for part in plugin.modules() if isinstance(part, kind)) for kind in (Teacher, ImageBuffer)
    )
    return PluginCost(
        parameters=sum(parameter.numel() for parameter in plugin.parameters() if parameter.requires_grad),
        teacher_bytes=teachers,
        image_bytes=memories,
        other_bytes=_kept_bytes(plugin) - teachers - memories,
    )


def _kept_bytes(module: nn.Module) -> int:
    """Bytes of what is kept and not trained."""
    frozen = (parameter for parameter in module.parameters() if not parameter.requires_grad)
    return sum(tensor.nbytes for tensor in (*module.buffers(), *frozen))
