"""Official lists win over rules, and must be of the images that are there."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from helpers.core50 import frame_names, ours

from avalanche_ssl.errors import UsageError

pytestmark = pytest.mark.filterwarnings(r"ignore:.*of CORe50's 164,866 frames:UserWarning")


def test_lists_win_over_rules(official: Path, copied: Path) -> None:
    shutil.copytree(official / "batches_filelists", copied / "batches_filelists")
    folder = copied / "batches_filelists" / "NC_inc" / "run0"
    one, two = (folder / f"train_batch_0{i}_filelist.txt" for i in (3, 4))
    texts = one.read_text(), two.read_text()
    one.write_text(texts[1])
    two.write_text(texts[0])
    listed, ruled = (frame_names(ours(copied, "nc", run=run), copied)[0] for run in (0, 0))
    ruled = frame_names(ours(official, "nc"), official)[0]
    assert (listed[3], listed[4]) == (ruled[4], ruled[3])


def test_lists_of_other_images(official: Path, copied: Path) -> None:
    shutil.copytree(official / "NIC_v2_391", copied / "NIC_v2_391")
    file = copied / "NIC_v2_391" / "run0" / "train_batch_07_filelist.txt"
    file.write_text(file.read_text() + "s1/o1/C_01_01_777.png 0\n")
    with pytest.warns(UserWarning, match="1 frames that the lists of NIC_v2_391/run0 name are not there"):
        ours(copied, "nicv2-391")
    file.write_text("s1/o1/C_01_01_777.png 0\n")
    with pytest.raises(UsageError, match="no frame of experience 8 in NIC_v2_391/run0 is there"):
        ours(copied, "nicv2-391")
    file.unlink()
    with pytest.raises(UsageError, match=r"file lists of NIC_v2_391/run0 are damaged \(.*train_batch_07"):
        ours(copied, "nicv2-391")
