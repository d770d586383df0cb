"""Whether a folder holds what an entry needs, and what to do if not."""

from pathlib import Path

import pytest

from avalanche_ssl.errors import UsageError
from avalanche_ssl.reproductions import DATA, check_data
from avalanche_ssl.reproductions.data import Requirement

REMEDY = "`make three` downloads and writes it, then give --data three"


@pytest.fixture
def three(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setitem(DATA, "three", Requirement("some images", folder=(2, 1, 3), remedy="make"))
    for part, count in (("train", 2), ("test", 1)):
        for label in range(3):
            (tmp_path / part / str(label)).mkdir(parents=True)
            for i in range(count):
                (tmp_path / part / str(label) / f"{i}.png").touch()
    return tmp_path


def test_the_right_folder(three: Path) -> None:
    check_data("three", str(three))


def test_no_folder_and_others(three: Path) -> None:
    wanted = "hold some images: 3 classes with 2 images in train/CLASS and 1 in test/CLASS"
    with pytest.raises(UsageError, match="no --data, which must " + wanted) as none:
        check_data("three", None)
    assert str(none.value).endswith(REMEDY)
    with pytest.raises(UsageError, match=f"--data nowhere has nothing in train, and must {wanted}"):
        check_data("three", "nowhere")
    (three / "train" / "1" / "2.png").touch()
    with pytest.raises(UsageError, match=r"has 3 classes with 2 to 3 images in train"):
        check_data("three", str(three))
    (three / "train" / "1" / "2.png").unlink()
    (three / "test" / "2" / "0.png").unlink()
    (three / "test" / "2").rmdir()
    with pytest.raises(UsageError, match=r"has 2 classes with 1 images in test"):
        check_data("three", str(three))


def test_what_needs_no_folder() -> None:
    check_data("embedded", None)
    check_data("cifar10", None)
    check_data("cifar100", "anywhere")
    with pytest.raises(UsageError, match="--data x: this entry is about images of the package; leave it out"):
        check_data("embedded", "x")
