"""A run from its configuration to its files, in scripts as on the command line; imported when first used."""

from typing import TYPE_CHECKING

from avalanche_ssl.lazy import lazy_names

if TYPE_CHECKING:
    from avalanche_ssl.runs.config import RunConfig as RunConfig
    from avalanche_ssl.runs.reader import Run as Run
    from avalanche_ssl.runs.reader import read_run as read_run
    from avalanche_ssl.runs.reader import read_runs as read_runs
    from avalanche_ssl.runs.runner import run as run

__all__ = ["Run", "RunConfig", "read_run", "read_runs", "run"]

__getattr__ = lazy_names(
    __name__, {"Run": "reader", "RunConfig": "config", "read_run": "reader", "read_runs": "reader", "run": "runner"}
)
