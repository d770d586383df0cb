"""Options as words, and back."""

from pathlib import Path

import pytest

from avalanche_ssl.cli.options import read_options
from avalanche_ssl.cli.run import parser
from avalanche_ssl.cli.words import words_of


def test_in_order_and_the_seed_last() -> None:
    options = {
        "strategy": "simclr",
        "seed": 3,
        "plugins": {"replay": {"size": 9, "policy": "fifo"}, "cla-e": {}},
        "settings": {"encoder": "resnet18(norm='group')", "augment": {"size": 16, "scale": [0.08, 1.0]}},
        "benchmark_options": {"class_order": [2, 0, 1]},
        "online_batch_size": 10,
        "access_task_boundaries": True,
        "compile": False,
        "init": None,
    }
    assert words_of(options) == [
        *("--strategy", "simclr", "--benchmark-option", "class_order=[2,0,1]", "--online-batch-size", "10"),
        *("--access-task-boundaries", "--set", "encoder=resnet18(norm='group')", "--set", "augment.size=16"),
        *("--set", "augment.scale=[0.08,1.0]", "--plugin", "replay", "--set", "replay.size=9"),
        *("--set", "replay.policy=fifo", "--plugin", "cla-e", "--seed", "3"),
    ]


@pytest.mark.parametrize("value", [None, True, 3, 0.001, 1e-6, "a: b", "1", "", [0.5, 1.0], "x # y"])
def test_values_come_back(value: object, tmp_path: Path) -> None:
    words = words_of({"strategy": "simclr", "settings": {"lr": value}})
    assert read_options(parser().parse_args(words)).settings == {"lr": value}
