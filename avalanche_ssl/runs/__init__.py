"""A run from its configuration to its files, in scripts as on the command line; imported when first used."""

from typing import TYPE_CHECKING

from avalanche_ssl.lazy import lazy_names

if TYPE_CHECKING:
    from avalanche_ssl.runs.build import build_benchmark as build_benchmark
    from avalanche_ssl.runs.build import resolve_machine as resolve_machine
    from avalanche_ssl.runs.build import run_of_folder as run_of_folder
    from avalanche_ssl.runs.config import RunConfig as RunConfig
    from avalanche_ssl.runs.correctness import Correctness as Correctness
    from avalanche_ssl.runs.correctness import read_correctness as read_correctness
    from avalanche_ssl.runs.folder import EMBEDDINGS as EMBEDDINGS
    from avalanche_ssl.runs.folder import encoder_file as encoder_file
    from avalanche_ssl.runs.log_reader import printable as printable
    from avalanche_ssl.runs.reader import Run as Run
    from avalanche_ssl.runs.reader import read_run as read_run
    from avalanche_ssl.runs.reader import read_runs as read_runs
    from avalanche_ssl.runs.references import JOINT as JOINT
    from avalanche_ssl.runs.references import REFERENCES as REFERENCES
    from avalanche_ssl.runs.references import SHARED as SHARED
    from avalanche_ssl.runs.references import Reference as Reference
    from avalanche_ssl.runs.references import reference_of_run as reference_of_run
    from avalanche_ssl.runs.runner import run as run
    from avalanche_ssl.runs.summary import METRICS as METRICS
    from avalanche_ssl.runs.summary import evenly_spread as evenly_spread
    from avalanche_ssl.runs.summary import percent as percent
    from avalanche_ssl.runs.summary import start_name as start_name
    from avalanche_ssl.runs.text import shows_bold as shows_bold
    from avalanche_ssl.runs.text import table_lines as table_lines
    from avalanche_ssl.runs.text import wrapped as wrapped

__all__ = [
    "EMBEDDINGS",
    "JOINT",
    "METRICS",
    "REFERENCES",
    "SHARED",
    "Correctness",
    "Reference",
    "Run",
    "RunConfig",
    "build_benchmark",
    "encoder_file",
    "evenly_spread",
    "percent",
    "printable",
    "read_correctness",
    "read_run",
    "read_runs",
    "reference_of_run",
    "resolve_machine",
    "run",
    "run_of_folder",
    "shows_bold",
    "start_name",
    "table_lines",
    "wrapped",
]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "Correctness": "correctness",
        "EMBEDDINGS": "folder",
        "JOINT": "references",
        "METRICS": "summary",
        "REFERENCES": "references",
        "Reference": "references",
        "SHARED": "references",
        "Run": "reader",
        "RunConfig": "config",
        "build_benchmark": "build",
        "encoder_file": "folder",
        "evenly_spread": "summary",
        "percent": "summary",
        "printable": "log_reader",
        "read_correctness": "correctness",
        "read_run": "reader",
        "read_runs": "reader",
        "reference_of_run": "references",
        "resolve_machine": "build",
        "run": "runner",
        "run_of_folder": "build",
        "shows_bold": "text",
        "start_name": "summary",
        "table_lines": "text",
        "wrapped": "text",
    },
)
