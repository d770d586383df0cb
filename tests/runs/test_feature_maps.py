"""Projections keep groups apart, and the picture shows them in the colors of the palette."""

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from helpers.untrained_run import pictures
from matplotlib.colors import to_rgb
from PIL import Image

from avalanche_ssl.drawing import COLORS
from avalanche_ssl.errors import UsageError
from avalanche_ssl.runs import feature_maps
from avalanche_ssl.runs.feature_maps import check_projection, draw_map, group_names, project

CENTERS = np.repeat(np.eye(3, 8, dtype=np.float32) * 10, 20, axis=0)
FEATURES = CENTERS + np.random.default_rng(0).normal(size=CENTERS.shape).astype(np.float32)
NAMES = [f"{folder}/{i:03d}.png" for folder in "abc" for i in range(20)]


@pytest.mark.parametrize("kind", ["pca", "tsne"])
def test_groups_stay_apart(kind: str) -> None:
    points, labels = project(FEATURES, kind)
    distances = np.linalg.norm(points[:, None] - points[None], axis=2)
    np.fill_diagonal(distances, np.inf)
    assert points.shape == (60, 2) and (distances.argmin(1) // 20 == np.arange(60) // 20).all()
    assert np.array_equal(project(FEATURES, kind)[0], points), "the same picture again"
    assert len(labels) == (2 if kind == "pca" else 0)


def test_axes_of_pca_say_their_share() -> None:
    x = np.zeros((4, 3), np.float32)
    x[:, 0], x[:, 1] = [3, -3, 0, 0], [0, 0, 1, -1]
    points, labels = project(x, "pca")
    assert labels == ["component 1 (90 % of the variance)", "component 2 (10 % of the variance)"]
    np.testing.assert_allclose(np.abs(points), np.abs(x[:, :2]), atol=1e-6)


def test_one_feature_and_equal_images_can_be_drawn(tmp_path: Path) -> None:
    assert project(np.arange(4, dtype=np.float32)[:, None], "pca")[0][:, 1].tolist() == [0] * 4
    assert draw_map(tmp_path / "p.png", ["a", "b", "c"], np.ones((3, 2), np.float32), "pca", "equal") == 3


def test_too_few_images() -> None:
    with pytest.raises(UsageError, match="--project needs 3 images or more, and there are 2"):
        project(FEATURES[:2], "pca")


def test_umap_is_optional(monkeypatch: pytest.MonkeyPatch) -> None:
    """UMAP is no package of the tests: a module with its class stands for it."""
    monkeypatch.setitem(sys.modules, "umap", None)
    with pytest.raises(UsageError, match="--project umap needs a package: pip install umap-learn, or give tsne or pca"):
        check_projection("umap")
    check_projection("pca")
    given: dict[str, Any] = {}

    def umap(**options: Any) -> Any:
        given.update(options)
        return SimpleNamespace(fit_transform=lambda x: x[:, :2])

    monkeypatch.setitem(sys.modules, "umap", SimpleNamespace(UMAP=umap))  # type: ignore[misc]
    points, _ = project(FEATURES, "umap")
    unit = FEATURES / np.linalg.norm(FEATURES, axis=1, keepdims=True)
    np.testing.assert_allclose(points, unit[:, :2], rtol=1e-5)
    assert given == {"n_neighbors": 15, "metric": "cosine", "random_state": 0}


def test_groups_are_the_first_folders_that_differ() -> None:
    assert group_names(["a/x/1", "a/y/2", "a/y/z/3"]) == ["x", "y", "y"]
    assert group_names(["1", "2"]) == [".", "."]
    assert group_names(["1", "a/2"]) == [".", "a"]
    many = [f"{folder}/{i}" for folder in range(10) for i in range(1 + (folder < 3))]
    groups = group_names(many)
    assert len(set(groups)) == len(COLORS) and groups.count("other folders") == 3
    assert {"0", "1", "2"} < set(groups)


def shares(path: Path) -> dict[str, int]:
    """Pixels of each color of the palette."""
    pixels = np.asarray(Image.open(path).convert("RGB")).astype(int)
    wanted = {color: np.array([round(255 * c) for c in to_rgb(color)]) for color in COLORS}
    return {color: int((np.abs(pixels - rgb).max(2) <= 2).sum()) for color, rgb in wanted.items()}


def test_the_picture_has_a_color_for_each_folder_and_shows_images(tmp_path: Path) -> None:
    data = pictures(tmp_path / "data", {"a": 20, "b": 20, "c": 20})
    assert draw_map(tmp_path / "points.png", NAMES, FEATURES, "pca", "points") == 60
    assert draw_map(tmp_path / "images.png", NAMES, FEATURES, "pca", "images", data) == 60
    with Image.open(tmp_path / "images.png") as picture:
        assert picture.size == (1350, 1080)
    framed = shares(tmp_path / "images.png")
    assert all(framed[color] > 100 for color in COLORS[:3]) and all(framed[color] < 100 for color in COLORS[3:])
    plain, shown = (
        len(np.unique(np.asarray(Image.open(tmp_path / f).convert("RGB")).reshape(-1, 3), axis=0))
        for f in ("points.png", "images.png")
    )
    assert shown > plain + 1000, "the noise of the images"


def test_of_many_images_a_sample_is_placed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feature_maps, "MOST", 30)
    assert draw_map(tmp_path / "t.png", NAMES, FEATURES, "tsne", "sample") == 30
    assert draw_map(tmp_path / "p.png", NAMES, FEATURES, "pca", "all") == 60
