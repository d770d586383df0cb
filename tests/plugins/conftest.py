from pathlib import Path
from typing import Any

import pytest
from helpers.encoders import tiny
from helpers.fake_core50 import write_frames
from helpers.probing import few_images

from avalanche_ssl.models.encoders import ENCODERS


@pytest.fixture(autouse=True)
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    """A quick default encoder."""
    monkeypatch.setitem(ENCODERS, "smallconv", tiny)


@pytest.fixture(scope="session")
def few() -> Any:
    return few_images()


@pytest.fixture(scope="session")
def core50_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small CORe50: the middle of its images has a color of the object, the rest one of the session."""
    folder = tmp_path_factory.mktemp("core50")
    write_frames(folder, frames=2, side=16)
    return folder
