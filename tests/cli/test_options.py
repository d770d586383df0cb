"""Options on the command line are the fields of `RunConfig`, and so is the table in `benchmarks/README.md`."""

import dataclasses
import os
from pathlib import Path

import pytest
import yaml
from helpers.docs import ROOT

from avalanche_ssl.cli import run
from avalanche_ssl.cli.options import SHORTCUTS, flag, option_fields, options_table, read_options
from avalanche_ssl.errors import UsageError
from avalanche_ssl.runs.config import RunConfig


def read(*words: str) -> RunConfig:
    return read_options(run.parser().parse_args(list(words)))


def test_every_field_is_an_option_and_a_line_of_help() -> None:
    text = run.parser().format_help()
    for field in option_fields():
        assert f"  {flag(field)}" in text, field.name


def test_every_option_is_a_line_of_the_table_in_benchmarks_readme() -> None:
    text = (ROOT / "benchmarks" / "README.md").read_text(encoding="utf-8")
    assert options_table() in text, "write the table again: it is options_table()"
    assert len(options_table().splitlines()) == 2 + len(option_fields()) + len(SHORTCUTS)


def test_what_a_run_notes_is_no_option() -> None:
    noted = {f.name for f in dataclasses.fields(RunConfig)} - {f.name for f in option_fields()}
    assert noted == {"strategy_sha256", "init_sha256", "continue_from_sha256", "lineage"}
    with pytest.raises(UsageError, match="unrecognized arguments: --strategy-sha256"):
        read("--strategy", "cmc", "--strategy-sha256", "0")


def test_what_is_given_becomes_the_configuration() -> None:
    given = ["--strategy", "cmc", "--seed", "3", "--num-workers", "7", "--compile", "--on-nan", "skip"]
    assert read(*given) == RunConfig(strategy="cmc", seed=3, num_workers=7, compile=True, on_nan="skip")
    assert read("--strategy", "cmc", "--online-batch-size").online_batch_size == 10
    assert read("--strategy", "cmc", "--online-batch-size", "3").online_batch_size == 3


def test_settings_and_benchmark_options_are_read_as_yaml() -> None:
    config = read("--strategy", "cmc", "--set", "lr=1", "--set", "views=[l, ab]", "--benchmark-option", "leak=0.5")
    assert config.settings == {"lr": 1, "views": ["l", "ab"]} and config.benchmark_options == {"leak": 0.5}


def test_shortcuts_set_an_entry() -> None:
    config = read("--strategy", "cmc", "--epochs", "2", "--encoder", "resnet9", "--experiences", "3", "--set", "lr=1")
    assert config.settings == {"lr": 1, "epochs": 2, "encoder": "resnet9"}
    assert config.benchmark_options == {"experiences": 3}


def test_the_folder_may_be_given_as_an_option_of_the_benchmark() -> None:
    config = read("--strategy", "cmc", "--benchmark", "folder", "--benchmark-option", "data=x")
    assert (config.data, config.benchmark_options) == ("x", {})


def test_data_may_be_given_several_times():
    assert read("--strategy", "cmc", "--data", "x", "--data", "y").data == os.pathsep.join(("x", "y"))


def test_the_command_line_takes_precedence_over_a_file(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    saved = {"strategy": "moco", "seed": 1, "settings": {"lr": 0.1, "epochs": 4}, "benchmark_options": {"leak": 0.5}}
    path.write_text(yaml.safe_dump(saved))
    config = read("--config", str(path), "--seed", "2", "--set", "lr=0.5", "--benchmark-option", "composites=2")
    assert (config.strategy, config.seed, config.settings) == ("moco", 2, {"lr": 0.5, "epochs": 4})
    assert config.benchmark_options == {"leak": 0.5, "composites": 2}


def test_a_newly_cut_stream_changes_the_settings_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(yaml.safe_dump({"strategy": "moco", "settings": {"lr": 0.1, "epochs": 4, "batch_size": 64}}))
    config = read("--config", str(path), "--online-batch-size", "8", "--set", "schedule.warmup=0.5")
    assert (config.settings["epochs"], config.settings["batch_size"], config.settings["lr"]) == (1, 8, 0.1)
    assert (config.settings["schedule.kind"], config.settings["schedule.warmup"]) == ("constant", 0.5)


def test_a_pair_without_value_is_refused() -> None:
    """By the option that it was given with."""
    with pytest.raises(UsageError, match=r"^--set lr has no value: give --set lr=value$"):
        read("--strategy", "cmc", "--set", "lr")
    with pytest.raises(UsageError, match=r"^--benchmark-option leak has no value: give --benchmark-option leak=value$"):
        read("--strategy", "cmc", "--benchmark-option", "leak")


def test_a_plugin_that_is_given_twice_is_refused() -> None:
    with pytest.raises(UsageError, match=r"^--plugin replay is given twice: give it once$"):
        read("--strategy", "cmc", "--plugin", "replay", "--plugin", "cla-e", "--plugin", "replay")


def test_the_settings_of_another_strategy_are_named(tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    config.write_text("strategy: moco\nsettings:\n  lr: 0.1\n  head_norm: true\n  queue_size: 64\n")
    with pytest.raises(UsageError) as error:
        read("--config", str(config), "--strategy", "simclr")
    assert str(error.value) == (
        f"{config} has settings of 'moco' which 'simclr' does not have (head_norm, queue_size): give --strategy moco, "
        "or a file without them"
    )
    assert read("--config", str(config), "--strategy", "moco_v1").settings["head_norm"] is True


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("lr: 0.1", "'lr' in {} is not an option by itself: put it under 'settings:'"),
        ("composites: 2", "'composites' in {} is not an option by itself: put it under 'benchmark_options:'"),
        ("sed: 2", "no option in {} 'sed': did you mean 'seed'?"),
    ],
)
def test_names_at_the_wrong_place_of_a_file(line: str, message: str, tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    config.write_text(f"strategy: moco\n{line}\n")
    with pytest.raises(UsageError) as error:
        read("--config", str(config))
    assert str(error.value).startswith(message.format(config))
