"""What a configuration says of its stream: the seed of it, the options of the benchmark, and what probes are scored on.

`--seed` reaches the stream, too, unless `--stream-seed` is given: a benchmark's option `seed`, and of CORe50 the `run`
among its official orders. Neither is among the options of a configuration that leaves it open.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from avalanche_ssl.errors import UsageError, unknown_name
from avalanche_ssl.streams import BENCHMARKS

if TYPE_CHECKING:
    from avalanche_ssl.runs.config import RunConfig

CORE50_RUNS = 10
"""Official orders of CORe50: seed s of the stream is order s modulo 10."""

TEST, VALIDATION = "test", "val"

DIGITS = ("split-digits", "rotated-digits", "digits-on-photographs")
"""The embedded streams, which were two with an option `ground`."""


def follows_seed(benchmark: str) -> str | None:
    """The option of a benchmark that follows the seed of the stream; None: it draws nothing."""
    declared = inspect.signature(BENCHMARKS[benchmark]).parameters
    named = "run" if benchmark.startswith("core50-") else "seed"
    return named if named in declared else None


def move_seed(config: RunConfig) -> None:
    """Make the option `seed` of a benchmark the seed of the stream, of which it is another name."""
    seed = config.benchmark_options.get("seed")
    if follows_seed(config.benchmark) == "seed" and type(seed) is int and 0 <= seed < 2**63:
        others = {name: value for name, value in config.benchmark_options.items() if name != "seed"}
        object.__setattr__(config, "stream_seed", seed)
        object.__setattr__(config, "benchmark_options", others)


def stream_options(config: RunConfig) -> dict[str, Any]:
    """The options with which the builder of the benchmark is called, but `data`."""
    options = {name: value for name, value in config.benchmark_options.items() if name != "regime"}
    name, seed = follows_seed(config.benchmark), config.seed_of_stream
    if name is None:
        return options
    return {name: seed % CORE50_RUNS if name == "run" else seed} | options


def decisive_stream(config: RunConfig) -> dict[str, Any]:
    """The entries of `RunConfig.decisive` that are about the stream: those of a run that had no such option stay."""
    options = {n: v for n, v in stream_options(config).items() if n != "cache"}
    options |= {name: config.benchmark_options[name] for name in ("regime",) if name in config.benchmark_options}
    found: dict[str, Any] = {"benchmark_options": options}
    if follows_seed(config.benchmark) != "seed" and config.seed_of_stream:
        found["stream_seed"] = config.seed_of_stream  # of the labels that probes keep
    return found if config.eval_on == TEST else found | {"eval_on": config.eval_on}


def unknown_benchmark(name: str) -> UsageError:
    """The error for a benchmark that is not there."""
    if name != "digits-domain":
        return unknown_name("benchmark", name, BENCHMARKS)
    return UsageError(
        "the benchmark 'digits-domain' is gone: give rotated-digits, which it was with ground=color; digits on "
        "photographs come class by class, in digits-on-photographs"
    )


def unknown_benchmark_option(benchmark: str, option: object, known: Iterable[str]) -> UsageError:
    """The error for an option that a benchmark does not have."""
    if option != "ground" or benchmark not in DIGITS:
        return unknown_name(f"option of {benchmark}", option, known)
    return UsageError(
        f"{benchmark} has no option 'ground', each is a stream of its own: give --benchmark split-digits (color), "
        "rotated-digits (color, all classes at once) or digits-on-photographs"
    )


def scored_part(eval_on: str) -> str:
    """What probes are scored on, in a word before "data": "test" or "validation"."""
    return TEST if eval_on == TEST else "validation"


def validation_experiences(eval_on: str) -> int | None:
    """The number N of "val:N", the first experiences that are used; None: all.

    Raises:
        UsageError: the value is not known.
    """
    name, colon, number = eval_on.partition(":")
    if name not in (TEST, VALIDATION) or (colon and (name == TEST or not number.isdecimal() or int(number) < 1)):
        raise UsageError(
            f"--eval-on '{eval_on}': give test, val (a part of the training data) or val:N (of the first N experiences)"
        )
    return int(number) if colon else None
