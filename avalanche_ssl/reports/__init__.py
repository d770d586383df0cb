"""Comparison of runs: tables, figures and one HTML page; imported when first used, because matplotlib takes long."""

from typing import TYPE_CHECKING

from avalanche_ssl.lazy import lazy_names

if TYPE_CHECKING:
    from avalanche_ssl.reports.baselines import Baseline as Baseline
    from avalanche_ssl.reports.comparison import Group as Group
    from avalanche_ssl.reports.comparison import Stream as Stream
    from avalanche_ssl.reports.comparison import streams as streams
    from avalanche_ssl.reports.html import page as page
    from avalanche_ssl.reports.tables import table as table

__all__ = ["Baseline", "Group", "Stream", "page", "streams", "table"]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "Baseline": "baselines",
        "Group": "comparison",
        "Stream": "comparison",
        "page": "html",
        "streams": "comparison",
        "table": "tables",
    },
)
