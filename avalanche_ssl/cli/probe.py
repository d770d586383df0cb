"""Probe the encoder of a run on another stream, beside its untrained encoder and raw pixels.

avalanche-ssl probe runs/simclr-split-cifar100-s0 --benchmark split-digits --probes ridge,ridge:2x2
avalanche-ssl probe runs/simclr-split-digits-s0 --data path/to/images

The encoder is frozen; probes are fitted on all training data of the stream. The log is in RUN/probe, and the same
command prints the table again. Without a stream it is that of the run.
"""

from __future__ import annotations

import math
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from avalanche_ssl.cli.command import Parser, command
from avalanche_ssl.cli.stream_choice import add_stream, chosen_stream
from avalanche_ssl.cli.trust import add_strategy_of_run

if TYPE_CHECKING:
    from avalanche_ssl.runs.transfer import Transfer


@command("avalanche-ssl probe")
def main(arguments: list[str] | None = None) -> int:
    """Run as a command."""
    parser = Parser(prog="avalanche-ssl probe", description=__doc__)
    add = parser.add_argument
    add("run", type=Path, metavar="RUN", help="folder of a run")
    add_stream(parser, "what to probe on: another stream")
    add("--probes", default="", metavar="NAMES", help="protocols, comma-separated (ridge; of CORe50 core50)")
    add("--device", default="auto", metavar="NAME", help="auto, cpu or cuda (auto)")
    add("--out", type=Path, metavar="DIR", help="for the log (RUN/probe)")
    add("--overwrite", action="store_true", help="probe again what is complete")
    add_strategy_of_run(parser)
    options = parser.parse_args(arguments)

    warnings.filterwarnings("ignore", module="qpsolvers")  # Avalanche imports it, and it misses solvers
    from avalanche_ssl.runs.transfer import probe_run

    found = probe_run(
        options.run,
        chosen_stream(options),
        options.probes,
        out=options.out,
        overwrite=options.overwrite,
        device=options.device,
        strategy=options.strategy,
        trust_strategy=options.trust_strategy,
    )
    print(table(found, options.run))
    return 0


def table(found: Transfer, run: Path) -> str:
    """Accuracies in per cent, a row for each encoder, and where they are logged."""
    from avalanche_ssl.runs import percent, table_lines

    probes = list(next(iter(found.accuracies.values())))
    rows = [(name, [percent(each.get(p, math.nan)) for p in probes]) for name, each in found.accuracies.items()]
    rows += [("chance", [percent(found.end.chance)] * len(probes))]
    tested = f"accuracy in per cent on {found.end.images_tested:,} test images, fitted on {found.end.images:,}"
    before = " (complete already)" if found.before else ""
    return "\n".join(
        [
            f"{run} on {found.path.stem.rpartition('-')[0]}: {tested}",
            *table_lines("encoder", probes, rows),
            f"-> {found.path}{before}",
        ]
    )
