"""Snapshots of everything that a module holds, and their differences."""

import reprlib
from collections import deque
from collections.abc import Iterator
from itertools import chain
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from avalanche_ssl.models import STATISTICS

Snapshot = dict[str, Any]
"""Names to tensors (copies), numbers, strings or None."""

_OPAQUE = (type, FunctionType, MethodType, BuiltinFunctionType, ModuleType, torch.Generator, torch.dtype, property)

_TORCH = frozenset(vars(nn.Module()))  # training, _buffers, hooks: torch's own attributes of a module


def tensors(module: nn.Module, statistics: bool = True) -> Snapshot:
    """Copies of all parameters and buffers, persistent or not; optionally without batch norm's statistics."""
    left_out = set()
    if not statistics:
        norms = [name for name, child in module.named_modules() if hasattr(child, "running_mean")]
        left_out = {f"{name}.{entry}" if name else entry for name in norms for entry in STATISTICS}
    named = chain(module.named_parameters(), module.named_buffers())
    return {name: tensor.detach().clone() for name, tensor in named if name not in left_out}


def attributes(module: nn.Module) -> Snapshot:
    """All other values of `module` and its children: numbers, strings and (copied) tensors, by path, e.g. `items[3]`.

    Found in the attributes of the modules and their classes, through lists, dicts, sets and plain objects.
    """
    seen = {id(part) for part in chain(module.modules(), module.parameters(), module.buffers())}
    found: Snapshot = {}
    for path, child in module.named_modules():
        for name, value in _own(child).items():
            found.update(_leaves(value, f"{path}.{name}" if path else name, seen))
    return found


def changed(before: Snapshot, after: Snapshot) -> list[str]:
    """Names of entries that were added, removed or changed; tensors are compared bit for bit, with type and shape."""
    names = before.keys() | after.keys()
    return sorted(n for n in names if n not in before or n not in after or not equal(before[n], after[n]))


def equal(a: Any, b: Any) -> bool:
    """Whether two entries of snapshots are equal, tensors bit for bit."""
    if isinstance(a, Tensor) and isinstance(b, Tensor):
        return a.dtype == b.dtype and a.shape == b.shape and torch.equal(_bits(a), _bits(b))
    return type(a) is type(b) and repr(a) == repr(b)


def describe(snapshot: Snapshot, name: str) -> str:
    """A short description of an entry: its value, its shape, or "nothing"."""
    if name not in snapshot:
        return "nothing"
    value = snapshot[name]
    if isinstance(value, Tensor):
        return f"{value.item()}" if value.ndim == 0 else f"a tensor {tuple(value.shape)}"
    return reprlib.repr(value)


def _own(module: nn.Module) -> dict[str, Any]:
    """Attributes of a module and of its classes below `nn.Module`, without torch's."""
    classes = [c for c in reversed(type(module).__mro__) if not issubclass(nn.Module, c)]
    merged = {name: value for c in (*map(vars, classes), vars(module)) for name, value in c.items()}
    return {n: v for n, v in merged.items() if n not in _TORCH and not n.startswith("__")}


def _leaves(value: Any, path: str, seen: set[int]) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Tensor):
        if id(value) not in seen:
            yield path, value.detach().clone()
    elif value is None or isinstance(value, (bool, int, float, complex, str, bytes, np.generic)):
        yield path, value
    elif isinstance(value, np.ndarray):
        yield path, (value.dtype, value.shape, value.tobytes())
    elif not isinstance(value, _OPAQUE) and id(value) not in seen:
        seen.add(id(value))
        for key, part in _parts(value):
            yield from _leaves(part, f"{path}{key}", seen)


def _parts(value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        yield from ((f"[{key!r}]", part) for key, part in value.items())
    elif isinstance(value, (list, tuple, deque)):
        yield from ((f"[{i}]", part) for i, part in enumerate(value))
    elif isinstance(value, (set, frozenset)):
        yield from ((f"{{{i}}}", part) for i, part in enumerate(sorted(value, key=repr)))
    else:
        yield from ((f".{name}", part) for name, part in getattr(value, "__dict__", {}).items())


def _bits(tensor: Tensor) -> Tensor:
    return tensor.detach().clone(memory_format=torch.contiguous_format).reshape(-1).view(torch.uint8)
