"""The streams of CORe50: frames on disk, official orders, labels and probing tasks."""

from avalanche_ssl.streams.core50.benchmark import core50_benchmark

__all__ = ["core50_benchmark"]
