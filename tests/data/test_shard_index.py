"""The index of a folder of shards."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

import numpy as np
import pytest
import webdataset
from helpers.shards import pack, picture, png

from avalanche_ssl.data.shard_index import LIST, ROWS, find_index, index_shards
from avalanche_ssl.errors import UsageError


def tar(path: Path, *members: tuple[str, bytes]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as archive:
        for name, content in members:
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))


def test_the_index_finds_what_webdataset_reads(tmp_path: Path) -> None:
    """Content and label of every image, by number, are those of webdataset's own iteration."""
    pack(tmp_path / "b", range(7), [3, 1, 4, 1, 5, 9, 2])
    pack(tmp_path / "a", range(7, 13))
    index = index_shards(tmp_path)
    assert index.names == ["a/000.tar", "a/001.tar", "b/000.tar", "b/001.tar"]
    assert index.counts.tolist() == [5, 1, 5, 2] and index.starts.tolist() == [0, 5, 6, 11, 13]
    found = []
    for name, first, last in zip(index.names, index.starts, index.starts[1:]):
        content = (tmp_path / name).read_bytes()
        rows = index.rows(int(first), int(last)).tolist()
        found += [(content[offset : offset + size], label) for offset, size, label in rows]
    urls = [str(tmp_path / name) for name in index.names]
    samples = webdataset.WebDataset(urls, shardshuffle=False, empty_check=False)
    assert found == [(sample["png"], int(sample.get("cls", b"-1"))) for sample in samples]
    assert index.labels(4, 9).tolist() == [-1, -1, 3, 1, 4] and index.labeled == [0, 0, 5, 2]
    assert find_index(tmp_path).starts.tolist() == index.starts.tolist()


def test_samples_are_grouped_as_webdataset_groups_them(tmp_path: Path) -> None:
    """By what stands before the first dot; folders belong to it, hidden and meta files do not count."""
    image = png(picture(0))
    tar(
        tmp_path / "x.tar",
        *[("__meta__", b"x"), ("d.e/1.cls", b"7\n"), ("d.e/1.PNG", image), ("d.e/1.seg.png", b"?")],
        *[("d.e/2.json", b"{}"), ("d.e/2.png", image), (".hidden", b"x")],
    )
    index = index_shards(tmp_path)
    assert index.labels(0, 2).tolist() == [7, -1]
    content = (tmp_path / "x.tar").read_bytes()
    assert {content[o : o + n] for o, n, _ in index.rows(0, 2).tolist()} == {image}
    samples = list(webdataset.WebDataset(str(tmp_path / "x.tar"), shardshuffle=False, empty_check=False))
    assert [sample["__key__"] for sample in samples if "png" in sample] == ["d.e/1", "d.e/2"]


def test_long_names_are_read(tmp_path: Path) -> None:
    """Headers of their own come before those of members with long names."""
    image = png(picture(0))
    for form in (tarfile.GNU_FORMAT, tarfile.PAX_FORMAT):
        with tarfile.open(tmp_path / "x.tar", "w", format=form) as archive:
            member = tarfile.TarInfo("n" * 300 + "é.png")
            member.size = len(image)
            archive.addfile(member, io.BytesIO(image))
        ((offset, size, _),) = index_shards(tmp_path).rows(0, 1).tolist()
        assert (tmp_path / "x.tar").read_bytes()[offset : offset + size] == image


def test_a_field_can_be_named(tmp_path: Path) -> None:
    image = png(picture(0))
    tar(tmp_path / "x.tar", ("1.png", image), ("1.jpg", b"other"))
    with pytest.raises(UsageError, match=r"sample '1' of shard '.*x\.tar' has 2 images among its fields \(png, jpg\)"):
        index_shards(tmp_path)
    ((_, size, _),) = index_shards(tmp_path, "png").rows(0, 1).tolist()
    assert size == len(image)
    with pytest.raises(UsageError, match=r"has no image among .* avalanche-ssl shards --index .* --image FIELD"):
        index_shards(tmp_path, "webp")


@pytest.mark.parametrize("label", [b"cat", b"", b"1.5", b"-2", b"9999999999999999999"])
def test_labels_are_class_numbers(label: bytes, tmp_path: Path) -> None:
    tar(tmp_path / "x.tar", ("1.png", png(picture(0))), ("1.cls", label))
    with pytest.raises(UsageError, match=r"label '.*' in '1\.cls' of shard '.*' is no class: number the classes 0, 1"):
        index_shards(tmp_path)


def test_what_cannot_be_indexed_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no folder"):
        index_shards(tmp_path / "x")
    with pytest.raises(UsageError, match=r"no shard .* make some with avalanche-ssl shards --data"):
        index_shards(tmp_path)
    tar(tmp_path / "x.tar", ("readme", b"x"))
    with pytest.raises(UsageError, match="holds no image: remove it"):
        index_shards(tmp_path)
    (tmp_path / "x.tar").write_bytes(b"no tar file" * 100)
    with pytest.raises(UsageError, match=r"cannot read shard '.*x\.tar' \(.*\): get it again, or remove it"):
        index_shards(tmp_path)
    assert not (tmp_path / LIST).exists()


@pytest.mark.parametrize("left", [0.4, 0.97])
def test_a_shard_that_ends_early_is_not_indexed(left: float, tmp_path: Path) -> None:
    members = [(f"{i}.png", np.random.default_rng(i).bytes(3000)) for i in range(4)]
    tar(tmp_path / "x.tar", *members)
    content = (tmp_path / "x.tar").read_bytes()
    used = 4 * (512 + 3072)
    (tmp_path / "x.tar").write_bytes(content[: int(used * left)])
    with pytest.raises(UsageError, match="cannot read shard"):
        index_shards(tmp_path)


def test_missing_or_damaged_parts_are_found_when_the_index_is_opened(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no folder"):
        find_index(tmp_path / "x")
    pack(tmp_path, range(8))
    with pytest.raises(
        UsageError, match=r"no index '.*shards\.json' of shards: make it with avalanche-ssl shards --index"
    ):
        find_index(tmp_path)
    index_shards(tmp_path)
    good = {path: path.read_bytes() for path in tmp_path.iterdir()}

    def refused(path: Path, content: bytes | None, match: str) -> None:
        path.unlink()
        if content is not None:
            path.write_bytes(content)
        with pytest.raises(UsageError, match=match) as error:
            find_index(tmp_path)
        assert "\n" not in str(error.value)
        path.write_bytes(good[path])

    shard, rows, names = tmp_path / "001.tar", tmp_path / ROWS, tmp_path / LIST
    refused(shard, None, r"no shard '.*001\.tar' \(No such file")
    refused(shard, good[shard][:-1], r"shard '.*001\.tar' has [\d,]+ bytes, its index says [\d,]+: get it again")
    refused(rows, None, "no index '.*shards.index'")
    refused(rows, good[rows][:-1], "does not belong to 'shards.json'")
    refused(names, b"{", "cannot read '.*shards.json'")
    refused(names, b"[]", "is no index of shards")
    refused(names, json.dumps({"version": 2, "shards": [["000.tar", 1, 1, 0]]}).encode(), "is of version 2, this is 1")
    assert len(find_index(tmp_path).names) == 2
