"""Tables of features with file names and nearest neighbors, as CSV, NumPy's npz or Parquet."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from avalanche_ssl.errors import UsageError
from avalanche_ssl.files import replacing
from avalanche_ssl.functional import l2_normalize

CHUNK = 1024
"""Images that are compared with all others at once."""


@dataclass(frozen=True)
class Neighbors:
    """The nearest other images of each, nearest first."""

    rows: NDArray[np.int64]
    """(N, K)."""
    similarities: NDArray[np.float32]
    """(N, K), cosines."""


def check_table(out: Path) -> None:
    """Find mistakes before anything is computed.

    Raises:
        UsageError: the file has another suffix, or its package is missing.
    """
    if out.suffix not in WRITERS:
        raise UsageError(f"cannot write a table to '{out}': give --out a file that ends in {', '.join(WRITERS)}")
    if out.is_dir():
        raise UsageError(f"'{out}' is a folder: give --out a file")
    if out.suffix == ".parquet":
        _pyarrow()


def check_neighbors(k: int, images: int) -> None:
    """Refuse a number of neighbors that so many images do not have.

    Raises:
        UsageError: names both.
    """
    if not 1 <= k < images:
        raise UsageError(f"--neighbors is {k}, and there are {images:,} images: give 1 to {max(images - 1, 1):,}")


def nearest(features: NDArray[np.float32], k: int) -> Neighbors:
    """The K nearest other images of each by the cosine of features (N, D).

    Raises:
        UsageError: there are not so many.
    """
    check_neighbors(k, len(features))
    x = l2_normalize(torch.from_numpy(features))
    rows, similarities = [], []
    for first in range(0, len(x), CHUNK):
        cosines = x[first : first + CHUNK] @ x.T
        cosines[torch.arange(len(cosines)), torch.arange(first, first + len(cosines))] = -torch.inf
        top = cosines.topk(k, dim=1)
        rows.append(top.indices.numpy())
        similarities.append(top.values.numpy())
    return Neighbors(np.concatenate(rows), np.concatenate(similarities))


def write_table(
    out: Path, names: Sequence[str], features: NDArray[np.float32], neighbors: Neighbors | None = None
) -> None:
    """Write a row for each image: `file`, its features, and if they are given its neighbors and their cosines.

    In CSV each number is a column, `feature_0`, ..., `neighbor_1`, `similarity_1`, ...; in Parquet `features`,
    `neighbors` and `similarities` are columns of lists; in npz arrays, and `neighbors` are rows of the others.

    Raises:
        UsageError: as `check_table`, or the disk refuses.
    """
    check_table(out)
    content = WRITERS[out.suffix](names, features, neighbors)
    with replacing(out) as file:
        file.write(content)


def _csv(names: Sequence[str], features: NDArray[np.float32], neighbors: Neighbors | None) -> bytes:
    sink = io.StringIO(newline="")
    writer = csv.writer(sink, lineterminator="\n")
    head = ["file", *(f"feature_{i}" for i in range(features.shape[1]))]
    if neighbors:
        head += [f"{what}_{i + 1}" for i in range(neighbors.rows.shape[1]) for what in ("neighbor", "similarity")]
    writer.writerow(head)
    for row, name in enumerate(names):
        cells = [name, *map(_number, features[row].tolist())]
        if neighbors:
            for other, cosine in zip(neighbors.rows[row], neighbors.similarities[row], strict=True):
                cells += [names[other], _number(float(cosine))]
        writer.writerow(cells)
    return sink.getvalue().encode()


def _number(value: float) -> str:
    """A float32 in digits that give the same one back."""
    return f"{value:.9g}"


def _npz(names: Sequence[str], features: NDArray[np.float32], neighbors: Neighbors | None) -> bytes:
    arrays: dict[str, Any] = {"files": np.array(names, dtype=np.str_), "features": features}
    if neighbors:
        arrays |= {"neighbors": neighbors.rows, "similarities": neighbors.similarities}
    sink = io.BytesIO()
    np.savez(sink, allow_pickle=False, **arrays)
    return sink.getvalue()


def _parquet(names: Sequence[str], features: NDArray[np.float32], neighbors: Neighbors | None) -> bytes:
    arrow, parquet = _pyarrow()

    def lists(array: NDArray[Any], values: Any) -> Any:
        return arrow.FixedSizeListArray.from_arrays(values, array.shape[1])

    columns = {"file": arrow.array(list(names)), "features": lists(features, arrow.array(features.ravel()))}
    if neighbors:
        columns["neighbors"] = lists(neighbors.rows, arrow.array([names[i] for i in neighbors.rows.ravel().tolist()]))
        columns["similarities"] = lists(neighbors.rows, arrow.array(neighbors.similarities.ravel()))
    sink = io.BytesIO()
    parquet.write_table(arrow.table(columns), sink)
    return sink.getvalue()


def _pyarrow() -> tuple[Any, Any]:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise UsageError("Parquet needs a package: pip install pyarrow, or give --out a .csv or .npz") from error
    return pyarrow, pyarrow.parquet


WRITERS: dict[str, Callable[[Sequence[str], NDArray[np.float32], Neighbors | None], bytes]] = {
    ".parquet": _parquet,
    ".csv": _csv,
    ".npz": _npz,
}
"""What makes a table, by the suffix of its file."""
