"""Image files that somebody's dataset reads: 16 bits are not clipped, and what cannot be read is named by its path."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from avalanche.benchmarks.utils import as_classification_dataset
from avalanche.benchmarks.utils.datasets_from_filelists import PathsDataset
from PIL import Image
from torchvision import transforms as T
from torchvision.datasets import ImageFolder

from avalanche_ssl.data import RawDataLoader
from avalanche_ssl.data.file_datasets import item_name, load_rgb, with_raw_loaders
from avalanche_ssl.data.pixels import note_transparent
from avalanche_ssl.errors import UsageError

RAMP = np.arange(256, dtype=np.uint16).reshape(16, 16) * 257


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """Two gray ramps of 16 bits and one of 8, in two classes."""
    for name, pixels in (("a/0.png", RAMP), ("a/1.png", RAMP), ("b/2.png", (RAMP // 257).astype(np.uint8))):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.fromarray(pixels).save(tmp_path / name)
    return tmp_path


def paths_dataset(root: Path) -> Any:
    return PathsDataset(root, [("a/0.png", 0), ("a/1.png", 0), ("b/2.png", 1)])


@pytest.mark.parametrize("make", [ImageFolder, paths_dataset])
def test_library_loaders_do_not_clip_16_bits(images: Path, make: Any) -> None:
    dataset = make(images)
    ((x, y, _),) = RawDataLoader([as_classification_dataset(dataset)], [3], shuffle=False)
    expected = torch.arange(256, dtype=torch.uint8).view(1, 1, 16, 16).expand(3, 3, -1, -1)
    assert torch.equal(x, expected)
    assert y.tolist() == [0, 0, 1]
    assert dataset.loader is not load_rgb, "somebody's dataset is left alone"


class Wrapped:
    """A dataset of one's own around another."""

    def __init__(self, dataset: Any) -> None:
        self.dataset, self.targets = dataset, dataset.targets

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> Any:
        return self.dataset[index]


@pytest.mark.parametrize("use_dataset_transforms", [False, True])
@pytest.mark.parametrize("make", [ImageFolder, paths_dataset])
@pytest.mark.parametrize("around", ["nothing", "a subset", "a wrapper"])
def test_transforms_of_the_dataset_see_16_bits(
    images: Path, make: Any, around: str, use_dataset_transforms: bool
) -> None:
    files = make(images)
    files.transform = T.ToTensor()
    dataset = Wrapped(files) if around == "a wrapper" else files
    dataset = as_classification_dataset(dataset)
    dataset = dataset.subset([2, 1, 0]) if around == "a subset" else dataset
    loader = RawDataLoader([dataset], [3], shuffle=False, use_dataset_transforms=use_dataset_transforms)
    ((x, *_),) = loader
    pixels = x if x.dtype == torch.uint8 else (255 * x).round().to(torch.uint8)
    assert torch.equal(pixels, torch.arange(256, dtype=torch.uint8).view(1, 1, 16, 16).expand(3, 3, -1, -1))
    assert files.loader is not load_rgb, "somebody's dataset is left alone"


def test_a_loader_of_ones_own_is_kept(images: Path) -> None:
    dataset = ImageFolder(images, loader=lambda path: Image.new("RGB", (4, 4)))
    assert with_raw_loaders(dataset) is dataset


@pytest.mark.parametrize("make", [ImageFolder, paths_dataset])
@pytest.mark.parametrize("use_dataset_transforms", [False, True])
@pytest.mark.parametrize("content", [b"no image", None], ids=["no image", "truncated"])
def test_a_damaged_image_is_named_by_its_path(
    images: Path, make: Any, use_dataset_transforms: bool, content: bytes | None
) -> None:
    path = images / "a" / "1.png"
    path.write_bytes(content or path.read_bytes()[:60])
    dataset = as_classification_dataset(make(images)).subset([1, 2])
    loader = RawDataLoader([dataset], [2], shuffle=False, use_dataset_transforms=use_dataset_transforms)
    with pytest.raises(UsageError, match=r"cannot read image '\S*a/1\.png' \([^']+\): repair or remove it") as error:
        list(loader)
    assert "\n" not in str(error.value) and str(error.value).count("1.png") == 1


def test_an_image_of_unknown_range_is_named_by_its_path(images: Path) -> None:
    Image.fromarray(RAMP.astype(np.float32)).save(images / "a" / "1.tiff")
    loader = RawDataLoader([ImageFolder(images)], [4], shuffle=False)
    with pytest.raises(UsageError, match=r"image '\S*a/1\.tiff' holds float32 values from 0 to 65535, .*to_uint8\("):
        list(loader)


def test_a_normalized_image_is_named(images: Path) -> None:
    normalized = ImageFolder(images, T.Compose([T.ToTensor(), T.Normalize([0.5] * 3, [0.25] * 3)]))
    loader = RawDataLoader([normalized], [2], shuffle=False, use_dataset_transforms=True)
    with pytest.raises(UsageError, match=r"image '\S*a/0\.png' holds float values from -2 to .*: remove Normalize"):
        list(loader)
    loader = RawDataLoader([normalized], [2], shuffle=False, use_dataset_transforms=True, raw=False)
    assert next(iter(loader))[0].min() == -2


def test_transparency_in_files_is_said_once(images: Path) -> None:
    for name in ("a/0.png", "a/1.png"):
        Image.new("RGBA", (16, 16), (0, 0, 0, 0)).save(images / name)
    with pytest.warns(UserWarning, match="image files of the dataset have transparent pixels") as said:
        ((x, *_),) = RawDataLoader([ImageFolder(images)], [3], shuffle=False)
    assert len(said) == 1
    assert (x[:2] == 255).all()


@pytest.mark.slow
def test_what_workers_warn_of_is_said_once(images: Path) -> None:
    for i in range(8):
        Image.new("RGBA", (16, 16), (0, 0, 0, 0)).save(images / "a" / f"{i}.png")
    note_transparent.cache_clear()  # processes are forked: as if no image had been read
    loader = RawDataLoader([ImageFolder(images)], [2], shuffle=False, num_workers=2)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("default")
        list(loader)
    loader.shut_down_workers()
    assert [str(w.message) for w in said if issubclass(w.category, UserWarning)] == [
        "image files of the dataset have transparent pixels: they are laid on white"
    ]


def test_an_item_without_a_path_is_named_by_its_number() -> None:
    assert item_name(torch.utils.data.TensorDataset(torch.zeros(3)), 2) == "image 2 of TensorDataset"
