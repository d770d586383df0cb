"""`RunConfig`: what is accepted, what is refused, and what `config.yaml` holds."""

import dataclasses
import os
from pathlib import Path
from typing import Any

import pytest
import yaml

from avalanche_ssl.errors import UsageError
from avalanche_ssl.runs.config import RunConfig
from avalanche_ssl.runs.config_file import read_config

FIELDS = [f.name for f in dataclasses.fields(RunConfig)]


def test_every_option_is_documented() -> None:
    for field in dataclasses.fields(RunConfig):
        assert len(field.metadata["help"]) > 8, field.name


def test_config_yaml_gives_the_same_configuration(tmp_path: Path) -> None:
    config = RunConfig(strategy="moco_v1", seed=3, settings={"lr": 0.1}, online_batch_size=5, probe_every_images="5,9")
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(config.as_dict(), sort_keys=False))
    assert list(read_config(path)) == FIELDS
    assert RunConfig.from_mapping(read_config(path)) == config


def test_defaults_are_those_of_the_benchmark() -> None:
    assert RunConfig(strategy="cmc").probes == "ridge"
    assert RunConfig(strategy="cmc", benchmark="core50-ni", data="x").probes == "core50"
    assert RunConfig(strategy="cmc", benchmark="core50-ni", data="x", probes="knn-20").probes == "knn-20"


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({}, "no strategy: give --strategy NAME"),
        ({"strategy": "cmc", "benchmark": "split-digit"}, "did you mean 'split-digits'?"),
        ({"strategy": "cmc", "seed": -1}, "seed is -1: give 0 or more"),
        ({"strategy": "cmc", "seed": "x"}, "'seed' is 'x': give a whole number"),
        ({"strategy": "cmc", "num_workers": 2**63}, "num_workers is 9223372036854775808"),
        ({"strategy": "cmc", "compile": "perhaps"}, "'compile' is 'perhaps': give true or false"),
        ({"strategy": "cmc", "on_nan": "ignore"}, "'ignore'"),
        ({"strategy": "cmc", "settings": [1]}, "'settings' is [1]: give KEY: VALUE lines"),
        ({"strategy": "cmc", "workers_": 1}, "no option in the configuration 'workers_': did you mean"),
    ],
)
def test_what_is_wrong_is_named(values: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        RunConfig.from_mapping(values)
    assert message in str(caught.value)


def test_names_of_a_run() -> None:
    assert RunConfig(strategy="moco-v1", seed=2).title == "moco_v1 on split-digits, seed 2"
    assert RunConfig(strategy="a/b/my-own.py").strategy_name == "my-own"


def test_data_alone_is_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert RunConfig(strategy="cmc").benchmark == "split-digits"
    config = RunConfig(strategy="cmc", data="images")
    assert config.benchmark == config.as_dict()["benchmark"] == "folder"
    assert config == RunConfig(strategy="cmc", data="images", benchmark="folder")
    assert config.title == "cmc on folder, seed 0"
    assert RunConfig(strategy="cmc", data="images", benchmark="core50-ni").benchmark == "core50-ni"
    saved = {"strategy": "cmc", "benchmark": "split-digits"}
    assert RunConfig.from_mapping(saved | {"data": "x"}).benchmark == "split-digits", "what was decided stays"
    monkeypatch.chdir(tmp_path)
    joined = RunConfig(strategy="cmc", data=os.pathsep.join(["a", "/b"])).with_absolute_paths()
    assert joined.data == os.pathsep.join([str(tmp_path / "a"), "/b"])


def test_paths_become_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    config = RunConfig(strategy="mine.py", benchmark="folder", data="images").with_absolute_paths()
    assert (config.strategy, config.data) == (str(tmp_path / "mine.py"), str(tmp_path / "images"))
    assert RunConfig(strategy="cmc").with_absolute_paths().strategy == "cmc"


@pytest.mark.parametrize("name", ["../../evil", "a/b", "strategies.moco", "moco.", "/evil", "mine.PY"])
def test_a_mapping_names_an_installed_strategy_and_nothing_else(name: str) -> None:
    for trust in (False, True):
        with pytest.raises(UsageError, match=r"no strategy in c\.yaml '"):
            RunConfig.from_mapping({"strategy": name, "strategy_sha256": "0"}, "c.yaml", trust_strategy=trust)


def test_a_file_in_a_mapping_is_given_or_trusted() -> None:
    values = {"strategy": "/x/mine.py", "strategy_sha256": "0", "seed": 2}
    with pytest.raises(UsageError, match=r"c\.yaml names the Python file '/x/mine\.py': give --trust-strategy .*PATH"):
        RunConfig.from_mapping(values, "c.yaml")
    trusted = RunConfig.from_mapping(values, "c.yaml", trust_strategy=True)
    assert (trusted.strategy, trusted.strategy_sha256) == ("/x/mine.py", "0")
    given = RunConfig.from_mapping(values, "c.yaml", strategy="/y/mine.py")
    assert (given.strategy, given.strategy_sha256, given.seed) == ("/y/mine.py", None, 2)
    with pytest.raises(UsageError, match="without its strategy_sha256, so it cannot be trusted: give --strategy PATH"):
        RunConfig.from_mapping({"strategy": "mine.py"}, "c.yaml", trust_strategy=True)


def test_what_decides_a_result_is_not_where_files_lie() -> None:
    here = RunConfig(
        strategy="/a/mine.py", strategy_sha256="0", data="/a", benchmark_options={"cache": "/a", "seed": 1}
    )
    there = RunConfig(
        strategy="/b/mine.py",
        strategy_sha256="0",
        data="/b",
        benchmark_options={"cache": "/b", "seed": 1},
        num_workers=2,
    )
    assert here.decisive == there.decisive
    assert RunConfig(strategy="moco-v1").decisive == RunConfig(strategy="moco_v1").decisive
    for name, value in (
        ("strategy_sha256", "1"),
        ("strategy", "cmc"),
        ("seed", 2),
        ("stream_seed", 2),
        ("eval_on", "val"),
    ):
        assert dataclasses.replace(here, **{name: value}).decisive != here.decisive, name


def test_evaluation_in_fp32_is_that_of_older_checkpoints() -> None:
    older = {name: v for name, v in RunConfig(strategy="cmc").decisive.items() if name != "eval_precision"}
    assert RunConfig(strategy="cmc", eval_precision="fp32").decisive == older
    assert RunConfig(strategy="cmc", eval_precision="bf16").decisive == older | {"eval_precision": "bf16"}


def test_a_python_file_as_encoder_is_code_too() -> None:
    values = {"strategy": "simclr", "settings": {"lr": 1, "encoder": "/x/net.py:build", "encoder_sha256": "0"}}
    with pytest.raises(
        UsageError, match=r"c.yaml names the Python file '/x/net.py' as its encoder: give --trust-strat"
    ):
        RunConfig.from_mapping(values, "c.yaml")
    with pytest.raises(UsageError, match="as its encoder: give --trust-strategy"):
        RunConfig.from_mapping(values, "c.yaml", strategy="moco")
    assert RunConfig.from_mapping(values, "c.yaml", to_run=False).settings == values["settings"]
    assert RunConfig.from_mapping(values, "c.yaml", trust_strategy=True).settings == values["settings"]
    given = RunConfig.from_mapping(values, "c.yaml", encoder="net.py:build(width=4)")
    assert given.settings == {"lr": 1, "encoder": "net.py:build(width=4)"}, "another file, whose hash was not noted"
    moved = RunConfig.from_mapping(values, "c.yaml", encoder="/y/net.py:build(width=4)")
    assert moved.decisive == given.decisive and given.decisive["settings"]["encoder"] == "net.py:build(width=4)"
    values["settings"]["encoder_sha256"] = None
    with pytest.raises(
        UsageError, match="without its encoder_sha256, so it cannot be trusted: give --encoder PATH:NAME"
    ):
        RunConfig.from_mapping(values, "c.yaml", trust_strategy=True)
    with pytest.raises(UsageError, match=r"setting 'encoder' is 'net.py:f"):
        RunConfig.from_mapping({"strategy": "simclr", "settings": {"encoder": "net.py:f(g)"}}, "c.yaml")
