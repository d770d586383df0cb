"""The contract of every entrance of images: the same picture, however it comes in, has the same pixels.

Entrances are files of several formats, read by a stream of the package, into a cache, or by somebody's dataset, arrays
in memory and on disk, and the items of datasets. A picture of 16 bits that holds 257 times the values of one of 8 bits
is the same picture.
"""

from __future__ import annotations

import re
import struct
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from avalanche.benchmarks import nc_benchmark
from avalanche.benchmarks.utils.data_loader import TaskBalancedDataLoader
from avalanche.core import SupervisedPlugin
from avalanche.training.plugins import AGEMPlugin, EWCPlugin, ReplayPlugin
from helpers.datasets import PictureDataset
from helpers.methods import make
from PIL import Image
from torch.utils.data import TensorDataset
from torchvision import transforms as T
from torchvision.datasets import ImageFolder

from avalanche_ssl import SelfSupervised
from avalanche_ssl.data import ArrayDataset, MappedDataset, RawDataLoader, cached_images, find_image_files
from avalanche_ssl.errors import UsageError
from avalanche_ssl.methods import SimCLR
from avalanche_ssl.recipes.settings import parse_settings
from avalanche_ssl.runs import RunConfig
from avalanche_ssl.runs.build import build_benchmark, resolve_benchmark_options
from avalanche_ssl.streams import folder
from avalanche_ssl.transforms import to_float

Pixels = np.ndarray
SIDE = 16
COLOR = np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 3), np.uint8)
RAMP = np.arange(SIDE * SIDE, dtype=np.uint8).reshape(SIDE, SIDE)
PICTURES = {"color": COLOR, "gray": RAMP}


def save_png16(path: Path, picture: Pixels) -> None:
    """A PNG of 16 bits a channel; Pillow writes none in color."""
    rows = b"".join(b"\0" + row.tobytes() for row in (picture.astype(">u2") * 257))
    header = struct.pack(">IIBBBBB", SIDE, SIDE, 16, 2 if picture.ndim == 3 else 0, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    content = (struct.pack(">I", len(c)) + name + c + struct.pack(">I", zlib.crc32(name + c)) for name, c in chunks)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(content))


def save(path: Path, picture: Pixels) -> None:
    Image.fromarray(picture).save(path)


def save_tiff16(path: Path, picture: Pixels) -> None:
    Image.fromarray(picture.astype(np.uint16) * 257).save(path)


FORMATS: dict[str, tuple[str, Callable[[Path, Pixels], None]]] = {
    "PNG": ("png", save),
    "PNG of 16 bits": ("png", save_png16),
    "TIFF": ("tiff", save),
    "TIFF of 16 bits": ("tiff", save_tiff16),
    "lossless WebP": ("webp", lambda path, picture: Image.fromarray(picture).save(path, lossless=True)),
    "PGM of 16 bits": ("pgm", lambda path, picture: Image.fromarray(picture.astype(np.uint16) * 257).save(path)),
}
ONLY_GRAY = {"TIFF of 16 bits", "PGM of 16 bits"}
"""Formats that Pillow writes in gray only."""


class Items:
    """A dataset of one item, of any type."""

    def __init__(self, item: Any) -> None:
        self.item = item

    def __len__(self) -> int:
        return 1

    def __getitem__(self, index: int) -> tuple[Any, int]:
        return self.item, 0


def read_as_stream(file: Path) -> Any:
    return folder(file.parents[2], experiences=1, size=SIDE).train_stream[0].dataset


def read_as_cache(file: Path) -> Any:
    images = find_image_files(file.parents[1], re.compile(r"(\w+/\w+\.\w+)$"), str)
    return MappedDataset(cached_images(images, "cache", SIDE, [file.parents[3]]).path, [0] * 2)


def read_as_zip(file: Path) -> Any:
    path = file.parents[3] / "images.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.write(file, f"x/{file.name}")
    images = find_image_files(path, re.compile(r"(\w+/\w+\.\w+)$"), str)
    return MappedDataset(cached_images(images, "zip", SIDE, [file.parents[3]]).path, [0])


READERS: dict[str, Callable[[Path], Any]] = {
    "stream": read_as_stream,
    "cache": read_as_cache,
    "zip": read_as_zip,
    "ImageFolder": lambda file: ImageFolder(file.parents[1]),
    "PIL item": lambda file: Items(Image.open(file)),
}

TYPES: dict[str, Callable[[Pixels], Pixels]] = {
    "uint8": lambda picture: picture,
    "uint16": lambda picture: picture.astype(np.uint16) * 257,
    "big-endian uint16": lambda picture: picture.astype(">u2") * 257,
    "float32": lambda picture: picture.astype(np.float32) / 255,
    "float64": lambda picture: picture / 255,
}


def as_tensor(array: Pixels) -> torch.Tensor:
    return torch.from_numpy(
        np.ascontiguousarray(np.atleast_3d(array).transpose(2, 0, 1), array.dtype.newbyteorder("="))
    )


def as_memory_map(array: Pixels, folder: Path) -> Any:
    np.save(folder / "images.npy", np.atleast_3d(array)[None])
    return MappedDataset(folder / "images.npy", [0])


CONTAINERS: dict[str, Callable[[Pixels, Path], Any]] = {
    "array item": lambda array, _: Items(array),
    "tensor item": lambda array, _: Items(as_tensor(array)),
    "array in memory": lambda array, _: ArrayDataset(np.atleast_3d(array)[None], [0]),
    "memory map": as_memory_map,
    "TensorDataset": lambda array, _: TensorDataset(as_tensor(array)[None]),
}


