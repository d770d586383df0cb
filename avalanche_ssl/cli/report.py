"""Compare runs: a table on the screen, and one page with figures that opens anywhere.

avalanche-ssl report runs/cmc-* runs/moco-*            # writes report.html
avalanche-ssl report runs/cmc-* --baselines            # with baselines, which are computed once
avalanche-ssl report runs/*/ --format md csv latex     # also the tables, as report.md, report.csv and report.tex
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from avalanche_ssl.cli.command import Parser, command
from avalanche_ssl.cli.trust import add_trust
from avalanche_ssl.errors import UsageError

if TYPE_CHECKING:
    from avalanche_ssl.reports import Stream


@command("avalanche-ssl report")
def main(arguments: list[str] | None = None) -> int:
    """Run as a command."""
    parser = Parser(prog="avalanche-ssl report", description=__doc__)
    add = parser.add_argument
    add("runs", nargs="*", type=Path, metavar="RUN", help="folders of runs")
    add("--out", type=Path, default=Path("report.html"), metavar="FILE", help="the page (report.html)")
    add(
        "--format",
        nargs="+",
        default=[],
        choices=("md", "csv", "latex"),
        help="also write the tables beside the page as Markdown, CSV or LaTeX, with n, seeds and commit",
    )
    add("--baselines", action="store_true", help="add raw pixels, untrained, iid and supervised (trains encoders)")
    add("--cache", type=Path, default=Path("runs/baselines"), metavar="DIR", help="of baselines (runs/baselines)")
    add_trust(parser)
    options = parser.parse_args(arguments)

    from avalanche_ssl.reports import exports, page, streams, table
    from avalanche_ssl.reports.html import check_writable, write
    from avalanche_ssl.reports.neighbors import note_unreadable
    from avalanche_ssl.runs import printable, read_runs, shows_bold

    check_writable(options.out)
    runs, notes = read_runs(options.runs)
    found = streams(runs)
    note_unreadable(found)
    notes += [f"{printable(str(run.folder))}: {'; '.join(run.notes)}" for run in runs if run.notes]
    if options.baselines:
        notes += _add_baselines(found, options.cache, options.trust_strategy)
    _show(table(found, notes, bold=shows_bold()))
    write(options.out, page(found, notes))
    written = [options.out, *exports.write(options.out, options.format, found, notes)]
    _show(f"\nwritten: {', '.join(map(str, written))}")
    return 0


def _show(text: str) -> None:
    """Print a text that the screen may not be able to show whole, such as the name of a folder."""
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    print(text.encode(encoding, "backslashreplace").decode(encoding))


def _add_baselines(found: list[Stream], cache: Path, trust_strategy: bool) -> list[str]:
    """Give each stream the baselines of its groups; why some have none."""
    from avalanche_ssl.reports.baselines import baselines

    notes = []
    for stream in found:
        logged, stream.baselines = stream.baselines, []
        for group in stream.groups:
            try:
                new = baselines(group.label, group.runs, cache, trust_strategy=trust_strategy)
            except UsageError as error:
                notes.append(f"no baselines of {group.label}: {error}")
                continue
            known = {baseline.label for baseline in stream.baselines}
            stream.baselines += [baseline for baseline in new if baseline.label not in known]
        known = {baseline.label for baseline in stream.baselines}  # under every scope, where runs log one
        stream.baselines += [baseline for baseline in logged if baseline.label not in known]
    return notes
