"""The desk of the tests of checkpoints."""

from pathlib import Path

import pytest

from avalanche_ssl.checkpointing import Checkpointer


@pytest.fixture(autouse=True)
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to work in; checkpoints at any cost."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(Checkpointer.__init__.__kwdefaults__, "share", 1.0)  # type: ignore[arg-type]
    return tmp_path
