"""Recipe, stream and device of a configuration."""

import argparse
import inspect
from typing import Any

from avalanche_ssl.errors import UsageError, unknown_name
from avalanche_ssl.streams import BENCHMARKS


def _recipe(options: argparse.Namespace, config: dict[str, Any]) -> Any:
    """The strategy's recipe, changed by --config and then by the command line.

    A stream cut into mini-batches brings settings of its own: each mini-batch is one step at a constant rate. They
    come where the cutting was asked for, so that what is given later, or beside it, wins.
    """
    from avalanche_ssl.recipes.loading import load_recipe
    from avalanche_ssl.recipes.settings import parse_settings

    flags = {name: getattr(options, name) for name in ("epochs", "encoder") if getattr(options, name) is not None}
    recipe = load_recipe(config["strategy"])
    online = {"batch_size": config["online"]} | recipe.online_defaults if config["online"] else {}
    if options.online is None:
        recipe = recipe.override(online).override(config["settings"])
    else:
        recipe = recipe.override(config["settings"]).override(online)
    return recipe.override(parse_settings(options.set) | flags)


def _machine(device: str, precision: str) -> tuple[str, str]:
    """Device and precision, chosen where the user left it to us."""
    import torch

    from avalanche_ssl.training.precision import fastest_precision

    cuda = torch.cuda.device_count()
    if device == "auto":
        device = "cuda" if cuda else "cpu"
    try:
        chosen = torch.device(device)
    except RuntimeError:
        raise unknown_name("device", device, ["auto", "cpu", "cuda"]) from None
    if chosen.type not in ("cpu", "cuda"):
        raise unknown_name("device", device, ["auto", "cpu", "cuda"])
    if chosen.type == "cuda" and (chosen.index or 0) >= cuda:
        raise UsageError(f"device '{device}': torch finds {cuda} CUDA devices here; give another, or cpu")
    if precision not in ("auto", "fp32", "bf16"):
        raise unknown_name("precision", precision, ["auto", "fp32", "bf16"])
    return device, fastest_precision(chosen) if precision == "auto" else precision


def _stream(config: dict[str, Any]) -> dict[str, Any]:
    """All options of the stream but `data`, checked against what its builder declares."""
    from avalanche_ssl.recipes.settings import arguments, convert, to_plain

    name, builder = config["benchmark"], BENCHMARKS[config["benchmark"]]
    data = inspect.signature(builder).parameters.get("data")
    if data is None and config["data"] is not None:
        raise UsageError(f"benchmark '{name}' needs no --data: leave it out")
    if data is not None and data.default is data.empty and config["data"] is None:
        raise UsageError(f"benchmark '{name}' needs --data DIR")
    typed = {option: kind_and_value for option, kind_and_value in arguments(builder).items() if option != "data"}
    options = {option: value for option, (_, value) in typed.items()}
    for option, value in config["stream"].items():
        if option not in typed:
            raise unknown_name(f"option of {name}", option, typed)
        options[option] = to_plain(convert(value, typed[option][0], option))
    return options


def _benchmark(config: dict[str, Any]) -> Any:
    """The stream."""
    options = config["stream"] | ({} if config["data"] is None else {"data": config["data"]})
    try:
        return BENCHMARKS[config["benchmark"]](**options)
    except UsageError:
        raise
    except (ValueError, MemoryError) as error:  # e.g. of numpy, about a seed or a size
        raise UsageError(f"these options make no stream: {error}") from error
