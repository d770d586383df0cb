"""Options that allow code which a run names: its configuration is data, a Python file in it is run only if allowed."""

import argparse


def add_trust(parser: argparse.ArgumentParser) -> None:
    """Add the option that allows Python files which a run names to be run."""
    parser.add_argument(
        "--trust-strategy",
        action="store_true",
        help="run the Python files that the run names as strategy or encoder, if they are unchanged since that run",
    )


def add_strategy_of_run(parser: argparse.ArgumentParser) -> None:
    """Add the options that give or trust the strategy of a run, for commands that read one."""
    parser.add_argument(
        "--strategy", metavar="NAME|PATH", help="instead of the one that the run names, e.g. a Python file"
    )
    add_trust(parser)
