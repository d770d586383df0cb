"""Images in shards, read by number."""

from __future__ import annotations

import io
import pickle
import tarfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import webdataset
from avalanche.benchmarks.utils import AvalancheDataset
from helpers.shards import pack, picture, png
from PIL import Image

from avalanche_ssl.data import DataError, RawDataLoader, concat_datasets, index_shards, make_reader, shard_images
from avalanche_ssl.data.epoch_plan import plan_epoch
from avalanche_ssl.data.image_decoding import decode_image
from avalanche_ssl.data.readers import ItemReader
from avalanche_ssl.data.shard_images import OPEN, ShardImages, ShardReader
from avalanche_ssl.errors import UsageError

LABELS = [i % 3 for i in range(23)]


@pytest.fixture
def images(tmp_path: Path) -> ShardImages:
    """Twenty-three images in five shards, of which the first is left out."""
    pack(tmp_path, range(23), LABELS)
    return ShardImages(index_shards(tmp_path), 1, 5, size=8, labeled=True)


def numbers(x: torch.Tensor) -> list[int]:
    """Which images these are."""
    known = {picture(i).tobytes(): i for i in range(23)}
    return [known[image.permute(1, 2, 0).numpy().tobytes()] for image in x]


def test_images_and_labels_are_read_by_number(images: ShardImages) -> None:
    positions = [17, 0, 5, 5, 4]
    x, y = images.read(np.array(positions))
    assert x.shape == (5, 3, 8, 8) and x.dtype == torch.uint8 and x.is_contiguous()
    assert numbers(x) == [5 + i for i in positions]
    assert y.tolist() == [LABELS[5 + i] for i in positions]
    assert len(images) == 18 and images.targets.tolist() == LABELS[5:]
    item, label = images[3]
    assert numbers(item[None]) == [8] and label == LABELS[8]


def test_labels_are_read_where_they_are_wanted(images: ShardImages) -> None:
    blind = ShardImages(images.index, 1, 5, size=8)
    assert blind.read(np.arange(4))[1].tolist() == [-1] * 4 and not len(blind.targets)
    assert ShardReader(blind).y is None and ShardReader(images).y.tolist() == LABELS[5:]


def test_pixels_are_those_of_files(tmp_path: Path) -> None:
    """Images of all sizes and kinds, large enough to be decoded by several threads."""
    files, rng = [], np.random.default_rng(0)
    for i, (mode, form) in enumerate([("RGB", "jpeg"), ("L", "png"), ("CMYK", "jpeg"), ("RGB", "webp")] * 3):
        picture = Image.fromarray(rng.integers(0, 256, (90 + 7 * i, 120, 3), np.uint8)).convert(mode)
        file = io.BytesIO()
        picture.save(file, form)
        files.append((form, file.getvalue()))
    with webdataset.ShardWriter(str(tmp_path / "%d.tar"), maxcount=5, verbose=0) as writer:
        for i, (form, content) in enumerate(files):
            writer.write({"__key__": f"{i:03d}", form: content})
    images = ShardImages(index_shards(tmp_path), 0, 3, size=40)
    expected = [decode_image(io.BytesIO(content), 40) for _, content in files]
    x, _ = images.read(np.arange(12))
    assert np.array_equal(x.permute(0, 2, 3, 1).numpy(), np.stack(expected))


def test_a_whole_dataset_is_read_without_a_list_and_a_part_with_one(images: ShardImages) -> None:
    dataset = AvalancheDataset([images])
    assert isinstance(make_reader(dataset), ShardReader) and shard_images(dataset) is images
    part = dataset.subset([9, 2])
    assert shard_images(part) is None and isinstance(make_reader(part), ItemReader)
    x, y, t = make_reader(part).batch(torch.tensor([0, 1]))
    assert numbers(x) == [14, 7] and y.tolist() == [LABELS[14], LABELS[7]] and t.tolist() == [0, 0]


