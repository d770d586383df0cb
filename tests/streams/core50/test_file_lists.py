"""The official lists are read from files, zip files and pickles, and run no code."""

from __future__ import annotations

import pickle
import zipfile
from pathlib import Path

import pytest
from helpers.core50 import frame_names, ours
from PIL import Image

from avalanche_ssl.errors import UsageError

pytestmark = pytest.mark.filterwarnings(r"ignore:.*of CORe50's 164,866 frames:UserWarning")


def test_lists_are_read_out_of_their_zip_file(official: Path, copied: Path) -> None:
    with zipfile.ZipFile(copied / "batches_filelists_NICv2.zip", "w") as archive:
        for path in (official / "NIC_v2_391").rglob("*.txt"):
            archive.write(path, path.relative_to(official))
    zipped, listed = (frame_names(ours(root, "nicv2-391", run=1), root)[0] for root in (copied, official))
    assert zipped == listed


EVIL = pickle.dumps({"nicv2_391": Image.new})


@pytest.mark.parametrize(
    ("content", "reason"),
    [(EVIL, "it asks for PIL.Image.new"), (b"\x80", ".+"), (b"", ".+"), (pickle.dumps([1]), ".+")],
    ids=["evil", "cut", "empty", "list"],
)
def test_pickles_run_no_code(copied: Path, content: bytes, reason: str) -> None:
    (copied / "paths.pkl").write_bytes(pickle.dumps([]))
    (copied / "LUP.pkl").write_bytes(content)
    with pytest.raises(UsageError, match=rf"paths\.pkl and LUP\.pkl in .* are damaged \({reason}\): get them"):
        ours(copied, "nicv2-391")
