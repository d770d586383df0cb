"""The frames of CORe50 (Lomonaco & Maltoni 2017, arXiv:1705.03550) and where they lie on disk.

11 sessions (3, 7 and 10 for testing) of 50 objects: five of each of ten categories, about 300 frames of video each.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from avalanche_ssl.data import ImageFiles, Indices, find_image_files
from avalanche_ssl.errors import UsageError

SITE = "https://vlomonaco.github.io/core50"

OBJECTS = 50

OBJECTS_PER_CATEGORY = 5

TEST_SESSIONS = (3, 7, 10)

TRAIN_SESSIONS = (1, 2, 4, 5, 6, 8, 9, 11)

FRAME_COUNTS = dict(
    zip(range(1, 12), (14989, 14986, 14992, 14995, 14966, 14989, 14994, 14984, 14994, 14986, 14991), strict=True)
)
"""Frames of each session of the complete data set: 164,866, of which 119,894 are for training."""

CATEGORIES = (
    "plug_adapter",
    "mobile_phone",
    "scissor",
    "light_bulb",
    "can",
    "glass",
    "ball",
    "marker",
    "cup",
    "remote_control",
)

FRAME = re.compile(r"(?:^|/)(s\d+/o\d+/C_\d+_\d+_\d+\.png)$")


@dataclass(frozen=True)
class FrameIndex:
    """Frames in the order of the official file lists: by session, object (o10 before o2), time.

    Args:
        names: such as s1/o1/C_01_01_000.png.
        session: (N,) numbers from 1.
        object: (N,) numbers from 0.
    """

    names: list[str]
    session: Indices
    object: Indices

    @classmethod
    def from_names(cls, names: Sequence[str]) -> FrameIndex:
        """The index of the frames with these names, in their order."""
        parts = [name.split("/") for name in names]
        session = np.array([int(s[1:]) for s, _, _ in parts], np.int64)
        return cls(list(names), session, np.array([int(o[1:]) - 1 for _, o, _ in parts], np.int64))

    def frames_of(self, sessions: Sequence[int], objects: Sequence[int]) -> Indices:
        """The positions of the frames of some objects in some sessions."""
        return np.flatnonzero(np.isin(self.session, sessions) & np.isin(self.object, objects))


def find_frames(data: Path, size: int) -> tuple[Path, ImageFiles | None]:
    """The folder that the data set lies in, and its images: those of this size, if there are several; None: no images.

    `data` is that folder, a folder of images (s1, ..., s11), or a zip file of it.

    Raises:
        UsageError: they cannot be read, or a session or object is missing (named).
    """
    if data.is_file() or (data / "s1").is_dir() or (data / "s2").is_dir():
        return data.parent, _complete_frames(data)
    for side in dict.fromkeys((size, 128, 32)):
        for name in (f"core50_{side}x{side}", f"core50_{side}x{side}.zip"):
            if (data / name).exists():
                return data, _complete_frames(data / name)
    return data, None


def _complete_frames(path: Path) -> ImageFiles:
    """The images, checked to be of every object in every session."""
    files = find_image_files(path, FRAME, _place)
    index = FrameIndex.from_names(list(files.members))
    there = set(zip(index.session.tolist(), index.object.tolist(), strict=True))
    missing = []
    for session in FRAME_COUNTS:
        objects = [o for o in range(OBJECTS) if (session, o) not in there]
        missing += [f"s{session}"] if len(objects) == OBJECTS else [f"s{session}/o{o + 1}" for o in objects]
    if missing:
        more = f" and {len(missing) - 5} more" if len(missing) > 5 else ""
        raise UsageError(
            f"'{path}' lacks {', '.join(missing[:5])}{more}: all 50 objects (o1 to o50) are needed in each of the "
            f"11 sessions (s1 to s11); get them from {SITE}"
        )
    return files


def _place(name: str) -> tuple[int, str, str]:
    session, thing, frame = name.split("/")
    return int(session[1:]), thing, frame


def warn_unless_complete(index: FrameIndex, data: Path) -> None:
    """Warn if the sessions of `data` do not have the numbers of frames of the complete data set."""
    counts = {session: int((index.session == session).sum()) for session in FRAME_COUNTS}
    wrong = [
        f"s{session} {n:,} of {FRAME_COUNTS[session]:,}" for session, n in counts.items() if n != FRAME_COUNTS[session]
    ]
    if wrong:
        more = ", ..." if len(wrong) > 3 else ""
        warnings.warn(
            f"'{data}' has {len(index.names):,} of CORe50's {sum(FRAME_COUNTS.values()):,} frames "
            f"({', '.join(wrong[:3])}{more}): results cannot be compared with published ones",
            stacklevel=2,
        )
