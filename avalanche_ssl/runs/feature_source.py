"""The encoder that images are embedded by: that of a run, or of a file of weights."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from avalanche_ssl.checkpointing import read_encoder
from avalanche_ssl.data import ValueRange
from avalanche_ssl.errors import UsageError
from avalanche_ssl.functional import state_sha256
from avalanche_ssl.methods import Method, channels_of
from avalanche_ssl.models import load_weights, read_weights
from avalanche_ssl.recipes import EncoderSetting, Recipe, load_recipe
from avalanche_ssl.runs.build import run_of_folder
from avalanche_ssl.runs.exporting import method_with
from avalanche_ssl.runs.folder import encoder_file

GRAY = (0.299, 0.587, 0.114)
"""Shares of red, green and blue (ITU-R 601), as Pillow has them."""


@dataclass(frozen=True)
class FeatureSource:
    """Where an encoder comes from, in plain values that every process can have.

    Args:
        path: a run's folder, a checkpoint or `encoder.pt` in it, or a file or folder of weights from elsewhere, e.g. of
            an export.
        encoder: of weights from elsewhere: whose they are, as in `Recipe`. None: what the `config.json` of an export
            for Hugging Face says.
        settings: of weights from elsewhere: other settings that the features depend on, named as in SimCLR's recipe:
            `augment.size`, `augment.mean`, `augment.std`, `feature_layer`, `encoder.width`, ...
        strategy, trust_strategy: of a run, as for `run_of_folder`.
        device: where features are computed.
    """

    path: Path
    encoder: str | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    strategy: str | None = None
    trust_strategy: bool = False
    device: str = "cpu"

    def load(self) -> Embedder:
        """The encoder.

        Raises:
            UsageError: there is none, it needs code that nobody trusted, or weights and encoder do not fit.
        """
        if not self.path.exists():
            raise UsageError(f"no run or file '{self.path}': give the folder of a run, or a file of weights")
        folder = self.path if self.path.is_dir() else self.path.parent
        if (folder / "config.yaml").is_file():
            return self._of_run(folder)
        if self.strategy or self.trust_strategy:
            raise UsageError(f"{self.path} is of no run: leave out --strategy and --trust-strategy, give --encoder")
        recipe = load_recipe("simclr").override(self._settings())
        weights = read_weights(self.path)
        method = recipe.build_method(0)
        load_weights(method.encoder, weights, min_share=1.0)
        return Embedder(method.eval(), recipe, self.device)

    def _of_run(self, folder: Path) -> Embedder:
        if self.encoder or self.settings:
            raise UsageError(f"{folder} is a run, which knows its encoder and settings: leave out --encoder and --set")
        config, recipe = run_of_folder(folder, strategy=self.strategy, trust_strategy=self.trust_strategy)
        weights = read_encoder(encoder_file(folder) if self.path == folder else self.path)
        range_ = config.benchmark_options.get("value_range")
        method = method_with(recipe, weights)
        return Embedder(method, recipe, self.device, tuple(range_) if range_ else None)

    def _settings(self) -> dict[str, Any]:
        """The settings of a recipe, of weights from elsewhere."""
        known = _of_export(self.path / "config.json") if self.path.is_dir() and not self.encoder else {}
        settings = known | ({"encoder": self.encoder} if self.encoder else {}) | dict(self.settings)
        if "encoder" not in settings:
            raise UsageError(f"{self.path} is of no run: say whose weights they are, e.g. --encoder resnet18")
        return settings


def _of_export(path: Path) -> dict[str, Any]:
    """The settings that an export for Hugging Face notes; none if there is no such file.

    Raises:
        UsageError: the file is none of an export, or names code.
    """
    if not path.is_file():
        return {}
    try:
        about = json.loads(path.read_text(encoding="utf-8"))
        settings = {"encoder": str(about["architecture"]), "in_channels": about["in_channels"]}
        settings |= {"augment.mean": about["image_mean"], "augment.std": about["image_std"]}
        settings |= {"augment.size": about["view_size"], "feature_layer": about["feature_layer"]}
        several = about["num_features"] is None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(
            f"{path} is not of an export of this version: give --encoder, and --set for the rest"
        ) from error
    if EncoderSetting.parse(settings["encoder"]).is_file:
        raise UsageError(f"{path} names code, {settings['encoder']}: if you trust it, give it as --encoder")
    if several:
        raise UsageError(f"{path.parent} has an encoder of several networks: give the folder of the run")
    return settings


class Embedder:
    """A frozen encoder; `key` is a hash of all that its features depend on, beside the images.

    Args:
        method: holds the encoder, in eval mode.
        recipe: its settings.
        device: where features are computed.
        value_range: of images with more than 8 bits a channel, in the run's own data.
    """

    def __init__(
        self, method: Method, recipe: Recipe, device: str = "cpu", value_range: ValueRange | None = None
    ) -> None:
        self.method = method.to(device)
        self.size: int = method.augment.size
        self.device = device
        self.value_range = value_range
        self.channels = channels_of(method) or 3
        if self.channels not in (1, 3):
            raise UsageError(
                f"the encoder takes images of {self.channels} channels, and files have 1 or 3: give another"
            )
        about = [recipe.settings, recipe.feature_layer, self.size, torch.device(device).type, torch.__version__]
        self.key = state_sha256([json.dumps(about, default=str), method.encoder.state_dict()])

    def features(self, images: Tensor) -> Tensor:
        """Features (B, D) float32 on the CPU, of uint8 images (B, 3, H, W)."""
        x = images.to(self.device)
        if self.channels == 1:
            gray = (x.float() * x.new_tensor(GRAY, dtype=torch.float32).view(3, 1, 1)).sum(1, keepdim=True)
            x = gray.round().to(torch.uint8)
        with torch.no_grad():
            return self.method.extract_features(x).float().cpu()
