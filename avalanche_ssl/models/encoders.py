"""`ENCODERS`: encoder factories by name."""

from __future__ import annotations

from avalanche_ssl.models.encoder import EncoderFactory
from avalanche_ssl.models.resnet import resnet9, resnet18, resnet34, resnet50
from avalanche_ssl.models.smallconv import smallconv

ENCODERS: dict[str, EncoderFactory] = {
    "smallconv": smallconv,
    "resnet9": resnet9,
    "resnet18": resnet18,
    "resnet34": resnet34,
    "resnet50": resnet50,
}
