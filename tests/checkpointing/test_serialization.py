"""Python objects as tensors and plain values, and back."""

from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from avalanche.training import plugins as av
from avalanche.training.storage_policy import ReservoirSamplingBuffer
from crashes.small_run import few_digits
from helpers.domains import frozen_images, turned
from helpers.resuming import make
from helpers.shards import labeled_folder

from avalanche_ssl.checkpointing import Checkpointer
from avalanche_ssl.checkpointing.serialization import StreamIndex, deserialize, serialize
from avalanche_ssl.errors import UsageError
from avalanche_ssl.streams import shards


@pytest.fixture
def stream() -> StreamIndex:
    return StreamIndex([e.dataset for e in few_digits().train_stream])


class Counter:
    def __init__(self) -> None:
        self.count, self.rule = 0, len


@pytest.mark.parametrize(
    "value",
    [None, True, 3, 2.5, "text", [1, (2, "a")], {"a": {1: None}}, {1, 2}, torch.device("cpu")],
    ids=lambda value: type(value).__name__,
)
def test_plain_values_come_back(value: Any, stream: StreamIndex) -> None:
    back = deserialize(serialize(value, stream, "value"), stream, None, "value")
    assert back == value and type(back) is type(value)


def test_a_set_is_saved_in_one_order(stream: StreamIndex) -> None:
    """Processes compare what they would save, and each has hashes of its own."""
    names = {f"name {number:02d}" for number in range(30)}
    assert serialize(names, stream, "value")["values"] == sorted(names)


def test_arrays_and_tensors_come_back(stream: StreamIndex) -> None:
    array, tensor = np.arange(6).reshape(2, 3), torch.arange(9.0)[2:4]
    packed = serialize({"array": array, "tensor": tensor, "number": np.float32(1.5)}, stream, "value")
    assert packed["tensor"].untyped_storage().nbytes() == 8, "not the storage that it is a part of"
    back = deserialize(packed, stream, None, "value")
    assert np.array_equal(back["array"], array) and torch.equal(back["tensor"], tensor) and back["number"] == 1.5


def test_objects_are_restored_into_those_that_stand_there(stream: StreamIndex) -> None:
    counter = Counter()
    counter.count = 5
    packed = serialize({"a": counter}, stream, "value")
    current = Counter()
    back = deserialize(packed, stream, {"a": current}, "value")
    assert back["a"] is current and current.count == 5 and current.rule is len
    made = deserialize(packed, stream, defaultdict(Counter), "value")
    assert isinstance(made, defaultdict) and made["a"].count == 5
    with pytest.raises(UsageError, match=r"value\['a'\] is a NoneType, and the checkpoint holds a Counter for it"):
        deserialize(packed, stream, None, "value")


def test_a_buffer_of_images_comes_back(stream: StreamIndex) -> None:
    buffer = ReservoirSamplingBuffer(5)
    dataset = few_digits().train_stream[1].dataset
    buffer._buffer = dataset.subset([3, 1, 7])
    packed = serialize(buffer, stream, "buffer")
    assert packed["fields"]["_buffer"]["positions"].tolist() == [72 + 3, 72 + 1, 72 + 7]
    back = deserialize(packed, stream, None, "buffer")
    assert type(back) is ReservoirSamplingBuffer and back.max_size == 5
    assert all(torch.equal(a[0], b[0]) for a, b in zip(back._buffer, buffer._buffer, strict=True))


def test_what_cannot_be_saved_is_named(stream: StreamIndex) -> None:
    with pytest.raises(UsageError, match=r"plugin\.a\[1\] is a generator, which cannot be saved in a checkpoint"):
        serialize([0, (i for i in range(3))], stream, "plugin.a")


def test_a_memory_of_other_images_is_refused() -> None:
    benchmark = few_digits()
    strategy = make(benchmark, [av.ReplayPlugin(mem_size=10)])
    short = Checkpointer("checkpoint", strategy, list(benchmark.train_stream)[1:])
    strategy.train(benchmark.train_stream[0], eval_streams=[])
    with pytest.raises(UsageError, match="holds some that are not in the stream"):
        short.save()


@pytest.mark.parametrize("group", ["train", "eval"])
def test_a_buffer_of_turned_images_comes_back_turned(group: str) -> None:
    """The experiences hold the same pictures below different frozen transforms."""
    stream = turned().train_stream
    index = StreamIndex([e.dataset for e in stream])
    kept = stream[2].dataset.subset([3, 1]).concat(stream[0].dataset.subset([3])).with_transforms(group)
    assert index.positions(kept).tolist() == [83, 81, 3]
    assert torch.equal(frozen_images(index.take(index.positions(kept))), frozen_images(kept))


def test_images_in_shards_are_known_by_their_place_in_the_stream(tmp_path: Path) -> None:
    """As others are, but without a table of all."""
    labeled_folder(tmp_path)
    datasets = [experience.dataset for experience in shards(tmp_path, size=8, experiences=3).train_stream]
    stream = StreamIndex(datasets)
    memory = datasets[2].subset([4, 0]).concat(datasets[0].subset([7]))
    positions = stream.positions(memory)
    sizes = [len(dataset) for dataset in datasets]
    assert positions.tolist() == [sizes[0] + sizes[1] + 4, sizes[0] + sizes[1], 7]
    back = stream.take(positions)
    assert all(torch.equal(back[i][0], memory[i][0]) and back[i][1] == memory[i][1] for i in range(3))
    with pytest.raises(UsageError, match="some that are not in the stream"):
        StreamIndex(datasets[:2]).positions(memory)
