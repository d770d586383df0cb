"""Do raw batches hold the right pixels, labels and order, whatever the dataset is wrapped in?"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from avalanche.benchmarks import (
    benchmark_from_datasets,
    class_incremental_benchmark,
    nc_benchmark,
    split_online_stream,
)
from avalanche.benchmarks.utils import AvalancheDataset, as_classification_dataset
from avalanche.benchmarks.utils.data_loader import ReplayDataLoader, TaskBalancedDataLoader
from avalanche.training.storage_policy import ExperienceBalancedBuffer, ReservoirSamplingBuffer
from PIL import Image
from torch.utils.data import ConcatDataset, DataLoader, Subset, TensorDataset
from torchvision import transforms as T

from avalanche_ssl.data import readers, traversal
from avalanche_ssl.data.datasets import ArrayDataset
from avalanche_ssl.data.loader import RawDataLoader, from_replay
from avalanche_ssl.data.readers import ArrayReader, ItemReader, array_reader, item_reader, make_reader
from avalanche_ssl.errors import UsageError

RANDOM = T.Compose([T.RandomCrop(8, padding=2), T.ToTensor()])


class Pictures:
    """Like torchvision's CIFAR: PIL items out of an array, and a transform."""

    def __init__(self, n: int, seed: int = 0, transform: Any = None) -> None:
        rng = np.random.default_rng(seed)
        self.data = rng.integers(0, 256, (n, 8, 8, 3), np.uint8)
        self.targets = [i % 5 for i in range(n)]
        self.transform = transform

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, index: int) -> tuple[Any, int]:
        image = Image.fromarray(self.data[index])
        return (image if self.transform is None else self.transform(image)), self.targets[index]


class Files:
    """PIL items out of files, nothing in memory, no labels but in the items."""

    def __init__(self, root: Path, data: np.ndarray, labeled: bool = True, transform: Any = None) -> None:
        self.paths = [root / f"{i}.png" for i in range(len(data))]
        for path, image in zip(self.paths, data):
            Image.fromarray(image).save(path)
        self.labeled, self.transform = labeled, transform

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> tuple[Any, ...]:
        image = Image.open(self.paths[index])
        image = self.transform(image) if self.transform else image
        return (image, index % 5) if self.labeled else (image,)


def nc(n: int = 60) -> list[Any]:
    benchmark = nc_benchmark(
        Pictures(n),
        Pictures(n, 1),
        n_experiences=2,
        task_labels=False,
        class_ids_from_zero_from_first_exp=True,
        fixed_class_order=[3, 1, 0, 4, 2],
        per_exp_classes={0: 2},
        train_transform=RANDOM,
        eval_transform=T.ToTensor(),
    )
    return [e.dataset for e in (*benchmark.train_stream, *benchmark.test_stream)]


def array_stream(n: int = 60) -> list[Any]:
    from avalanche_ssl.streams.benchmark import benchmark_from_parts
    from avalanche_ssl.streams.partitions import equal_parts

    train = ArrayDataset(Pictures(n).data, Pictures(n).targets)
    parts = equal_parts(train.targets, 3, 0, "training")
    return [e.dataset for e in benchmark_from_parts(train, parts, None, [], None).train_stream]


def class_incremental() -> list[Any]:
    data = as_classification_dataset(Pictures(40))
    stream = class_incremental_benchmark({"train": data}, num_experiences=5, seed=1).train_stream
    return [e.dataset for e in stream]


def online() -> list[Any]:
    data = as_classification_dataset(Pictures(40), transform_groups={"train": RANDOM, "eval": None})
    stream = benchmark_from_datasets(train=[data]).train_stream
    return [e.dataset for e in split_online_stream(stream, 7)]


def buffers() -> list[Any]:
    found = []
    for buffer in (ReservoirSamplingBuffer(20), ExperienceBalancedBuffer(21, adaptive_size=True)):
        for data in nc()[:2]:
            buffer.post_adapt(SimpleNamespace(experience=None), SimpleNamespace(dataset=data))
            found.append(copy.copy(buffer.buffer))
    return found


def torch_trees() -> list[Any]:
    one, two = Pictures(20, transform=RANDOM), Pictures(10, 1)
    return [one, Subset(one, [3, 1, 4, 1]), ConcatDataset([Subset(two, [9, 0]), one, two])]


