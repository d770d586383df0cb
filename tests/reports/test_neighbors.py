"""Nearest neighbors and layout of the embeddings that a run kept."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from helpers.logs import add_embeddings, write_run

from avalanche_ssl.reports import neighbors
from avalanche_ssl.reports.thumbnails import ThumbnailSheet
from avalanche_ssl.runs import Run, read_run


def view(run: Run) -> neighbors.EmbeddingView | None:
    return neighbors.view_embeddings(run, "mine", ThumbnailSheet())


def test_neighbors_are_those_of_a_naive_search() -> None:
    x = np.random.default_rng(0).normal(size=(12, 4))
    found = neighbors.nearest_neighbors(x, 3)
    for i in range(12):
        cosines = {j: x[i] @ x[j] / np.linalg.norm(x[i]) / np.linalg.norm(x[j]) for j in range(12) if j != i}
        assert found[i].tolist() == sorted(cosines, key=lambda j: -cosines[j])[:3]


def test_what_a_report_shows_of_embeddings(tmp_path: Path) -> None:
    run = read_run(add_embeddings(write_run(tmp_path / "a")))
    found = neighbors.view_embeddings(run, "mine", sheet := ThumbnailSheet())
    assert found and (found.title, found.start) == ("mine", "untrained")
    shown = {t.image for row in found.rows for t in (row.query, *row.before, *row.after)}
    assert shown == set(range(len(shown))) and sheet.columns * sheet.rows >= len(shown), "each image once"
    later = [f"after experience {t}" for t in (1, 2, 3)]
    assert [frame.title for frame in found.frames] == ["untrained", *later]
    assert [row.query.class_name for row in found.rows] == ["0", "1", "2", "3"]
    assert all(len(row.before) == len(row.after) == 5 for row in found.rows)
    assert found.same_before < 0.6 and found.same_after == 1.0, "the classes have moved apart"
    assert all(thumbnail.same for row in found.rows for thumbnail in row.after)


def test_an_encoder_that_was_given_is_not_called_untrained(tmp_path: Path) -> None:
    run = read_run(add_embeddings(write_run(tmp_path / "a")))
    run.config |= {"init": "encoder.pt"}
    found = view(run)
    assert found and (found.start, found.frames[0].title) == ("at the start", "at the start")


def test_of_a_long_stream_six_layouts_are_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = add_embeddings(write_run(tmp_path / "a"))
    for t in range(4, 11):
        shutil.copy(folder / "embeddings" / "003.npy", folder / "embeddings" / f"{t:03d}.npy")
    monkeypatch.setattr(neighbors, "layout", lambda features: [x[:, :2] for x in features])
    found = view(read_run(folder))
    assert found and [frame.trained for frame in found.frames] == [0, 2, 4, 6, 8, 10]


def test_embeddings_that_cannot_be_read_are_none(tmp_path: Path) -> None:
    folder = add_embeddings(write_run(tmp_path / "a"))
    (folder / "embeddings" / "002.npy").write_bytes(b"cut off")
    assert view(read_run(folder)) is None
    np.save(folder / "embeddings" / "002.npy", np.zeros((3, 5)))
    assert view(read_run(folder)) is None, "of other images"
    assert view(read_run(write_run(tmp_path / "b"))) is None


def test_classes_are_called_by_their_names_where_the_run_kept_them(tmp_path: Path) -> None:
    names = ["apple", "bottle", "castle"]
    folder = add_embeddings(write_run(tmp_path / "a"), class_names=names)
    found = view(read_run(folder))
    assert found and [name for name, _ in found.legend] == [*names, "3"], "the fourth has no name"
    assert [row.query.class_name for row in found.rows] == [*names, "3"]
