"""The index of a folder of shards: where each image lies in which tar file, so that any can be read by its number.

Shards are tar files as webdataset writes and reads them: consecutive members whose names agree up to the first dot are
one sample, and what follows the dot is the field (`000017.jpg`, `000017.cls`). Tar files have no table of contents, so
the index is made once, by one pass over the headers: `shards.json` lists the shards, `shards.index` has 24 bytes for
each image.
"""

from __future__ import annotations

import json
import re
import tarfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from avalanche_ssl.data.image_files import image_suffixes, walk_files
from avalanche_ssl.errors import UsageError
from avalanche_ssl.files import replacing

LIST, ROWS = "shards.json", "shards.index"
"""Names of the two files of an index, in the folder that it is about."""

CLASS_FILE = "classes.txt"
"""The name of each class on a line, beside the index, if there is such a file."""

VERSION = 1

ROW = np.dtype([("offset", "<i8"), ("bytes", "<i8"), ("label", "<i8")])
"""Where the content of an image begins in its tar file, how long it is, and its label; -1: none."""

_NAME = re.compile(r"((?:.*/)?[^./][^./]*)\.([^/]+)", re.DOTALL)
"""Sample and field of a member: what webdataset's own pattern matches, without hidden files."""


@dataclass(frozen=True, eq=False)
class ShardIndex:
    """The shards below a folder, in the order of their names, and their images in the order in which they lie there.

    Args:
        folder: the folder.
        names: of the shards, relative to it.
        sizes: bytes of each.
        counts: images of each.
        labeled: images with a label of each.
    """

    folder: Path
    names: list[str]
    sizes: list[int]
    counts: NDArray[np.int64]
    labeled: list[int]

    @cached_property
    def starts(self) -> NDArray[np.int64]:
        """The number of the first image of each shard, and of all images."""
        return np.concatenate([[0], np.cumsum(self.counts)]).astype(np.int64)

    def rows(self, first: int, last: int) -> NDArray[Any]:
        """The rows of the images from number `first` to `last`, without this one: an array of `ROW`, mapped.

        Raises:
            UsageError: the file cannot be read any more.
        """
        try:
            return np.memmap(self.folder / ROWS, ROW, "r", first * ROW.itemsize, (last - first,))
        except OSError as error:
            place = self.folder / ROWS
            raise UsageError(f"cannot read '{place}' ({error.strerror}): {_remedy(self.folder)}") from error

    def labels(self, first: int, last: int) -> NDArray[np.int64]:
        """The labels of these images, mapped."""
        labels: NDArray[np.int64] = self.rows(first, last)["label"]
        return labels


def find_index(folder: Path) -> ShardIndex:
    """The index of a folder, compared with the shards that are there.

    Raises:
        UsageError: it is missing or damaged, or a shard is missing or has another size.
    """
    if not folder.is_dir():
        raise UsageError(f"no folder '{folder}': give one that holds shards (.tar) and their index")
    try:
        found = json.loads((folder / LIST).read_text(encoding="utf-8"))
        size = (folder / ROWS).stat().st_size
    except FileNotFoundError as error:
        raise UsageError(f"no index '{error.filename}' of shards: {_remedy(folder)}") from None
    except (OSError, ValueError) as error:
        raise UsageError(f"cannot read '{folder / LIST}' ({error}): {_remedy(folder)}") from error
    try:
        version = found["version"]
        names, sizes, counts, labeled = (list(column) for column in zip(*found["shards"], strict=True))
        index = ShardIndex(folder, names, sizes, np.array(counts, np.int64), labeled)
        damaged = version == VERSION and size != int(index.starts[-1]) * ROW.itemsize
    except (KeyError, TypeError, ValueError) as error:
        raise UsageError(f"'{folder / LIST}' is no index of shards ({error!r}): {_remedy(folder)}") from error
    if version != VERSION:
        raise UsageError(f"'{folder / LIST}' is of version {version}, this is {VERSION}: {_remedy(folder)}")
    if damaged:
        raise UsageError(f"'{folder / ROWS}' does not belong to '{LIST}' beside it: {_remedy(folder)}")
    for name, expected in zip(index.names, index.sizes, strict=True):
        check_size(folder / name, expected)
    return index


def check_size(shard: Path, expected: int) -> None:
    """Refuse a shard that is not the one of the index.

    Raises:
        UsageError: it is missing, or has another size.
    """
    try:
        size = shard.stat().st_size
    except OSError as error:
        raise UsageError(f"no shard '{shard}' ({error.strerror}): get it again, or index again") from None
    if size != expected:
        raise UsageError(
            f"shard '{shard}' has {size:,} bytes, its index says {expected:,}: get it again, or index again"
        )


