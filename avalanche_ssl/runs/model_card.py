"""The model card of an exported encoder: what it is, how to load it with plain torch, how well it did."""

import html
from collections.abc import Iterable, Mapping
from importlib.metadata import version
from pathlib import Path
from textwrap import indent
from typing import Any, NamedTuple

import torch
import yaml
from torch import Tensor, nn

from avalanche_ssl import models
from avalanche_ssl.errors import UsageError
from avalanche_ssl.methods import Method
from avalanche_ssl.models import ENCODERS, get_encoder, with_channels
from avalanche_ssl.recipes import EncoderSetting, Recipe, load_encoder
from avalanche_ssl.runs.stream_options import TEST, scored_part
from avalanche_ssl.runs.summary import percent, start_name


def card(
    recipe: Recipe,
    config: Mapping[str, Any],
    weights: Mapping[str, Tensor],
    file: Path,
    trained: str,
    results: Iterable[tuple[str, str, float, float]],
    loading: str | None = None,
) -> str:
    """The model card in Markdown: code that loads the weights, their input, probe accuracies, and all settings.

    Args:
        recipe: recipe of the run.
        config: all options and settings of the run.
        weights: weights of the encoder.
        file: where they are.
        trained: which part of the stream the encoder was trained on, in words.
        results: probe, scope, and mean accuracies of the untrained encoder and of this one, 0 to 1.
        loading: the code that loads them, if they are not a file of weights by the names of this package.

    Raises:
        UsageError: the weights are not those of the recipe's encoder.
    """
    method, made = _record(recipe)
    try:
        method.encoder.load_state_dict(weights)
    except RuntimeError as error:
        raise UsageError(f"the weights are not of this run's encoder: {' '.join(str(error).split())[:200]}") from error
    title = html.escape(f"{Path(config['strategy']).stem} on {config['benchmark']}, seed {config['seed']}")
    rows = [
        f"| {html.escape(probe)} | {html.escape(scope)} | {percent(start)} | {percent(after)} |"
        for probe, scope, start, after in results
    ]
    before = f"{start_name(config)} %"
    table = [f"| probe | scope | {before} | trained % |", "|---|---|---|---|", *rows]
    part = scored_part(config.get("eval_on", TEST))
    parts = [
        f"# Encoder of {title}",
        f"{sum(p.numel() for p in method.encoder.parameters()):,} parameters, after {trained}.",
        _origin(config),
        loading or _loading(method, made, file.name, Path(config["strategy"]).name),
        f"Its input: {_input(method)}.",
        _features(method),
        f"Mean accuracy of probes on its frozen features, over the {part} data of the experiences:" if rows else
        "The stream was not probed.",
        "\n".join(table) if rows else "",
        "All settings:",
        indent(yaml.safe_dump(dict(config), sort_keys=False), "    ").rstrip(),
        f"Written by avalanche-ssl {version('avalanche-ssl')}, torch {torch.__version__}.",
    ]  # fmt: skip
    return "\n\n".join(part for part in parts if part) + "\n"


class EncoderCall(NamedTuple):
    """How a method has built an encoder."""

    name: str
    given: tuple[Any, ...]
    named: dict[str, Any]

    def __str__(self) -> str:
        arguments = [*map(repr, self.given), *(f"{name}={value!r}" for name, value in self.named.items())]
        return f"{self.name if self.is_ours else f'get_encoder({self.name!r})'}({', '.join(arguments)})"

    @property
    def is_ours(self) -> bool:
        """Whether it is an encoder of this package, not of another library."""
        return self.name in ENCODERS

    @property
    def imported(self) -> str:
        """What a script imports from `avalanche_ssl.models`."""
        return self.name if self.is_ours else "get_encoder"

    def makes(self, network: nn.Module) -> bool:
        """Whether the same call, written in a script, makes this network."""
        if not all(map(_is_plain, (*self.given, *self.named.values()))) or ".py:" in self.name:
            return False
        if self.is_ours and getattr(models, self.name, None) is not ENCODERS[self.name]:
            return False
        with torch.random.fork_rng(devices=[]):
            again = get_encoder(self.name)(*self.given, **self.named)
        return repr(again) == repr(network) and _shapes(again) == _shapes(network)