def check(dataset: Any, picture: Pixels) -> None:
    """Every image of the dataset is the picture, exactly."""
    ((x, *_),) = RawDataLoader([dataset], [len(dataset)], shuffle=False, drop_last=False)
    expected = torch.from_numpy(np.atleast_3d(picture).transpose(2, 0, 1).copy())
    assert x.dtype in (torch.uint8, torch.float32)
    assert torch.equal(to_float(x), to_float(expected).expand_as(x))


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize(
    ("kind", "picture"), [(k, p) for k in FORMATS for p in PICTURES if p == "gray" or k not in ONLY_GRAY]
)
def test_files_of_a_picture_have_its_pixels(kind: str, reader: str, picture: str, tmp_path: Path) -> None:
    suffix, write = FORMATS[kind]
    for side in ("train", "test"):
        file = tmp_path / "data" / side / "x" / f"image.{suffix}"
        file.parent.mkdir(parents=True)
        write(file, PICTURES[picture])
    if reader == "cache":
        (tmp_path / "data" / "train" / "y").mkdir()
        write(tmp_path / "data" / "train" / "y" / f"image.{suffix}", PICTURES[picture])
    check(READERS[reader](tmp_path / "data" / "train" / "x" / f"image.{suffix}"), PICTURES[picture])


@pytest.mark.parametrize("picture", PICTURES)
@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.parametrize("kind", TYPES)
def test_arrays_of_a_picture_have_its_pixels(kind: str, container: str, picture: str, tmp_path: Path) -> None:
    check(CONTAINERS[container](TYPES[kind](PICTURES[picture]), tmp_path), PICTURES[picture])


def test_pictures_without_a_file() -> None:
    check(Items(Image.fromarray(COLOR)), COLOR)
    check(Items(Image.fromarray(RAMP)), RAMP)
    check(Items(Image.fromarray(RAMP.astype(np.uint16) * 257)), RAMP)


def test_workers_read_the_same_pixels() -> None:
    dataset = Items(Image.fromarray(RAMP.astype(np.uint16) * 257))
    ((x, *_),) = RawDataLoader([dataset], [1], shuffle=False, drop_last=False, num_workers=1)
    assert torch.equal(x[0, 0], torch.from_numpy(RAMP))


def test_a_range_is_not_guessed_at_any_entrance(tmp_path: Path) -> None:
    """12 bits in a type of 32: not even the largest value tells."""
    wide = RAMP.astype(np.int32) * 16
    for entrance in CONTAINERS:
        with pytest.raises(
            ValueError, match=r"holds int32 values from 0 to 4080, whose range is not known: .*to_uint8\("
        ):
            check(CONTAINERS[entrance](wide, tmp_path), RAMP)
    for side in ("train", "test"):
        file = tmp_path / "data" / side / "x" / "image.tiff"
        file.parent.mkdir(parents=True)
        Image.fromarray(wide).save(file)
    for reader in READERS:
        with pytest.raises(
            ValueError, match=r"image '?.* holds int32 values from 0 to 4080, whose range is not known: "
        ):
            check(READERS[reader](tmp_path / "data" / "train" / "x" / "image.tiff"), RAMP)
    stream = folder(tmp_path / "data", experiences=1, size=SIDE, value_range=(0, 4080)).train_stream
    check(stream[0].dataset, RAMP)


NORMALIZE = T.Compose([T.ToTensor(), T.Normalize([0.5] * 3, [0.25] * 3)])


class OwnLoader(SupervisedPlugin):
    """Replaces the loader of the strategy by one that collates the dataset's items."""

    def before_training_epoch(self, strategy: Any, *args: Any, **kwargs: Any) -> None:
        strategy.dataloader = TaskBalancedDataLoader(strategy.adapted_dataset, batch_size=8)


@pytest.mark.parametrize(
    ("plugins", "use_dataset_transforms"),
    [
        ([], True),
        ([OwnLoader()], False),
        ([ReplayPlugin(mem_size=8)], True),
        ([EWCPlugin(ewc_lambda=1.0)], True),
        ([AGEMPlugin(patterns_per_experience=8, sample_size=8)], True),
    ],
    ids=["transforms", "loader of one's own", "replay", "EWC", "AGEM"],
)
def test_normalized_images_are_refused_before_the_first_step(plugins: list[Any], use_dataset_transforms: bool) -> None:
    benchmark = nc_benchmark(
        PictureDataset(40),
        PictureDataset(40),
        5,
        task_labels=False,
        train_transform=NORMALIZE,
        eval_transform=NORMALIZE,
    )
    method = make(SimCLR)
    before = {name: value.clone() for name, value in method.state_dict().items()}
    with pytest.raises(UsageError, match=r"holds float values from -\S+ to \S+, .*: remove Normalize from the transf"):
        SelfSupervised(
            model=method,
            optimizer=torch.optim.SGD(method.parameters(), lr=0.1),
            train_mb_size=8,
            plugins=plugins,
            use_dataset_transforms=use_dataset_transforms,
        ).train(benchmark.train_stream[0])
    assert all(torch.equal(value, before[name]) for name, value in method.state_dict().items())


def test_a_value_range_of_the_command_line_reaches_the_pixels(tmp_path: Path) -> None:
    for side in ("train", "test"):
        (tmp_path / side / "x").mkdir(parents=True)
        Image.fromarray(np.array([[0, 2048], [4095, 0]], np.int32)).save(tmp_path / side / "x" / "image.tiff")
    given = parse_settings(["value_range=0,4095", "size=2", "experiences=1"])
    config = RunConfig(strategy="simclr", benchmark="folder", data=str(tmp_path), benchmark_options=given)
    config = replace(config, benchmark_options=resolve_benchmark_options(config))
    image, *_ = build_benchmark(config).train_stream[0].dataset[0]
    assert image[0].tolist() == [[0, 128], [255, 0]]
