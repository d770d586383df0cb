"""Runs are read as far as they go, in today's format and in that of version 0.1.0."""

import math
import shutil
from pathlib import Path

import numpy as np
import pytest
from helpers.logs import UNTRAINED, R, add_evidence, add_tasks, append, probe_event, write_run

from avalanche_ssl import __version__
from avalanche_ssl.errors import UsageError
from avalanche_ssl.logging import ConsolidationEvent, CostEvent, CurveEvent, ExperienceEvent
from avalanche_ssl.runs.reader import read_run, read_runs


def test_a_finished_run(tmp_path: Path) -> None:
    run = read_run(write_run(tmp_path / "a"))
    assert (run.strategy, run.seed, run.n_experiences, run.experiences_trained) == ("cmc", 0, 3, 3)
    assert run.finished and run.notes == []
    np.testing.assert_array_equal(run.matrix("ridge", "all"), R)
    np.testing.assert_array_equal(run.untrained("ridge", "all"), UNTRAINED)
    assert [(e.experiences_trained, e.rankme, e.drift_cka) for e in run.representation] == [
        (t, 5.0 + t, None) for t in (1, 2, 3)
    ]
    assert run.cost == CostEvent(views=200, steps=10, parameters=5, bytes_remembered=7)
    assert run.end and run.end.images_trained == 100


def test_an_unfinished_run_is_used_as_far_as_it_goes_and_noted(tmp_path: Path) -> None:
    run = read_run(write_run(tmp_path / "a", trained=2, end=False, tail='{"event": "prob'))
    assert run.experiences_trained == 2
    assert run.notes == ["the last line was cut off", "unfinished: 2 of 3 experiences"]
    np.testing.assert_array_equal(run.matrix("ridge", "all"), np.array(R)[:2, :2])


def insert(folder: Path, *lines: str) -> Path:
    text = (folder / "log.jsonl").read_text().splitlines()
    text[3:3] = lines
    (folder / "log.jsonl").write_text("\n".join(text))
    return folder


def test_broken_lines_are_one_note_and_other_versions_another(tmp_path: Path) -> None:
    lines = ["\x00\x00", "[1]", '{"event": "probe", "experiences_trained": "x"}']
    run = read_run(insert(write_run(tmp_path / "a", version="0.0.1"), *lines))
    assert run.experiences_trained == 3 and run.tasks == {} and run.experiences == []
    np.testing.assert_array_equal(run.matrix("ridge", "all"), R)
    assert run.notes == [
        "3 lines are broken, the first: line 4 is broken: it is not JSON",
        f"written by version 0.0.1, read by {__version__}",
    ]


def test_an_impossible_experience_is_noted_and_takes_no_memory(tmp_path: Path) -> None:
    run = read_run(append(write_run(tmp_path / "a"), probe_event(3, 2**40, 0.5)))
    assert run.notes == ["1 probe events are of experiences that the stream does not have"]
    assert run.n_experiences == 3


def test_a_lost_beginning_is_noted(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "a")
    (folder / "log.jsonl").write_text("\n".join((folder / "log.jsonl").read_text().splitlines()[1:]))
    run = read_run(folder)
    assert (run.strategy, run.seed, run.settings, run.config) == ("unknown", None, {}, {})
    assert "its beginning is missing: strategy, stream and seed are not known" in run.notes


def test_a_restarted_run_counts_what_was_measured_last(tmp_path: Path) -> None:
    run = read_run(append(write_run(tmp_path / "a"), probe_event(3, 3, 0.9)))
    assert run.matrix("ridge", "all")[2, 2] == 0.9


def test_events_by_experience_are_in_order_and_the_last_of_each(tmp_path: Path) -> None:
    numbers = {"images_trained": 8, "steps": 1, "seconds": 1.0, "images_per_second": 8.0}
    events = [
        ExperienceEvent(experiences_trained=t, loss=loss, **numbers) for t, loss in [(2, 0.5), (1, 0.4), (2, 0.3)]
    ]
    run = read_run(append(write_run(tmp_path / "a"), *events))
    assert [(e.experiences_trained, e.loss) for e in run.experiences] == [(1, 0.4), (2, 0.3)]


