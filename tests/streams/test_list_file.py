"""A list of images is read line by line; what is no line of a list is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from avalanche_ssl.errors import UsageError
from avalanche_ssl.streams.list_file import read_list


def entries(folder: Path, text: str | bytes) -> list[tuple[str, str | None]]:
    path = folder / "list.txt"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return [(str(image.relative_to(folder)), label) for image, label in read_list(path)]


def test_paths_without_labels(tmp_path: Path) -> None:
    text = "b/1.png\r\n\n  a/my photo.JPG \nplain\n"
    assert entries(tmp_path, "\ufeff" + text) == [
        ("b/1.png", None), ("a/my photo.JPG", None), ("plain", None),
    ]  # fmt: skip
    path = tmp_path / "absolute.txt"
    path.write_text("/data/1.png\n../2.png")
    assert [str(image) for image, _ in read_list(path)] == ["/data/1.png", f"{tmp_path}/../2.png"]


def test_a_label_follows_after_a_tab_or_the_last_space(tmp_path: Path) -> None:
    text = "my photo.png\tblack cat\nmy photo.jpg 3\nplain dog\ntab.png \t x.png"
    assert entries(tmp_path, text) == [
        ("my photo.png", "black cat"), ("my photo.jpg", "3"), ("plain", "dog"), ("tab.png", "x.png"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            b"\x89PNG\r\n\x1a\n\xff",
            r"cannot read '.*list\.txt' \(no text in UTF-8\): give a folder of images \(unpack an archive\), or a",
        ),
        (b"\n \n", r"no image in '.*list\.txt': give a folder"),
        (b"a.png 1\nb.png\n", r"list\.txt', line 2: no label, and the first line has one: give all lines one, or none"),
        (b"a.png\n\nb.png 1\n", r"line 3: label '1', and the first line has none"),
        (b"a.png 1\nb.png 1\na.png 2", r"line 3: 'a\.png' is in line 1 already: remove one of them"),
    ],
)
def test_what_is_no_list_is_one_line(text: bytes, message: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=message) as error:
        entries(tmp_path, text)
    assert "\n" not in str(error.value)