def test_consecutive_parts_are_read_as_one(images: ShardImages) -> None:
    index, options = images.index, {"size": 8, "labeled": True}
    parts = [AvalancheDataset([ShardImages(index, *ends, **options)]) for ends in ((0, 2), (2, 3), (3, 5))]
    joined = shard_images(concat_datasets(parts))
    assert joined is not None and (joined.first, joined.last, joined.options) == (0, 5, images.options)
    x, y, _ = make_reader(concat_datasets(parts)).batch(torch.tensor([22, 0, 12]))
    assert numbers(x) == [22, 0, 12] and y.tolist() == [LABELS[i] for i in (22, 0, 12)]
    for others in (
        [parts[0], parts[2]],
        [parts[1], parts[0]],
        [parts[0], AvalancheDataset([ShardImages(index, 2, 3, size=9)])],
    ):
        assert shard_images(concat_datasets(others)) is None


@pytest.mark.parametrize("workers", [0, pytest.param(2, marks=pytest.mark.slow)])
def test_an_epoch_brings_every_image_once_whoever_reads_it(images: ShardImages, workers: int) -> None:
    generator = torch.Generator().manual_seed(3)
    loader = RawDataLoader([images], [6], shuffle=True, generator=generator, num_workers=workers)
    epochs = [[numbers(x) for x, _, _ in loader] for _ in range(2)]
    orders = [[number for batch in epoch for number in batch] for epoch in epochs]
    assert all(sorted(order) == list(range(5, 23)) for order in orders) and orders[0] != orders[1]
    seed = int(torch.randint(2**62, (), generator=torch.Generator().manual_seed(3)))
    assert orders[0] == [5 + i for i in images.order([seed, 0, 0]).positions(0, 18)]


def test_an_epoch_goes_on_where_it_stood(images: ShardImages) -> None:
    def loader(seed: int) -> RawDataLoader:
        return RawDataLoader([images], [4], shuffle=True, generator=torch.Generator().manual_seed(seed))

    running = loader(1)
    batches = iter(running)
    read = [numbers(next(batches)[0]) for _ in range(2)]
    position = pickle.loads(pickle.dumps(running.position()))
    rest = [numbers(x) for x, _, _ in batches]
    resumed = loader(2)
    resumed.start_at(position)
    assert [numbers(x) for x, _, _ in resumed] == rest and len(read + rest) == 4
    assert [numbers(x) for x, _, _ in resumed] == [numbers(x) for x, _, _ in running], "the next epoch, too"


def test_files_are_closed_when_others_are_needed(tmp_path: Path) -> None:
    pack(tmp_path, range(OPEN + 6), per_shard=1)
    images = ShardImages(index_shards(tmp_path), 0, OPEN + 6, size=8)
    first = images._shard(0).file
    for _ in range(2):
        assert [picture(i).tolist() for i in range(OPEN + 6)] == images.read(np.arange(OPEN + 6))[0].permute(
            0, 2, 3, 1
        ).tolist()
    assert len(images._open) == OPEN and first.closed


def test_another_process_opens_files_of_its_own(images: ShardImages) -> None:
    images.read(np.arange(3))
    copy = pickle.loads(pickle.dumps(images))
    assert not copy._open and numbers(copy.read(np.arange(3))[0]) == [5, 6, 7]
    mine = images._shard(1)
    images._process = -1  # as in a fork, whose files share their position with those of the parent
    assert images._shard(1).file is not mine.file
    assert copy.targets.tolist() == images.targets.tolist()


def damage(images: ShardImages, change: Any) -> None:
    """Change the third shard of the index and keep its size."""
    path = images.index.folder / images.index.names[2]
    content = bytearray(path.read_bytes())
    before = len(content)
    change(content)
    assert len(content) == before
    path.write_bytes(content)


def offset(images: ShardImages, number: int) -> int:
    return int(images.index.rows(number, number + 1)["offset"][0])


def test_a_damaged_image_is_named(images: ShardImages) -> None:
    def zero(content: bytearray) -> None:
        start = offset(images, 12)
        content[start : start + 100] = bytes(100)

    damage(images, zero)
    with pytest.raises(
        DataError, match=r"cannot read image '000012\.png' of shard '.*002\.tar' \(.*\): repair or"
    ) as e:
        images.read(np.array([6, 7]))
    assert "\n" not in str(e.value)
    assert numbers(images.read(np.array([6, 8]))[0]) == [11, 13]


