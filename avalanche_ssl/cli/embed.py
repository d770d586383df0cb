"""Features of every image in a folder, by the encoder of a run or of a file of weights, as a table with file names.

avalanche-ssl embed runs/simclr-split-digits-s0 --data photos --out photos.parquet
avalanche-ssl embed runs/simclr-split-digits-s0 --data photos --out photos.csv --neighbors 5 --project tsne
avalanche-ssl embed encoder.safetensors --encoder resnet18 --set augment.size=64 --data photos --out photos.npz

Images are resized to the view size of the run, and features are of the layer that the run names (feature_layer). The
same command after an interruption goes on where it was.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from avalanche_ssl.cli.command import Parser, command
from avalanche_ssl.cli.trust import add_strategy_of_run

if TYPE_CHECKING:
    from avalanche_ssl.runs.feature_source import FeatureSource

TITLES = {"pca": "PCA", "tsne": "t-SNE", "umap": "UMAP"}
"""Projections, as they are written."""


@command("avalanche-ssl embed")
def main(arguments: list[str] | None = None) -> int:
    """Run as a command."""
    parser = Parser(prog="avalanche-ssl embed", description=__doc__)
    add = parser.add_argument
    add("source", type=Path, metavar="RUN|FILE", help="folder of a run or a checkpoint in it; or weights, an export")
    add("--data", type=Path, required=True, metavar="FOLDER", help="with images, also in folders below it")
    add("--out", type=Path, required=True, metavar="FILE", help="the table: .parquet, .csv or .npz")
    add("--neighbors", type=int, metavar="K", help="also the K nearest images of each by cosine, in the table")
    add("--project", choices=TITLES, help="also a picture in two dimensions, next to the table")
    add("--damaged", default="refuse", metavar="WAY", help="refuse or skip images that cannot be read (refuse)")
    add("--value-range", type=float, nargs=2, metavar=("LOW", "HIGH"), help="black and white of images above 8 bits")
    add(
        "--processes",
        type=int,
        metavar="N",
        help="that embed at once (1 to one per core; on a GPU 1); changes no result",
    )
    add("--device", default="auto", metavar="NAME", help="auto, cpu or cuda (auto)")
    add("--encoder", metavar="NAME", help="of weights that are of no run: whose they are, as in run --encoder")
    add(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="and settings, e.g. augment.size=64; repeatable"
    )
    add_strategy_of_run(parser)
    options = parser.parse_args(arguments)

    from avalanche_ssl.recipes import parse_settings
    from avalanche_ssl.runs import resolve_machine
    from avalanche_ssl.runs.feature_source import FeatureSource

    source = FeatureSource(
        options.source,
        encoder=options.encoder,
        settings=parse_settings(options.set),
        strategy=options.strategy,
        trust_strategy=options.trust_strategy,
        device=resolve_machine(options.device, "fp32")[0],
    )
    for line in embed(
        source,
        options.data,
        options.out,
        neighbors=options.neighbors,
        projection=options.project,
        damaged=options.damaged,
        value_range=tuple(options.value_range) if options.value_range else None,
        processes=options.processes,
    ):
        print(line)
    return 0


def embed(
    source: FeatureSource,
    data: Path,
    out: Path,
    *,
    neighbors: int | None = None,
    projection: str | None = None,
    damaged: str = "refuse",
    value_range: tuple[float, float] | None = None,
    processes: int | None = None,
) -> Iterator[str]:
    """Write a table of features, and a picture of them; a line for each file.

    Args:
        source: the encoder.
        data: the folder of images.
        out: the table; part files lie next to it, in a folder with `.parts` appended, until it is written.
        neighbors: how many nearest images of each the table has.
        projection: "pca", "tsne" or "umap"; the picture of table.csv is `table.pca.png`.
        damaged, value_range, processes: as for `embed_folder`.

    Raises:
        UsageError: an option, the encoder or the images cannot be used, or the disk refuses.
    """
    from avalanche_ssl.runs.feature_maps import check_projection, draw_map
    from avalanche_ssl.runs.feature_tables import check_neighbors, check_table, nearest, write_table
    from avalanche_ssl.runs.folder_features import embed_folder, remove_parts

    check_table(out)
    if projection:
        check_projection(projection)

    def check(images: int) -> None:
        if projection:
            check_projection(projection, images)
        if neighbors is not None:
            check_neighbors(neighbors, images)

    parts = out.with_name(f"{out.name}.parts")
    start = time.perf_counter()
    found = embed_folder(
        source, data, parts, processes=processes, damaged=damaged, value_range=value_range, check=check
    )
    seconds = time.perf_counter() - start
    near = nearest(found.features, neighbors) if neighbors else None
    write_table(out, found.names, found.features, near)
    images, dimensions = found.features.shape
    before = f", {found.reused:,} of them before" if found.reused else ""
    yield f"{out}: {images:,} images, {dimensions} features each, in {seconds:.1f} s{before}"
    if projection:
        picture = out.with_suffix(f".{projection}.png")
        title = f"{data.resolve().name}: {images:,} images by {source.path.resolve().name}, {TITLES[projection]}"
        shown = draw_map(picture, found.names, found.features, projection, title, data, found.value_range)
        yield f"{picture}: {'all' if shown == images else f'a random sample of {shown:,}'} images"
    remove_parts(parts)
