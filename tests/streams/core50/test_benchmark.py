"""Are the CORe50 streams those of the paper and of Avalanche, and are mistakes in the data named?"""

import json
import pickle
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from avalanche.benchmarks.classic import CORe50
from helpers.encoders import tiny
from helpers.fake_core50 import NAMES, TRAIN, write_images, write_lists, write_zip
from PIL import Image
from torchvision.transforms import PILToTensor

from avalanche_ssl import SelfSupervised, streams
from avalanche_ssl.cli import run
from avalanche_ssl.data import image_cache_writer
from avalanche_ssl.data.loader import RawDataLoader
from avalanche_ssl.data.readers import array_reader
from avalanche_ssl.data.traversal import leaf_datasets
from avalanche_ssl.errors import UsageError
from avalanche_ssl.models.encoders import ENCODERS
from avalanche_ssl.streams.core50.file_lists import EXPERIENCES
from avalanche_ssl.streams.core50.index import (
    CATEGORIES,
    FRAME_COUNTS,
    OBJECTS,
    TEST_SESSIONS,
    FrameIndex,
    warn_unless_complete,
)
from avalanche_ssl.streams.core50.order import training_order

pytestmark = pytest.mark.filterwarnings(r"ignore:.*of CORe50's 164,866 frames:UserWarning")
SIDE = 16


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The images alone."""
    root = tmp_path_factory.mktemp("plain")
    write_images(root, frames=2, side=SIDE)
    return root


@pytest.fixture(scope="module")
def official(plain: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The images with all that Avalanche reads."""
    root = tmp_path_factory.mktemp("official")
    shutil.copytree(plain / "core50_128x128", root / "core50_128x128")
    write_lists(root, frames=2, runs=2)
    return root


@pytest.fixture
def copied(plain: Path, tmp_path: Path) -> Path:
    shutil.copytree(plain / "core50_128x128", tmp_path / "core50_128x128")
    return tmp_path


def ours(root: Path, scenario: str, **options: Any) -> Any:
    return streams.BENCHMARKS[f"core50-{scenario}"](root, size=SIDE, **options)


def frame_names(benchmark: Any, root: Path) -> tuple[list[list[str]], list[list[str]]]:
    """What the experiences of both streams hold, by the index beside the array."""
    names = image_cache_writer.read_index(root / f"core50-{SIDE}.json")["names"]  # type: ignore[index]
    return tuple(  # type: ignore[return-value]
        [[names[i] for i in leaf_datasets(e.dataset)[2]] for e in stream]
        for stream in (benchmark.train_stream, benchmark.test_stream)
    )


def pixels(dataset: Any) -> torch.Tensor:
    return torch.cat([x for x, *_ in RawDataLoader([dataset], [256], shuffle=False, drop_last=False)])


# -- agreement with Avalanche ----------------------------------------------------------------------------------------


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


# -- the streams -----------------------------------------------------------------------------------------------------


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


