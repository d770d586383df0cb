"""Options of commands that read a run: the stream on which they use it, where it is another than the run's."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from avalanche_ssl.cli.options import JoinPaths

if TYPE_CHECKING:
    from avalanche_ssl.runs.labeled_data import StreamChoice


def add_stream(parser: argparse.ArgumentParser, benchmark: str) -> None:
    """Add the options that name a stream other than that of a run; `benchmark` says what it is for."""
    add = parser.add_argument
    add("--benchmark", metavar="NAME", help=f"{benchmark} (that of the run; with --data folder)")
    add("--data", action=JoinPaths, metavar="PATH", help="where its images are, as in avalanche-ssl run; repeatable")
    add("--benchmark-option", action="append", default=[], metavar="KEY=VALUE", help="one of its options; repeatable")


def chosen_stream(options: argparse.Namespace) -> StreamChoice:
    """The stream that the options of `add_stream` name."""
    from avalanche_ssl.recipes import parse_settings
    from avalanche_ssl.runs.labeled_data import StreamChoice

    given = parse_settings(options.benchmark_option, "--benchmark-option")
    data = given.pop("data", options.data)
    return StreamChoice(options.benchmark, None if data is None else str(data), given)
