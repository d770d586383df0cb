"""`Teacher`: an old or slowly following copy of a method, which embeds the same views as the method itself."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Iterable
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from avalanche_ssl.distributed import whole_shape
from avalanche_ssl.errors import unknown_name
from avalanche_ssl.memory import MemoryBank, MomentumEncoder, Queue
from avalanche_ssl.methods import Method
from avalanche_ssl.models import frozen_buffers
from avalanche_ssl.plugins.encoder_calls import encoders
from avalanche_ssl.plugins.host_counters import HostCounters

TeacherNorm = Literal["batch", "eval"]


class Teacher(HostCounters):
    """A copy of a method that is never trained, for plugins that compare present embeddings with its own.

    It exists from the start, so that names and shapes in `state_dict` never change; `taken` says whether it is a model
    of the past yet. Queues, memory banks and momentum encoders are left out: what they give is in no space of
    `Method.spaces`.

    Args:
        method: what is copied, as it is.
        norm: "batch" normalizes by the present batch, as published code does; "eval" by the running statistics of the
            time of the copy. They are different teachers: on few rows the former's embeddings are noisy, and after
            some steps the latter's resemble the method's no more. Neither changes a statistic of the copy.
    """

    on_host = ("taken",)

    taken: Tensor

    def __init__(self, method: Method, norm: TeacherNorm = "batch") -> None:
        super().__init__()
        if norm not in ("batch", "eval"):
            raise unknown_name("norm of a teacher", norm, ("batch", "eval"))
        self.norm = norm
        self.method = _embedding_part(method).requires_grad_(False)
        self.register_buffer("taken", torch.zeros((), dtype=torch.long))
        self.train()

    def train(self, mode: bool = True) -> Teacher:
        """Keep the teacher's own mode: layers such as dropout never draw, batch norm does as `norm` says."""
        super().train(False)
        for module in self.modules():
            if isinstance(module, _BatchNorm):
                module.training = self.norm == "batch"
        return self

    def extra_repr(self) -> str:
        """The normalization, which decides what the teacher teaches."""
        return f"norm='{self.norm}'"

    @torch.no_grad()
    def take(self, method: Method) -> None:
        """Become a copy of the method as it is, running statistics included."""
        theirs = method.state_dict()
        for name, tensor in self.method.state_dict().items():
            tensor.copy_(theirs[name])
        self.taken += 1

    @torch.no_grad()
    def follow(self, method: Method, momentum: float) -> None:
        """Move the weights towards those of the method by ``1 - momentum``, and copy its buffers."""
        theirs = dict(method.named_parameters())
        own = dict(self.method.named_parameters())
        torch._foreach_lerp_(list(own.values()), [theirs[name] for name in own], 1 - momentum)
        buffers = dict(method.named_buffers())
        for name, buffer in self.method.named_buffers():
            buffer.copy_(buffers[name])
        self.taken += 1

    @torch.no_grad()
    def embeddings(self, strategy: Any, rows: slice = slice(None)) -> list[list[Tensor]]:
        """The embeddings of `rows` of `strategy.mb_views` by space, see `Method.embeddings`.

        The copy stays bit for bit. With norm "batch" it normalizes by the statistics of these rows alone. What its
        encoders take is counted in `strategy.teacher_views`.
        """

        def count(encoder: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            strategy.teacher_views += whole_shape(inputs[0].shape, 0)[0]

        hooks = [encoder.register_forward_pre_hook(count) for encoder in encoders(self.method)]
        try:
            with frozen_buffers(self.method):
                outputs = strategy.embed(self.method.embed, rows)
        finally:
            for hook in hooks:
                hook.remove()
        return self.method.embeddings(outputs)


def warn_of_several_teachers(plugin: nn.Module, earlier: Iterable[Any]) -> None:
    """Warn that a plugin keeps a copy of the method beside those of others, which is dear and seldom meant.

    Args:
        plugin: one that has just joined a strategy.
        earlier: those before it in the strategy's list.
    """
    own = _teachers(plugin)
    others = [type(other).__name__ for other in earlier if isinstance(other, nn.Module) and _teachers(other)]
    if own and others:
        tensors = [tensor for teacher in own for tensor in (*teacher.parameters(), *teacher.buffers())]
        warnings.warn(
            f"{type(plugin).__name__} keeps a copy of the method beside that of {' and '.join(others)}: it takes "
            f"another {sum(tensor.nbytes for tensor in tensors) / 1e6:.1f} MB and embeds the views of every step once "
            "more; leave one of them out, unless both are meant",
            stacklevel=2,
        )


def _teachers(plugin: nn.Module) -> list[Teacher]:
    return [part for part in plugin.modules() if isinstance(part, Teacher)]


class _Unread(nn.Module):
    """In the place of what a teacher's embeddings do not depend on."""

    def forward(self, x: Tensor) -> Tensor:
        """Zeros (B, 1)."""
        return x.new_zeros(len(x), 1)


def _embedding_part(method: Method) -> Method:
    """A deep copy of a method without its memory and its generator."""
    left_out: dict[int, Any] = {
        id(module): _Unread() for module in method.modules() if isinstance(module, MemoryBank | Queue | MomentumEncoder)
    }
    return copy.deepcopy(method, left_out | {id(method.generator): None})
