"""Take the encoder out of a run: its weights for plain torch, and a card that says what it is and how to load it.

python benchmarks/export.py runs/simclr-split-digits-s0                              # writes the card of its encoder.pt
python benchmarks/export.py runs/simclr-split-digits-s0 --out encoder.safetensors    # and the weights, elsewhere
python benchmarks/export.py runs/simclr-split-digits-s0/checkpoint --out encoder.pt  # as they were in a checkpoint
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from avalanche_ssl.errors import UsageError
from avalanche_ssl.runs.config import of_folder
from avalanche_ssl.runs.reader import Run, read


def main(arguments: list[str] | None = None) -> int:
    """Run as a command; expected mistakes print one line and give exit status 2."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, metavar="RUN", help="folder that run.py wrote, or a checkpoint in it")
    parser.add_argument("--out", type=Path, metavar="FILE", help=".pt or .safetensors (encoder.pt of the run)")
    options = parser.parse_args(arguments)
    try:
        for path in export(options.run, options.out):
            print(path)
    except UsageError as error:
        print("export.py:", error, file=sys.stderr)
        return 2
    return 0


def export(source: Path, out: Path | None = None) -> tuple[Path, Path]:
    """Write weights and card; where they are.

    Args:
        source: a run's folder, or a checkpoint in it.
        out: the weights; the card goes beside them as `.md`. None: the run's `encoder.pt`, which stays as it is.

    Raises:
        UsageError: there is no run, its weights cannot be used, or the disk refuses.
    """
    from avalanche_ssl.checkpointing.encoder_weights import read_encoder, write_encoder
    from avalanche_ssl.files import replacing
    from avalanche_ssl.runs.model_card import card

    if not source.exists():
        raise UsageError(f"no run '{source}': give a folder that run.py wrote")
    folder = source if source.is_dir() else source.parent
    if source != folder and out is None:
        raise UsageError(f"{source} is one of several checkpoints: say with --out where its encoder goes")
    config, recipe = of_folder(folder)
    weights = read_encoder(folder / "encoder.pt" if source == folder else source)
    target = out or folder / "encoder.pt"
    probed = None
    try:
        probed = read(folder)
        learnt = f"{probed.trained} of {probed.experiences} experiences"
    except UsageError:
        learnt = "a stream that was not probed"
    if source != folder:
        learnt = f"an unknown part of the stream: its probes were measured after {learnt}" if probed else learnt
    text = card(recipe, config, weights, target, learnt, _results(probed) if probed else ())
    if out:
        write_encoder(out, weights)
    with replacing(target.with_suffix(".md")) as file:
        file.write(text.encode())
    return target, target.with_suffix(".md")


def _results(probed: Run) -> Iterator[tuple[str, str, float, float]]:
    """The last row of every probe's matrix, and the untrained encoder's, as means."""
    for (probe, scope), _ in sorted(probed.accuracies.items()):
        now = float(np.mean(probed.matrix(probe, scope)[-1]))
        if not math.isnan(now):
            yield probe, scope, float(np.mean(probed.untrained(probe, scope))), now


if __name__ == "__main__":
    sys.exit(main())
