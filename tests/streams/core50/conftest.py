"""Small data sets in the format of CORe50."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from helpers.core50 import SIDE
from helpers.fake_core50 import write_frames, write_lists


@pytest.fixture(scope="session")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The images alone."""
    root = tmp_path_factory.mktemp("plain")
    write_frames(root, frames=2, side=SIDE)
    return root


@pytest.fixture(scope="session")
def official(plain: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The images with all that Avalanche reads."""
    root = tmp_path_factory.mktemp("official")
    shutil.copytree(plain / "core50_128x128", root / "core50_128x128")
    write_lists(root, frames=2, runs=2)
    return root


@pytest.fixture
def copied(plain: Path, tmp_path: Path) -> Path:
    shutil.copytree(plain / "core50_128x128", tmp_path / "core50_128x128")
    return tmp_path
