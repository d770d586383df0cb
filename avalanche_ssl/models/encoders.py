"""Encoder factories by name: `ENCODERS` of this package, and those of torchvision and timm."""

from __future__ import annotations

from collections.abc import Callable

from avalanche_ssl.errors import unknown_name
from avalanche_ssl.models.encoder import EncoderFactory
from avalanche_ssl.models.resnet import resnet9, resnet18, resnet34, resnet50
from avalanche_ssl.models.smallconv import smallconv
from avalanche_ssl.models.zoo import timm_encoder, torchvision_encoder

ENCODERS: dict[str, EncoderFactory] = {
    "smallconv": smallconv,
    "resnet9": resnet9,
    "resnet18": resnet18,
    "resnet34": resnet34,
    "resnet50": resnet50,
}
LIBRARIES: dict[str, Callable[[str], EncoderFactory]] = {"torchvision": torchvision_encoder, "timm": timm_encoder}
"""What gives the factory of a model, by the library's name."""


def get_encoder(name: str) -> EncoderFactory:
    """The factory of an encoder: a name in `ENCODERS`, `torchvision:NAME` or `timm:NAME`.

    ```python
    encoder = get_encoder("timm:vit_tiny_patch16_224")(in_channels=1, img_size=32, patch_size=4)
    ```

    Raises:
        UsageError: there is none (the nearest is proposed), or timm is not installed.
    """
    library, colon, model = name.partition(":")
    if colon and library in LIBRARIES:
        return LIBRARIES[library](model)
    if name not in ENCODERS:
        raise unknown_name("encoder", name, [*ENCODERS, *(f"{library}:NAME" for library in LIBRARIES), "PATH.py:NAME"])
    return ENCODERS[name]
