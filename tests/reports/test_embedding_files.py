"""Embeddings of any content are read, or are one note; never more memory than those of a run."""

import io
import os
import tracemalloc
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.damage import damage
from helpers.damaged_runs import reported
from helpers.logs import add_embeddings, write_run
from hypothesis import given, settings
from hypothesis import strategies as st

from avalanche_ssl.errors import UsageError
from avalanche_ssl.reports.embedding_files import read_embeddings

FILES = ("images.npz", "000.npy", "002.npy")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return add_embeddings(write_run(tmp_path_factory.mktemp("runs") / "a"))


@pytest.fixture
def put(run: Path) -> Iterator[Callable[[str, bytes], None]]:
    """Replaces a file until the end of the test."""
    before = {path: path.read_bytes() for path in (run / "embeddings").iterdir()}
    yield lambda name, content: (run / "embeddings" / name).write_bytes(content) and None
    for path in set((run / "embeddings").iterdir()) - set(before):
        path.unlink()
    for path, content in before.items():
        path.write_bytes(content)


def npy(shape: tuple[int, ...], descr: str = "<f8", content: bytes = b"", magic: bytes = b"\x01\x00") -> bytes:
    """A .npy file that says it holds an array of this shape."""
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, {"descr": descr, "fortran_order": False, "shape": shape})
    header = file.getvalue()
    return header[:6] + magic + header[8:] + content


