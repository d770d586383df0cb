"""The model card of an exported encoder: what it is, how to load it with plain torch, how well it did."""

import html
from collections.abc import Iterable, Mapping
from importlib.metadata import version
from pathlib import Path
from textwrap import indent
from typing import Any

import torch
import yaml
from torch import Tensor, nn

from avalanche_ssl.errors import UsageError
from avalanche_ssl.methods import Method
from avalanche_ssl.models import ENCODERS
from avalanche_ssl.recipes import Recipe
from avalanche_ssl.runs.summary import percent


def card(
    recipe: Recipe,
    config: Mapping[str, Any],
    weights: Mapping[str, Tensor],
    file: Path,
    trained: str,
    results: Iterable[tuple[str, str, float, float]],
) -> str:
    """The model card in Markdown: code that loads the weights, their input, probe accuracies, and all settings.

    Args:
        recipe: recipe of the run.
        config: all options and settings of the run.
        weights: weights of the encoder.
        file: where they are.
        trained: which part of the stream the encoder was trained on, in words.
        results: probe, scope, and mean accuracies of the untrained encoder and of this one, 0 to 1.

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
        f"| {html.escape(probe)} | {html.escape(scope)} | {percent(before)} | {percent(after)} |"
        for probe, scope, before, after in results
    ]
    table = ["| probe | scope | untrained % | trained % |", "|---|---|---|---|", *rows]
    parts = [
        f"# Encoder of {title}",
        f"{sum(p.numel() for p in method.encoder.parameters()):,} parameters, after {trained}.",
        _loading(method, made, file.name),
        f"Its input: {_input(method)}.",
        "Mean accuracy of probes on its frozen features, over the test data of the experiences:" if rows else
        "The stream was not probed.",
        "\n".join(table) if rows else "",
        "All settings:",
        indent(yaml.safe_dump(dict(config), sort_keys=False), "    ").rstrip(),
        f"Written by avalanche-ssl {version('avalanche-ssl')}, torch {torch.__version__}.",
    ]  # fmt: skip
    return "\n\n".join(part for part in parts if part) + "\n"


def _record(recipe: Recipe) -> tuple[Method, dict[nn.Module, str]]:
    """The method, and the call that built each of its encoders."""
    made: dict[nn.Module, str] = {}

    def recorded(*given: Any, **named: Any) -> Any:
        encoder = ENCODERS[recipe.encoder](*given, **named)
        arguments = [*map(repr, given), *(f"{k}={v!r}" for k, v in named.items())]
        made[encoder] = f"{recipe.encoder}({', '.join(arguments)})"
        return encoder

    with torch.random.fork_rng(devices=[]):
        return recipe.method(recorded), made


def _loading(method: Method, made: Mapping[nn.Module, str], file: str) -> str:
    """Five lines of Python, or what to do if the method builds a network of its own."""
    encoder, safe = method.encoder, file.endswith(".safetensors")
    load = f"load_file({file!r})" if safe else f"torch.load({file!r}, weights_only=True)"
    if encoder in made:
        network = made[encoder]
    elif isinstance(encoder, nn.ModuleDict) and all(part in made for part in encoder.values()):
        network = f"torch.nn.ModuleDict({{{', '.join(f'{k!r}: {made[v]}' for k, v in encoder.items())}}})"
    else:
        return f"The network is the encoder of {type(method).__name__}: `method.encoder.load_state_dict({load})`."
    name = next(iter(made.values())).partition("(")[0]
    lines = [
        "import torch",
        f"from avalanche_ssl.models import {name}",
        *(["from safetensors.torch import load_file"] if safe else []),
        f"encoder = {network}",
        f"encoder.load_state_dict({load})",
        "encoder.eval()",
    ]
    return "\n".join(["```python", *(lines[1:] if safe and "torch." not in network else lines), "```"])


def _input(method: Method) -> str:
    """The images that the encoder takes, in words."""
    if type(method).extract_features is not Method.extract_features:
        return f"images as `{type(method).__name__}.extract_features` prepares them"
    mean, std = method.augment.mean, method.augment.std
    return f"images (B, 3, H, W) as float in [0, 1], minus {mean}, divided by {std}"
