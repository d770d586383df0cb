"""Datasets of dict items, as Hugging Face's, are read by the names of their keys."""

from __future__ import annotations

import re
from typing import Any

import pytest
import torch
from avalanche.benchmarks import benchmark_from_datasets, class_incremental_benchmark
from avalanche.benchmarks.utils import AvalancheDataset, as_classification_dataset
from helpers.datasets import PictureDataset
from PIL import Image

from avalanche_ssl.data.dict_items import DictDataset
from avalanche_ssl.data.loader import RawDataLoader
from avalanche_ssl.errors import UsageError

DATA = PictureDataset(30)


class Columns:
    """A dataset with the interface of Hugging Face's: items are dicts, and a column is read by its name."""

    def __init__(self, labels: list[Any] = DATA.targets) -> None:
        self.labels, self.decoded = labels, 0
        self.column_names = ["img", "fine_label"]

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, key: int | str) -> Any:
        if isinstance(key, str):
            return {"fine_label": self.labels}[key]
        assert type(key) is int
        self.decoded += 1
        return {"img": Image.fromarray(DATA.data[key]), "fine_label": self.labels[key]}


def test_images_and_labels_come_by_their_keys() -> None:
    columns = Columns()
    dataset = DictDataset(columns, image="img", label="fine_label")
    assert dataset.targets == DATA.targets
    assert columns.decoded == 0, "labels cost no image"
    ((x, y, _),) = RawDataLoader([dataset], [30], shuffle=False)
    assert torch.equal(x, torch.from_numpy(DATA.data).permute(0, 3, 1, 2))
    assert y.tolist() == DATA.targets


def test_datasets_of_dicts_make_a_benchmark() -> None:
    data = as_classification_dataset(DictDataset(Columns(), image="img", label="fine_label"))
    stream = class_incremental_benchmark({"train": data}, num_experiences=5, seed=0).train_stream
    for experience in stream:
        ((x, y, _),) = RawDataLoader([experience.dataset], [6], shuffle=False)
        label = int(y[0])
        assert y.tolist() == [label] * 6
        assert torch.equal(x, torch.from_numpy(DATA.data[label::5]).permute(0, 3, 1, 2))


def test_items_without_columns_and_without_labels() -> None:
    items = [{"image": Image.fromarray(image), "label": y} for image, y in zip(DATA.data, DATA.targets)]
    assert DictDataset(items).targets == DATA.targets
    assert DictDataset(items, label=None).targets == [-1] * 30
    assert DictDataset(items, label=None)[3][1] == -1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "items of the dataset have no 'image' but 'img', 'fine_label': give image=KEY"),
        (
            {"image": "img"},
            "items of the dataset have no 'label' but 'img', 'fine_label': give label=KEY, or label=None",
        ),
    ],
)
def test_a_missing_key_is_named_with_those_that_are_there(options: dict[str, str], message: str) -> None:
    with pytest.raises(UsageError, match=re.escape(message)):
        DictDataset(Columns(), **options)


def test_labels_that_are_no_numbers_and_items_that_are_no_dicts_are_refused() -> None:
    with pytest.raises(UsageError, match="label 'cat' is a string: number the classes"):
        DictDataset(Columns(["cat", "dog"]), image="img", label="fine_label")
    with pytest.raises(UsageError, match="items of the dataset are no dicts but of type tuple: use it as it is"):
        DictDataset(DATA)


@pytest.mark.parametrize("use_dataset_transforms", [False, True])
def test_a_dataset_of_dicts_itself_is_refused_with_the_call_to_use(use_dataset_transforms: bool) -> None:
    data = AvalancheDataset([Columns()])
    (experience,) = benchmark_from_datasets(train=[data]).train_stream
    loader = RawDataLoader([experience.dataset], [4], shuffle=False, use_dataset_transforms=use_dataset_transforms)
    with pytest.raises(UsageError, match=r"gives dicts of 'img', 'fine_label'.*DictDataset\(dataset, image=KEY"):
        next(iter(loader))
