"""Differences of groups by seed and by test image, and which are not distinguished."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers.logs import R, set_stream, write_run

from avalanche_ssl.reports.differences import apart_notes, difference
from avalanche_ssl.runs.correctness import write_correctness


def kept(folder: Path, seed: int, shift: float = 0.0, probe: str = "ridge", stream: str = "a") -> Path:
    """A run that kept which of 100 test images of each experience are classified correctly, as its log says."""
    rng = np.random.default_rng(seed)
    rights = [rng.permutation(np.arange(100) < round(100 * (a + shift))) for a in R[-1]]
    write_correctness(folder, probe, [torch.from_numpy(right)[None] for right in rights])
    return set_stream(folder, stream)


def two(tmp_path: Path, one_stream: Any, seeds: int, shift: float, **other: Any) -> Any:
    """Two groups; the second has `shift` more."""
    folders = [kept(write_run(tmp_path / f"a{s}", "cmc", s), s) for s in range(seeds)]
    more = [kept(write_run(tmp_path / f"b{s}", "moco", s, shift), s + 10, shift, **other) for s in range(seeds)]
    return one_stream(*folders, *more)


METRIC = ("average accuracy", "ridge", "all")


def test_one_seed_is_compared_by_its_test_images(tmp_path: Path, one_stream: Any) -> None:
    stream = two(tmp_path, one_stream, 1, 0.12)
    found = difference(*stream.groups, *METRIC)
    assert (found.mean, found.seeds, found.images) == (pytest.approx(0.12), 1, 300)
    assert 0.01 < found.low < 0.12 < found.high < 0.23
    assert difference(*stream.groups, "gain", "ridge", "all").images == 0, "of a difference of two encoders"
    assert apart_notes(stream, "ridge", "all") == [
        "one seed in common: what is distinguished are these encoders, not their methods"
    ]


def test_seeds_that_share_test_images_are_compared_by_both(tmp_path: Path, one_stream: Any) -> None:
    found = difference(*two(tmp_path, one_stream, 3, 0.02).groups, *METRIC)
    assert (found.seeds, found.images) == (3, 300)
    assert found.low < 0 < found.high and found.p > 0.05, "the seeds agree, 300 images do not suffice"


@pytest.mark.parametrize("other", [{"stream": "b"}, {"stream": ""}, {"probe": "knn-20"}])
def test_what_is_not_of_the_same_images_is_compared_by_seed(tmp_path: Path, one_stream: Any, other: Any) -> None:
    assert difference(*two(tmp_path, one_stream, 3, 0.1, **other).groups, *METRIC).images == 0


def test_seeds_with_images_of_their_own_are_compared_by_all_of_them(tmp_path: Path, one_stream: Any) -> None:
    folders = [kept(write_run(tmp_path / f"a{s}", "cmc", s), s, stream=str(s)) for s in range(2)]
    folders += [kept(write_run(tmp_path / f"b{s}", "moco", s, 0.1), s + 9, 0.1, stream=str(s)) for s in range(2)]
    stream = one_stream(*folders)
    found = difference(*stream.groups, *METRIC)
    assert (found.seeds, found.images) == (2, 600)
    shared = difference(*two(tmp_path / "c", one_stream, 2, 0.1).groups, *METRIC)
    assert found.half_width == pytest.approx(shared.half_width, rel=0.3)


def test_a_file_that_contradicts_the_log_counts_as_none(tmp_path: Path, one_stream: Any) -> None:
    folders = [kept(write_run(tmp_path / "a", "cmc"), 0), kept(write_run(tmp_path / "b", "moco", shift=0.1), 0, 0.05)]
    assert difference(*one_stream(*folders).groups, *METRIC).images == 0


def test_groups_that_are_not_distinguished_are_named(tmp_path: Path, one_stream: Any) -> None:
    shifts = {"cmc": (0.0, 0.01, 0.02), "moco": (0.10, 0.13, 0.14), "simclr": (0.12, 0.11, 0.13)}
    folders = [write_run(tmp_path / f"{m}{s}", m, s, x) for m, each in shifts.items() for s, x in enumerate(each)]
    folders += [
        write_run(tmp_path / "byol", "byol", seed=7),
        write_run(tmp_path / "pirl", "pirl", 0, 0.3, trained=2, end=False),
    ]
    assert apart_notes(one_stream(*folders), "ridge", "all") == [
        "not distinguished from moco, the best: simclr (p of 0.05 or more)",
        "not tested against moco, the best: byol (no two seeds in common that differ, nor one whose test images are "
        "known)",
    ]
    assert apart_notes(one_stream(folders[0]), "ridge", "all") == []


def test_a_reference_is_not_the_best(tmp_path: Path, one_stream: Any) -> None:
    stream = one_stream(
        write_run(tmp_path / "a", "supervised", shift=0.3), write_run(tmp_path / "b"), write_run(tmp_path / "c", "moco")
    )
    assert [group.reference for group in stream.groups] == ["supervised", "", ""]
    assert apart_notes(stream, "ridge", "all")[0].startswith("not tested against cmc, the best: moco (")