def index_shards(folder: str | Path, image: str | None = None) -> ShardIndex:
    """Make the index of all shards (.tar) below a folder, with a progress bar.

    Args:
        folder: where they lie; the index is written there.
        image: the field that holds the image, e.g. "jpg"; None: the one whose name is the suffix of an image.

    Raises:
        UsageError: there is no shard, one cannot be read, a sample has no image or several, or a label (`cls`) is no
            whole number.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise UsageError(f"no folder '{folder}': give one that holds shards (.tar)")
    remedy = f"name the field of the image, avalanche-ssl shards --index {folder} --image FIELD"
    paths = [Path(file.path) for file in walk_files(folder) if file.name.lower().endswith(".tar")]
    if not paths:
        raise UsageError(
            f"no shard (.tar) in '{folder}': make some with avalanche-ssl shards --data IMAGES --out FOLDER"
        )
    shards: list[tuple[str, int, int, int]] = []
    with replacing(folder / ROWS) as out:
        for path in tqdm(paths, desc="index shards", unit="shard", disable=None, leave=False):
            rows = np.array(list(_samples(path, image, remedy)), ROW)
            if not len(rows):
                raise UsageError(f"shard '{path}' holds no image: remove it")
            out.write(rows.tobytes())
            labeled = int((rows["label"] >= 0).sum())
            shards.append((path.relative_to(folder).as_posix(), path.stat().st_size, len(rows), labeled))
    with replacing(folder / LIST) as out:
        out.write(json.dumps({"version": VERSION, "shards": shards}).encode())
    return find_index(folder)


def _samples(shard: Path, image: str | None, remedy: str) -> Iterator[tuple[int, int, int]]:
    """Offset, bytes and label of the image of each sample of a tar file."""
    suffixes = {suffix[1:] for suffix in image_suffixes()} if image is None else {image.lower()}
    key, fields = "", dict[str, tarfile.TarInfo]()
    try:
        with tarfile.open(shard, "r:") as tar:
            for member in tar:
                cast(Any, tar).members.clear()  # Python keeps what it has read, for millions of images
                match = _NAME.fullmatch(member.name)
                if not member.isreg() or match is None or member.name.startswith("__"):
                    continue
                if match[1] != key and fields:
                    yield _sample(shard, tar, key, fields, suffixes, remedy)
                    fields = {}
                key = match[1]
                fields[match[2].lower()] = member
            end = max((member.offset_data + member.size for member in fields.values()), default=0)
            if end > shard.stat().st_size:
                raise tarfile.ReadError("unexpected end of data")
            if fields:
                yield _sample(shard, tar, key, fields, suffixes, remedy)
    except (tarfile.TarError, OSError, EOFError) as error:
        raise UsageError(f"cannot read shard '{shard}' ({error}): get it again, or remove it") from error


def _sample(
    shard: Path, tar: tarfile.TarFile, key: str, fields: dict[str, tarfile.TarInfo], suffixes: set[str], remedy: str
) -> tuple[int, int, int]:
    """Offset, bytes and label of a sample's image."""
    found = [name for name in fields if name in suffixes]
    if len(found) != 1:
        what = "no image" if not found else f"{len(found)} images"
        raise UsageError(
            f"sample '{key}' of shard '{shard}' has {what} among its fields ({', '.join(fields)}): {remedy}"
        )
    member = fields[found[0]]
    if member.issparse():
        raise UsageError(f"'{member.name}' of shard '{shard}' is a sparse file: pack it again without --sparse")
    return member.offset_data, member.size, _label(shard, tar, fields["cls"]) if "cls" in fields else -1


def _label(shard: Path, tar: tarfile.TarFile, member: tarfile.TarInfo) -> int:
    """The whole number in a field `cls`."""
    content = tar.extractfile(member)
    text = content.read() if content else b""
    with suppress(ValueError):
        if -1 <= (label := int(text)) <= np.iinfo(np.int64).max:
            return label
    raise UsageError(
        f"label {text[:40].decode(errors='replace')!r} in '{member.name}' of shard '{shard}' is no class: "
        "number the classes 0, 1, 2, ..., and give -1, or no field cls, where it is not known"
    )


def _remedy(folder: Path) -> str:
    return f"make it with avalanche-ssl shards --index {folder}"
