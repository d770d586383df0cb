"""The CORe50 streams are those of the paper and of Avalanche, and mistakes in the data are named."""

from __future__ import annotations

import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from avalanche.benchmarks.classic import CORe50
from helpers.core50 import SIDE, frame_names, ours, pixels
from helpers.fake_core50 import NAMES, TRAIN, write_frames, write_zip
from torchvision.transforms import PILToTensor

from avalanche_ssl import streams
from avalanche_ssl.data import array_reader, leaf_datasets
from avalanche_ssl.errors import UsageError
from avalanche_ssl.streams.core50.file_lists import EXPERIENCES
from avalanche_ssl.streams.core50.index import (
    CATEGORIES,
    OBJECTS,
    TEST_SESSIONS,
)

pytestmark = pytest.mark.filterwarnings(r"ignore:.*of CORe50's 164,866 frames:UserWarning")


def theirs(root: Path, scenario: str, run: int, object_lvl: bool = True) -> Any:
    """Avalanche's; everything is there, so that it downloads nothing."""
    raw = PILToTensor()
    return CORe50(
        scenario=scenario.replace("-", "_"),
        run=run,
        dataset_root=root,
        object_lvl=object_lvl,
        train_transform=raw,
        eval_transform=raw,
    )


def their_frames(experience: Any) -> list[tuple[str, int]]:
    """Names and labels, in their order."""
    (leaf,), _, index = leaf_datasets(experience.dataset)
    return [("/".join(Path(leaf.imgs[i][0]).parts[-3:]), int(leaf.imgs[i][1])) for i in index]


@pytest.mark.parametrize("run", [0, 1])
@pytest.mark.parametrize(
    ("scenario", "source"),
    [(scenario, source) for scenario in ("ni", "nc", "nic") for source in ("lists", "pickles", "rules")]
    + [("nicv2-391", "lists"), ("nicv2-391", "pickles")],  # its rules are not public
)
def test_experiences_are_those_of_avalanche(
    official: Path, plain: Path, tmp_path: Path, scenario: str, run: int, source: str
) -> None:
    """The same images with the same labels in the same order, from what Avalanche reads or from the images alone."""
    root = {"lists": official, "pickles": tmp_path, "rules": plain}[source]
    if source == "pickles":
        (tmp_path / "core50_128x128").symlink_to(official / "core50_128x128")
        for name in ("paths.pkl", "LUP.pkl"):
            shutil.copy(official / name, tmp_path)
    benchmark, other = ours(root, scenario, run=run), theirs(official, scenario, run)
    train, _ = frame_names(benchmark, root)
    label_names = pickle.loads((official / "labels2names.pkl").read_bytes())[scenario.replace("-", "_")][run]
    assert len(train) == len(other.train_stream) == EXPERIENCES[scenario]
    for names, mine, experience in zip(train, benchmark.train_stream, other.train_stream):
        expected = their_frames(experience)
        assert names == [name for name, _ in expected]
        assert [benchmark.class_names[y] for y in mine.dataset.targets] == [label_names[y] for _, y in expected]
        assert list(experience.dataset.targets) == [y for _, y in expected]  # what Avalanche trains on
    number = len(train) - 1
    assert torch.equal(
        pixels(benchmark.train_stream[number].dataset),
        torch.stack([x for x, *_ in other.train_stream[number].dataset]),
    )


def test_the_test_set_is_that_of_avalanche(official: Path) -> None:
    (whole,) = theirs(official, "ni", 0).test_stream
    expected = sorted(their_frames(whole))
    benchmark = ours(official, "ni")
    _, test = frame_names(benchmark, official)
    labels = [list(zip(names, e.dataset.targets)) for names, e in zip(test, benchmark.test_stream)]
    assert all(sorted(part) == expected for part in labels)


def test_categories_are_those_of_avalanche(official: Path) -> None:
    for scenario in ("nc", "nicv2-391"):
        benchmark, other = ours(official, scenario, labels="category"), theirs(official, scenario, 0, object_lvl=False)
        assert benchmark.class_names == list(CATEGORIES)
        for mine, experience in zip(benchmark.train_stream, other.train_stream):
            assert list(mine.dataset.targets) == [y for _, y in their_frames(experience)]


@pytest.mark.parametrize("scenario", EXPERIENCES)
def test_every_frame_comes_once(official: Path, scenario: str) -> None:
    benchmark = ours(official, scenario)
    train, test = frame_names(benchmark, official)
    everything = [name for part in train for name in part]
    assert len(everything) == len(set(everything)) == 2 * OBJECTS * len(TRAIN)
    assert {int(name[1:].split("/")[0]) for name in everything} == set(TRAIN)
    for here, there in zip(train, test):  # the same objects, other sessions
        assert {name.split("/")[1] for name in here} == {name.split("/")[1] for name in there}
        assert {int(name[1:].split("/")[0]) for name in there} == set(TEST_SESSIONS)
    assert benchmark.class_names == NAMES
    assert array_reader(benchmark.train_stream[3].dataset) is not None


@pytest.mark.parametrize("order", ["shuffled", "video"])
def test_order(plain: Path, order: str) -> None:
    benchmark = ours(plain, "ni", order=order)
    assert benchmark.ordered == (order == "video")


