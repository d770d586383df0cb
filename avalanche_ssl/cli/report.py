"""Compare runs: a table on screen, and one page with pictures that opens anywhere.

python benchmarks/report.py runs/cmc-* runs/moco-*            # writes report.html
python benchmarks/report.py runs/cmc-* --references           # and what to measure them against, computed once
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from avalanche_ssl.errors import UsageError
from avalanche_ssl.reports.baselines import references
from avalanche_ssl.reports.comparison import Stream, streams
from avalanche_ssl.reports.html import page, write
from avalanche_ssl.reports.tables import table
from avalanche_ssl.runs.reader import read_all


def main(arguments: list[str] | None = None) -> int:
    """Run as a command; expected mistakes print one line and give exit status 2."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="*", type=Path, metavar="RUN", help="folders that run.py wrote")
    parser.add_argument("--out", type=Path, default=Path("report.html"), metavar="FILE", help="the page (report.html)")
    parser.add_argument(
        "--references", action="store_true", help="add raw pixels, untrained, iid and supervised (trains encoders)"
    )
    parser.add_argument(
        "--cache", type=Path, default=Path("runs/references"), metavar="DIR", help="of references (runs/references)"
    )
    options = parser.parse_args(arguments)
    try:
        runs, notes = read_all(options.runs)
        found = streams(runs)
        notes += [f"{run.folder}: {note}" for run in runs for note in run.notes]
        if options.references:
            notes += _refer(found, options.cache)
        print(table(found, notes))
        write(options.out, page(found, notes))
    except UsageError as error:
        print("report.py:", error, file=sys.stderr)
        return 2
    print(f"\nwritten: {options.out}")
    return 0


def _refer(found: list[Stream], cache: Path) -> list[str]:
    """Give each stream the references of its groups; why some have none."""
    notes = []
    for stream in found:
        for group in stream.groups:
            try:
                new = references(group.label, group.runs, cache)
            except UsageError as error:
                notes.append(f"no references of {group.label}: {error}")
                continue
            known = {reference.label for reference in stream.references}
            stream.references += [reference for reference in new if reference.label not in known]
    return notes


if __name__ == "__main__":
    sys.exit(main())
