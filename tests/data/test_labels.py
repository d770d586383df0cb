"""Labels of any kind become integers, or are refused with the remedy."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from avalanche.benchmarks.utils import AvalancheDataset, DataAttribute
from helpers.shards import pack

from avalanche_ssl.data import ShardImages, class_labels, has_label, index_shards, make_reader, task_labels, with_labels
from avalanche_ssl.data.labels import item_label
from avalanche_ssl.errors import UsageError


class Images:
    """As many empty images as labels."""

    def __init__(self, targets: Any) -> None:
        self.targets = targets

    def __len__(self) -> int:
        return len(self.targets)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, Any]:
        return torch.zeros(3, 4, 4, dtype=torch.uint8), self.targets[index]


def attributed(targets: Any) -> AvalancheDataset:
    return AvalancheDataset([Images(targets)], data_attributes=[DataAttribute(targets, "targets")])


KINDS = [Images, attributed, lambda targets: AvalancheDataset([Images(targets)])]
"""Labels of the dataset itself, as Avalanche's attribute, and of the dataset that Avalanche's holds."""

NUMBERS = {
    "int": [0, 7, -1],
    "large": [0, 10**9, -1],
    "whole floats": [0.0, 7.0, -1.0],
    "numpy": [np.int64(0), np.int32(7), np.int8(-1)],
    "array": np.array([0, 7, -1], np.int16),
    "tensor": torch.tensor([0, 7, -1]),
    "0-d tensors": [torch.tensor(0), torch.tensor(7), torch.tensor(-1)],
    "column": torch.tensor([[0], [7], [-1]]),
    "bool": [True, False, True],
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", NUMBERS)
def test_whole_numbers_of_any_type_are_labels(name: str, kind: Any) -> None:
    dataset, want = kind(NUMBERS[name]), [int(y) for y in NUMBERS[name]]
    found = class_labels(dataset)
    assert found.dtype == np.int64 and found.tolist() == want
    x, y, t = make_reader(dataset).batch(torch.arange(3))
    assert y.tolist() == want and t.tolist() == [0, 0, 0] and len(x) == 3
    assert [item_label(y) for y in NUMBERS[name]] == want


REFUSED = {
    "strings": (["cat", "dog"], "label 'cat' is a string: number the classes, e.g. sorted"),
    "late string": ([0, "dog"], "label 'dog' is a string"),
    "vectors": (torch.eye(3), r"labels are vectors of 3 numbers: .* give its number, e.g. labels.argmax\(1\)"),
    "ragged": ([[1], [1, 2]], "labels are vectors of 2 numbers"),
    "fractions": ([0, 1.5], "label 1.5 is not a whole number: number the classes 0, 1, 2"),
    "late fraction": (torch.tensor([0.0, 0.25]), "label 0.25 is not a whole number"),
    "nan": ([0.0, float("nan")], "label nan is not a whole number"),
    "none": ([0, None], "label None is no class: number the classes .* give -1 if unknown"),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", REFUSED)
def test_other_labels_are_refused_in_one_line(name: str, kind: Any) -> None:
    targets, message = REFUSED[name]
    with pytest.raises(UsageError, match=message) as caught:
        class_labels(kind(targets))
    assert "\n" not in str(caught.value)


def test_labels_that_are_no_numbers_do_not_keep_images_from_being_read() -> None:
    x, y, _ = make_reader(attributed(["cat", "dog"])).batch(torch.arange(2))
    assert len(x) == 2 and y.tolist() == [-1, -1]


def test_a_dataset_without_labels_has_none() -> None:
    assert class_labels(AvalancheDataset([torch.zeros(2, 3, 4, 4)])).tolist() == [-1, -1]
    assert class_labels(attributed([])).tolist() == []


def test_task_labels() -> None:
    tasks = DataAttribute([3, 3, 4], "targets_task_labels", use_in_getitem=True)
    assert task_labels(AvalancheDataset([Images([0, 1, 2])], data_attributes=[tasks])).tolist() == [3, 3, 4]
    assert task_labels(attributed([0, 1, 2])).tolist() == [0, 0, 0]


@pytest.mark.parametrize("make", [attributed, None])
def test_other_labels_for_the_same_images(make: Any, digits: Any) -> None:
    dataset = make([5, 6, 7]) if make else digits.train_stream[0].dataset.subset([0, 1, 2])
    before = class_labels(dataset).tolist()
    changed = with_labels(dataset, np.array([2, 0, 1]))
    assert class_labels(changed).tolist() == list(changed.targets) == [2, 0, 1]
    assert class_labels(changed.subset([2, 0])).tolist() == [1, 2]
    assert class_labels(dataset).tolist() == before
    (x, y, t), (same, _, tasks) = (make_reader(d).batch(torch.arange(3)) for d in (changed, dataset))
    assert y.tolist() == [2, 0, 1] and torch.equal(x, same) and torch.equal(t, tasks)


def test_labels_are_read_at_once_not_item_by_item(monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = attributed([10**9, 0, 7]).subset([2, 0])

    def one(*_: Any) -> None:
        raise AssertionError("a single item was read")

    for kind in (AvalancheDataset, DataAttribute, Images):
        monkeypatch.setattr(kind, "__getitem__", one)
    assert class_labels(dataset).tolist() == [7, 10**9]


def test_whether_any_image_has_a_label(tmp_path: Path) -> None:
    assert has_label(attributed([-1, 3])) and not has_label(attributed([-1, -1])) and not has_label(attributed([]))
    pack(tmp_path, range(4), [2, 0, 1, 2])
    index = index_shards(tmp_path)
    known, blind = (
        AvalancheDataset([ShardImages(index, 0, 1, size=8, labeled=is_known)]) for is_known in (True, False)
    )
    assert has_label(known) and not has_label(blind)
    assert (class_labels(known).tolist(), class_labels(blind).tolist()) == ([2, 0, 1, 2], [-1] * 4)
