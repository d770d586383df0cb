"""Recipe, benchmark and device of a configuration, checked before anything is trained."""

from __future__ import annotations

import dataclasses
import inspect
from pathlib import Path
from typing import TYPE_CHECKING, Any

from avalanche_ssl.errors import UsageError, unknown_name
from avalanche_ssl.plugins import build_plugins, complete_plugins, plugin_class
from avalanche_ssl.recipes import arguments, convert, to_plain
from avalanche_ssl.runs.config import RunConfig
from avalanche_ssl.runs.config_file import read_config
from avalanche_ssl.runs.origin import noted
from avalanche_ssl.runs.stream_options import (
    TEST,
    follows_seed,
    stream_options,
    unknown_benchmark_option,
    validation_experiences,
)
from avalanche_ssl.streams import BENCHMARKS, REGIMES

if TYPE_CHECKING:
    from avalanche_ssl.recipes import Recipe


DECIDED = ("experiences", "incremental")
"""Options that are None or "auto" where the benchmark decides them."""


def resolve(config: RunConfig) -> tuple[RunConfig, Recipe]:
    """The configuration with everything decided that it leaves open, and its recipe.

    Raises:
        UsageError: an option or setting is wrong; nothing was trained, no image was read.
    """
    config, recipe = _complete(config)
    check_probes(config)
    device, precision = resolve_machine(config.device, config.precision)
    method = recipe.build_method()  # a wrong setting shows now, not after thousands of images were decoded
    check_plugins(config)
    replays = any(plugin_class(name).fills_batches for name in config.plugins)
    if config.online_batch_size == 1 and not replays:
        raise UsageError("--online-batch-size is 1: a step takes two images, give it 2 or more, or --plugin replay")
    if not (replays and config.online_batch_size):  # the memory is empty in the first full experience
        method.check_batch_size(recipe.batch_size)
    evaluated = resolve_eval_precision(config.eval_precision, precision)
    return dataclasses.replace(config, device=device, precision=precision, eval_precision=evaluated), recipe


def _complete(config: RunConfig) -> tuple[RunConfig, Recipe]:
    """The configuration with all options of the benchmark, all settings and absolute paths, and its recipe."""
    from avalanche_ssl.recipes import strategy_sha256

    options = resolve_benchmark_options(config)
    sha256 = (config.is_file and config.strategy_sha256) or strategy_sha256(config.strategy)
    config = dataclasses.replace(config, strategy_sha256=sha256)
    recipe = build_recipe(config).with_noted_encoder()
    config = noted(config, recipe)
    complete = dataclasses.replace(
        config, benchmark_options=options, settings=recipe.settings, plugins=complete_plugins(config.plugins)
    )
    return complete.with_absolute_paths(), recipe


def differences(folder: Path, config: RunConfig) -> list[str]:
    """Options in which the run in a folder differs from a configuration, with both values; of "auto" any is right.

    Raises:
        UsageError: there is no run, its configuration is damaged, or an option is wrong.
    """
    from avalanche_ssl.recipes import flatten

    path = folder / "config.yaml"
    values = read_config(path)
    saved = RunConfig.from_mapping(values, str(path), to_run=False)
    complete, _ = _complete(config)
    machine = ("device", "precision", "eval_precision")
    chosen = {name: getattr(saved, name) for name in machine if getattr(config, name) == "auto"}
    old = flatten(saved.decisive | {"data": saved.data})
    new = flatten(dataclasses.replace(complete, **chosen).decisive | {"data": complete.data})
    for name in DECIDED:
        if new.get(f"benchmark_options.{name}", "") in (None, "auto"):  # those of the benchmark
            new[f"benchmark_options.{name}"] = old.get(f"benchmark_options.{name}")
    if new.get("settings.in_channels") is None:  # those of the stream
        new["settings.in_channels"] = old.get("settings.in_channels")
    return [
        f"{name} was {old.get(name)}, is {new.get(name)}"
        for name in sorted(old.keys() | new.keys())
        if old.get(name) != new.get(name)
    ]


def run_of_folder(
    folder: Path, *, strategy: str | None = None, trust_strategy: bool = False
) -> tuple[RunConfig, Recipe]:
    """Configuration and recipe of the run in a folder.

    Args:
        folder: the folder.
        strategy, trust_strategy: as for `RunConfig.from_mapping`.

    Raises:
        UsageError: there is none, its configuration is damaged, or its strategy is a Python file that nobody gave or
            trusted.
    """
    path = folder / "config.yaml"
    if not path.exists():
        raise UsageError(f"no run '{folder}', it has no config.yaml: give the folder of a run")
    config = RunConfig.from_mapping(read_config(path), str(path), strategy=strategy, trust_strategy=trust_strategy)
    return config, build_recipe(config)


def build_recipe(config: RunConfig) -> Recipe:
    """The strategy's recipe with the settings of the configuration.

    A stream cut into mini-batches changes settings of its own first (each mini-batch is one step at a constant
    learning rate): those of the configuration take precedence.
    """
    from avalanche_ssl.recipes import load_recipe

    recipe = load_recipe(config.strategy, config.strategy_sha256)
    return recipe.override(online_settings(config, recipe)).override(config.settings)


def online_settings(config: RunConfig, recipe: Recipe) -> dict[str, Any]:
    """Settings that a stream of mini-batches brings; none without one."""
    if not config.online_batch_size:
        return {}
    return {"batch_size": config.online_batch_size} | recipe.online_defaults