WRAPPINGS = [nc, array_stream, class_incremental, online, buffers, torch_trees]


@pytest.fixture(params=WRAPPINGS, ids=lambda f: f.__name__)
def datasets(request: pytest.FixtureRequest) -> list[Any]:
    return request.param()  # type: ignore[no-any-return]


def raw(dataset: Any) -> Iterator[tuple[Any, int]]:
    """The independent way: Avalanche's own indexing, its transforms switched off."""
    if isinstance(dataset, AvalancheDataset):
        dataset = dataset.replace_current_transform_group(None)
    pictures = traversal.leaf_datasets(dataset)[0]
    saved = [leaf.__dict__.pop("transform", None) for leaf in pictures]
    for leaf in pictures:
        leaf.transform = None
    for i in range(len(dataset)):
        yield dataset[i][0], int(dataset[i][1])
    for leaf, transform in zip(pictures, saved):
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
    benchmark = nc_benchmark(Pictures(20), Pictures(20), n_experiences=5, task_labels=True)
    for number, experience in enumerate(benchmark.train_stream):
        (_, _, t), *_ = RawDataLoader([experience.dataset], [4], shuffle=True)
        assert t.tolist() == [number] * 4


def test_both_paths_give_the_same_order(monkeypatch: pytest.MonkeyPatch) -> None:
    def epochs() -> list[Any]:
        generator = torch.Generator().manual_seed(3)
        loader = RawDataLoader([Pictures(50), Pictures(7, 1)], [16, 4], shuffle=True, generator=generator)
        return [tensor for _ in range(3) for batch in loader for tensor in batch]

    state = torch.get_rng_state()
    fast = epochs()
    monkeypatch.setattr(readers, "array_reader", lambda dataset: None)
    general = epochs()
    assert len(fast) == 3 * 3 * 3
    assert all(torch.equal(a, b) for a, b in zip(fast, general, strict=True))
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("workers", [0, 2])
def test_files_are_decoded_by_any_number_of_processes(tmp_path: Path, workers: int) -> None:
    data = Pictures(30).data
    dataset = as_classification_dataset_of(Files(tmp_path, data, transform=RANDOM), [i % 5 for i in range(30)])
    reference = ArrayDataset(data, [i % 5 for i in range(30)])
    loader, arrays = (
        RawDataLoader([d], [8], shuffle=True, generator=torch.Generator().manual_seed(0), num_workers=workers)
        for d in (dataset, reference)
    )
    assert arrays.is_fast
    assert not loader.is_fast
    for _ in range(2):
        for got, expected in zip(loader, arrays, strict=True):
            assert all(torch.equal(a, b) for a, b in zip(got, expected))


def as_classification_dataset_of(dataset: Any, targets: list[int]) -> Any:
    dataset.targets = targets
    return as_classification_dataset(dataset)


@pytest.mark.parametrize("workers", [0, 2])
def test_breaking_off_an_epoch_does_no_harm(tmp_path: Path, workers: int) -> None:
    loader = RawDataLoader([Files(tmp_path, Pictures(30).data)], [4], shuffle=False, num_workers=workers)
    first = next(iter(loader))
    again = list(loader)
    assert len(again) == 7
    assert torch.equal(first[0], again[0][0])


@pytest.mark.parametrize("workers", [0, 1])
def test_mistakes_in_files_are_one_line(tmp_path: Path, workers: int) -> None:
    dataset = Files(tmp_path, Pictures(6).data)
    dataset.paths[4].write_bytes(b"no image")
    with pytest.raises(UsageError, match=r"cannot read image 4 of Files \(.*4\.png") as error:
        list(RawDataLoader([dataset], [3], shuffle=False, num_workers=workers))
    assert "\n" not in str(error.value)
    Image.new("RGB", (9, 8)).save(dataset.paths[4])
    with pytest.raises(UsageError, match=r"differ in shape \(C, H, W\), \(3, 8, 8\) and \(3, 8, 9\)"):
        list(RawDataLoader([dataset], [3], shuffle=False, num_workers=workers))


