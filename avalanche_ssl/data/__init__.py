"""Raw images out of Avalanche's datasets, in batches."""

from avalanche_ssl.data.channels import as_rgb
from avalanche_ssl.data.dataset_transforms import Chain, same_chain, same_leaf
from avalanche_ssl.data.datasets import ArrayDataset, Indices, LabeledDataset, MappedDataset, concat_datasets
from avalanche_ssl.data.dict_items import DictDataset
from avalanche_ssl.data.file_datasets import DataError
from avalanche_ssl.data.image_archive import ImageFiles, find_image_files
from avalanche_ssl.data.image_cache import CachedImages, cached_images
from avalanche_ssl.data.image_decoding import check_memory, decode_files, decode_image
from avalanche_ssl.data.labels import class_labels, has_label, task_labels, with_labels
from avalanche_ssl.data.loader import RawDataLoader, from_replay
from avalanche_ssl.data.loader_processes import dead_worker_message, is_dead_worker
from avalanche_ssl.data.pixels import ValueRange, check_value_range, to_uint8
from avalanche_ssl.data.readers import ArrayReader, array_reader, make_reader
from avalanche_ssl.data.shapes import Shape, common_channels, dataset_shapes, image_shape, stream_shapes
from avalanche_ssl.data.shard_images import ShardImages, shard_images
from avalanche_ssl.data.shard_index import CLASS_FILE, ShardIndex, find_index, index_shards
from avalanche_ssl.data.shard_writer import write_shards
from avalanche_ssl.data.traversal import (
    check_same_transforms,
    different_transforms,
    distinct_images,
    distinct_images_if_cheaper,
    leaf_datasets,
)

__all__ = [
    "CLASS_FILE",
    "ArrayDataset",
    "ArrayReader",
    "CachedImages",
    "Chain",
    "DataError",
    "DictDataset",
    "ImageFiles",
    "Indices",
    "LabeledDataset",
    "MappedDataset",
    "RawDataLoader",
    "Shape",
    "ShardImages",
    "ShardIndex",
    "ValueRange",
    "array_reader",
    "as_rgb",
    "cached_images",
    "check_memory",
    "check_same_transforms",
    "check_value_range",
    "class_labels",
    "common_channels",
    "concat_datasets",
    "dataset_shapes",
    "dead_worker_message",
    "decode_files",
    "decode_image",
    "different_transforms",
    "distinct_images",
    "distinct_images_if_cheaper",
    "find_image_files",
    "find_index",
    "from_replay",
    "has_label",
    "image_shape",
    "index_shards",
    "is_dead_worker",
    "leaf_datasets",
    "make_reader",
    "same_chain",
    "same_leaf",
    "shard_images",
    "stream_shapes",
    "task_labels",
    "to_uint8",
    "with_labels",
    "write_shards",
]