def test_frames_are_found_as_folder_zip_or_array(copied: Path) -> None:
    images = copied / "core50_128x128"
    whole = ours(copied, "nc")
    assert (copied / f"core50-{SIDE}.npy").exists()
    direct = ours(images, "nc")  # the folder of images itself
    archive = write_zip(images)
    lone = copied / "elsewhere"
    lone.mkdir()
    shutil.copy(archive, lone)
    others = [direct, ours(archive, "nc"), ours(lone, "nc")]
    shutil.rmtree(images)
    archive.unlink()
    others.append(ours(copied, "nc"))
    assert all(torch.equal(pixels(b.train_stream[4].dataset), pixels(whole.train_stream[4].dataset)) for b in others)
    assert (lone / f"core50-{SIDE}.npy").exists()


def test_images_of_the_wanted_size_are_preferred(copied: Path) -> None:
    write_frames(copied, frames=1, side=SIDE, of=f"core50_{SIDE}x{SIDE}")
    assert sum(len(e.dataset) for e in ours(copied, "ni").train_stream) == OBJECTS * len(TRAIN)


def test_cache(copied: Path, tmp_path: Path) -> None:
    ours(copied, "ni", cache=tmp_path / "cache")
    assert {p.name for p in (tmp_path / "cache").iterdir()} == {f"core50-{SIDE}.npy", f"core50-{SIDE}.json"}
    assert not list(copied.glob("core50-*"))
    shutil.rmtree(copied / "core50_128x128")
    assert len(ours(copied, "ni", cache=tmp_path / "cache").train_stream) == 8


def remove(*paths: str) -> Callable[[Path], None]:
    return lambda root: [shutil.rmtree(root / "core50_128x128" / path) for path in paths] and None


def cut(path: str) -> Callable[[Path], None]:
    return lambda root: (root / path).write_bytes((root / path).read_bytes()[:50]) and None


def put(name: str, content: bytes) -> Callable[[Path], None]:
    return lambda root: (root / name).write_bytes(content) and None


@pytest.mark.parametrize(
    ("act", "scenario", "options", "message"),
    [
        (remove("s4"), "ni", {}, r"core50_128x128' lacks s4: all 50 objects"),
        (remove("s4", "s7/o50", "s8/o1"), "ni", {}, r"lacks s4, s7/o50, s8/o1: "),
        (remove(*(f"s3/o{o}" for o in range(1, 9))), "ni", {}, r"lacks s3/o1, .*, s3/o5 and 3 more: "),
        (lambda root: shutil.rmtree(root / "core50_128x128"), "ni", {}, r"no core50_128x128 or .*zip in '.*': give"),
        (cut("core50_128x128/s3/o7/C_03_07_001.png"), "nc", {}, r"cannot read image '.*/s3/o7/C_03_07_001\.png' \("),
        (
            lambda root: None,
            "nicv2-391",
            {},
            r"needs the official lists: put https.*NICv2\.zip.*NIC_v2_391/run0 is not",
        ),
        (lambda root: None, "nicv2-79", {"run": 3}, r"NIC_v2_79/run3 is not found"),
        (lambda root: None, "ni", {"run": 10}, r"no run=10: give 0 to 9"),
        (lambda root: None, "ni", {"size": 0}, r"no size=0: give 32, 64 or 128"),
        (lambda root: None, "ni", {"labels": "objects"}, r"did you mean 'object'"),
        (lambda root: None, "ni", {"order": "vidio"}, r"did you mean 'video'"),
        (lambda root: None, "ni", {"damaged": "skipp"}, r"did you mean 'skip'"),
        (put("batches_filelists_NICv2.zip", b"PK"), "nicv2-79", {}, r"lists of NIC_v2_79/run0 are damaged \(.*zip"),
    ],
)
def test_mistakes_are_named(
    copied: Path, act: Callable[[Path], None], scenario: str, options: dict[str, Any], message: str
) -> None:
    act(copied)
    with pytest.raises(UsageError, match=message) as error:
        streams.BENCHMARKS[f"core50-{scenario}"](copied, **{"size": SIDE, **options})
    assert "\n" not in str(error.value)
    assert not list(copied.glob("core50-*"))


def test_no_such_scenario(plain: Path) -> None:
    with pytest.raises(UsageError, match="did you mean 'nicv2-391'"):
        streams.core50_stream("nicv2_391", plain)


def test_a_damaged_frame_is_left_out_on_request(copied: Path) -> None:
    cut("core50_128x128/s1/o7/C_01_07_001.png")(copied)
    with pytest.warns(UserWarning, match=r"left out image '.*C_01_07_001\.png'"):
        benchmark = ours(copied, "ni", damaged="skip")
    everything = [name for part in frame_names(benchmark, copied)[0] for name in part]
    assert len(everything) == 2 * OBJECTS * len(TRAIN) - 1
    assert "s1/o7/C_01_07_001.png" not in everything


def test_a_stream_in_video_order_is_cut_in_order(plain: Path) -> None:
    experience = ours(plain, "ni", order="video").train_stream[2]
    parts = [e.dataset for e in streams.online_stream(experience, 7, shuffle=False)]
    assert np.concatenate([np.asarray(part.targets) for part in parts]).tolist() == list(experience.dataset.targets)
