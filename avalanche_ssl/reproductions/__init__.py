"""Published numbers with the runs that reproduce them; imported when first used."""

from typing import TYPE_CHECKING

from avalanche_ssl.lazy import lazy_names

if TYPE_CHECKING:
    from avalanche_ssl.reproductions.data import DATA as DATA
    from avalanche_ssl.reproductions.data import check_data as check_data
    from avalanche_ssl.reproductions.entries import Entry as Entry
    from avalanche_ssl.reproductions.entries import find_entries as find_entries
    from avalanche_ssl.reproductions.entries import read_entries as read_entries
    from avalanche_ssl.reproductions.results import results_text as results_text

__all__ = ["DATA", "Entry", "check_data", "find_entries", "read_entries", "results_text"]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "DATA": "data",
        "Entry": "entries",
        "check_data": "data",
        "find_entries": "entries",
        "read_entries": "entries",
        "results_text": "results",
    },
)
