"""Encoders, heads, normalization layers, and features of a frozen model."""

from avalanche_ssl.models.compilation import compile_encoders
from avalanche_ssl.models.encoder import Encoder, EncoderFactory, at_encoder_size, build_encoder, with_channels, wrap
from avalanche_ssl.models.encoders import ENCODERS
from avalanche_ssl.models.heads import mlp
from avalanche_ssl.models.inference import FeatureModel, LabeledFeatures, check_magnitude, eval_mode, extract_features
from avalanche_ssl.models.norms import NORMS, STATISTICS, SplitBatchNorm, frozen_buffers
from avalanche_ssl.models.pixel_cnn import PixelCNN
from avalanche_ssl.models.resnet import resnet9, resnet18, resnet34, resnet50
from avalanche_ssl.models.smallconv import smallconv

__all__ = [
    "ENCODERS",
    "NORMS",
    "STATISTICS",
    "Encoder",
    "EncoderFactory",
    "FeatureModel",
    "LabeledFeatures",
    "PixelCNN",
    "SplitBatchNorm",
    "at_encoder_size",
    "build_encoder",
    "check_magnitude",
    "compile_encoders",
    "eval_mode",
    "extract_features",
    "frozen_buffers",
    "mlp",
    "resnet9",
    "resnet18",
    "resnet34",
    "resnet50",
    "smallconv",
    "with_channels",
    "wrap",
]
