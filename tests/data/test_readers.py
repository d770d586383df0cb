"""Readers find the right pixels and labels, whatever a dataset is wrapped in."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from avalanche.benchmarks import (
    nc_benchmark,
)
from avalanche.benchmarks.utils import AvalancheDataset
from helpers.datasets import (
    FileDataset,
    PictureDataset,
    array_stream,
    buffers,
    class_incremental,
    nc,
    online,
    torch_trees,
)
from PIL import Image
from torch.utils.data import TensorDataset

from avalanche_ssl.data import readers, traversal
from avalanche_ssl.data.loader import RawDataLoader
from avalanche_ssl.data.readers import ArrayReader, ItemReader, array_reader, item_reader, make_reader

WRAPPINGS = [nc, array_stream, class_incremental, online, buffers, torch_trees]


@pytest.fixture(params=WRAPPINGS, ids=lambda f: f.__name__)
def datasets(request: pytest.FixtureRequest) -> list[Any]:
    return request.param()  # type: ignore[no-any-return]


def raw(dataset: Any) -> Iterator[tuple[Any, int]]:
    """The independent way: Avalanche's own indexing, its transforms switched off."""
    if isinstance(dataset, AvalancheDataset):
        dataset = dataset.replace_current_transform_group(None)
    leaves = traversal.leaf_datasets(dataset)[0]
    saved = [leaf.__dict__.pop("transform", None) for leaf in leaves]
    for leaf in leaves:
        leaf.transform = None
    for i in range(len(dataset)):
        yield dataset[i][0], int(dataset[i][1])
    for leaf, transform in zip(leaves, saved):
        leaf.transform = transform


def test_both_paths_give_avalanches_pixels_and_labels(datasets: list[Any]) -> None:
    for dataset in datasets:
        arrays, items = array_reader(dataset), item_reader(dataset)
        assert arrays is not None
        everything = torch.arange(len(dataset))
        x, y, t = arrays.batch(everything)
        for fast, general in zip((x, y, t), items.batch(everything)):
            assert fast.dtype == general.dtype
            assert torch.equal(fast, general)
        assert x.dtype == torch.uint8
        assert x.is_contiguous()
        assert y.dtype == t.dtype == torch.int64
        assert t.eq(0).all()
        for i, (image, label) in enumerate(raw(dataset)):
            assert torch.equal(x[i], readers.image_tensor(image))
            assert y[i] == label


def test_task_labels() -> None:
    benchmark = nc_benchmark(PictureDataset(20), PictureDataset(20), n_experiences=5, task_labels=True)
    for number, experience in enumerate(benchmark.train_stream):
        (_, _, t), *_ = RawDataLoader([experience.dataset], [4], shuffle=True)
        assert t.tolist() == [number] * 4


def test_an_experience_without_labels(tmp_path: Path) -> None:
    data = PictureDataset(8).data
    for dataset in (
        FileDataset(tmp_path, data, labeled=False),
        AvalancheDataset([FileDataset(tmp_path, data, labeled=False)]),
        TensorDataset(torch.from_numpy(data).permute(0, 3, 1, 2)),
    ):
        ((x, y, t),) = RawDataLoader([dataset], [8], shuffle=False)
        assert torch.equal(x, torch.from_numpy(data).permute(0, 3, 1, 2))
        assert y.tolist() == [-1] * 8
        assert t.tolist() == [0] * 8


def test_labels_of_items_are_found(tmp_path: Path) -> None:
    ((_, y, t),) = RawDataLoader([FileDataset(tmp_path, PictureDataset(7).data)], [7], shuffle=False)
    assert y.tolist() == [0, 1, 2, 3, 4, 0, 1]
    assert t.tolist() == [0] * 7


def test_gray_images_and_channels_first() -> None:
    class Gray(PictureDataset):
        def __init__(self) -> None:
            super().__init__(4)
            self.data = torch.from_numpy(self.data[..., 0].copy())  # like MNIST

        def __getitem__(self, index: int) -> tuple[Any, int]:
            return Image.fromarray(self.data[index].numpy()), 0

    class ChannelsFirst(PictureDataset):
        def __init__(self) -> None:
            super().__init__(4)
            self.data = self.data.transpose(0, 3, 1, 2)  # like SVHN

        def __getitem__(self, index: int) -> tuple[Any, int]:
            return Image.fromarray(self.data[index].transpose(1, 2, 0)), 0

    for dataset, shape in ((Gray(), (4, 1, 8, 8)), (ChannelsFirst(), (4, 3, 8, 8))):
        arrays = array_reader(dataset)
        assert arrays is not None
        x = arrays.batch(torch.arange(4))[0]
        assert x.shape == shape
        assert torch.equal(x, item_reader(dataset).batch(torch.arange(4))[0])


def test_data_that_is_not_what_items_show_takes_the_general_path() -> None:
    class Upside(PictureDataset):
        def __getitem__(self, index: int) -> tuple[Any, int]:
            return Image.fromarray(self.data[index][::-1].copy()), 0

    class Floats(PictureDataset):
        def __getitem__(self, index: int) -> tuple[Any, int]:
            return torch.rand(3, 8, 8), 0

    for dataset in (Upside(4), Floats(4)):
        assert array_reader(dataset) is None
        assert isinstance(make_reader(dataset), ItemReader)
    x, *_ = make_reader(Upside(4)).batch(torch.arange(4))
    assert torch.equal(x, torch.from_numpy(PictureDataset(4).data).permute(0, 3, 1, 2).flip(2))


def test_a_change_in_avalanche_falls_back(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(dataset: Any) -> Any:
        raise AttributeError("_flat_data")

    dataset = array_stream()[0]
    expected = make_reader(dataset).batch(torch.arange(20))
    monkeypatch.setattr(readers, "leaf_datasets", broken)
    assert array_reader(dataset) is None
    found = make_reader(dataset).batch(torch.arange(20))
    assert all(torch.equal(a, b) for a, b in zip(found, expected))


def test_arrays_are_preferred() -> None:
    assert isinstance(make_reader(PictureDataset(4)), ArrayReader)
    assert isinstance(make_reader(PictureDataset(4), use_dataset_transforms=True), ItemReader)
