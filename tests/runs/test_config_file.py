"""`config.yaml` as a mapping: former names of options, and files that hold none."""

import dataclasses
import json
from pathlib import Path

import pytest
import yaml
from helpers.logs import write_run

from avalanche_ssl.errors import UsageError
from avalanche_ssl.reports.comparison import streams
from avalanche_ssl.runs.build import resolve_benchmark_options
from avalanche_ssl.runs.config import RunConfig
from avalanche_ssl.runs.config_file import FORMER_OPTIONS, checkpoint_of_today, former, read_config, today
from avalanche_ssl.runs.reader import read_run

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


OLD = {"strategy": "simclr", "benchmark": "split-digits", "data": None, "probes": "ridge", "seed": 3, "device": "cpu"}
OLD |= {"precision": "fp32", "settings": {}}
"""What a run left before the seed reached the stream, at commit a667b20, but what is of no matter here."""


@pytest.mark.parametrize(
    ("benchmark", "options", "stream_seed", "then", "name"),
    [
        ("split-digits", {"seed": 0, "composites": 4}, 0, {"experiences": 5, "composites": 4}, "digits-on-photographs"),
        ("digits-domain", {"seed": 4}, 4, {"ground": "photographs"}, "digits-domain"),
        ("core50-nc", {"run": 2}, 0, {"run": 2}, "core50-nc"),
        ("folder", {"seed": 1, "size": 16}, 1, {"size": 16}, "folder"),
    ],
)
def test_a_former_run_keeps_its_stream(
    benchmark: str, options: dict[str, object], stream_seed: int, then: dict[str, object], name: str, tmp_path: Path
) -> None:
    values = OLD | {"benchmark": benchmark, "benchmark_options": options}
    found = former(values)
    assert (found["stream_seed"], found["eval_on"], found["benchmark_options"]) == (stream_seed, "test", then)
    assert found["benchmark"] == name
    if name == "digits-domain":
        return
    (tmp_path / "c.yaml").write_text(yaml.safe_dump(values))
    config = RunConfig.from_mapping(read_config(tmp_path / "c.yaml"))
    assert (config.seed, config.seed_of_stream) == (3, stream_seed)


GROUNDS = [
    ("split-digits", "photographs", {}, "digits-on-photographs", {"experiences": 5, "composites": 8}),
    ("split-digits", "color", {}, "split-digits", {"experiences": 5, "composites": 6}),
    ("split-digits", "color", {"experiences": 10, "leak": 0.2}, "split-digits", {"experiences": 10, "composites": 6}),
    ("digits-domain", "color", {"composites": 3}, "rotated-digits", {"experiences": 2, "composites": 3}),
]


@pytest.mark.parametrize(("benchmark", "ground", "options", "name", "then"), GROUNDS)
def test_a_former_ground_of_digits_is_a_stream_of_its_own(
    benchmark: str, ground: str, options: dict[str, object], name: str, then: dict[str, object]
) -> None:
    """In a run, whose open options are null, in a file of one's own, and in a checkpoint; the images stay the same."""
    given = {"composites": None} | options | {"ground": ground}
    written = options | {"ground": ground}
    then = {**options, **then}
    run = OLD | {"stream_seed": 2, "benchmark_options": given}
    for values in (run, {"strategy": "cmc", "benchmark_options": written}):
        found = former(values | {"benchmark": benchmark})
        assert (found["benchmark"], found["benchmark_options"]) == (name, then)
        assert resolve_benchmark_options(RunConfig.from_mapping(found)).items() >= then.items()
    saved = {"benchmark": benchmark, "benchmark_options": given, "seed": 1}
    assert checkpoint_of_today(saved, name) == {"benchmark": name, "benchmark_options": then, "seed": 1}


def test_a_checkpoint_of_before_did_not_name_photographs() -> None:
    saved = {"benchmark": "split-digits", "benchmark_options": {"experiences": 5, "composites": 8, "seed": 0}}
    assert checkpoint_of_today(saved, "digits-on-photographs") == saved | {"benchmark": "digits-on-photographs"}
    for values, benchmark in ((saved, "split-digits"), (saved, "folder"), (saved | {"benchmark": "x"}, "x")):
        assert checkpoint_of_today(values, benchmark) == values
    assert checkpoint_of_today({"benchmark": "x"}, "x") == {"benchmark": "x"}


def test_split_digits_without_a_ground_is_the_stream_of_today(tmp_path: Path) -> None:
    """In a file of one's own, and in a run that notes `stream_seed`; a run that does not was on photographs."""
    for values in (
        {"strategy": "cmc", "benchmark": "split-digits"},
        {"strategy": "cmc", "benchmark": "split-digits", "benchmark_options": {"experiences": 2}, "seed": 0},
        OLD | {"stream_seed": None, "benchmark_options": {"experiences": 10, "composites": 6}},
    ):
        (tmp_path / "c.yaml").write_text(yaml.safe_dump(values))
        assert RunConfig.from_mapping(read_config(tmp_path / "c.yaml")).benchmark == "split-digits"
    assert former(OLD | {"benchmark_options": {"composites": 8}})["benchmark"] == "digits-on-photographs"


def test_a_run_of_digits_domain_on_photographs_is_read_and_not_run(tmp_path: Path) -> None:
    """By `report`, with those of before there was a choice of grounds."""
    after = OLD | {"benchmark": "digits-domain", "benchmark_options": {"ground": "photographs"}}
    after |= {"stream_seed": 0, "eval_on": "test", "eval_precision": "fp32"}
    before = OLD | {"benchmark": "digits-domain", "benchmark_options": {"seed": 0}}
    runs = []
    for name, config in (("after", after), ("before", before)):
        runs.append(write_run(tmp_path / name))
        log = (runs[-1] / "log.jsonl").read_text().splitlines()
        log[0] = json.dumps(json.loads(log[0]) | {"config": config})
        (runs[-1] / "log.jsonl").write_text("\n".join(log))
    (stream,) = streams([read_run(folder) for folder in runs])
    assert stream.title == "digits-domain (ground photographs, stream seed 0)"
    with pytest.raises(UsageError, match="'digits-domain' is gone: give rotated-digits") as error:
        RunConfig.from_mapping(former(before))
    assert "\n" not in str(error.value)


def test_what_no_former_run_left_stays_as_it_is() -> None:
    """A file of one's own, a run of today, and damage."""
    mine = {"strategy": "cmc", "seed": 3}
    today_s = OLD | {"benchmark_options": {}, "stream_seed": None, "eval_precision": "bf16"}
    unhashable = OLD | {"benchmark": ["x"], "benchmark_options": {"ground": {}}, "stream_seed": 0}
    unhashable |= {"eval_precision": "bf16"}
    for values in (mine, today_s, OLD | {"benchmark_options": "x"}, OLD, unhashable):
        assert former(values) == values
    assert RunConfig.from_mapping(mine).seed_of_stream == 3


def test_features_of_former_runs_were_fp32() -> None:
    complete = OLD | {"benchmark_options": {}}
    for values in (complete, complete | {"stream_seed": 1}):
        assert former(values)["eval_precision"] == "fp32"
    assert former(complete | {"eval_precision": "bf16"})["eval_precision"] == "bf16"
    assert "eval_precision" not in former({"strategy": "simclr"}), "what a user gives is no run"
