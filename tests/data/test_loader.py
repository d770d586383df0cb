"""Batches of raw images: their order, their last one, worker processes, replay."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from avalanche.benchmarks import (
    nc_benchmark,
)
from avalanche.benchmarks.utils import as_classification_dataset
from avalanche.benchmarks.utils.data_loader import ReplayDataLoader, TaskBalancedDataLoader
from helpers.datasets import (
    RANDOM,
    FileDataset,
    PictureDataset,
    buffers,
    nc,
)
from PIL import Image
from torch.utils.data import DataLoader, Subset
from torchvision import transforms as T

from avalanche_ssl.data import readers
from avalanche_ssl.data.datasets import ArrayDataset
from avalanche_ssl.data.loader import RawDataLoader, from_replay
from avalanche_ssl.errors import UsageError


def test_both_paths_give_the_same_order(monkeypatch: pytest.MonkeyPatch) -> None:
    def epochs() -> list[Any]:
        generator = torch.Generator().manual_seed(3)
        loader = RawDataLoader([PictureDataset(50), PictureDataset(7, 1)], [16, 4], shuffle=True, generator=generator)
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
    data = PictureDataset(30).data
    dataset = as_classification_dataset_of(FileDataset(tmp_path, data, transform=RANDOM), [i % 5 for i in range(30)])
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
    loader = RawDataLoader([FileDataset(tmp_path, PictureDataset(30).data)], [4], shuffle=False, num_workers=workers)
    first = next(iter(loader))
    again = list(loader)
    assert len(again) == 7
    assert torch.equal(first[0], again[0][0])


@pytest.mark.parametrize("workers", [0, 1])
def test_mistakes_in_files_are_one_line(tmp_path: Path, workers: int) -> None:
    dataset = FileDataset(tmp_path, PictureDataset(6).data)
    dataset.paths[4].write_bytes(b"no image")
    with pytest.raises(
        UsageError, match=r"cannot read image '.*/4\.png' \(cannot identify image file\): repair"
    ) as error:
        list(RawDataLoader([dataset], [3], shuffle=False, num_workers=workers))
    assert "\n" not in str(error.value)
    Image.new("RGB", (9, 8)).save(dataset.paths[4])
    with pytest.raises(UsageError, match=r"differ in shape \(C, H, W\), .* has \(3, 8, 8\) and .* \(3, 8, 9\)"):
        list(RawDataLoader([dataset], [3], shuffle=False, num_workers=workers))


@pytest.mark.slow
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
        data = FileDataset(tmp_path, PictureDataset(1).data.repeat(16, 0), transform=RANDOM)
        loader = RawDataLoader(
            [data], [16], shuffle=True, generator=generator, num_workers=1, use_dataset_transforms=True
        )
        return [x for _ in range(2) for x, _, _ in loader]

    first, second = two()
    assert not torch.equal(first, second)
    assert all(torch.equal(a, b) for a, b in zip(two(), (first, second)))


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
    loader = RawDataLoader([PictureDataset(n)], [8], shuffle=True, drop_last=drop_last)
    assert [len(x) for x, _, _ in loader] == sizes
    assert len(loader) == len(sizes)


def test_one_image_alone_makes_a_batch_when_others_join_it() -> None:
    joined: list[bool] = []
    loader = RawDataLoader([PictureDataset(1)], [4], shuffle=True, is_filled=lambda: bool(joined))
    assert len(loader) == 0
    joined.append(True)
    assert [len(x) for x, *_ in loader] == [1]


@pytest.mark.parametrize(("n", "size"), [(1, "a single image"), (0, "no image")])
def test_one_image_is_skipped_with_a_warning(n: int, size: str) -> None:
    loader = RawDataLoader([Subset(PictureDataset(4), range(n))], [8], shuffle=True)
    assert len(loader) == 0
    with pytest.warns(UserWarning, match=f"experience of {size} is skipped: training takes two"):
        assert list(loader) == []


def test_an_evaluation_of_no_image_says_nothing_of_training() -> None:
    loader = RawDataLoader([Subset(PictureDataset(4), [])], [8], shuffle=False, drop_last=False)
    with pytest.warns(UserWarning, match="experience of no image is skipped$"):
        assert list(loader) == []


def test_one_image_with_a_memory_is_trained_on() -> None:
    ((x, _, _),) = RawDataLoader([PictureDataset(1), PictureDataset(9, 1)], [8, 4], shuffle=True)
    assert len(x) == 5


@pytest.mark.parametrize(("size", "expected"), [(3, 4), (9, 9), (0, 0)])
def test_memory_is_cycled(size: int, expected: int) -> None:
    data, memory = (
        ArrayDataset(PictureDataset(33).data, range(33)),
        ArrayDataset(PictureDataset(9, 1).data, range(100, 109)),
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
    loader = RawDataLoader([ArrayDataset(PictureDataset(24).data, range(24))], [8], shuffle=True)
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
    tasks = nc_benchmark(PictureDataset(20), PictureDataset(20), n_experiences=5, task_labels=True).train_stream
    memory = tasks[0].dataset.concat(tasks[1].dataset)
    both = tasks[2].dataset.concat(tasks[3].dataset)
    assert from_replay(ReplayDataLoader(both, memory, batch_size={2: 3, 3: 3}), both) is None


def test_a_task_balanced_memory_gives_its_share_of_each_task_raw() -> None:
    transform = T.Compose([T.ToTensor(), T.Normalize(0.5, 0.1)])
    tasks = nc_benchmark(
        PictureDataset(40), PictureDataset(40), n_experiences=5, task_labels=True, seed=0, train_transform=transform
    ).train_stream
    memory = tasks[0].dataset.subset([0, 1]).concat(tasks[1].dataset)
    data = tasks[2].dataset
    loader = ReplayDataLoader(
        data, memory, task_balanced_dataloader=True, batch_size=4, batch_size_mem=4, oversample_small_tasks=True
    )
    raw_loader = from_replay(loader, data, generator=torch.Generator().manual_seed(0))
    assert raw_loader is not None
    assert len(raw_loader) == len(data) // 4 and raw_loader.batch_sizes == [4, 2, 2]
    for x, _, t in raw_loader:
        assert x.dtype == torch.uint8
        assert t.tolist() == [2] * 4 + [0] * 2 + [1] * 2


def test_wrong_sizes_are_named() -> None:
    with pytest.raises(UsageError, match="2 datasets need as many batch sizes"):
        RawDataLoader([PictureDataset(4), PictureDataset(4)], [4], shuffle=True)
    small = ArrayDataset(np.zeros((4, 6, 6, 3), np.uint8), range(4))
    with pytest.raises(UsageError, match=r"stream and its memory differ in shape"):
        list(RawDataLoader([PictureDataset(4), small], [4, 4], shuffle=True))
    with pytest.raises(UsageError, match="gives list where one image is needed"):
        views = T.Lambda(lambda image: [image, image])
        list(RawDataLoader([PictureDataset(4, transform=views)], [4], shuffle=True, use_dataset_transforms=True))
