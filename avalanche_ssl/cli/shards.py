"""Shards of images for `run --benchmark shards`: tar files as webdataset writes them, and their index.

avalanche-ssl shards --data photos --out shards     # pack images, in random order, and make the index
avalanche-ssl shards --index laion                  # make the index of shards that are there

Images are packed as they are. What --data may hold is what `run --data` reads: folders of classes, with or without
train and test, images without labels, or a list. The index (shards.json, shards.index) takes one pass over the shards;
make it again when they change.
"""

from __future__ import annotations

from pathlib import Path

from avalanche_ssl.cli.command import Parser, command
from avalanche_ssl.errors import UsageError


@command("avalanche-ssl shards")
def main(arguments: list[str] | None = None) -> int:
    """Run as a command."""
    parser = Parser(prog="avalanche-ssl shards", description=__doc__)
    add = parser.add_argument
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--data", metavar="IMAGES", help="a folder or list of images to pack")
    what.add_argument("--index", type=Path, metavar="FOLDER", help="a folder of shards (.tar), at any depth")
    add("--out", type=Path, metavar="FOLDER", help="with --data: where the shards go, into train and test")
    add("--images-per-shard", type=int, default=10_000, metavar="N", help="(10000)")
    add("--labels", default="auto", metavar="WAY", help="auto or none, as in --benchmark-option of folder (auto)")
    add("--seed", type=int, default=0, metavar="N", help="of the order in which images are packed (0)")
    add("--image", metavar="FIELD", help="with --index: which field is the image, e.g. jpg, where there are several")
    options = parser.parse_args(arguments)
    if options.index is not None:
        if options.out is not None:
            raise UsageError("--out goes with --data: the index is written beside the shards")
        return _index(options.index, options.image)
    if options.out is None:
        raise UsageError("--data goes with --out FOLDER: give the folder for the shards")
    if options.image is not None:
        raise UsageError("--image goes with --index: the field of a packed image is the suffix of its file")
    _pack(options.data, options.out, options.labels, options.images_per_shard, options.seed)
    return _index(options.out, None)


def _pack(data: str, out: Path, labels: str, images_per_shard: int, seed: int) -> None:
    """Pack the images of a folder or list into shards."""
    import numpy as np

    from avalanche_ssl.data import CLASS_FILE, write_shards
    from avalanche_ssl.streams import find_files

    found = find_files(data, labels)
    if any(out.glob("**/*.tar")):
        raise UsageError(f"'{out}' holds shards already: give another --out, or remove them")
    print(found.summary)
    for number, (name, files) in enumerate((("train", found.train), ("test", found.test))):
        if files is not None:
            order = np.random.default_rng([seed, number]).permutation(len(files.paths)).tolist()
            paths, targets = [files.paths[i] for i in order], [files.targets[i] for i in order]
            write_shards(paths, targets, out / name, images_per_shard)
    if found.train.classes:
        (out / CLASS_FILE).write_text("".join(f"{name}\n" for name in found.train.classes), encoding="utf-8")


def _index(folder: Path, image: str | None) -> int:
    """Make the index of a folder of shards, and say what it holds."""
    from avalanche_ssl.data import index_shards

    index = index_shards(folder, image)
    shards = "1 shard" if len(index.names) == 1 else f"{len(index.names):,} shards"
    print(f"{int(index.starts[-1]):,} images in {shards}: avalanche-ssl run --benchmark shards --data {folder}")
    return 0