def test_an_experience_without_labels(tmp_path: Path) -> None:
    data = Pictures(8).data
    for dataset in (
        Files(tmp_path, data, labeled=False),
        AvalancheDataset([Files(tmp_path, data, labeled=False)]),
        TensorDataset(torch.from_numpy(data).permute(0, 3, 1, 2)),
    ):
        ((x, y, t),) = RawDataLoader([dataset], [8], shuffle=False)
        assert torch.equal(x, torch.from_numpy(data).permute(0, 3, 1, 2))
        assert y.tolist() == [-1] * 8
        assert t.tolist() == [0] * 8


def test_labels_of_items_are_found(tmp_path: Path) -> None:
    ((_, y, t),) = RawDataLoader([Files(tmp_path, Pictures(7).data)], [7], shuffle=False)
    assert y.tolist() == [0, 1, 2, 3, 4, 0, 1]
    assert t.tolist() == [0] * 7


def test_the_users_transforms_are_kept_when_asked() -> None:
    train, *_ = nc()
    ((x, y, _),) = RawDataLoader([train], [len(train)], shuffle=False, use_dataset_transforms=True)
    assert x.dtype == torch.float32
    ((pixels, labels, _),) = RawDataLoader([train], [len(train)], shuffle=False)
    assert not torch.equal(x.mul(255).round().byte(), pixels)
    assert torch.equal(y, labels)
    exact = train.eval()
    ((x, _, _),) = RawDataLoader([exact], [len(train)], shuffle=False, use_dataset_transforms=True)
    torch.testing.assert_close(x, pixels / 255)


def test_random_transforms_in_processes_differ_between_epochs(tmp_path: Path) -> None:
    def two() -> list[torch.Tensor]:
        generator = torch.Generator().manual_seed(0)
        data = Files(tmp_path, Pictures(1).data.repeat(16, 0), transform=RANDOM)
        loader = RawDataLoader(
            [data], [16], shuffle=True, generator=generator, num_workers=1, use_dataset_transforms=True
        )
        return [x for _ in range(2) for x, _, _ in loader]

    first, second = two()
    assert not torch.equal(first, second)
    assert all(torch.equal(a, b) for a, b in zip(two(), (first, second)))


def test_gray_images_and_channels_first() -> None:
    class Gray(Pictures):
        def __init__(self) -> None:
            super().__init__(4)
            self.data = torch.from_numpy(self.data[..., 0].copy())  # like MNIST

        def __getitem__(self, index: int) -> tuple[Any, int]:
            return Image.fromarray(self.data[index].numpy()), 0

    class ChannelsFirst(Pictures):
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
    class Upside(Pictures):
        def __getitem__(self, index: int) -> tuple[Any, int]:
            return Image.fromarray(self.data[index][::-1].copy()), 0

    class Floats(Pictures):
        def __getitem__(self, index: int) -> tuple[Any, int]:
            return torch.rand(3, 8, 8), 0

    for dataset in (Upside(4), Floats(4)):
        assert array_reader(dataset) is None
        assert isinstance(make_reader(dataset), ItemReader)
    x, *_ = make_reader(Upside(4)).batch(torch.arange(4))
    assert torch.equal(x, torch.from_numpy(Pictures(4).data).permute(0, 3, 1, 2).flip(2))