def test_curve_and_consolidation(tmp_path: Path) -> None:
    point = {"images_seen": 10, "images_trained": 20, "seconds": 1.0, "experiences_trained": 0}
    curve = CurveEvent(**point, probe="ridge", scope="all", accuracy=0.5)
    folder = write_run(tmp_path / "a")
    assert math.isnan(read_run(folder).consolidation)
    run = read_run(append(folder, curve, ConsolidationEvent(experiences_trained=3, accuracy=0.625, chance=0.333)))
    assert run.curve == [curve] and run.consolidation == 0.625


def test_task_results_by_experience_and_on_all_test_images(tmp_path: Path) -> None:
    run = read_run(add_tasks(write_run(tmp_path / "a"), full_test=0.7))
    assert {t: [result.task for result in results] for t, results in run.tasks.items()} == {
        t: ["kind", "<scene>"] for t in (0, 2, 3)
    }
    assert [(result.task, result.accuracy) for result in run.full_test_tasks] == [("kind", 0.7)]
    assert run.full_test == {"ridge": 0.7}


def test_the_caveat_of_a_protocol_is_read_or_known(tmp_path: Path) -> None:
    assert read_run(write_run(tmp_path / "a", probe="mine", caveat="so")).caveats == {"mine": "so"}
    assert "slip" in read_run(write_run(tmp_path / "b", probe="lump")).caveats["lump"], "of a version that logged none"
    assert read_run(write_run(tmp_path / "c")).caveats == {}


