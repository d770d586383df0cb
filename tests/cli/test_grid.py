"""The runs of a sweep: axes with brackets, axes of one strategy, and as many trials of each."""

from __future__ import annotations

import pytest

from avalanche_ssl.cli import grid
from avalanche_ssl.cli.grid import (
    Axis,
    Subject,
    axes,
    check_shared,
    combinations,
    run_name,
    subjects,
    trials,
    whole_numbers,
)
from avalanche_ssl.errors import UsageError

SIMCLR, REPLAY = Subject("simclr", ()), Subject("simclr", ("replay",))


def test_an_axis_is_read() -> None:
    assert Axis.parse("lr=0.1,0.2") == Axis("lr", ("0.1", "0.2"))
    assert Axis.parse("augment.scale=[0.5,1],[0.2,1]").values == ("[0.5,1]", "[0.2,1]")
    assert Axis.parse("schedule={kind: cosine, warmup: 0.1},none").values == ("{kind: cosine, warmup: 0.1}", "none")
    assert Axis.parse("moco-v1:lr=1").strategy == Axis.parse("a/moco_v1.py:lr=1").strategy == "moco_v1"
    for wrong in ("lr", "lr=", "lr=1,", "lr=,1"):
        with pytest.raises(UsageError, match="give KEY=V1,V2, or STRATEGY:KEY=V1,V2 of one strategy"):
            Axis.parse(wrong)


def test_every_strategy_joins_every_set_of_plugins() -> None:
    found = subjects("simclr,mine.py", "none,replay+cla-e")
    assert [subject.name for subject in found] == ["simclr", "simclr+replay+cla-e", "mine", "mine+replay+cla-e"]
    with pytest.raises(UsageError, match="no plugin 'replya': did you mean 'replay'"):
        subjects("simclr", "replya")


def test_strategies_of_one_name_are_refused() -> None:
    """Their folders would be one; the same strategy twice is one."""
    assert subjects("simclr,simclr", "none") == [SIMCLR]
    with pytest.raises(UsageError, match=r"a/mine\.py and b/mine\.py have one name, by which folders are called"):
        subjects("a/mine.py,b/mine.py", "none")


@pytest.mark.parametrize("again", [["lr=1", "lr=2"], ["lr=1", "moco-v1:lr=2"]])
def test_a_setting_has_its_values_from_one_axis(again: list[str]) -> None:
    with pytest.raises(UsageError, match="--grid gives lr of moco-v1 twice: give all of its values in one"):
        axes(again, subjects("moco-v1", "none"))


def test_a_setting_of_a_plugin_that_no_run_has_is_refused() -> None:
    with pytest.raises(UsageError, match=r"--grid replay\.size is about a plugin that no run has: give --plugin, too"):
        axes(["replay.size=5"], [SIMCLR])
    assert axes(["replay.size=5"], [SIMCLR, REPLAY])


@pytest.mark.parametrize(
    ("rest", "said"),
    [
        (["--seed", "3"], "a sweep gives --seed to its runs: leave it out after `--`"),
        (["--se=3"], "ambiguous option: --se=3"),
        (["--see", "3"], "a sweep gives --seed to its runs"),
        (["--strategy", "cmc"], "a sweep gives --strategy to its runs"),
        (["--plugin", "replay"], "a sweep gives --plugin to its runs"),
        (["--out", "x"], "a sweep gives --out to its runs"),
        (["--set", "lr=1"], "lr is among the options of all runs and in --grid: leave one of them out"),
        (["--epochs", "5"], "epochs is among the options of all runs and in --grid"),
        (["--set", "cla-e.weight=1"], "--set cla-e.weight is about a plugin that no run has"),
        (["--temperature", "0.5"], "no option '--temperature': give --set temperature=0.5"),
    ],
)
def test_options_of_all_runs_that_would_be_dropped_are_refused(rest: list[str], said: str) -> None:
    grid = axes(["lr=1,2", "epochs=1,2"], [SIMCLR, REPLAY])
    with pytest.raises(UsageError, match=said):
        check_shared(rest, [SIMCLR, REPLAY], grid, [])


