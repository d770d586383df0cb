"""Encoders, heads, normalization layers, and features of a frozen model."""

from avalanche_ssl.models.adapting import replace_batch_norm, say_full_width
from avalanche_ssl.models.compilation import compile_encoders
from avalanche_ssl.models.encoder import Encoder, EncoderFactory, at_encoder_size, build_encoder, with_channels, wrap
from avalanche_ssl.models.encoders import ENCODERS, get_encoder
from avalanche_ssl.models.exchange import to_onnx, to_torchscript
from avalanche_ssl.models.features import FEATURE_LAYERS, pool2x2, read_features
from avalanche_ssl.models.heads import mlp
from avalanche_ssl.models.inference import (
    FeatureModel,
    LabeledFeatures,
    check_magnitude,
    eval_mode,
    extract_features,
    read_out,
)
from avalanche_ssl.models.norms import NORMS, STATISTICS, SplitBatchNorm, frozen_buffers
from avalanche_ssl.models.pixel_cnn import PixelCNN
from avalanche_ssl.models.pretrained import MIN_SHARE, initialized, load_weights
from avalanche_ssl.models.readouts import READOUTS, StageMaps
from avalanche_ssl.models.resnet import resnet9, resnet18, resnet34, resnet50
from avalanche_ssl.models.small_maps import linear_on_small_maps
from avalanche_ssl.models.smallconv import smallconv
from avalanche_ssl.models.weight_files import Weights, package_of, read_weights, weights_path, weights_sha256
from avalanche_ssl.models.weight_names import Counterpart, Match, counterpart, match_names

__all__ = [
    "ENCODERS",
    "FEATURE_LAYERS",
    "MIN_SHARE",
    "NORMS",
    "READOUTS",
    "STATISTICS",
    "Counterpart",
    "Encoder",
    "EncoderFactory",
    "FeatureModel",
    "LabeledFeatures",
    "Match",
    "PixelCNN",
    "SplitBatchNorm",
    "StageMaps",
    "Weights",
    "at_encoder_size",
    "build_encoder",
    "check_magnitude",
    "compile_encoders",
    "counterpart",
    "eval_mode",
    "extract_features",
    "frozen_buffers",
    "get_encoder",
    "initialized",
    "linear_on_small_maps",
    "load_weights",
    "match_names",
    "mlp",
    "package_of",
    "pool2x2",
    "read_features",
    "read_out",
    "read_weights",
    "replace_batch_norm",
    "resnet9",
    "resnet18",
    "resnet34",
    "resnet50",
    "say_full_width",
    "smallconv",
    "to_onnx",
    "to_torchscript",
    "weights_path",
    "weights_sha256",
    "with_channels",
    "wrap",
]