def npz(**members: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(f"{name}.npy", content)
    return file.getvalue()


def array(x: Any) -> bytes:
    file = io.BytesIO()
    np.save(file, x)
    return file.getvalue()


LABELS = array(np.arange(24))
IMAGES = array(np.zeros((24, 8, 8, 3), np.uint8))
BAD: dict[str, tuple[str, bytes, str]] = {
    "4 TB": ("002.npy", npy((24, 2**34)), "says it is of shape"),
    "4 TB of rows": ("002.npy", npy((2**39, 5)), "says it is of shape"),
    "negative": ("002.npy", npy((24, -5)), "says it is of shape"),
    "no numbers": ("002.npy", npy((24, 5), "|O"), "type object"),
    "other numbers": ("002.npy", npy((24, 5), "<U9"), "type <U9"),
    "other version": ("002.npy", npy((24, 5), magic=b"\x02\x00"), "another version"),
    "cut off": ("002.npy", npy((24, 5), content=b"x"), "an array is cut off"),
    "empty": ("002.npy", b"", "magic"),
    "nested header": ("002.npy", b"\x93NUMPY\x01\x00" + (9000).to_bytes(2, "little") + b"(" * 9000, ""),
    "not finite": ("002.npy", array(np.full((24, 5), np.nan)), "not finite"),
    "huge": ("002.npy", array(np.full((24, 5), 1e300)), "not finite"),
    "one dimension": ("002.npy", array(np.zeros(24)), "no features of 24 images"),
    "of other images": ("002.npy", array(np.zeros((23, 5))), "no features of 24 images"),
    "no dimension": ("002.npy", array(np.zeros((24, 0))), "no features of 24 images"),
    "name": ("1x.npy", array(np.zeros((24, 5))), "invalid literal"),
    "4 TB of images": ("images.npz", npz(images=npy((2**30, 32, 32, 4), "|u1"), labels=LABELS), "of shape"),
    "bomb": ("images.npz", npz(images=npy((2**30,), "|u1", bytes(2**28)), labels=LABELS), "of shape"),
    "no labels": ("images.npz", npz(images=IMAGES), "labels.npy"),
    "other labels": ("images.npz", npz(images=IMAGES, labels=array(np.arange(5))), "24 images and 5 labels"),
    "text as labels": ("images.npz", npz(images=IMAGES, labels=array(np.array(["<b>"] * 24))), "type <U3"),
    "no images": ("images.npz", npz(images=LABELS.replace(b"i8", b"u8"), labels=LABELS), "holds no images"),
    "four channels": ("images.npz", npz(images=array(np.zeros((24, 8, 8, 4), np.uint8)), labels=LABELS), "no images"),
    "many members": ("images.npz", npz(**{f"m{i}": b"" for i in range(200)}), "no archive of arrays"),
    "binary": ("images.npz", np.random.default_rng(0).bytes(1000), "no archive of arrays"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_wrong_with_embeddings_is_said(run: Path, put: Any, name: str) -> None:
    file, content, reason = BAD[name]
    put(file, content)
    tracemalloc.start()
    try:
        with pytest.raises(UsageError, match="its embeddings cannot be read") as error:
            read_embeddings(run)
        assert tracemalloc.get_traced_memory()[1] < 2**25
    finally:
        tracemalloc.stop()
    assert reason in str(error.value) and "\n" not in str(error.value) and len(str(error.value)) < 300


def test_embeddings_of_a_few_images_are_not_called_damaged(run: Path, put: Any) -> None:
    images = np.zeros((4, 8, 8, 3), np.uint8)
    put("images.npz", npz(images=array(images), labels=array(np.zeros(4, int))))
    with pytest.raises(UsageError, match=r"^embeddings of 4 test images are left out: a figure takes 10 or more$"):
        read_embeddings(run)


def test_too_many_snapshots(run: Path, put: Any) -> None:
    for i in range(4, 600):
        put(f"{i:03d}.npy", b"")
    with pytest.raises(UsageError, match="there are 501 snapshots"):
        read_embeddings(run)


def test_what_is_no_file(run: Path, tmp_path: Path) -> None:
    folder = add_embeddings(write_run(tmp_path / "b")) / "embeddings"
    (folder / "001.npy").unlink()
    os.mkfifo(folder / "001.npy")
    with pytest.raises(UsageError, match="is no file"):
        read_embeddings(tmp_path / "b")
    assert read_embeddings(write_run(tmp_path / "c")) is None
    (tmp_path / "c" / "embeddings").write_text("a file")
    assert read_embeddings(tmp_path / "c") is None


@settings(max_examples=200)
@given(change=damage(), name=st.sampled_from(FILES))
def test_damaged_files(run: Path, put: Any, change: Callable[[bytes], bytes], name: str) -> None:
    path = run / "embeddings" / name
    whole = path.read_bytes()
    path.write_bytes(change(whole))
    try:
        kept = read_embeddings(run)
        assert kept and all(np.isfinite(x).all() and len(x) == len(kept.images) for x in kept.features.values())
    except UsageError as error:
        assert "\n" not in str(error)
    finally:
        path.write_bytes(whole)


@pytest.mark.slow
def test_damaged_embeddings_are_one_note_of_a_report(tmp_path: Path) -> None:
    bad, good = (add_embeddings(write_run(tmp_path / name, strategy=name)) for name in ("bad", "good"))
    (bad / "embeddings" / "002.npy").write_bytes(npy((24, 2**34)))
    status, said, text = reported([bad, good], tmp_path / "r.html")
    (note,) = [line for line in said.splitlines() if line.startswith("note: ")]
    assert status == 0 and f"{bad}: its embeddings cannot be read (an array says" in note
    assert "good, seed 0" in text and text.count("Nearest neighbors") == 1


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["constant", "two values", "large", "of one class"])
def test_strange_features_are_drawn(tmp_path: Path, kind: str) -> None:
    run = add_embeddings(write_run(tmp_path / "a"))
    x = {
        "constant": np.ones((24, 5)),
        "two values": np.ones((24, 2)) * (np.arange(24) % 2)[:, None],
        "large": np.random.default_rng(0).choice([-65504.0, 65504.0], (24, 5)),
        "of one class": np.zeros((24, 300)),
    }[kind]
    for path in (run / "embeddings").glob("0*.npy"):
        np.save(path, x.astype(np.float16))
    if kind == "of one class":
        np.savez(run / "embeddings" / "images.npz", images=np.zeros((24, 1, 1, 1), np.uint8), labels=np.zeros(24, int))
    status, said, text = reported([run], tmp_path / "r.html")
    assert status == 0 and "note:" not in said and text.count('class="frame"') == 4
