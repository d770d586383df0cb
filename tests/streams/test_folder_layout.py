"""Folders as people have them: what is taken for a class, for training and for testing."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from avalanche_ssl.errors import UsageError
from avalanche_ssl.streams.folder_layout import FoundFiles, LabeledFiles, find_files


def touch(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


def images(root: Path, files: LabeledFiles | None) -> dict[str, int]:
    """Labels by path, in order."""
    assert files is not None
    return dict(zip((str(path.relative_to(root)) for path in files.paths), files.targets, strict=True))


def find(root: Path, *names: str, labels: str = "auto") -> FoundFiles:
    return find_files(touch(root, *names), labels)


def test_classes_in_train_and_in_test(tmp_path: Path) -> None:
    found = find(tmp_path, "train/b/x/1.png", "train/a/2.gif", "test/a/3.avif", "test/b/4.jfif")
    assert found.train.classes == ["a", "b"]
    assert images(tmp_path, found.train) == {"train/a/2.gif": 0, "train/b/x/1.png": 1}
    assert images(tmp_path, found.test) == {"test/a/3.avif": 0, "test/b/4.jfif": 1}


def test_val_is_read_where_there_is_no_test(tmp_path: Path) -> None:
    found = find(tmp_path, "train/a/1.png", "val/a/2.png")
    assert images(tmp_path, found.test) == {"val/a/2.png": 0}
    with pytest.raises(UsageError, match=r"class 'b' is in '.*val' only"):
        find(tmp_path, "val/b/3.png")


def test_other_folders_are_named(tmp_path: Path) -> None:
    touch(tmp_path, "train/a/1.png", "test/a/2.png", "val/a/3.png", "masks/a/1.png", ".git/x")
    with pytest.warns(UserWarning, match=r"^not read in '.*', beside 'train': masks, val$"):
        found = find_files(tmp_path, "auto")
    assert len(found.train.paths) == 1


def test_classes_without_train_and_test(tmp_path: Path) -> None:
    found = find(tmp_path, "b/1.png", "a/x/2.png", "a/y/3.png")
    assert found.test is None
    assert found.train.classes == ["a", "b"]
    assert images(tmp_path, found.train) == {"a/x/2.png": 0, "a/y/3.png": 0, "b/1.png": 1}
    assert found.summary == f"found 2 classes in '{tmp_path}' (a, b)"


def test_classes_in_train_without_test(tmp_path: Path) -> None:
    found = find(tmp_path, "train/a/1.png", "train/b/2.png")
    assert (found.test, found.train.targets) == (None, [0, 1])


def test_many_classes_are_counted(tmp_path: Path) -> None:
    found = find(tmp_path, *(f"{letter}/1.png" for letter in "abcdefg"))
    assert found.summary == f"found 7 classes in '{tmp_path}' (a, b, c, d, e and 2 more)"


@pytest.mark.parametrize(
    ("names", "labels"),
    [
        (["b.png", "a.png"], "auto"),
        (["photos/x/a.png", "photos/b.png"], "auto"),  # one folder is no set of classes
        (["2021/a.png", "2022/b.png", "c.png"], "none"),
        (["train/2021/a.png", "train/2022/b.png"], "none"),
    ],
)
def test_images_without_labels(names: list[str], labels: str, tmp_path: Path) -> None:
    found = find(tmp_path, *names, labels=labels)
    assert found.test is None
    assert images(tmp_path, found.train) == dict.fromkeys(sorted(names), -1)
    assert found.train.classes == []
    assert found.summary == f"found {len(names)} images without labels in '{tmp_path}'"


def test_images_without_labels_for_testing(tmp_path: Path) -> None:
    found = find(tmp_path, "train/1.png", "test/a/2.png", "test/b/3.png", labels="none")
    assert images(tmp_path, found.test) == {"test/a/2.png": -1, "test/b/3.png": -1}
    assert found.summary == f"found 1 image without labels in '{tmp_path}' and 2 for testing"


def test_no_link_leads_back_into_other_classes(tmp_path: Path) -> None:
    touch(tmp_path, "root/a/1.png", "root/b/2.png", "far/3.png")
    (tmp_path / "root/a/all").symlink_to(tmp_path / "root")
    (tmp_path / "root/c").symlink_to(tmp_path / "far")
    found = find_files(tmp_path / "root", "auto")
    assert images(tmp_path / "root", found.train) == {"a/1.png": 0, "b/2.png": 1, "c/3.png": 2}


def test_a_list_with_labels(tmp_path: Path) -> None:
    path = tmp_path / "list.txt"
    path.write_text("x/1.png 10\nx/2.png 9\n")
    found = find_files(path, "auto")
    assert found.train.classes == ["9", "10"], "by their value"
    assert images(tmp_path, found.train) == {"x/1.png": 1, "x/2.png": 0}
    assert find_files(path, "none").train.targets == [-1, -1]
    path.write_text("x/1.png 10\nx/2.png 9\nx/3.png None")
    assert find_files(path, "auto").train.classes == ["10", "9", "None"]


def test_several_sources(tmp_path: Path) -> None:
    touch(tmp_path, "A/cat/1.png", "A/dog/2.png", "B/dog/3.png", "B/eel/4.png")
    (tmp_path / "list.txt").write_text("5.png\teel\n")
    data = os.pathsep.join(str(tmp_path / name) for name in ("A", "B", "list.txt"))
    found = find_files(data, "auto")
    assert found.train.classes == ["cat", "dog", "eel"]
    assert images(tmp_path, found.train) == {
        "A/cat/1.png": 0, "A/dog/2.png": 1, "B/dog/3.png": 1, "B/eel/4.png": 2, "5.png": 2,
    }  # fmt: skip
    assert found.summary == f"found 3 classes in '{data}' (cat, dog, eel)"


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["A/train/a/1.png", "A/test/a/2.png", "B/a/3.png", "B/b/4.png"], r"'.*A' has test images and '.*B' has none"),
        (["A/1.png", "B/a/3.png", "B/b/4.png"], r"'.*B' has classes and '.*A' has none: give labels=none"),
        (["A/1.png"], r"no folder '.*B': give one that holds"),
    ],
)
def test_sources_that_do_not_fit(names: list[str], message: str, tmp_path: Path) -> None:
    touch(tmp_path, *names)
    with pytest.raises(UsageError, match=message):
        find_files(f"{tmp_path / 'A'}{os.pathsep}{tmp_path / 'B'}", "auto")


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (
            ["a/1.png", "b/2.png", "c/3.heic"],
            r"no image in '.*c' but files of other kinds \(\.heic\): add .* or remove",
        ),
        (["a/1.png", "b/2.png", "3.png"], r"3\.png' lies next to class folders: move it .* or give labels=none"),
        (["x.txt", "noext"], r"no image in '.*' but files of other kinds \(\.txt, no suffix\): add some"),
        (["test/a/1.png"], r"no folder '.*train': make it"),
        (["train/a/1.png", "test/2.png"], r"test' has no class folders but '.*train' has: sort it into classes"),
    ],
)
def test_mistakes_are_one_line(names: list[str], message: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=message) as error:
        find(tmp_path, *names)
    assert "\n" not in str(error.value)


def test_a_source_that_is_given_twice(tmp_path: Path) -> None:
    root = touch(tmp_path, "cat/0.png", "dog/1.png")
    (tmp_path / "link").symlink_to(root)
    with pytest.raises(UsageError, match=r"^'\S*/link' is given twice, and its images would be, too: leave one out$"):
        find_files(f"{root}{os.pathsep}{tmp_path / 'link'}", "auto")


def test_skipped_files_are_counted_once(tmp_path: Path) -> None:
    touch(tmp_path, "train/a/1.png", "train/a/x.mp4", "train/notes.txt", "test/a/2.png", "test/a/y.mp4")
    with pytest.warns(UserWarning) as caught:
        find_files(tmp_path, "auto")
    assert [str(w.message) for w in caught] == [f"skipped 3 files in '{tmp_path}': .mp4 2, .txt 1"]


def test_an_unknown_way_to_find_labels(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="did you mean 'none'"):
        find_files(tmp_path, "non")
