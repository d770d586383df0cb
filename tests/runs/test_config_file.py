"""`config.yaml` as a mapping: former names of options, and files that hold none."""

import dataclasses
from pathlib import Path

import pytest
import yaml

from avalanche_ssl.errors import UsageError
from avalanche_ssl.runs.config import RunConfig
from avalanche_ssl.runs.config_file import FORMER_OPTIONS, former, read_config, today

FIELDS = [f.name for f in dataclasses.fields(RunConfig)]


def test_former_names_of_options_are_understood() -> None:
    """Those of the logs written at commit 546cabf."""
    old = {"stream": {"leak": 0.5}, "online": 10, "replay": 5, "replay_batch": 2, "probe_every": "9"}
    old |= {"probe_boundaries": 3, "workers": 1}
    assert old.keys() == FORMER_OPTIONS.keys() | {"replay", "replay_batch"}
    config = RunConfig.from_mapping({"strategy": "moco-v1", "on_nan": "stop"} | old)
    assert (config.benchmark_options, config.online_batch_size) == ({"leak": 0.5}, 10)
    assert config.plugins == {"replay": {"size": 5, "batch": 2}}
    assert (config.probe_every_images, config.probe_every_experiences) == ("9", 3)
    assert (config.num_workers, config.on_nan, config.strategy_name) == (1, "raise", "moco_v1")
    assert set(FORMER_OPTIONS.values()) <= set(FIELDS)
    assert today({"seed": 5}) == {"seed": 5}


def test_a_replay_memory_of_former_options_is_a_plugin() -> None:
    assert today({"replay_size": 9, "replay_batch_size": 0}) == {"plugins": {"replay": {"size": 9}}}
    assert today({"replay_size": 0, "replay_batch_size": 0}) == {}


@pytest.mark.parametrize("text", ["a: [", "words", "5", "a: &x 1\nb: *x"])
def test_a_file_without_options_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(text)
    with pytest.raises(UsageError, match=r"c\.yaml"):
        read_config(path)


OLD = {"strategy": "simclr", "benchmark": "split-digits", "probes": "ridge", "seed": 3, "settings": {}}
"""What a run left before the seed reached the stream."""


@pytest.mark.parametrize(
    ("benchmark", "options", "stream_seed", "then"),
    [
        ("split-digits", {"seed": 0, "composites": 8}, 0, {"ground": "photographs", "composites": 8}),
        ("digits-domain", {"seed": 4}, 4, {"ground": "photographs"}),
        ("core50-nc", {"run": 2}, 0, {"run": 2}),
        ("folder", {"seed": 1, "size": 16}, 1, {"size": 16}),
    ],
)
def test_a_former_run_keeps_its_stream(
    benchmark: str, options: dict[str, object], stream_seed: int, then: dict[str, object], tmp_path: Path
) -> None:
    values = OLD | {"benchmark": benchmark, "benchmark_options": options}
    found = former(values)
    assert (found["stream_seed"], found["eval_on"], found["benchmark_options"]) == (stream_seed, "test", then)
    (tmp_path / "c.yaml").write_text(yaml.safe_dump(values))
    config = RunConfig.from_mapping(read_config(tmp_path / "c.yaml"))
    assert (config.seed, config.seed_of_stream) == (3, stream_seed)


def test_what_no_former_run_left_stays_as_it_is() -> None:
    """A file of one's own, a run of today, and damage."""
    mine = {"strategy": "cmc", "seed": 3}
    today_s = OLD | {"benchmark_options": {}, "stream_seed": None, "eval_precision": "bf16"}
    for values in (mine, today_s, OLD | {"benchmark_options": "x"}, OLD):
        assert former(values) == values
    assert RunConfig.from_mapping(mine).seed_of_stream == 3


def test_features_of_former_runs_were_fp32() -> None:
    complete = OLD | {"benchmark_options": {}}
    for values in (complete, complete | {"stream_seed": 1}):
        assert former(values)["eval_precision"] == "fp32"
    assert former(complete | {"eval_precision": "bf16"})["eval_precision"] == "bf16"
    assert "eval_precision" not in former({"strategy": "simclr"}), "what a user gives is no run"