def check_plugins(config: RunConfig) -> None:
    """Refuse plugins that need a replay which is not there, or boundaries which the stream does not tell.

    Raises:
        UsageError: names the plugin.
    """
    plugins = build_plugins(config.plugins)
    for plugin in plugins:
        if plugin.needs_replay and not any(other.fills_batches for other in plugins):
            raise UsageError(f"plugin '{plugin.name}' works on replayed images: give --plugin replay, too")
    if not config.online_batch_size or config.access_task_boundaries:
        return
    for name, settings in config.plugins.items():
        if plugin_class(name).needs_boundaries and not settings.get("every"):
            raise UsageError(
                f"plugin '{name}' learns from the model of the last experience, and a stream of mini-batches tells no "
                f"boundaries: give --set {name}.every=STEPS, --access-task-boundaries, or cla-e, which needs none"
            )


def check_probes(config: RunConfig) -> None:
    """Refuse unknown probe protocols and a schedule that the stream cannot keep.

    Raises:
        UsageError: names the value.
    """
    from avalanche_ssl.evaluation import ProbeSchedule
    from avalanche_ssl.probes import get_protocol

    headline, *_ = [get_protocol(name) for name in config.probes.split(",")]
    if "all" not in headline.scopes:
        raise UsageError(f"probe '{headline.name}' has no scope 'all' for the tables: put another first, e.g. ridge")
    ProbeSchedule.parse(config.probe_every_images)
    if config.probe_every_images and not config.online_batch_size:
        raise UsageError("--probe-every-images is about a stream of mini-batches: give --online-batch-size, too")


def resolve_machine(device: str, precision: str) -> tuple[str, str]:
    """Device and precision, chosen where they are "auto".

    Raises:
        UsageError: the device or precision is not known or not there.
    """
    import torch

    from avalanche_ssl import distributed
    from avalanche_ssl.training import fastest_precision
    from avalanche_ssl.training.device import get_device, no_device

    if device == "auto":
        device = "cuda" if torch.cuda.device_count() else "cpu"
    chosen = get_device(device)
    if chosen.type not in ("cpu", "cuda"):
        raise no_device(device)
    if precision not in ("auto", "fp32", "bf16"):
        raise unknown_name("precision", precision, ["auto", "fp32", "bf16"])
    if precision == "auto":  # measured, so that processes may find different ones
        precision = distributed.broadcast(fastest_precision(chosen))
    return device, precision


def resolve_eval_precision(precision: str, trained: str) -> str:
    """The precision of evaluation: where it is "auto", that in which the encoder is trained.

    Raises:
        UsageError: it is not known.
    """
    if precision not in ("auto", "fp32", "bf16"):
        raise unknown_name("precision of evaluation", precision, ["auto", "fp32", "bf16"])
    return trained if precision == "auto" else precision


def resolve_benchmark_options(config: RunConfig) -> dict[str, Any]:
    """All options of the benchmark but `data` and an open seed, checked against what its builder declares.

    Raises:
        UsageError: an option is not known or of a wrong type, or `data` is missing or not needed.
    """
    name, builder = config.benchmark, BENCHMARKS[config.benchmark]
    data = inspect.signature(builder).parameters.get("data")
    if data is None and config.data is not None:
        raise UsageError(f"benchmark '{name}' needs no --data: leave it out")
    if data is not None and data.default is data.empty and config.data is None:
        raise UsageError(f"benchmark '{name}' needs --data PATH")
    typed = {option: kind_and_value for option, kind_and_value in arguments(builder).items() if option != "data"}
    options = {option: value for option, (_, value) in typed.items() if option != follows_seed(name)}
    for option, value in config.benchmark_options.items():
        if option == "regime":  # of every benchmark; noted where it is given, so that other runs stay as they were
            if value not in REGIMES:
                raise unknown_name("regime", value, REGIMES)
            options |= {} if value == REGIMES[0] else {option: value}
            continue
        if option not in typed:
            raise unknown_benchmark_option(name, option, [*typed, "regime"])
        options[option] = to_plain(convert(value, typed[option][0], option))
    return options


def with_decided_options(config: RunConfig, benchmark: Any) -> RunConfig:
    """The configuration with what the images decided of the options that were left open: `config.yaml` records it."""
    decided = getattr(benchmark, "decided", {})
    given = {name: value for name, value in decided.items() if config.benchmark_options.get(name, "") in (None, "auto")}
    return dataclasses.replace(config, benchmark_options=config.benchmark_options | given)


def build_benchmark(config: RunConfig) -> Any:
    """The benchmark, with its images; a validation part in place of its test data where the configuration says so.

    Raises:
        UsageError: its options or its data make no stream.
    """
    data = {} if config.data is None else {"data": config.data}
    try:
        benchmark = BENCHMARKS[config.benchmark](**stream_options(config), **data)
        if config.eval_on == TEST:
            return benchmark
        from avalanche_ssl.streams import validation_stream

        return validation_stream(benchmark, config.seed_of_stream, validation_experiences(config.eval_on))
    except UsageError:
        raise
    except (ValueError, MemoryError) as error:  # e.g. of numpy, about a seed or a size
        raise UsageError(f"these options make no stream: {error}") from error
