"""The sample of images whose features a run keeps."""

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from avalanche.benchmarks.utils import make_avalanche_dataset
from helpers.domains import frozen_images, turned
from helpers.streams import array_stream
from helpers.streams import images as pixels

from avalanche_ssl.data import ArrayDataset
from avalanche_ssl.errors import UsageError
from avalanche_ssl.runs import embeddings
from avalanche_ssl.runs.embeddings import EmbeddingSnapshots
from avalanche_ssl.streams import ClassIndex
from avalanche_ssl.streams.benchmark import benchmark_from_parts


@pytest.fixture(scope="module")
def data() -> list[Any]:
    """The test data of three experiences of 100 images, of ten classes."""
    images = ArrayDataset(
        np.random.default_rng(0).integers(0, 255, (300, 8, 8, 3)).astype(np.uint8), np.arange(300) % 10
    )
    parts = [np.arange(300)[i::3] for i in range(3)]
    return [e.dataset for e in benchmark_from_parts(images, parts, images, parts, None).test_stream]


def test_the_sample_is_balanced_and_features_come_in_the_order_of_its_images(tmp_path: Path, data: list[Any]) -> None:
    snapshots = EmbeddingSnapshots(data, tmp_path, images=50)
    snapshots.save(2, [(torch.tensor(list(d.targets)).float()[:, None], torch.tensor(list(d.targets))) for d in data])
    with np.load(tmp_path / "embeddings" / "images.npz", allow_pickle=False) as kept:
        assert kept["images"].shape == (50, 8, 8, 3) and kept["images"].dtype == np.uint8
        assert np.bincount(kept["labels"]).tolist() == [5] * 10
        np.testing.assert_array_equal(np.load(tmp_path / "embeddings" / "002.npy")[:, 0], kept["labels"])
        first = data[0][int(snapshots.rows[0][0])][0]
        np.testing.assert_array_equal(kept["images"][0], first.permute(1, 2, 0).numpy())


def naive(labels: list[Any], images: int) -> list[Any]:
    """The sample class by class: first of all classes the first image of a random order, then the second, ..."""
    pooled = np.concatenate(labels)
    order = np.random.default_rng(0).permutation(len(pooled))
    ranks = np.empty(len(pooled), np.int64)
    for label in np.unique(pooled):
        rows = order[pooled[order] == label]
        ranks[rows] = np.arange(len(rows))
    chosen = set(sorted(range(len(pooled)), key=lambda i: (ranks[i], order[i]))[:images])
    bounds = np.cumsum([0, *map(len, labels)])
    return [[i - low for i in range(low, high) if i in chosen and pooled[i] >= 0] for low, high in pairwise(bounds)]


def test_the_sample_equals_a_naive_one() -> None:
    rng = np.random.default_rng(1)
    for images in (1, 7, 60, 500):
        labels = [rng.integers(-1, 12, size) for size in (40, 0, 90, 70)]
        assert [rows.tolist() for rows in embeddings._balanced(labels, images)] == naive(labels, images)


def test_a_file_that_cannot_be_written_is_one_line_and_leaves_nothing(tmp_path: Path, data: list[Any]) -> None:
    snapshots = EmbeddingSnapshots(data, tmp_path, images=20)
    (tmp_path / "embeddings" / "001.npy").mkdir(parents=True)
    features = [(torch.zeros(len(d), 1), torch.zeros(len(d))) for d in data]
    with pytest.raises(UsageError, match=r"cannot write .*001\.npy"):
        snapshots.save(1, features)
    assert not list((tmp_path / "embeddings").glob("*.part"))


def test_images_are_kept_as_encoders_see_them_with_8_bits(tmp_path: Path) -> None:
    """Below frozen transforms, and floats in [0, 1] among them."""
    datasets = [e.dataset for e in turned((0, 180)).test_stream]
    halves = [make_avalanche_dataset(d, frozen_transform_groups={"eval": (_half, None)}).eval() for d in datasets]
    snapshots = EmbeddingSnapshots(halves, tmp_path, images=80)
    snapshots.save(1, [(torch.zeros(40, 2), torch.tensor(list(d.targets))) for d in halves])
    with np.load(tmp_path / "embeddings" / "images.npz", allow_pickle=False) as kept:
        expected = torch.cat([frozen_images(d) for d in halves]).permute(0, 2, 3, 1) * 255
        np.testing.assert_allclose(kept["images"], expected, atol=0.51)
        assert kept["images"].dtype == np.uint8 and kept["images"].max() < 128


def _half(image: torch.Tensor) -> torch.Tensor:
    return image.float() / 510


def test_labels_are_those_of_the_benchmark(tmp_path: Path) -> None:
    """Datasets of probes hold the numbers of the classes."""
    images = ArrayDataset(np.zeros((6, 8, 8, 3), np.uint8), [0, 1, 2, 0, 1, -1])
    dataset = benchmark_from_parts(images, [np.arange(6)], images, [np.arange(6)], None).test_stream[0].dataset
    snapshots = EmbeddingSnapshots([dataset], tmp_path, classes=ClassIndex(np.array([5, 40, 10**9])))
    snapshots.save(0, [(torch.zeros(6, 2), torch.zeros(6))])
    with np.load(tmp_path / "embeddings" / "images.npz", allow_pickle=False) as kept:
        assert kept["labels"].tolist() == [5, 40, 10**9, 5, 40]


def test_images_of_many_channels_are_kept_as_their_mean(tmp_path: Path) -> None:
    (data,) = (e.dataset for e in array_stream(13, experiences=1).test_stream)
    EmbeddingSnapshots([data], tmp_path).save(0, [(torch.zeros(len(data), 2), torch.zeros(len(data)))])
    with np.load(tmp_path / "embeddings" / "images.npz", allow_pickle=False) as kept:
        np.testing.assert_array_equal(kept["images"][..., 0], pixels(data).float().mean(1).round().numpy())


def test_gray_images_of_one_experience_are_rgb_beside_those_of_another(tmp_path: Path) -> None:
    gray, rgb = (array_stream(channels, experiences=1).test_stream[0].dataset for channels in (1, 3))
    EmbeddingSnapshots([gray, rgb], tmp_path).save(0, [(torch.zeros(16, 2), torch.zeros(16))] * 2)
    with np.load(tmp_path / "embeddings" / "images.npz", allow_pickle=False) as kept:
        expected = torch.cat([pixels(gray).expand(-1, 3, -1, -1), pixels(rgb)]).permute(0, 2, 3, 1)
        np.testing.assert_array_equal(kept["images"], expected.numpy())


def test_class_names_are_kept_where_there_are_any(tmp_path: Path, data: list[Any]) -> None:
    features = [(torch.zeros(100, 2), torch.tensor(list(d.targets))) for d in data]
    names = [f"class {c}" for c in range(10)]
    EmbeddingSnapshots(data, tmp_path / "a", names=names).save(0, features)
    EmbeddingSnapshots(data, tmp_path / "b").save(0, features)
    with np.load(tmp_path / "a" / "embeddings" / "images.npz", allow_pickle=False) as kept:
        assert kept["class_names"].tolist() == names
    with np.load(tmp_path / "b" / "embeddings" / "images.npz", allow_pickle=False) as kept:
        assert "class_names" not in kept
