"""Steps with plugins: which sets are measured, what is ready before a step counts, and the lines by hand."""

import pytest
import throughput
from speed import plugin_steps
from speed.plugin_steps import compare_plugins, plugin_lines, plugin_sets

from avalanche_ssl.errors import UsageError


def test_sets_come_with_the_replay_that_they_add_to():
    assert plugin_sets("cassle") == {"cassle": ("cassle",)}
    assert list(plugin_sets("cla-e+replay,lump")) == ["replay", "replay+cla-e", "lump"]
    assert list(plugin_sets("replay,replay+cassle")) == ["replay", "replay+cassle"]
    with pytest.raises(UsageError, match="no plugin 'cassel': did you mean 'cassle'"):
        plugin_sets("replay+cassel")


def test_copies_are_taken_and_memories_full_before_a_step_counts(moco, monkeypatch):
    seen = []

    class Watched(plugin_steps.FullStep):
        def __call__(self):
            strategy, before = self.strategy, self.strategy.teacher_views
            seconds = super().__call__()
            seen.append([len(next(iter(strategy.mb_views.values()))), strategy.teacher_views - before])
            return seconds

    monkeypatch.setattr(plugin_steps, "FullStep", Watched)
    settings = {"replay.size": 20, "replay.batch": 4, "cassle.hidden_dim": 8, "lr": 0.01}
    moco = moco._replace(batch=16)
    rows = compare_plugins(moco, 2, 1, plugin_sets("cassle,replay+cassle"), settings)
    assert [(row["plugins"], len(row["full_seconds"])) for row in rows] == [
        ("plain", 1),
        ("cassle", 1),
        ("replay", 1),
        ("replay+cassle", 1),
    ]
    assert [views for _, views in seen[:4]] == [0, 0, 0, 0], "a first round without a copy, which does not count"
    # the copy embeds queries only
    assert seen[4:] == [[16, 0], [16, 3 * 16], [20, 0], [20, 3 * 20]]


def test_lines_by_hand():
    case = {"strategy": "moco", "encoder": "smallconv", "batch": 8}
    taken = {"plain": [0.1, 0.2], "replay": [0.2, 0.2], "replay+cla-e": [0.3, 0.4], "cassle": [0.15, 0.3]}
    lines = plugin_lines([case | {"plugins": name, "full_seconds": seconds} for name, seconds in taken.items()])
    words = [line.split()[3:] for line in lines]
    assert words[0] == ["plain", "150.0", "(100.0-200.0)"]
    assert words[1] == ["replay", "200.0", "(200.0-200.0)", "1.50", "(1.00-2.00)"]
    assert words[2][-4:] == ["2.50", "(2.00-3.00)", "1.75", "(1.50-2.00)"]
    assert words[3][-2:] == ["1.50", "(1.50-1.50)"]


def test_the_command_prints_a_line_for_each_set(capsys):
    small = ["--batch-size", "8", "--size", "16", "--steps", "1", "--rounds", "1", "--set", "cassle.hidden_dim=8"]
    assert throughput.main(["--strategy", "simclr", "--plugin", "cassle", *small]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[3] for line in lines[3:]] == ["plain", "cassle"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--plugin", "cassle", "--features"], "give --strategy NAMES"),
        (["--strategy", "moco", "--plugin", "cassle", "--peer", "lightly"], "and no --peer"),
        (["--strategy", "moco", "--plugin", "cassel"], "did you mean 'cassle'"),
        (["--strategy", "moco", "--set", "cassle.norm=eval"], "no setting"),
        (["--strategy", "moco", "--plugin", "replay", "--set", "replay.bytes=1MB"], "give replay.size instead"),
    ],
)
def test_mistakes_are_one_line(arguments, message, capsys):
    assert throughput.main(arguments) == 2
    err = capsys.readouterr().err
    assert message in err and err.count("\n") == 1