def test_a_folder_without_a_run_is_refused_or_noted(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    good, young = write_run(tmp_path / "a"), write_run(tmp_path / "young", trained=0, end=False)
    with pytest.raises(UsageError, match=r"holds no run \(log.jsonl: No such file or directory\)"):
        read_run(tmp_path / "empty")
    with pytest.raises(UsageError, match="no experience was trained on and probed"):
        read_run(young)
    runs, notes = read_runs([good, tmp_path / "empty", young, good])
    assert [run.folder for run in runs] == [good] and len(notes) == 2
    with pytest.raises(UsageError, match=r"no run to report: .*holds no run.*; .*nothing to report"):
        read_runs([tmp_path / "empty", young])
    with pytest.raises(UsageError, match=r"no run to report: .* holds no run .*; give the runs in it, .*/\*/$"):
        read_runs([tmp_path])
    with pytest.raises(UsageError, match="no run to report: give folders of runs"):
        read_runs([])


def test_a_run_by_two_paths_counts_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    good = write_run(tmp_path / "a")
    (tmp_path / "link").symlink_to(good)
    monkeypatch.chdir(tmp_path)
    runs, notes = read_runs([good, Path("a"), tmp_path / "link", Path("link/../a"), good])
    assert [run.folder for run in runs] == [good]
    assert notes == [
        f"{path} is {good} by another path: it counts once" for path in ("a", tmp_path / "link", "link/../a")
    ]


def test_a_copy_of_a_run_counts_once(tmp_path: Path) -> None:
    good, other = write_run(tmp_path / "a"), write_run(tmp_path / "c", seed=1)
    shutil.copytree(good, tmp_path / "b")
    runs, notes = read_runs([good, tmp_path / "b", other])
    assert [run.folder for run in runs] == [good, other]
    assert notes == [f"{tmp_path / 'b'} is a copy of {good}, with the same log: it counts once"]


# -- logs of version 0.1.0 as they were before their names changed -----------------------------------------------------

FORMER = """
{"event": "run", "name": "swav on split-digits, seed 3", "config": {"strategy": "swav", "benchmark": "split-digits", \
"data": null, "stream": {"experiences": 2}, "online": 10, "replay": 100, "replay_batch": 0, "probe_every": "1000", \
"seed": 3, "workers": 1, "probe_boundaries": 0, "on_nan": "stop", "settings": {"lr": 0.001}}, "device": "cpu", \
"precision": "bf16", "versions": {"avalanche-ssl": "0.1.0", "torch": "2.14.1"}}
{"event": "point", "seen": 0, "images": 0, "seconds": 0.0, "trained": 0, "probe": "lump", "scope": "all", \
"accuracy": 0.25}
{"event": "probe", "trained": 0, "evaluated": 1, "probe": "lump", "scope": "all", "accuracy": 0.3, "images": 0, \
"seconds": 0.0, "odd": "so"}
{"event": "probe", "trained": 0, "evaluated": 2, "probe": "lump", "scope": "all", "accuracy": 0.2, "images": 0, \
"seconds": 0.0, "odd": "so"}
{"event": "vitals", "trained": 1, "images": 1936, "dim": 256, "feature_std": 0.04, "rankme": 35.1, \
"clusters": {"used": 49.5}, "memory": {}}
{"event": "experience", "trained": 1, "images": 20, "steps": 2, "loss": 4.4, "seconds": 6.4, \
"images_per_second": 905.3}
{"event": "probe", "trained": 1, "evaluated": 1, "probe": "lump", "scope": "all", "accuracy": 0.5, "images": 20, \
"seconds": 6.4, "odd": "so"}
{"event": "probe", "trained": 1, "evaluated": 2, "probe": "lump", "scope": "all", "accuracy": null, "images": 20, \
"seconds": 6.4, "odd": "so"}
{"event": "vitals", "trained": 2, "images": 1936, "dim": 256, "feature_std": 0.05, "rankme": 36.1, "drift_cka": 0.9}
{"event": "probe", "trained": 2, "evaluated": 1, "probe": "lump", "scope": "all", "accuracy": 0.6, "images": 40, \
"seconds": 9.4, "odd": "so"}
{"event": "probe", "trained": 2, "evaluated": 2, "probe": "lump", "scope": "all", "accuracy": 0.7, "images": 40, \
"seconds": 9.4, "odd": "so"}
{"event": "point", "seen": 20, "images": 40, "seconds": 9.4, "trained": 2, "probe": "lump", "scope": "all", \
"accuracy": 0.65, "odd": "so"}
{"event": "answer", "trained": 2, "images": 40, "probe": "lump", "whole": false, "question": "kind", "accuracy": 0.5, \
"chance": 0.25, "by": {"place": {"here": 1.0}}}
{"event": "answer", "trained": 2, "images": 40, "probe": "lump", "whole": true, "question": "kind", "accuracy": 0.6, \
"chance": 0.25, "by": {"place": {"here": 0.9}}}
{"event": "final", "trained": 2, "images": 40, "probe": "lump", "scope": "all", "accuracy": 0.61, "tested": 900}
{"event": "consolidation", "trained": 2, "accuracy": 0.27, "chance": 0.5}
{"event": "spent", "views": 57716, "steps": 964, "parameters": 504224, "bytes_remembered": 771904}
{"event": "end", "images": 40, "train_seconds": 33.7, "seconds": 83.8, "checkpoint_seconds": 0.1, \
"probe_seconds": 38.4}
"""

TODAY = """
{"event": "run", "title": "swav on split-digits, seed 3", "config": {"strategy": "swav", "benchmark": "split-digits", \
"data": null, "benchmark_options": {"experiences": 2}, "online_batch_size": 10, "replay_size": 100, \
"replay_batch_size": 0, "probe_every_images": "1000", "seed": 3, "num_workers": 1, "probe_every_experiences": 0, \
"on_nan": "raise", "settings": {"lr": 0.001}}, "device": "cpu", \
"precision": "bf16", "versions": {"avalanche-ssl": "0.1.0", "torch": "2.14.1"}}
{"event": "curve", "images_seen": 0, "images_trained": 0, "seconds": 0.0, "experiences_trained": 0, "probe": "lump", \
"scope": "all", "accuracy": 0.25}
{"event": "probe", "experiences_trained": 0, "experience": 1, "probe": "lump", "scope": "all", "accuracy": 0.3, \
"images_trained": 0, "seconds": 0.0, "caveat": "so"}
{"event": "probe", "experiences_trained": 0, "experience": 2, "probe": "lump", "scope": "all", "accuracy": 0.2, \
"images_trained": 0, "seconds": 0.0, "caveat": "so"}
{"event": "representation", "experiences_trained": 1, "images_measured": 1936, "feature_dim": 256, \
"feature_std": 0.04, "rankme": 35.1, "clusters": {"used": 49.5}, "memory": {}}
{"event": "experience", "experiences_trained": 1, "images_trained": 20, "steps": 2, "loss": 4.4, "seconds": 6.4, \
"images_per_second": 905.3}
{"event": "probe", "experiences_trained": 1, "experience": 1, "probe": "lump", "scope": "all", "accuracy": 0.5, \
"images_trained": 20, "seconds": 6.4, "caveat": "so"}
{"event": "probe", "experiences_trained": 1, "experience": 2, "probe": "lump", "scope": "all", "accuracy": null, \
"images_trained": 20, "seconds": 6.4, "caveat": "so"}
{"event": "representation", "experiences_trained": 2, "images_measured": 1936, "feature_dim": 256, \
"feature_std": 0.05, "rankme": 36.1, "drift_cka": 0.9}
{"event": "probe", "experiences_trained": 2, "experience": 1, "probe": "lump", "scope": "all", "accuracy": 0.6, \
"images_trained": 40, "seconds": 9.4, "caveat": "so"}
{"event": "probe", "experiences_trained": 2, "experience": 2, "probe": "lump", "scope": "all", "accuracy": 0.7, \
"images_trained": 40, "seconds": 9.4, "caveat": "so"}
{"event": "curve", "images_seen": 20, "images_trained": 40, "seconds": 9.4, "experiences_trained": 2, \
"probe": "lump", "scope": "all", "accuracy": 0.65, "caveat": "so"}
{"event": "task", "experiences_trained": 2, "images_trained": 40, "probe": "lump", "full_test_set": false, \
"task": "kind", "accuracy": 0.5, "chance": 0.25, "by_group": {"place": {"here": 1.0}}}
{"event": "task", "experiences_trained": 2, "images_trained": 40, "probe": "lump", "full_test_set": true, \
"task": "kind", "accuracy": 0.6, "chance": 0.25, "by_group": {"place": {"here": 0.9}}}
{"event": "full_test", "experiences_trained": 2, "images_trained": 40, "probe": "lump", "scope": "all", \
"accuracy": 0.61, "images_tested": 900}
{"event": "consolidation", "experiences_trained": 2, "accuracy": 0.27, "chance": 0.5}
{"event": "cost", "views": 57716, "steps": 964, "parameters": 504224, "bytes_remembered": 771904}
{"event": "end", "images_trained": 40, "train_seconds": 33.7, "seconds": 83.8, "checkpoint_seconds": 0.1, \
"probe_seconds": 38.4}
"""


def test_a_log_of_before_the_names_changed_gives_the_same_run(tmp_path: Path) -> None:
    (tmp_path / "log.jsonl").write_text(FORMER.lstrip())
    former = read_run(tmp_path)
    (tmp_path / "log.jsonl").write_text(TODAY.lstrip())
    today = read_run(tmp_path)
    rows = [run.accuracies.pop(("lump", "all")) for run in (former, today)]
    np.testing.assert_array_equal(*rows)
    np.testing.assert_array_equal(rows[0], [[0.3, 0.2], [0.5, math.nan], [0.6, 0.7]])
    assert former == today
    assert former.notes == [] and former.caveats == {"lump": "so"} and former.full_test == {"lump": 0.61}
    assert former.consolidation == 0.27 and [point.accuracy for point in former.curve] == [0.25, 0.65]
    assert former.config["benchmark_options"] == {"experiences": 2} and former.config["on_nan"] == "raise"
    assert former.end and former.end.seconds == 83.8 and len(former.representation) == 2


def test_baselines_and_frozen_probes(tmp_path: Path) -> None:
    run = read_run(add_evidence(write_run(tmp_path / "a")))
    assert {name: found["ridge", "all"] for name, found in run.baselines.items()} == {
        "chance": 0.125,
        "raw pixels 16x16": 0.25,
        "untrained": 0.4,
    }
    frozen = run.frozen_matrix("ridge", "all")
    assert frozen is not None and frozen[2].tolist() == [0.2, 0.5, 0.5] and np.isnan(frozen[0, 1])
    assert run.frozen_matrix("ridge", "task") is None
    unfinished = read_run(add_evidence(write_run(tmp_path / "b", trained=2, end=False)))
    part = unfinished.frozen_matrix("ridge", "all")
    assert part is not None and part.shape == (2, 2)


def test_runs_of_older_versions_have_neither(tmp_path: Path) -> None:
    run = read_run(write_run(tmp_path / "a"))
    assert (run.baselines, run.frozen, run.frozen_matrix("ridge", "all")) == ({}, {}, None)
