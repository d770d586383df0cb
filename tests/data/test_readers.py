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
from avalanche.benchmarks.utils import (
    AvalancheDataset,
    TransformGroups,
    as_classification_dataset,
    make_avalanche_dataset,
)
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
from helpers.domains import frozen_images, read, turned
from PIL import Image
from torch.utils.data import TensorDataset
from torchvision import transforms as T
from torchvision.datasets import ImageFolder

from avalanche_ssl.data import readers, traversal
from avalanche_ssl.data.loader import RawDataLoader
from avalanche_ssl.data.readers import ArrayReader, DataError, ItemReader, array_reader, item_reader, make_reader

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


def test_labels_that_are_known_are_not_read_from_items(monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = PictureDataset(7)
    monkeypatch.setattr(readers, "item_label", lambda y: -2)
    _, y, _ = item_reader(dataset).batch(torch.tensor([6, 0]))
    assert y.tolist() == [dataset.targets[6], dataset.targets[0]]


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


def test_frozen_transforms_are_applied_one_by_one() -> None:
    """Nothing of them is left out on the way through subsets and concatenations, in whichever process."""
    first, second = (e.dataset for e in turned((0, 90)).train_stream)
    dataset = second.subset([5, 1, 7, 3]).concat(first.subset([2, 0]))
    assert array_reader(dataset) is None
    for workers in (0, 2):
        loader = RawDataLoader([dataset], [4], shuffle=False, drop_last=False, num_workers=workers)
        torch.testing.assert_close(read(loader), frozen_images(dataset))
    _, y, _ = make_reader(dataset).batch(torch.arange(6))
    assert y.tolist() == [1, 1, 3, 3, 2, 0]


def test_frozen_random_transforms_are_drawn_from_the_seed_of_the_batch() -> None:
    data = as_classification_dataset(PictureDataset(8, transform=T.ToTensor()))
    frozen = TransformGroups({"train": (T.RandomRotation(90), None)})
    dataset = make_avalanche_dataset(data, frozen_transform_groups=frozen)
    one, same, other = (
        read(RawDataLoader([dataset], [8], shuffle=True, generator=torch.Generator().manual_seed(seed)))
        for seed in (0, 0, 1)
    )
    assert torch.equal(one, same)
    assert not torch.equal(one.sort(0)[0], other.sort(0)[0])


def test_an_unreadable_file_below_frozen_transforms_is_named(tmp_path: Path) -> None:
    for folder in "ab":
        (tmp_path / folder).mkdir()
        Image.fromarray(PictureDataset(1).data[0]).save(tmp_path / folder / "0.png")
    (tmp_path / "b" / "0.png").write_bytes(b"no image")
    data = as_classification_dataset(ImageFolder(tmp_path))
    dataset = make_avalanche_dataset(data, frozen_transform_groups={"train": (T.RandomRotation((90, 90)), None)})
    x, *_ = make_reader(dataset).batch(torch.tensor([0]))
    assert torch.equal(x[0], torch.from_numpy(PictureDataset(1).data[0]).permute(2, 0, 1).rot90(1, (1, 2)))
    with pytest.raises(DataError, match=r"cannot read image '.*b/0\.png'"):
        make_reader(dataset).batch(torch.tensor([1]))
