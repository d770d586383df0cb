"""The picture of a stream: every matrix, the curves, and where it can be written."""

from pathlib import Path
from typing import Any

import pytest
from helpers.damaged_runs import NAME
from helpers.logs import write_run
from PIL import Image

from avalanche_ssl.errors import UsageError
from avalanche_ssl.reports import overview


def test_picture_of_a_stream(tmp_path: Path, one_stream: Any) -> None:
    folders = [
        write_run(tmp_path / f"{name}{seed}", strategy=name, seed=seed, shift=seed / 20, classes=10)
        for name in ("cmc", "moco", NAME)
        for seed in (0, 1)
    ]
    stream = one_stream(*folders)
    figure = overview._figure(stream)
    titles = [axes.get_title() or axes.get_title(loc="left") for axes in figure.axes]
    assert [title for title in titles if title] == [
        "cmc",
        "moco",
        NAME[:16] + "\n" + NAME[17:],
        "anytime accuracy",
        "forgetting",
    ]
    assert "points lost at the end (refitted probe)" in [axes.get_ylabel() for axes in figure.axes]
    assert sum(len(axes.images) for axes in figure.axes) == 3
    assert "mean of 2 seeds" in figure.get_suptitle() and "probe ridge, scope all" in figure.get_suptitle()
    overview.write_overview(tmp_path / "new" / "a.png", stream)
    with Image.open(tmp_path / "new" / "a.png") as picture:
        assert picture.width == 1800


def test_many_strategies_have_several_rows_of_matrices(tmp_path: Path, one_stream: Any) -> None:
    stream = one_stream(*(write_run(tmp_path / str(i), strategy=f"s{i}") for i in range(6)))
    figure = overview._figure(stream)
    tops = {round(axes.get_position().y1, 2) for axes in figure.axes if axes.images}
    assert sum(len(axes.images) for axes in figure.axes) == 6 and len(figure.subfigs) == 3
    assert tops, "drawn"


def test_the_picture_of_one_run_is_the_same_every_time(tmp_path: Path, one_stream: Any) -> None:
    stream = one_stream(write_run(tmp_path / "a"))
    overview.write_overview(tmp_path / "a.svg", stream)
    overview.write_overview(tmp_path / "b.svg", stream)
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes(), "the same every time"
    assert overview._figure(stream).get_suptitle().endswith("one seed")


def test_a_picture_that_cannot_be_written_is_refused_in_one_line(tmp_path: Path, one_stream: Any) -> None:
    stream = one_stream(write_run(tmp_path / "a"))
    with pytest.raises(UsageError, match=r"--out .*a\.jpg is no picture: give a name that ends in \.png, \.svg, \.pdf"):
        overview.write_overview(tmp_path / "a.jpg", stream)
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match=r"cannot write .*give another --out"):
        overview.write_overview(tmp_path / "file" / "a.png", stream)
