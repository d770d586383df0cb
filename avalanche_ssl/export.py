"""How does an encoder leave a run? As plain weights that torch alone can read, with a card that says what it is."""

import html
import io
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from textwrap import indent
from typing import Any

import torch
import yaml
from torch import Tensor, nn

import avalanche_ssl
from avalanche_ssl.checkpoint import MAGIC, read
from avalanche_ssl.errors import UsageError
from avalanche_ssl.files import replacing
from avalanche_ssl.methods.base import Method
from avalanche_ssl.models.encoders import ENCODERS
from avalanche_ssl.recipes.recipe import Recipe
from avalanche_ssl.results import percent

PREFIX = "encoder."
"""Of the encoder's weights among those of a method."""


def read_encoder(path: str | Path) -> dict[str, Tensor]:
    """The weights of an encoder, on the CPU.

    Args:
        path: an `encoder.pt`, or a checkpoint, whose encoder is taken out.

    Raises:
        UsageError: the file cannot be read, is damaged, or holds anything but tensors.
    """
    path = Path(path)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UsageError(f"cannot read the encoder {path}: {error.strerror}") from error
    if content.startswith(MAGIC):
        return _out_of_checkpoint(path)
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:  # torch leaves the checksums unread
            if broken := archive.testzip():
                raise ValueError(f"{broken} is damaged")
        weights = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except Exception as error:  # what the readers raise for a stranger's file is not documented
        reason = " ".join(str(error).split())[:200]
        raise UsageError(f"cannot use {path}: no weights written by run.py, or damaged ({reason})") from error
    if not isinstance(weights, dict) or not all(isinstance(v, Tensor) for v in weights.values()):
        raise UsageError(f"cannot use {path}: it holds more than tensors by name; give the encoder.pt of a run")
    return {str(name): value for name, value in weights.items()}


def _out_of_checkpoint(path: Path) -> dict[str, Tensor]:
    state = read(path)
    try:
        weights = {k.removeprefix(PREFIX): v for k, v in state["strategy"]["model"].items() if k.startswith(PREFIX)}
    except (KeyError, TypeError, AttributeError) as error:
        raise UsageError(f"the checkpoint {path} holds no model: give one that a run wrote") from error
    if not weights:
        raise UsageError(f"the model in {path} has no encoder: give the checkpoint of a Method")
    return weights


def write_encoder(path: str | Path, weights: Mapping[str, Tensor]) -> None:
    """Write weights by name, whole or not at all: as safetensors to a `.safetensors`, else as `torch.save` does.

    Raises:
        UsageError: the disk refuses, or the package safetensors is needed and not installed.
    """
    path = Path(path)
    own = {name: tensor.detach().cpu().clone().contiguous() for name, tensor in weights.items()}
    if path.suffix == ".safetensors":
        try:
            from safetensors.torch import save
        except ImportError as error:
            raise UsageError(f"{path}: pip install safetensors, or give a file named .pt") from error
        content = save(own)
    else:
        buffer = io.BytesIO()  # torch's writer does not tell a full disk
        torch.save(own, buffer)
        content = buffer.getvalue()
    with replacing(path) as file:
        file.write(content)


def card(
    recipe: Recipe,
    config: Mapping[str, Any],
    weights: Mapping[str, Tensor],
    file: Path,
    learnt: str,
    results: Iterable[tuple[str, str, float, float]],
) -> str:
    """The model card in Markdown: code that loads the weights, what they expect, how well they were, their settings.

    Args:
        recipe: what learnt.
        config: all settings of the run.
        weights: of the encoder.
        file: where they are.
        learnt: what of the stream they have seen, in words.
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
        f"| {html.escape(probe)} | {html.escape(scope)} | {percent(before)} | {percent(now)} |"
        for probe, scope, before, now in results
    ]
    table = ["| probe | labels of | untrained % | now % |", "|---|---|---|---|", *rows]
    parts = [
        f"# Encoder of {title}",
        f"{sum(p.numel() for p in method.encoder.parameters()):,} parameters, after {learnt}.",
        _loading(method, made, file.name),
        f"It reads {_input(method)}.",
        "Mean accuracy of probes on its frozen features, over the test data of the experiences:" if rows else
        "The stream was not probed.",
        "\n".join(table) if rows else "",
        "All settings:",
        indent(yaml.safe_dump(dict(config), sort_keys=False), "    ").rstrip(),
        f"Written by avalanche-ssl {avalanche_ssl.__version__}, torch {torch.__version__}.",
    ]  # fmt: skip
    return "\n\n".join(part for part in parts if part) + "\n"


def _record(recipe: Recipe) -> tuple[Method, dict[nn.Module, str]]:
    """The method, and the calls that made the encoders in it."""
    made: dict[nn.Module, str] = {}

    def recorded(*given: Any, **named: Any) -> Any:
        encoder = ENCODERS[recipe.encoder](*given, **named)
        arguments = [*map(repr, given), *(f"{k}={v!r}" for k, v in named.items())]
        made[encoder] = f"{recipe.encoder}({', '.join(arguments)})"
        return encoder

    with torch.random.fork_rng(devices=[]):
        return recipe.method(recorded), made


def _loading(method: Method, made: Mapping[nn.Module, str], file: str) -> str:
    """Five lines of Python, or what to do where the method builds a network of its own."""
    encoder, safe = method.encoder, file.endswith(".safetensors")
    load = f"load_file({file!r})" if safe else f"torch.load({file!r}, weights_only=True)"
    if encoder in made:
        network = made[encoder]
    elif isinstance(encoder, nn.ModuleDict) and all(part in made for part in encoder.values()):
        network = f"torch.nn.ModuleDict({{{', '.join(f'{k!r}: {made[v]}' for k, v in encoder.items())}}})"
    else:
        return f"Its network is what {type(method).__name__} builds: `method.encoder.load_state_dict({load})`."
    name = next(iter(made.values())).partition("(")[0]
    lines = [
        "import torch",
        f"from avalanche_ssl.models.resnet import {name}",
        *(["from safetensors.torch import load_file"] if safe else []),
        f"encoder = {network}",
        f"encoder.load_state_dict({load})",
        "encoder.eval()",
    ]
    return "\n".join(["```python", *(lines[1:] if safe and "torch." not in network else lines), "```"])


def _input(method: Method) -> str:
    """What kind of images the encoder takes."""
    if type(method).represent is not Method.represent:
        return f"what `{type(method).__name__}.represent` makes of images"
    mean, std = method.augment.mean, method.augment.std
    return f"images (B, 3, H, W) as float in [0, 1], minus {mean}, divided by {std}"
