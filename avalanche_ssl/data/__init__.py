"""Raw images out of Avalanche's datasets, in batches."""

from avalanche_ssl.data.datasets import ArrayDataset, MappedDataset
from avalanche_ssl.data.loader import RawDataLoader
from avalanche_ssl.data.readers import DataError

__all__ = [
    "ArrayDataset",
    "DataError",
    "MappedDataset",
    "RawDataLoader",
]