def test_no_object_is_lost_to_rounding() -> None:
    """Python 3 rounds half to even, with which the published script's NC repeats ten objects and loses ten."""
    index = full_index()
    parts = training_order(Path("nowhere"), "nc", 0)(index)
    assert len(np.unique(index.object[np.concatenate(parts)])) == OBJECTS
    assert [len(np.unique(index.object[part])) for part in parts] == [10] + [5] * 8
    halves = [sorted({o // 5 for o in index.object[part].tolist()}) for part in parts[1:]]
    assert sorted(map(tuple, halves)) == [(0, 1, 2, 3, 4)] * 4 + [(5, 6, 7, 8, 9)] * 4


def full_index() -> FrameIndex:
    """As many frames in each session as the whole data set has, and about as many of each object."""
    names = [
        f"s{session}/o{thing + 1}/C_{session:02d}_{thing + 1:02d}_{number:03d}.png"
        for session, count in FRAME_COUNTS.items()
        for thing in range(OBJECTS)
        for number in range(count // OBJECTS + (thing < count % OBJECTS))
    ]
    return FrameIndex.from_names(names)


def test_known_totals(recwarn: pytest.WarningsRecorder) -> None:
    """Of the whole data set, by an index of that size."""
    index = full_index()
    warn_unless_complete(index, Path("x"))
    assert not recwarn.list
    assert len(index.names) == 164_866
    for number in range(10):
        sizes = {name: [len(p) for p in training_order(Path("nowhere"), name, number)(index)] for name in ("ni", "nc", "nic")}
        assert {name: sum(found) for name, found in sizes.items()} == dict.fromkeys(sizes, 119_894)
        assert sorted(sizes["ni"]) == sorted(FRAME_COUNTS[s] for s in TRAIN)
        assert len(sizes["nc"]) == 9 and 23_970 < sizes["nc"][0] < 24_000
        assert all(11_950 < n < 12_010 for n in sizes["nc"][1:])
        assert len(sizes["nic"]) == 79 and 2_990 < sizes["nic"][0] < 3_010
    assert len(index.frames_of(TEST_SESSIONS, range(OBJECTS))) == 44_972


def test_runs_are_different_orders_of_the_same(plain: Path) -> None:
    first = [frame_names(ours(plain, "nc", run=run), plain)[0] for run in (0, 1, 9)]
    assert len({tuple(map(tuple, parts)) for parts in first}) == 3
    assert len({frozenset(map(frozenset, parts)) for parts in first}) == 1
    assert first[0][0] == first[1][0] == first[2][0]
    sessions = [parts[0][0].split("/")[0] for parts in (frame_names(ours(plain, "ni"), plain)[0],)]
    assert sessions == ["s11"]  # run 0 of the official lists


@pytest.mark.parametrize("order", ["shuffled", "video"])
def test_order(plain: Path, order: str) -> None:
    benchmark = ours(plain, "ni", order=order)
    assert benchmark.ordered == (order == "video")


def test_frames_are_found_as_folder_zip_or_array(copied: Path) -> None:
    images = copied / "core50_128x128"
    whole = ours(copied, "nc")
    assert (copied / f"core50-{SIDE}.npy").exists()
    beside = ours(images, "nc")  # the folder of images itself
    archive = write_zip(images)
    lone = copied / "elsewhere"
    lone.mkdir()
    shutil.copy(archive, lone)
    others = [beside, ours(archive, "nc"), ours(lone, "nc")]
    shutil.rmtree(images)
    archive.unlink()
    others.append(ours(copied, "nc"))
    assert all(torch.equal(pixels(b.train_stream[4].dataset), pixels(whole.train_stream[4].dataset)) for b in others)
    assert (lone / f"core50-{SIDE}.npy").exists()


def test_images_of_the_wanted_size_are_preferred(copied: Path) -> None:
    write_images(copied, frames=1, side=SIDE, of=f"core50_{SIDE}x{SIDE}")
    assert sum(len(e.dataset) for e in ours(copied, "ni").train_stream) == OBJECTS * len(TRAIN)


def test_cache(copied: Path, tmp_path: Path) -> None:
    ours(copied, "ni", cache=tmp_path / "cache")
    assert {p.name for p in (tmp_path / "cache").iterdir()} == {f"core50-{SIDE}.npy", f"core50-{SIDE}.json"}
    assert not list(copied.glob("core50-*"))
    shutil.rmtree(copied / "core50_128x128")
    assert len(ours(copied, "ni", cache=tmp_path / "cache").train_stream) == 8


def test_lists_are_read_out_of_their_zip_file(official: Path, copied: Path) -> None:
    with zipfile.ZipFile(copied / "batches_filelists_NICv2.zip", "w") as archive:
        for path in (official / "NIC_v2_391").rglob("*.txt"):
            archive.write(path, path.relative_to(official))
    zipped, listed = (frame_names(ours(root, "nicv2-391", run=1), root)[0] for root in (copied, official))
    assert zipped == listed


def test_lists_win_over_rules(official: Path, copied: Path) -> None:
    shutil.copytree(official / "batches_filelists", copied / "batches_filelists")
    folder = copied / "batches_filelists" / "NC_inc" / "run0"
    one, two = (folder / f"train_batch_0{i}_filelist.txt" for i in (3, 4))
    texts = one.read_text(), two.read_text()
    one.write_text(texts[1])
    two.write_text(texts[0])
    listed, ruled = (frame_names(ours(copied, "nc", run=run), copied)[0] for run in (0, 0))
    ruled = frame_names(ours(official, "nc"), official)[0]
    assert (listed[3], listed[4]) == (ruled[4], ruled[3])


# -- bad input -------------------------------------------------------------------------------------------------------


def remove(*paths: str) -> Callable[[Path], None]:
    return lambda root: [shutil.rmtree(root / "core50_128x128" / path) for path in paths] and None


def cut(path: str) -> Callable[[Path], None]:
    return lambda root: (root / path).write_bytes((root / path).read_bytes()[:50]) and None


def put(name: str, content: bytes) -> Callable[[Path], None]:
    return lambda root: (root / name).write_bytes(content) and None


EVIL = pickle.dumps({"nicv2_391": Image.new})


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
    benchmark = ours(copied, "ni", damaged="skip")
    everything = [name for part in frame_names(benchmark, copied)[0] for name in part]
    assert len(everything) == 2 * OBJECTS * len(TRAIN) - 1
    assert "s1/o7/C_01_07_001.png" not in everything


def test_lists_of_other_images(official: Path, copied: Path) -> None:
    shutil.copytree(official / "NIC_v2_391", copied / "NIC_v2_391")
    file = copied / "NIC_v2_391" / "run0" / "train_batch_07_filelist.txt"
    file.write_text(file.read_text() + "s1/o1/C_01_01_777.png 0\n")
    with pytest.warns(UserWarning, match="1 frames that the lists of NIC_v2_391/run0 name are not there"):
        ours(copied, "nicv2-391")
    file.write_text("s1/o1/C_01_01_777.png 0\n")
    with pytest.raises(UsageError, match="no frame of experience 8 in NIC_v2_391/run0 is there"):
        ours(copied, "nicv2-391")
    file.unlink()
    with pytest.raises(UsageError, match=r"file lists of NIC_v2_391/run0 are damaged \(.*train_batch_07"):
        ours(copied, "nicv2-391")


@pytest.mark.parametrize(
    ("content", "reason"),
    [(EVIL, "it asks for PIL.Image.new"), (b"\x80", ".+"), (b"", ".+"), (pickle.dumps([1]), ".+")],
    ids=["evil", "cut", "empty", "list"],
)
def test_pickles_run_no_code(copied: Path, content: bytes, reason: str) -> None:
    (copied / "paths.pkl").write_bytes(pickle.dumps([]))
    (copied / "LUP.pkl").write_bytes(content)
    with pytest.raises(UsageError, match=rf"paths\.pkl and LUP\.pkl in .* are damaged \({reason}\): get them"):
        ours(copied, "nicv2-391")


def test_other_counts_are_told(plain: Path) -> None:
    with pytest.warns(
        UserWarning,
        match=r"has 1,100 of CORe50's 164,866 frames \(s1 100 of 14,989, s2 .*, s3 100 of 14,992, \.\.\.\): results",
    ) as caught:
        ours(plain, "ni")
    assert len(caught) == 1 and "\n" not in str(caught[0].message)


# -- a run -----------------------------------------------------------------------------------------------------------


def go(root: Path, out: Path, scenario: str, *more: str) -> list[dict[str, Any]]:
    """A small run; its log."""
    given = ["--strategy", "moco", "--benchmark", f"core50-{scenario}", "--data", str(root), "--out", str(out)]
    given += [
        "--benchmark-option",
        f"size={SIDE}",
        "--set",
        f"augment.size={SIDE}",
        "--set",
        "lr=0.0001",
        "--device",
        "cpu",
        *more,
    ]
    assert run.main(given) == 0
    return [json.loads(line) for line in (out / "log.jsonl").read_text(encoding="utf-8").splitlines()]


alike = pytest.mark.filterwarnings("ignore:.*COLLAPSED")
"""To the narrow encoder, fake frames of one session are."""


@alike
def test_a_run_in_a_single_pass(
    official: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every frame is learnt once; tables by session are on screen, and in the log."""
    monkeypatch.setitem(ENCODERS, "smallconv", tiny)
    log = go(official, tmp_path / "a", "nicv2-79", "--online-batch-size", "20", "--probe-every-experiences", "40", "--set", "output_dim=8")
    out = capsys.readouterr().out
    for text in (
        "session s3",
        "session s7",
        "session s10",
        "new instance",
        "background",
        "chance",
        "experience 79/79",
        "\nall images ",
    ):
        assert text in out, text
    assert next(event for event in log if event["event"] == "run")["config"]["probes"] == "core50"
    assert {event["trained"] for event in log if event["event"] == "probe"} == {0, 40, 79}
    task_results = [event for event in log if event["event"] == "answer" and event["question"] == "object"]
    assert [(event["trained"], event["whole"]) for event in task_results] == [
        (0, False),
        (40, False),
        (79, False),
        (79, True),
    ]
    (final,) = (event for event in log if event["event"] == "final")
    assert final["tested"] == 2 * OBJECTS * len(TEST_SESSIONS) and final["accuracy"] == pytest.approx(
        task_results[-1]["accuracy"]
    )
    assert all(event["by"]["session"].keys() == {"s3", "s7", "s10"} for event in task_results)
    assert [event for event in log if event["event"] == "experience"][-1]["images"] == 2 * OBJECTS * len(TRAIN)


@alike
def test_video_order_reaches_the_strategy(plain: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ENCODERS, "smallconv", tiny)
    make = SelfSupervised.make_train_dataloader
    loaders: list[bool] = []
    monkeypatch.setattr(
        SelfSupervised,
        "make_train_dataloader",
        lambda self, shuffle=True, **kw: loaders.append(shuffle) or make(self, shuffle=shuffle, **kw),
    )
    for order in ("video", "shuffled"):
        options = ["--benchmark-option", f"order={order}", "--epochs", "1", "--probe-every-experiences", "9", "--set", "output_dim=8"]
        go(plain, tmp_path / order, "ni", *options)
    assert loaders == [False] * 8 + [True] * 8
