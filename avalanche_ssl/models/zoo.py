"""Encoders of torchvision and timm by their names, untrained, for images of any number of channels."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from typing import Any

import torchvision
from torch import nn

from avalanche_ssl.errors import UsageError, unknown_name
from avalanche_ssl.models.adapting import remove_classifier, replace_batch_norm, say_full_width, set_input_channels
from avalanche_ssl.models.encoder import Encoder, EncoderFactory, wrap

DECIDED = {
    "weights": "an encoder is built untrained",
    "pretrained": "an encoder is built untrained",
    "pretrained_cfg": "an encoder is built untrained",
    "checkpoint_path": "an encoder is built untrained",
    "in_chans": "channels are those of the images, or in_channels=N",
    "num_classes": "an encoder has no classifier",
    "features_only": "an encoder gives its last features",
}
"""Arguments of the libraries that an encoder's use decides, with the reason."""

ANY_SIZE = ("dynamic_img_size", "dynamic_img_pad")
"""Arguments by which timm's transformers take images of any size, where a model has them."""


def torchvision_encoder(name: str) -> EncoderFactory:
    """A classification model of torchvision without its classifier, e.g. "convnext_tiny".

    Raises:
        UsageError: there is no such model; the nearest is proposed.
    """
    names = torchvision.models.list_models(module=torchvision.models)
    if name not in names:
        raise unknown_name("model of torchvision", name, names)

    def build(in_channels: int = 3, *, scale: float = 1.0, norm: str = "batch", **options: Any) -> Encoder:
        title = f"torchvision:{name}"
        say_full_width(title, scale)
        if name in ("googlenet", "inception_v3"):
            options = {"aux_logits": False, "init_weights": True} | options
        network = _called(lambda: torchvision.models.get_model(name, weights=None, **options), title, options)
        out_features = remove_classifier(network)
        set_input_channels(network, in_channels)
        replace_batch_norm(network, norm)
        return wrap(network, out_features, in_channels)

    return build


def timm_encoder(name: str) -> EncoderFactory:
    """A model of timm without its classifier, e.g. "vit_tiny_patch16_224".

    Transformers take images of any size, where timm can: their position embeddings are interpolated. Others take the
    size that `img_size` gives.

    Raises:
        UsageError: timm is not installed, or has no such model; the nearest is proposed.
    """
    if importlib.util.find_spec("timm") is None:
        raise UsageError(f"encoder 'timm:{name}' needs timm, which is not installed: pip install timm")
    import timm

    architecture = name.partition(".")[0]
    if ":" in name or not timm.is_model(architecture):
        raise unknown_name("model of timm", name, timm.list_models())

    def build(in_channels: int = 3, *, scale: float = 1.0, norm: str = "batch", **options: Any) -> Encoder:
        title = f"timm:{name}"
        say_full_width(title, scale)
        given: dict[str, Any] = {"pretrained": False, "in_chans": in_channels, "num_classes": 0}

        def create() -> nn.Module:
            extra: dict[str, Any] = {key: True for key in ANY_SIZE if key not in options}
            while True:
                try:
                    return timm.create_model(architecture, **given, **extra, **options)
                except TypeError as error:
                    refused = [key for key in extra if f"'{key}'" in str(error)]
                    if not refused:
                        raise
                    extra = {key: value for key, value in extra.items() if key not in refused}

        network: Any = _called(create, title, options)
        out_features = getattr(network, "head_hidden_size", None) or network.num_features
        replace_batch_norm(network, norm)
        return wrap(network, out_features, in_channels)

    return build


def _called(create: Callable[[], nn.Module], title: str, options: dict[str, Any]) -> nn.Module:
    """The network, or an error in one line.

    Raises:
        UsageError: an option is decided already, or the library does not take the options.
    """
    for key in options:
        if key in DECIDED:
            raise UsageError(f"setting 'encoder.{key}' of {title}: {DECIDED[key]}, leave it out")
    given = ", ".join(f"{key}={value!r}" for key, value in options.items())
    try:
        return create()
    except Exception as error:  # what the builders of some 1,500 models raise is not documented
        reason = " ".join(str(error).split())[:200]
        raise UsageError(f"{title} cannot be built with {given or 'its defaults'}: {reason}") from error
