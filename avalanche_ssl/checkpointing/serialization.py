"""Python objects as tensors and plain values, and back, without pickle.

Numbers, strings, tensors and their containers stay what they are. A dataset drawn from the stream becomes the
positions of its images there. An object becomes the values of its attributes: it is restored into the object at the
same place, into one that a defaultdict makes there, or, for the few classes in `REBUILT`, into a new one.
Everything else is refused by name.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from types import BuiltinFunctionType, FunctionType, MethodType
from typing import Any

import numpy as np
import torch
from avalanche.benchmarks.utils import AvalancheDataset
from avalanche.benchmarks.utils.utils import concat_datasets
from avalanche.evaluation.metric_results import TensorImage
from avalanche.training.storage_policy import ReservoirSamplingBuffer
from avalanche.training.utils import ParamData
from torch import Tensor

from avalanche_ssl.data import leaf_datasets, same_leaf, shard_images
from avalanche_ssl.errors import UsageError

REBUILT: dict[str, type] = {c.__name__: c for c in (ParamData, ReservoirSamplingBuffer, TensorImage)}
"""Classes of Avalanche whose objects appear in plugins and among metric values during training."""

_CODE = (type, FunctionType, MethodType, BuiltinFunctionType)

_Places = dict[int, int] | range
"""Where in the stream an item of a dataset stands, by its place there."""

_KIND = "kind of object"  # marks the dicts that stand for an object


class StreamIndex:
    """The images of a stream by position, to save a dataset as the positions of its images.

    Args:
        datasets: one per experience, in order.
    """

    def __init__(self, datasets: Sequence[Any]) -> None:
        self.dataset: AvalancheDataset[Any] = concat_datasets(list(datasets))
        self._shards = [shard_images(dataset) for dataset in datasets]
        self._places: tuple[list[Any], Sequence[_Places]] | None = None

    def positions(self, dataset: Any) -> Tensor:
        """Positions (N,) of the images of a dataset in the stream, long; UsageError if one is not in the stream."""
        leaves, leaf, index = leaf_datasets(dataset, "train")
        known, places = self._known()
        found = np.empty(len(index), np.int64)
        try:
            for i, (number, at) in enumerate(zip(leaf.tolist(), index.tolist(), strict=True)):
                home = next(k for k, node in enumerate(known) if same_leaf(node, leaves[number]))
                found[i] = places[home][at]
        except (StopIteration, KeyError):
            raise UsageError("a memory of images holds some that are not in the stream: it cannot be saved") from None
        return torch.from_numpy(found)

    def take(self, positions: Tensor) -> Any:
        """The dataset of the images at these positions."""
        return self.dataset.subset(positions.tolist())

    def _known(self) -> tuple[list[Any], Sequence[_Places]]:
        """The datasets below the stream and, for each, where its items stand in the stream."""
        if self._places is None and all(self._shards):  # there may be too many images for a table of them
            ends = np.cumsum([len(images) for images in self._shards if images]).tolist()
            self._places = self._shards, list(map(range, [0, *ends], ends))
        if self._places is None:
            leaves, leaf, index = leaf_datasets(self.dataset, "train")
            places: list[dict[int, int]] = [{} for _ in leaves]
            for position, (number, at) in enumerate(zip(leaf.tolist(), index.tolist(), strict=True)):
                places[number].setdefault(at, position)
            self._places = leaves, places
        return self._places


def serialize(value: Any, stream: StreamIndex, name: str) -> Any:
    """Convert a value to tensors and plain values.

    Args:
        value: what to save.
        stream: where its datasets have their images from.
        name: name of the value in errors.

    Raises:
        UsageError: it holds something that cannot be saved: which, and where.
    """
    if isinstance(value, np.generic):
        return value.item()
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, Tensor):
        value = value.detach()
        return value.clone() if value.untyped_storage().nbytes() > value.nbytes else value
    if isinstance(value, np.ndarray):
        return {_KIND: "array", "values": torch.from_numpy(value.copy())}
    if isinstance(value, torch.device):
        return {_KIND: "device", "name": str(value)}
    if isinstance(value, AvalancheDataset):
        return {_KIND: "dataset", "positions": stream.positions(value)}
    if isinstance(value, dict):
        return {k: serialize(v, stream, f"{name}[{k!r}]") for k, v in value.items()}
    if isinstance(value, list | tuple):
        packed = [serialize(v, stream, f"{name}[{i}]") for i, v in enumerate(value)]
        return packed if isinstance(value, list) else tuple(packed)
    if isinstance(value, set | frozenset) and all(isinstance(v, int | str) for v in value):
        return {_KIND: "set", "values": sorted(value, key=repr)}  # in one order in all processes, whatever their hashes
    if isinstance(value, _CODE):
        return None  # code stays what it is in the object that the values are restored into
    if not hasattr(value, "__dict__"):
        raise UsageError(f"{name} is a {type(value).__name__}, which cannot be saved in a checkpoint")
    fields = {k: serialize(v, stream, f"{name}.{k}") for k, v in vars(value).items() if not isinstance(v, _CODE)}
    return {_KIND: "object", "class": type(value).__name__, "fields": fields}


def deserialize(packed: Any, stream: StreamIndex, current: Any, name: str) -> Any:
    """Convert the result of `serialize` back.

    Args:
        packed: the result of `serialize`.
        stream: as for `serialize`.
        current: the present value at the same place; objects are restored into it.
        name: name of the value in errors.

    Raises:
        UsageError: an object has no place to be restored into.
    """
    if isinstance(packed, list | tuple):
        now = current if isinstance(current, list | tuple) and len(current) == len(packed) else [None] * len(packed)
        values = [deserialize(p, stream, c, f"{name}[{i}]") for i, (p, c) in enumerate(zip(packed, now, strict=True))]
        return values if isinstance(packed, list) else tuple(values)
    if not isinstance(packed, dict):
        return packed
    if _KIND in packed:
        return _SPECIAL[packed[_KIND]](packed, stream, current, name)
    held = current if isinstance(current, dict) else {}
    factory = held.default_factory if isinstance(held, defaultdict) else None
    made = {k: factory() for k in packed.keys() - held.keys()} if factory else {}
    entries = {k: deserialize(v, stream, (made | held).get(k), f"{name}[{k!r}]") for k, v in packed.items()}
    return defaultdict(factory, entries) if isinstance(held, defaultdict) else entries


def _object(packed: dict[str, Any], stream: StreamIndex, current: Any, name: str) -> Any:
    kind = packed["class"]
    if type(current).__name__ != kind:
        if kind not in REBUILT:
            raise UsageError(f"{name} is a {type(current).__name__}, and the checkpoint holds a {kind} for it")
        current = object.__new__(REBUILT[kind])
        if kind == "ParamData":
            current.init_function = torch.zeros
    for field, value in packed["fields"].items():
        setattr(current, field, deserialize(value, stream, getattr(current, field, None), f"{name}.{field}"))
    return current


_SPECIAL: dict[str, Callable[[dict[str, Any], StreamIndex, Any, str], Any]] = {
    "array": lambda packed, *_: packed["values"].numpy().copy(),
    "device": lambda packed, *_: torch.device(packed["name"]),
    "dataset": lambda packed, stream, *_: stream.take(packed["positions"]),
    "set": lambda packed, *_: set(packed["values"]),
    "object": _object,
}
