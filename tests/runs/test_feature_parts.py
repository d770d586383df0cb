"""A part file holds all that is known of its images, and its key changes with any of them."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.untrained_run import pictures, untrained_run
from PIL import Image

from avalanche_ssl.data import decode_files
from avalanche_ssl.runs import feature_parts
from avalanche_ssl.runs.feature_parts import cut, key_of, name_in, read_part, write_part
from avalanche_ssl.runs.feature_source import FeatureSource


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return pictures(tmp_path / "data", {"a": 5})


def test_what_is_written_is_read(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feature_parts, "BATCH", 2)
    embedder = FeatureSource(untrained_run(tmp_path / "run")).load()
    (data / "a" / "001.png").write_bytes(b"damaged")
    Image.new("RGBA", (9, 9)).save(data / "a" / "003.png")
    (part,) = cut(embedder.key, None, sorted(data.rglob("*.png")), data, tmp_path)
    assert key_of(part.file) is None
    assert write_part(part, embedder, None) == 5 and key_of(part.file) == part.key
    content = read_part(part, data)
    assert content.names == [f"a/{i:03d}.png" for i in (0, 2, 3, 4)]
    assert list(content.reasons) == [data / "a" / "001.png"]
    assert content.findings.transparent == [data / "a" / "003.png"] and not content.findings.several
    images, _ = decode_files([data / "a" / f"{i:03d}.png" for i in (0, 2, 4)], 16)
    expected = embedder.features(torch.from_numpy(images).permute(0, 3, 1, 2))
    np.testing.assert_allclose(content.features[[0, 1, 3]], expected, rtol=1e-4, atol=1e-6)
    part.file.write_bytes(b"damaged")
    assert key_of(part.file) == "damaged"


def test_parts_and_their_keys(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feature_parts, "PART", 2)
    paths = sorted(data.rglob("*.png"))

    def keys(key: str = "encoder", value_range: tuple[float, float] | None = None) -> list[str]:
        return [part.key for part in cut(key, value_range, paths, data, Path())]

    parts = list(cut("encoder", None, paths, data, Path("p")))
    assert [part.paths for part in parts] == [paths[:2], paths[2:4], paths[4:]]
    assert [part.file.as_posix() for part in parts] == ["p/000000.npz", "p/000001.npz", "p/000002.npz"]
    before = keys()
    assert len({*before, *keys("other"), *keys(value_range=(0.0, 9.0))}) == 9
    os.utime(paths[2], ns=(1, 1))
    assert [old == new for old, new in zip(before, keys(), strict=True)] == [True, False, True]


@pytest.mark.skipif(os.name != "posix", reason="names are bytes on POSIX")
def test_names_have_slashes_and_are_utf8() -> None:
    assert name_in(Path("d/a/\u00fc.png"), Path("d")) == "a/\u00fc.png"
    assert name_in(Path(os.fsdecode(b"d/caf\xe9.png")), Path("d")) == "caf\\xe9.png"