@pytest.mark.parametrize("kind", ["damaged", "other", "shorter", "missing"])
def test_a_shard_that_has_changed_is_found_when_it_is_opened(images: ShardImages, kind: str) -> None:
    path = images.index.folder / images.index.names[2]
    if kind == "damaged":
        start = offset(images, 10)
        damage(images, lambda content: content.__setitem__(slice(start - 512, start), bytes(512)))
    elif kind == "other":
        start = offset(images, 10)
        larger = tarfile.TarInfo("000010.png")
        larger.size = 999
        damage(images, lambda content: content.__setitem__(slice(start - 512, start), larger.tobuf()))
    elif kind == "shorter":
        path.write_bytes(path.read_bytes()[:-1])
    else:
        path.unlink()
    matches = {
        "damaged": "is damaged",
        "other": "is not the one of its index",
        "shorter": "bytes",
        "missing": "no shard",
    }
    with pytest.raises(DataError, match=rf"shard '.*002\.tar'.*{matches[kind]}|{matches[kind]}") as error:
        images.read(np.array([5]))
    assert "index" in str(error.value) and "\n" not in str(error.value)


def write(folder: Path, contents: Sequence[bytes]) -> ShardImages:
    with webdataset.TarWriter(str(folder / "x.tar")) as writer:
        for i, content in enumerate(contents):
            writer.write({"__key__": str(i), "png": content})
    return ShardImages(index_shards(folder), 0, 1, size=8)


def test_a_field_that_is_no_image_is_named(tmp_path: Path) -> None:
    images = write(tmp_path, [b"no image", png(picture(0))])
    with pytest.raises(DataError, match=r"cannot read image '0\.png' of shard '.*x\.tar'"):
        images[0]


def test_values_without_a_known_range_are_refused_unless_it_is_given(tmp_path: Path) -> None:
    file = io.BytesIO()
    Image.fromarray(np.full((8, 8), 2000, np.float32)).save(file, "tiff")
    with webdataset.TarWriter(str(tmp_path / "x.tar")) as writer:
        writer.write({"__key__": "a", "tiff": file.getvalue()})
    index = index_shards(tmp_path)
    with pytest.raises(UsageError, match=r"image 'a\.tiff' of shard '.*x\.tar' .*as in value_range=0,4095"):
        ShardImages(index, 0, 1, size=8)[0]
    image, _ = ShardImages(index, 0, 1, size=8, value_range=(0, 4000))[0]
    assert image.unique().tolist() == [128]


def test_transparent_pixels_become_white_and_it_is_said_once(tmp_path: Path) -> None:
    file = io.BytesIO()
    Image.fromarray(np.zeros((8, 8, 4), np.uint8)).save(file, "png")
    images = write(tmp_path, [file.getvalue()] * 2)
    with pytest.warns(UserWarning, match="images of '.*' have transparent pixels: they are laid on white") as caught:
        x, _ = images.read(np.array([0, 1]))
    assert len(caught) == 1 and x.unique().tolist() == [255]


@pytest.mark.parametrize("count", [2, 3])
def test_processes_have_shares_of_one_order(images: ShardImages, count: int) -> None:
    """Each reads its rows of every batch, from a generator in the same state: joined, the batches of one process."""

    def batches(rows: Any) -> list[list[int]]:
        generator = torch.Generator().manual_seed(5)
        reader = ShardReader(images)
        plan = plan_epoch([reader], [6], 3, shuffle=True, drop_last=True, generator=generator)
        return [numbers(reader.batch(rows(batch.positions[0]))[0]) for batch in plan(0)]

    shares = [batches(lambda positions, rank=rank: positions.tensor_split(count)[rank]) for rank in range(count)]
    joined = [[number for part in parts for number in part] for parts in zip(*shares)]
    assert joined == batches(lambda positions: positions)
    assert sorted(number for batch in joined for number in batch) == list(range(5, 23))