def test_a_change_in_avalanche_falls_back(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(dataset: Any) -> Any:
        raise AttributeError("_flat_data")

    dataset = array_stream()[0]
    expected = make_reader(dataset).batch(torch.arange(20))
    monkeypatch.setattr(readers, "leaf_datasets", broken)
    assert array_reader(dataset) is None
    found = make_reader(dataset).batch(torch.arange(20))
    assert all(torch.equal(a, b) for a, b in zip(found, expected))


@pytest.mark.parametrize(
    ("n", "drop_last", "sizes"),
    [
        (20, True, [8, 8]),
        (20, False, [8, 8, 4]),
        (16, True, [8, 8]),
        (5, True, [5]),
        (2, True, [2]),
        (17, False, [8, 8, 1]),
        (1, False, [1]),
    ],
)
def test_last_batch(n: int, drop_last: bool, sizes: list[int]) -> None:
    loader = RawDataLoader([Pictures(n)], [8], shuffle=True, drop_last=drop_last)
    assert [len(x) for x, _, _ in loader] == sizes
    assert len(loader) == len(sizes)


@pytest.mark.parametrize(("n", "size"), [(1, "a single image"), (0, "no image")])
def test_one_image_is_skipped_with_a_warning(n: int, size: str) -> None:
    loader = RawDataLoader([Subset(Pictures(4), range(n))], [8], shuffle=True)
    assert len(loader) == 0
    with pytest.warns(UserWarning, match=f"experience of {size} is skipped"):
        assert list(loader) == []


def test_one_image_with_a_memory_is_learnt() -> None:
    ((x, _, _),) = RawDataLoader([Pictures(1), Pictures(9, 1)], [8, 4], shuffle=True)
    assert len(x) == 5


@pytest.mark.parametrize(("size", "expected"), [(3, 4), (9, 9), (0, 0)])
def test_memory_is_cycled(size: int, expected: int) -> None:
    data, memory = (
        ArrayDataset(Pictures(33).data, range(33)),
        ArrayDataset(Pictures(9, 1).data, range(100, 109)),
    )
    memory_size = {3: 4, 9: 20, 0: 4}[size]
    part = memory if size else Subset(memory, [])
    generator = torch.Generator().manual_seed(0)
    labels = [
        y.tolist() for _, y, _ in RawDataLoader([data, part], [8, memory_size], shuffle=True, generator=generator)
    ]
    assert len(labels) == 4
    assert len({y for batch in labels for y in batch[:8]}) == 32
    for batch in labels:
        assert len(batch) == len(set(batch)) == 8 + expected
        assert all(y >= 100 for y in batch[8:])
    if size == 3:  # every pass is a new shuffle
        assert set(labels[0][8:] + labels[1][8:]) != set(labels[2][8:] + labels[3][8:])


def test_an_epoch_is_a_permutation_and_epochs_differ() -> None:
    loader = RawDataLoader([ArrayDataset(Pictures(24).data, range(24))], [8], shuffle=True)
    one, two = ([y for _, batch, _ in loader for y in batch.tolist()] for _ in range(2))
    assert sorted(one) == sorted(two) == list(range(24))
    assert one != two


def test_replay_loader_becomes_raw() -> None:
    data, memory = nc()[1], buffers()[0]
    loader = ReplayDataLoader(data, memory, batch_size=6, batch_size_mem=5, shuffle=True, oversample_small_tasks=True)
    raw_loader = from_replay(loader, generator=torch.Generator().manual_seed(0))
    assert raw_loader is not None
    assert raw_loader.is_fast
    assert len(raw_loader) == len(data) // 6
    for x, _, t in raw_loader:
        assert x.shape == (11, 3, 8, 8)
        assert x.dtype == torch.uint8
        assert t.shape == (11,)


def test_other_loaders_are_left_alone() -> None:
    data = nc()[0]
    assert from_replay(TaskBalancedDataLoader(data, batch_size=4)) is None
    assert from_replay(DataLoader(data)) is None
    assert from_replay(RawDataLoader([data], [4], shuffle=True)) is None
    tasks = nc_benchmark(Pictures(20), Pictures(20), n_experiences=5, task_labels=True).train_stream
    memory = tasks[0].dataset.concat(tasks[1].dataset)
    assert from_replay(ReplayDataLoader(tasks[2].dataset, memory, task_balanced_dataloader=True)) is None


def test_wrong_sizes_are_named() -> None:
    with pytest.raises(UsageError, match="2 datasets need as many batch sizes"):
        RawDataLoader([Pictures(4), Pictures(4)], [4], shuffle=True)
    small = ArrayDataset(np.zeros((4, 6, 6, 3), np.uint8), range(4))
    with pytest.raises(UsageError, match=r"stream and its memory differ in shape"):
        list(RawDataLoader([Pictures(4), small], [4, 4], shuffle=True))
    with pytest.raises(UsageError, match="gives list where one image is needed"):
        views = T.Lambda(lambda image: [image, image])
        list(RawDataLoader([Pictures(4, transform=views)], [4], shuffle=True, use_dataset_transforms=True))


def test_source_prefers_arrays() -> None:
    assert isinstance(make_reader(Pictures(4)), ArrayReader)
    assert isinstance(make_reader(Pictures(4), use_dataset_transforms=True), ItemReader)
