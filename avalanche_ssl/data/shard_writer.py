"""Write image files into shards: tar files of samples, each an image and, where it has one, its label."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Sequence
from pathlib import Path

from tqdm import tqdm

from avalanche_ssl.errors import UsageError, require_positive
from avalanche_ssl.files import replacing

IMAGES = 10_000
"""Images of a shard, unless another number is given."""


def write_shards(
    paths: Sequence[Path], labels: Sequence[int], folder: str | Path, images_per_shard: int = IMAGES
) -> list[Path]:
    """Pack image files, as they are, into `FOLDER/000000.tar` and so on, with a progress bar.

    Args:
        paths: the files, in the order in which they shall lie in the shards; each suffix names the field.
        labels: of each; -1: none.
        folder: of the shards, which is made if it is not there.
        images_per_shard: images of each shard but the last.

    Returns:
        The shards.

    Raises:
        UsageError: the folder holds shards already, or a file cannot be read or written.
    """
    require_positive(images_per_shard=images_per_shard)
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.glob("*.tar")):
            raise UsageError(f"'{folder}' holds shards already: give another folder, or remove them")
    except OSError as error:
        raise UsageError(f"cannot write to '{folder}' ({error.strerror}): give another folder") from error
    shards: list[Path] = []
    with tqdm(total=len(paths), desc="write shards", unit="image", disable=None, leave=False) as bar:
        for first in range(0, len(paths), images_per_shard):
            shards.append(folder / f"{len(shards):06d}.tar")
            with replacing(shards[-1]) as out, tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as tar:
                for number, path in enumerate(paths[first : first + images_per_shard], first):
                    _add(tar, f"{number:09d}{path.suffix.lower()}", _content(path))
                    if labels[number] >= 0:
                        _add(tar, f"{number:09d}.cls", str(labels[number]).encode())
                    bar.update()
    return shards


def _add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(content)
    tar.addfile(member, io.BytesIO(content))


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UsageError(f"cannot read image '{path}' ({error.strerror}): repair or remove it") from error
