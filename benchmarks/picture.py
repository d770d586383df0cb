"""Draw the accuracy matrices and curves of runs on one stream as one picture.

README's is made by

python benchmarks/sweep.py --strategy cmc,moco,simclr --seeds 0,1,2 --out runs/picture
python benchmarks/picture.py runs/picture/*/ --out benchmarks/report-split-digits.png
"""

from __future__ import annotations

import sys
from pathlib import Path

from avalanche_ssl.cli.command import Parser, command


@command("picture.py")
def main(arguments: list[str] | None = None) -> int:
    """Run as a command."""
    parser = Parser(prog="picture.py", description=__doc__)
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="folders of runs on one stream")
    parser.add_argument("--out", type=Path, default=Path("picture.png"), metavar="FILE", help="a .png, .svg or .pdf")
    options = parser.parse_args(arguments)

    from avalanche_ssl.errors import UsageError
    from avalanche_ssl.reports import streams
    from avalanche_ssl.reports.overview import write_overview
    from avalanche_ssl.runs import read_runs

    runs, notes = read_runs(options.runs)
    found = streams(runs)
    if len(found) > 1:
        raise UsageError(f"the runs are on {len(found)} streams, {found[0].title} and others: give those on one")
    for note in notes:
        print(f"note: {note}")
    write_overview(options.out, found[0])
    print(f"written: {options.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
