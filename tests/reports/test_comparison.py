"""Runs are compared where they can be, and named by what they differ in."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.logs import R, add_evidence, append, changed, probe_event, write_run

from avalanche_ssl.reports import comparison, tables
from avalanche_ssl.runs import read_run


def test_groups_and_means_by_hand(tmp_path: Path, one_stream: Any) -> None:
    runs = [write_run(tmp_path / f"a{s}", "cmc", s, 0.01 * s) for s in range(3)]
    runs += [write_run(tmp_path / f"b{s}", "moco", s, 0.01 * s + 0.1 + 0.02 * (s == 2)) for s in (1, 2)]
    first, second = one_stream(*runs).groups
    assert [list(group.values("average accuracy", "ridge", "all")) for group in (first, second)] == [[0, 1, 2], [1, 2]]
    values = list(first.values("average accuracy", "ridge", "all").values())
    assert comparison.mean_and_std(values) == pytest.approx((0.61, 0.01))


def test_of_runs_of_one_seed_the_last_counts_in_everything(tmp_path: Path, one_stream: Any) -> None:
    """Such as of two machines: three folders of two seeds are n = 2, in the order of the seeds, and a note."""
    folders = [
        write_run(tmp_path / name, "cmc", seed, shift)
        for name, seed, shift in (("a", 1, 0.0), ("b", 0, 0.0), ("c", 0, 0.1))
    ]
    runs = [read_run(folder) for folder in folders]
    (group,) = comparison.streams(runs)[0].groups
    assert [(run.folder.name, run.seed) for run in group.runs] == [("c", 0), ("a", 1)]
    assert [run.notes for run in runs] == [[], [f"not counted: {tmp_path / 'c'} is of the same settings and seed"], []]
    assert group.values("average accuracy", "ridge", "all") == pytest.approx({0: 0.7, 1: 0.6})
    assert group.mean_rows("ridge", "all")[-1] == pytest.approx(np.array(R[-1]) + 0.05)
    assert tables.summary_rows(one_stream(*folders), "ridge", "all")[0].seeds == 2
    comparison.streams(runs)
    assert len(runs[1].notes) == 1


def test_mean_and_std_of_few_values() -> None:
    assert np.isnan(comparison.mean_and_std([])).all()
    mean, std = comparison.mean_and_std([0.5])
    assert mean == 0.5 and np.isnan(std)


def test_an_unfinished_run_is_compared_on_what_it_was_trained_on(tmp_path: Path, one_stream: Any) -> None:
    (group,) = one_stream(write_run(tmp_path / "a", trained=2, end=False)).groups
    assert group.label == "cmc (unfinished: 2 of 3)"
    assert group.values("average accuracy", "ridge", "all") == {0: pytest.approx(0.75)}


def test_settings_that_differ_are_named_and_streams_kept_apart(tmp_path: Path) -> None:
    folders = [write_run(tmp_path / "a"), write_run(tmp_path / "b"), write_run(tmp_path / "c", benchmark="cifar")]
    runs = [read_run(folder) for folder in folders]
    runs[1].config["settings"]["augment"]["size"] = 16
    digits, cifar = comparison.streams(runs)
    assert [group.label for group in digits.groups] == ["cmc augment.size=32", "cmc augment.size=16"]
    assert [group.label for group in cifar.groups] == ["cmc"]


def test_runs_evaluated_in_another_precision_are_groups_of_their_own(tmp_path: Path) -> None:
    runs = [read_run(write_run(tmp_path / f"{name}", seed=seed)) for seed, name in enumerate("abc")]
    for run, precision in zip(runs, ("fp32", "bf16", "fp32")):
        run.config["eval_precision"] = precision
    (stream,) = comparison.streams(runs)
    assert [(group.label, len(group.runs)) for group in stream.groups] == [
        ("cmc eval_precision=fp32", 2),
        ("cmc eval_precision=bf16", 1),
    ]


def test_an_option_that_is_null_changes_no_stream(tmp_path: Path) -> None:
    """Such as one that came with a later version."""
    runs = [read_run(write_run(tmp_path / name)) for name in "ab"]
    runs[1].config["benchmark_options"] = runs[1].config["benchmark_options"] | {"class_order": None}
    (stream,) = comparison.streams(runs)
    assert len(stream.groups) == 1


@pytest.mark.parametrize(
    ("epochs", "words"), [((1, 1), ", one pass"), ((3, 3), ", 3 passes"), ((3, 1), ", 1 or 3 passes"), ((1, None), "")]
)
def test_the_title_of_an_online_stream_has_its_passes(tmp_path: Path, epochs: Any, words: str) -> None:
    runs = [read_run(write_run(tmp_path / f"{seed}", seed=seed)) for seed in range(2)]
    for run, number in zip(runs, epochs):
        run.config |= {"online_batch_size": 10, "settings": {"epochs": number} if number else None}
    (stream,) = comparison.streams(runs)
    assert stream.title == f"digits (experiences 3, in mini-batches of 10{words})"


def test_protocols_that_all_groups_have_by_probe(tmp_path: Path, one_stream: Any) -> None:
    a, b = write_run(tmp_path / "a"), write_run(tmp_path / "b", "moco")
    for probe, scope in [("knn-20", "all"), ("ridge", "seen"), ("mine", "all")]:
        append(a, probe_event(1, 1, 0.5, probe=probe, scope=scope))
    for probe, scope in [("ridge", "seen"), ("knn-20", "all"), ("other", "all")]:
        append(b, probe_event(1, 1, 0.5, probe=probe, scope=scope))
    assert one_stream(a, b).protocols == [("ridge", "all"), ("ridge", "seen"), ("knn-20", "all")]


WRONG_CONFIGS: list[dict[str, Any]] = [
    {"seed": [1], "settings": 3, "benchmark_options": "x", "benchmark": None},
    {"settings": {"epochs": [1]}, "online_batch_size": "10"},
]


@pytest.mark.parametrize("config", WRONG_CONFIGS)
def test_wrong_types_in_a_configuration_harm_no_comparison(tmp_path: Path, config: dict[str, Any]) -> None:
    run = read_run(write_run(tmp_path / "a"))
    run.config = config
    (stream,) = comparison.streams([run])
    assert stream.groups[0].label == "unknown"


def test_joint_and_cumulative_runs_are_compared_with_others_on_their_stream(tmp_path: Path) -> None:
    runs = [read_run(write_run(tmp_path / name)) for name in ("a", "b", "c")]
    for run, regime in zip(runs[1:], ("joint", "cumulative"), strict=True):
        run.config["benchmark_options"] = run.config["benchmark_options"] | {"regime": regime}
    (stream,) = comparison.streams(runs)
    assert [group.label for group in stream.groups] == ["cmc", "cmc joint", "cmc cumulative"]
    assert stream.title == "digits (experiences 3)"


def test_streams_of_other_seeds_and_validation_parts_are_kept_apart(tmp_path: Path) -> None:
    """A stream that follows the seed is one for all seeds; one of its own seed, or a validation part, is another."""
    given = [{"seed": 1}, {"seed": 2}, {"stream_seed": 3}, {"eval_on": "val:2"}]
    runs = [read_run(write_run(tmp_path / str(i))) for i in range(len(given))]
    for run, options in zip(runs, given, strict=True):
        run.config |= {"stream_seed": None, "eval_on": "test"} | options
    found = comparison.streams(runs)
    titles = [
        "digits (experiences 3)",
        "digits (experiences 3, stream seed 3)",
        "digits (experiences 3, scored on val:2)",
    ]
    assert [stream.title for stream in found] == titles
    assert [len(stream.groups[0].runs) for stream in found] == [2, 1, 1]


def test_references_are_known_beside_what_they_are_to_compare_with(tmp_path: Path) -> None:
    def kinds(*given: tuple[str, str | None]) -> list[str]:
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        runs = [read_run(write_run(folder / str(i), strategy)) for i, (strategy, _) in enumerate(given)]
        for run, (_, regime) in zip(runs, given, strict=True):
            run.config["benchmark_options"] = run.config["benchmark_options"] | ({"regime": regime} if regime else {})
        (stream,) = comparison.streams(runs)
        assert stream.first is stream.groups[[group.reference for group in stream.groups].index("")]
        return [group.reference for group in stream.groups]

    given = [("supervised", None), ("supervised", "joint"), ("cmc", "joint"), ("cmc", None), ("moco", "joint")]
    assert kinds(*given) == ["supervised", "supervised iid", "iid", "", ""]
    assert kinds(("supervised", None), ("supervised", "joint")) == ["", ""], "nothing but labels"


def test_titles_leave_out_options_at_their_defaults(tmp_path: Path) -> None:
    def title(**options: Any) -> str:
        run = read_run(write_run(tmp_path / str(len(list(tmp_path.iterdir()))), benchmark="split-digits"))
        run.config["benchmark_options"] = options
        return comparison.streams([run])[0].title

    assert title(experiences=10, composites=None, leak=0.1, class_order=None) == "split-digits"
    assert title(experiences=5, seed=3) == "split-digits (experiences 5, seed 3)"


def test_streams_that_differ_in_their_images_are_named_by_them(tmp_path: Path) -> None:
    runs = [read_run(write_run(tmp_path / name, benchmark="folder")) for name in ("a", "b")]
    for run, data in zip(runs, ("/data/birds", "/data/cats")):
        run.config |= {"data": data, "benchmark_options": {}}
    assert [s.title for s in comparison.streams(runs)] == ["folder of /data/birds", "folder of /data/cats"]
    assert comparison.streams(runs[:1])[0].title == "folder"


def test_runs_that_begin_elsewhere_are_groups_of_their_own(tmp_path: Path) -> None:
    runs = [read_run(write_run(tmp_path / str(i), shift=0.1 * i)) for i in range(3)]
    runs[1].config |= {"continue_from": "runs/cmc", "continue_from_sha256": "12"}
    runs[2].config |= {"init": "encoder.pt", "init_sha256": "34"}
    (stream,) = comparison.streams(runs)
    assert stream.labels == ["cmc", "cmc continued", "cmc from given weights"]


def test_runs_with_and_without_replay_are_different_groups(tmp_path: Path) -> None:
    runs = [read_run(write_run(tmp_path / str(i), shift=0.1 * i)) for i in range(3)]
    runs[1].config["plugins"] = {"replay": {"size": 200, "batch": 10}}
    runs[2].config["plugins"] = {"replay": {"size": 200, "batch": 20}}
    (stream,) = comparison.streams(runs)
    assert stream.labels == ["cmc", "cmc + replay batch=10", "cmc + replay batch=20"]
    assert [(g.method, g.plugins) for g in stream.groups][:2] == [("cmc", ""), ("cmc", "replay batch=10")]


def test_what_runs_log_is_a_baseline_of_their_stream(tmp_path: Path) -> None:
    """Pixels once for each choice of images, chance once; a run of an older version has none."""
    folders = [add_evidence(write_run(tmp_path / f"{m}{s}", m, s), 0.2 + 0.2 * s) for m in ("a", "b") for s in (0, 1)]
    for folder in folders:
        changed(folder, "run", stream=f"images {folder.name[1]}")
    (stream,) = comparison.streams([read_run(folder) for folder in [*folders, write_run(tmp_path / "old", "c", 2)]])
    pixels, chance = stream.baselines
    assert (pixels.label, pixels.averages("ridge", "all")) == ("raw pixels 16x16", [0.2, 0.4])
    assert (chance.label, chance.averages("ridge", "all")) == ("chance", [0.125])
    assert stream.pixels("ridge", "all") == pytest.approx(0.3) and stream.pixels("ridge", "task") is None
    (old,) = comparison.streams([read_run(tmp_path / "old")])
    assert old.baselines == [] and old.pixels("ridge", "all") is None


def test_forgetting_of_frozen_probes_is_that_of_their_matrix(tmp_path: Path, one_stream: Any) -> None:
    stream = one_stream(add_evidence(write_run(tmp_path / "a")), write_run(tmp_path / "b", seed=1))
    (group,) = stream.groups
    found = group.values("forgetting (frozen probe)", "ridge", "all")
    assert found == {0: pytest.approx(((0.8 - 0.2) + (0.9 - 0.5)) / 2)}, "the other run has no frozen probe"
    assert group.values("forgetting (refitted probe)", "ridge", "all") == {s: pytest.approx(0.2) for s in (0, 1)}
