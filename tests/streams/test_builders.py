"""Builders of streams are listed without heavy imports, with all their options."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.docs import block
from helpers.streams import check_benchmark

from avalanche_ssl import streams
from avalanche_ssl.errors import UsageError
from avalanche_ssl.recipes import arguments

SPLIT = {"experiences", "incremental", "imbalance", "leak", "repeats", "seed", "class_order"}


def test_names_are_read_without_torch() -> None:
    code = (
        "import sys, avalanche_ssl.streams as s; assert s.BENCHMARKS; "
        "sys.exit(sum(name in sys.modules for name in ('torch', 'avalanche', 'numpy', 'sklearn', 'PIL')))"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=600)


def test_every_benchmark_has_a_line_of_help() -> None:
    assert all((build.__doc__ or "").split("\n")[0].endswith((".", "labels.")) for build in streams.BENCHMARKS.values())


@pytest.mark.parametrize(
    ("build", "experiences", "own"),
    [
        (streams.split_digits, 10, {"composites"}),
        (streams.digits_on_photographs, 5, {"composites"}),
        (streams.split_cifar10, 5, {"data"}),
        (streams.split_cifar100, 10, {"data"}),
        (streams.split_tiny_imagenet, 10, {"data", "size", "damaged"}),
    ],
)
def test_split_options_are_declared(build: Callable[..., Any], experiences: int, own: set[str]) -> None:
    """The command line reads their types and defaults from the signature."""
    assert set(inspect.signature(build).parameters) == SPLIT | own
    declared = arguments(build)
    assert declared["experiences"] == (int, experiences)
    assert declared["incremental"] == (str, "class")
    assert declared["imbalance"] == (float, 1.0)
    assert declared["class_order"] == (Sequence[int] | None, None)


def test_options_of_a_folder_are_declared() -> None:
    declared = arguments(streams.folder)
    own = {"size": 32, "labels": "auto", "test_fraction": 0.2, "damaged": "refuse", "value_range": None}
    assert declared.keys() == SPLIT | own.keys()
    assert declared.keys() | {"data"} == inspect.signature(streams.folder).parameters.keys()
    assert {name: declared[name][1] for name in own} == own
    assert declared["experiences"] == (int | None, None)
    assert declared["incremental"] == (str, "auto")
    assert declared["imbalance"] == (float, 1.0)


@pytest.mark.parametrize("name", [name for name in streams.BENCHMARKS if name.startswith("core50-")])
def test_a_stream_of_core50_has_its_scenario_fixed(name: str) -> None:
    parameters = inspect.signature(streams.BENCHMARKS[name]).parameters
    assert list(parameters) == ["data", "run", "size", "labels", "order", "damaged", "cache"]
    assert parameters["data"].annotation == "str | Path"


def test_unknown_options_are_refused() -> None:
    with pytest.raises(TypeError, match="'experience'"):
        streams.split_digits(experience=3)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="'scenario'"):
        streams.BENCHMARKS["core50-ni"](Path("nowhere"), scenario="nc")


@pytest.mark.parametrize("name", ["split-cifar10", "split-cifar100", "tiny-imagenet", "folder", "shards", "core50-nc"])
def test_a_folder_may_be_in_the_home_folder(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torchvision.datasets.cifar.download_and_extract_archive", lambda *args, **options: None)
    monkeypatch.chdir(tmp_path)
    for variable in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(variable, str(tmp_path / "home"))
    with pytest.raises(UsageError, match=re.escape(str(tmp_path / "home" / "data"))):
        streams.BENCHMARKS[name](data="~/data")
    assert not (tmp_path / "~").exists()


def test_the_stream_that_the_readme_shows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "BENCHMARKS", dict(streams.BENCHMARKS))
    names: dict[str, Any] = {}
    exec(block("avalanche_ssl/streams/README.md", "BENCHMARKS"), names)
    for name, n in (("train", 24), ("test", 12)):
        np.save(tmp_path / f"{name}.npy", np.random.default_rng(0).integers(0, 256, (n, 8, 8, 3), np.uint8))
        np.save(tmp_path / f"{name}-labels.npy", np.arange(n) % 6)
    build = streams.BENCHMARKS["arrays"]
    assert set(inspect.signature(build).parameters) == SPLIT | {"data"}
    benchmark = build(str(tmp_path), experiences=3, incremental="blurry", leak=0.0)
    check_benchmark(benchmark)
    assert len(benchmark.train_stream) == 3
