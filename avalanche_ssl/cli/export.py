"""Take the encoder out of a run: its weights for plain torch, and a card that says what it is and how to load it.

avalanche-ssl export runs/simclr-split-digits-s0                              # writes the card of its encoder.pt
avalanche-ssl export runs/simclr-split-digits-s0 --out encoder.safetensors    # and the weights, elsewhere
avalanche-ssl export runs/simclr-split-digits-s0/checkpoint --out encoder.pt  # as they were in a checkpoint
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from avalanche_ssl.cli.command import Parser, command
from avalanche_ssl.cli.trust import add_strategy_of_run
from avalanche_ssl.errors import UsageError

if TYPE_CHECKING:
    from avalanche_ssl.runs import Run

SUFFIXES = (".pt", ".pth", ".safetensors")
"""Of files that weights are written to."""


@command("avalanche-ssl export")
def main(arguments: list[str] | None = None) -> int:
    """Run as a command."""
    parser = Parser(prog="avalanche-ssl export", description=__doc__)
    parser.add_argument("run", type=Path, metavar="RUN", help="folder of a run, or a checkpoint in it")
    parser.add_argument("--out", type=Path, metavar="FILE", help=".pt, .pth or .safetensors (encoder.pt of the run)")
    add_strategy_of_run(parser)
    options = parser.parse_args(arguments)
    for path in export(options.run, options.out, strategy=options.strategy, trust_strategy=options.trust_strategy):
        print(path)
    return 0


def export(
    source: Path, out: Path | None = None, *, strategy: str | None = None, trust_strategy: bool = False
) -> tuple[Path, Path]:
    """Write weights and card.

    Args:
        source: a run's folder, or a checkpoint in it.
        out: the weights; the card is next to them, under the same name with `.md` appended. None: the run's
            `encoder.pt`, which stays as it is.
        strategy, trust_strategy: as for `RunConfig.from_mapping`.

    Returns:
        Where they are.

    Raises:
        UsageError: there is no run, its weights cannot be used, `out` has another suffix, or the disk refuses.
    """
    from avalanche_ssl.checkpointing import read_encoder, write_encoder
    from avalanche_ssl.files import replacing
    from avalanche_ssl.runs.build import run_of_folder
    from avalanche_ssl.runs.model_card import card
    from avalanche_ssl.runs.reader import read_run

    if out is not None and out.suffix not in SUFFIXES:
        raise UsageError(
            f"cannot export to '{out}': give a file that ends in {', '.join(SUFFIXES[:-1])} or {SUFFIXES[-1]}"
        )
    if not source.exists():
        raise UsageError(f"no run '{source}': give the folder of a run")
    folder = source if source.is_dir() else source.parent
    if source != folder and out is None:
        raise UsageError(f"{source} is one of several checkpoints: say with --out where its encoder goes")
    config, recipe = run_of_folder(folder, strategy=strategy, trust_strategy=trust_strategy)
    weights = read_encoder(folder / "encoder.pt" if source == folder else source)
    target = out or folder / "encoder.pt"
    try:
        probed = read_run(folder)
        trained = f"{probed.experiences_trained} of {probed.n_experiences} experiences"
        if source != folder:
            trained = f"an unknown part of the stream: its probes were measured after {trained}"
    except UsageError:
        probed, trained = None, "a stream that was not probed"
    text = card(recipe, config.as_dict(), weights, target, trained, _results(probed) if probed else ())
    if out:
        write_encoder(out, weights)
    page = target.with_name(f"{target.name}.md")
    with replacing(page) as file:
        file.write(text.encode())
    return target, page


def _results(probed: Run) -> Iterator[tuple[str, str, float, float]]:
    """Probe, scope, and the mean accuracies of the untrained encoder and of the last one."""
    import numpy as np

    for (probe, scope), _ in sorted(probed.accuracies.items()):
        now = float(np.mean(probed.matrix(probe, scope)[-1]))
        if not math.isnan(now):
            yield probe, scope, float(np.mean(probed.untrained(probe, scope))), now
