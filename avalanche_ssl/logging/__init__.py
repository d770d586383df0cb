"""The log of a run, `log.jsonl`: one JSON object per line."""

from avalanche_ssl.logging.jsonl import JSONLinesLogger, Log

__all__ = [
    "JSONLinesLogger",
    "Log",
]
