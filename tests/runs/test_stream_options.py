"""Which seed a stream has, what its builder is called with, and what of it decides a result."""

from __future__ import annotations

from typing import Any

import pytest

from avalanche_ssl.errors import UsageError
from avalanche_ssl.runs.config import RunConfig
from avalanche_ssl.runs.stream_options import (
    DIGITS,
    follows_seed,
    scored_part,
    stream_options,
    unknown_benchmark,
    unknown_benchmark_option,
    validation_experiences,
)
from avalanche_ssl.streams import BENCHMARKS


def config(**more: Any) -> RunConfig:
    return RunConfig(**{"strategy": "simclr", "benchmark": "split-digits"} | more)


@pytest.mark.parametrize(
    ("given", "stream_seed"),
    [
        ({}, 0),
        ({"seed": 3}, 3),
        ({"seed": 3, "stream_seed": 1}, 1),
        ({"seed": 3, "stream_seed": 0}, 0),
        ({"seed": 3, "benchmark_options": {"seed": 7}}, 7),
    ],
)
def test_the_seed_reaches_the_stream_unless_it_has_its_own(given: dict[str, Any], stream_seed: int) -> None:
    found = config(**given)
    assert found.seed_of_stream == stream_seed
    assert stream_options(found) == {"seed": stream_seed}
    assert "seed" not in found.benchmark_options


def test_orders_of_core50_follow_the_seed() -> None:
    assert {follows_seed(name) for name in BENCHMARKS if name.startswith("core50")} == {"run"}
    assert stream_options(config(benchmark="core50-nc", seed=13)) == {"run": 3}
    assert stream_options(config(benchmark="core50-nc", seed=13, benchmark_options={"run": 5})) == {"run": 5}
    assert stream_options(config(benchmark="core50-nc", seed=13, stream_seed=2)) == {"run": 2}


def test_a_benchmark_without_draws_has_no_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(BENCHMARKS, "mine", lambda experiences=2: None)
    assert follows_seed("mine") is None and stream_options(config(benchmark="mine", seed=4)) == {}
    kept = config(benchmark="mine", benchmark_options={"seed": 4})
    assert kept.benchmark_options == {"seed": 4} and kept.stream_seed is None, "resolving refuses it by name"
    assert config(benchmark="mine", stream_seed=4).decisive["stream_seed"] == 4, "of the labels that probes keep"


def test_what_is_no_seed_is_left_to_be_refused() -> None:
    for value in ("x", -1, True, 1.5):
        assert config(benchmark_options={"seed": value}).benchmark_options == {"seed": value}


def test_checkpoints_of_former_runs_have_the_same_decisive_options() -> None:
    """Those of before `stream_seed` and `eval_on`: a seed among the options of the benchmark."""
    old = {"experiences": 5, "composites": 8, "seed": 0}
    new = config(seed=3, stream_seed=0, benchmark_options={"experiences": 5, "composites": 8})
    assert new.decisive["benchmark_options"] == old
    assert not {"stream_seed", "eval_on"} & new.decisive.keys()
    core50 = config(benchmark="core50-nc", stream_seed=0, benchmark_options={"run": 4, "cache": "x"})
    assert core50.decisive["benchmark_options"] == {"run": 4} and "stream_seed" not in core50.decisive
    assert config(eval_on="val").decisive["eval_on"] == "val"


def test_titles_tell_seeds_and_validation_apart() -> None:
    assert config(seed=2).title == "simclr on split-digits, seed 2"
    assert config(seed=2, stream_seed=2).title == "simclr on split-digits, seed 2"
    assert config(stream_seed=1, eval_on="val").title == "simclr on split-digits, seed 0, stream seed 1, validation"


@pytest.mark.parametrize(("value", "number"), [("test", None), ("val", None), ("val:2", 2)])
def test_what_probes_are_scored_on(value: str, number: int | None) -> None:
    assert validation_experiences(value) == number
    assert scored_part(value) == ("test" if value == "test" else "validation")


@pytest.mark.parametrize("value", ["train", "val:", "val:0", "val:x", "test:2", ""])
def test_anything_else_is_refused(value: str) -> None:
    with pytest.raises(UsageError, match=r"give test, val \(a part of the training data\) or val:N") as error:
        config(eval_on=value)
    assert "\n" not in str(error.value)


def test_streams_of_digits_that_are_gone_are_refused_with_their_successors() -> None:
    gone = str(unknown_benchmark("digits-domain"))
    assert gone.startswith("the benchmark 'digits-domain' is gone: give rotated-digits") and "\n" not in gone
    assert "digits-on-photographs" in gone
    for name in DIGITS:
        found = str(unknown_benchmark_option(name, "ground", ["seed"]))
        assert found.startswith(f"{name} has no option 'ground'") and "\n" not in found
        assert all(other in found.partition("give --benchmark")[2] for other in DIGITS)
    assert "did you mean 'seed'" in str(unknown_benchmark_option("split-digits", "sed", ["seed"]))
    assert "choose one" in str(unknown_benchmark_option("folder", "ground", ["seed"]))
    assert "did you mean 'split-digits'" in str(unknown_benchmark("splitdigits"))
    assert set(DIGITS) < BENCHMARKS.keys()