def test_options_that_all_runs_share_are_not() -> None:
    grid = axes(["encoder.width=4,8"], [SIMCLR, REPLAY])
    rest = [
        "--encoder",
        "smallconv",
        "--epochs",
        "2",
        "--set",
        "replay.size=5",
        "--stream-seed",
        "1",
        "--eval-on",
        "val",
    ]
    check_shared(rest, [SIMCLR, REPLAY], grid, [])
    for option in ("--stream-seed", "--eval-on"):
        with pytest.raises(UsageError, match=f"a sweep gives {option} to its runs"):
            check_shared(rest, [SIMCLR, REPLAY], grid, [option])


def test_an_axis_of_one_strategy_is_for_that_one() -> None:
    found = subjects("simclr,moco-v1", "none")
    parsed = axes(["lr=1,2", "moco-v1:momentum=0.9"], found)
    assert [combinations(subject, parsed) for subject in found] == [
        [("lr=1",), ("lr=2",)],
        [("lr=1", "momentum=0.9"), ("lr=2", "momentum=0.9")],
    ]
    with pytest.raises(UsageError, match="no strategy of --grid 'byol'"):
        axes(["byol:lr=1"], found)


def test_a_missing_plugin_leaves_no_repeats() -> None:
    parsed = axes(["replay.size=5,10", "lr=1"], [SIMCLR, REPLAY])
    assert combinations(SIMCLR, parsed) == [("lr=1",)]
    assert combinations(REPLAY, parsed) == [("replay.size=5", "lr=1"), ("replay.size=10", "lr=1")]


def test_all_have_as_many_trials() -> None:
    """Those that differ are refused with their numbers, unless so many are drawn of each."""
    found = subjects("simclr,moco", "none")
    parsed = axes(["lr=1,2,3,4", "moco:temperature=0.1,0.2"], found)
    with pytest.raises(
        UsageError, match=r"\(simclr 4, moco 8\): give --trials N, at most 4, or as many values of each"
    ):
        trials(found, parsed, None)
    drawn = trials(found, parsed, 3)
    assert [len(settings) for settings in drawn.values()] == [3, 3] and drawn == trials(found, parsed, 3)
    for subject, settings in drawn.items():
        every = combinations(subject, parsed)
        assert len(set(settings)) == 3 and settings == [s for s in every if s in settings]
    for number in (0, 5):
        with pytest.raises(UsageError, match=rf"--trials is {number}: give 1 to 4 \(simclr 4, moco 8\)"):
            trials(found, parsed, number)
    assert trials([SIMCLR], axes(["lr=1,2"], [SIMCLR]), None) == {SIMCLR: [("lr=1",), ("lr=2",)]}
    assert trials([SIMCLR], [], None) == {SIMCLR: [()]}


def test_the_options_and_folder_of_a_run() -> None:
    words = "--strategy simclr --seed 3 --stream-seed 1 --plugin replay --set lr=1"
    assert REPLAY.words(("lr=1",), "3", "1") == words.split()
    assert SIMCLR.words((), "3") == ["--strategy", "simclr", "--seed", "3"]
    assert run_name(REPLAY, ("init=a/b",), "3", "1") == "simclr+replay-init=a_b-s3-stream1"
    assert run_name(Subject("x/mine.py", ()), (), "0") == "mine-s0"
    long = [run_name(SIMCLR, (*(f"setting{i}=0.{i}" for i in range(30)), f"last={last}"), "3") for last in "ab"]
    assert len({*long}) == 2 and all(len(name) < 200 and name.endswith("-s3") for name in long)


def test_shared_options_keep_what_a_run_can_have() -> None:
    words = ["--epochs", "2", "--set", "replay.size=5", "--set=replay.batch=3", "--set", "lr=1"]
    assert SIMCLR.shared(words) == ["--epochs", "2", "--set", "lr=1"]
    assert REPLAY.shared(words) == words


def test_seeds_are_whole_numbers() -> None:
    assert whole_numbers("0,12,012", "--seeds") == ["0", "12"], "each once"
    with pytest.raises(UsageError, match=r"seed '': give whole numbers, e\.g\. --seeds 0,1,2"):
        whole_numbers("", "--seeds")
    with pytest.raises(UsageError, match=r"seed 'x': give whole numbers, e\.g\. --stream-seeds 0,1,2"):
        whole_numbers("0,x", "--stream-seeds")


def test_no_plugins_have_a_name() -> None:
    assert grid.NONE == "none"