def _is_plain(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return all(map(_is_plain, value))
    return isinstance(value, int | float | str | None)


def _shapes(network: nn.Module) -> dict[str, torch.Size]:
    return {name: tensor.shape for name, tensor in network.state_dict().items()}


def _record(recipe: Recipe) -> tuple[Method, dict[nn.Module, EncoderCall]]:
    """The method, and the call that built each of its encoders."""
    made: dict[nn.Module, EncoderCall] = {}
    setting, factory = EncoderSetting.parse(recipe.encoder), load_encoder(recipe.encoder, recipe.encoder_sha256)

    def recorded(*given: Any, **named: Any) -> Any:
        encoder = factory(*given, **named)
        made[encoder] = EncoderCall(setting.name, given, {**setting.arguments, **named})
        return encoder

    with torch.random.fork_rng(devices=[]):
        method = recipe.method(with_channels(recorded, recipe.in_channels))
    method.choose_features(recipe.feature_layer)
    return method, made


def _loading(method: Method, made: Mapping[nn.Module, EncoderCall], file: str, strategy: str) -> str:
    """Five lines of Python, or whose the network is if it is none of this package."""
    encoder, safe = method.encoder, file.endswith(".safetensors")
    load = f"load_file({file!r})" if safe else f"torch.load({file!r}, weights_only=True)"
    parts = dict(encoder.items()) if type(encoder) is nn.ModuleDict else {"": encoder}
    if not (parts and all(part in made and made[part].makes(part) for part in parts.values())):
        return (
            f"Its network is none of `avalanche_ssl.models`: `{type(method).__name__}` of the strategy "
            f"{html.escape(strategy)} builds it, and its `encoder` takes these weights."
        )
    pairs = ", ".join(f"{name!r}: {made[part]}" for name, part in parts.items())
    network = made.get(encoder, f"torch.nn.ModuleDict({{{pairs}}})")
    lines = [
        "import torch",
        f"from avalanche_ssl.models import {next(iter(made.values())).imported}",
        *(["from safetensors.torch import load_file"] if safe else []),
        f"encoder = {network}",
        f"encoder.load_state_dict({load})",
        "encoder.eval()",
    ]
    return "\n".join(["```python", *(lines[1:] if safe and encoder in made else lines), "```"])


def _origin(config: Mapping[str, Any]) -> str:
    """What the run started from, if not from random weights."""
    if config.get("init"):
        return (
            f"Started from the weights {html.escape(Path(config['init']).name)}, SHA-256 {config.get('init_sha256')}."
        )
    lineage = [html.escape(str(entry)) for entry in config.get("lineage") or ()]
    return "\n".join(["Continues, oldest first:", "", *(f"- {entry}" for entry in lineage)]) if lineage else ""


def _features(method: Method) -> str:
    """Which layer the probes read, if it is not the output of the encoder."""
    layer = method.feature_layer
    if layer is None or type(method).extract_features is not Method.extract_features:
        return "" if layer is None else f"Probes read its features by `feature_layer={layer}`."
    return f"Probes read another layer: `avalanche_ssl.models.read_features(encoder, images, {layer!r})`."


def _input(method: Method) -> str:
    """The images that the encoder takes, in words."""
    if type(method).extract_features is not Method.extract_features:
        return f"images as `{type(method).__name__}.extract_features` prepares them"
    mean, std = method.augment.mean, method.augment.std
    channels, size = getattr(method.encoder, "in_channels", None) or 3, getattr(method.encoder, "image_size", None)
    shape = "H, W" if size is None else f"{size[0]}, {size[1]}"
    return f"images (B, {channels}, {shape}) as float in [0, 1], minus {mean}, divided by {std}"
