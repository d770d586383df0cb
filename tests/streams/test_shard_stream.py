"""Streams of images in shards: layouts, experiences, bad input, and whole runs that are stopped and resumed."""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import webdataset
from crashes import comparison
from helpers.encoders import tiny
from helpers.shards import labeled_folder, pack, picture

from avalanche_ssl.checkpointing import Checkpointer, stream_fingerprint
from avalanche_ssl.cli import run
from avalanche_ssl.data import index_shards, make_reader, shard_images
from avalanche_ssl.errors import UsageError
from avalanche_ssl.methods import SimCLR
from avalanche_ssl.models import ENCODERS
from avalanche_ssl.streams import has_labels, online_stream, shards


def numbers(dataset: Any, upto: int = 60) -> list[int]:
    """Which images these are, in their order."""
    known = {picture(i).tobytes(): i for i in [*range(upto), *range(1000, 1000 + upto)]}
    x, *_ = make_reader(dataset).batch(torch.arange(len(dataset)))
    return [known[image.permute(1, 2, 0).numpy().tobytes()] for image in x]


def parts(stream: Any) -> list[list[int]]:
    return [numbers(experience.dataset) for experience in stream]


# -- layouts ---------------------------------------------------------------------------------------------------------


def test_shards_are_cut_into_experiences_in_the_order_of_their_names(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    labeled_folder(tmp_path, train=33, test=8)
    benchmark = shards(tmp_path, experiences=3, size=8)
    assert parts(benchmark.train_stream) == [list(range(10)), list(range(10, 25)), list(range(25, 33))]
    assert parts(benchmark.test_stream) == [list(range(1000, 1008))], "one test set for all"
    labels = [experience.dataset.targets[3] for experience in benchmark.train_stream]
    assert labels == [1, 1, 0] and benchmark.decided == {"experiences": 3} and has_labels(benchmark)
    assert benchmark.train_stream[1].classes_in_this_experience == {0, 1}
    said = capsys.readouterr().err
    assert said == (
        f"found 33 images in 7 shards of '{tmp_path}' and 8 for testing; probes are fitted on all of them\n"
    )
    assert len(shards(tmp_path, size=8).train_stream) == 1


def test_folders_of_shards_are_experiences(tmp_path: Path) -> None:
    for place, (name, first) in enumerate([("b/deep", 20), ("a", 0)]):
        pack(tmp_path / "train" / name, range(first, first + 7), [place] * 7)
        pack(tmp_path / "val" / name, range(1000 + first, 1003 + first), [place] * 3)
    index_shards(tmp_path)
    benchmark = shards(tmp_path, size=8, experiences=2)
    assert parts(benchmark.train_stream) == [list(range(7)), list(range(20, 27))]
    assert parts(benchmark.test_stream) == [[1000, 1001, 1002], [1020, 1021, 1022]]
    assert [set(experience.dataset.targets) for experience in benchmark.train_stream] == [{1}, {0}]


def test_shards_without_labels_or_folders(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pack(tmp_path, range(12))
    index_shards(tmp_path)
    benchmark = shards(tmp_path, size=8)
    assert parts(benchmark.train_stream) == [list(range(12))] and not has_labels(benchmark)
    assert len(benchmark.test_stream) == 0 and benchmark.class_names is None
    assert capsys.readouterr().err.endswith("; no training images with labels, so that nothing is probed\n")


def test_labels_and_names_are_read_where_they_are_wanted(tmp_path: Path) -> None:
    labeled_folder(tmp_path)
    (tmp_path / "classes.txt").write_text("cat\ndog\n")
    assert shards(tmp_path, size=8).class_names == ["cat", "dog"]
    blind = shards(tmp_path, size=8, labels="none")
    assert not has_labels(blind) and blind.class_names is None
    (tmp_path / "classes.txt").write_text("cat\n")
    with pytest.raises(UsageError, match=r"label 1 in '.*', and 'classes\.txt' names 1 classes"):
        shards(tmp_path, size=8)


def test_probes_are_fitted_on_a_part_that_is_spread_evenly(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    labeled_folder(tmp_path)
    benchmark = shards(tmp_path, size=8, experiences=2, probe_images=10)
    assert [numbers(dataset) for dataset in benchmark.probing_stream] == [[0, 4, 8, 12, 16], [20, 24, 28, 32, 36]]
    assert capsys.readouterr().err.endswith("; probes are fitted on one in 4\n")
    assert not hasattr(shards(tmp_path, size=8, experiences=2), "probing_stream"), "all of them"


# -- an order without a list -----------------------------------------------------------------------------------------


def test_no_list_of_images_is_made(tmp_path: Path) -> None:
    """Whoever would list them would ask for one of ten billion, which no machine can hold."""
    pack(tmp_path, range(10))
    index = index_shards(tmp_path)
    count, name = 10**10, index.names[0]
    (tmp_path / "shards.json").write_text(
        f'{{"version": 1, "shards": [["{name}", {index.sizes[0]}, {count}, 0]]}}', encoding="utf-8"
    )
    row = index.rows(0, 1).tobytes()
    with (tmp_path / "shards.index").open("r+b") as file:
        file.truncate(count * len(row))  # a file without content takes no place on the disk
    benchmark = shards(tmp_path, size=8, block=1000)
    dataset = benchmark.train_stream[0].dataset
    assert len(dataset) == count and not has_labels(benchmark)
    images = shard_images(dataset.train())
    assert images is not None and len(images.order([0]).positions(10**9, 10**9 + 256)) == 256


def test_online_streams_bring_every_image_once(tmp_path: Path) -> None:
    labeled_folder(tmp_path)
    benchmark = shards(tmp_path, size=8, experiences=2, block=7)
    stream = online_stream(benchmark.train_stream, 6, seed=3)
    found = [numbers(part.dataset) for part in stream]
    assert [len(part) for part in found] == [6, 6, 6, 2] * 2
    first, second = ([number for part in found[k : k + 4] for number in part] for k in (0, 4))
    assert (sorted(first), sorted(second)) == (list(range(20)), list(range(20, 40)))
    images = shard_images(benchmark.train_stream[1].dataset)
    assert images is not None and second == (20 + images.order([3, 1]).positions(0, 20)).tolist()
    assert [part.sub_stream_length for part in stream] == [4] * 8
    ordered = online_stream(benchmark.train_stream, 6, shuffle=False)
    assert [number for part in ordered for number in numbers(part.dataset)] == list(range(40))


# -- bad input -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": 0}, "setting 'size' is 0"),
        ({"block": 0}, "blocks of 0 images"),
        ({"experiences": 0}, "setting 'experiences' is 0"),
        ({"experiences": 9}, "experiences is 9, and there are 8 training shards: give no more"),
        ({"labels": "cls"}, "no way to find labels 'cls'"),
        ({"probe_images": 0}, "setting 'probe_images' is 0"),
        ({"value_range": (3, 1)}, "value_range"),
    ],
)
def test_options_out_of_their_range(options: dict[str, Any], message: str, tmp_path: Path) -> None:
    labeled_folder(tmp_path)
    with pytest.raises(UsageError, match=message):
        shards(tmp_path, **options)


def test_shards_that_lie_where_they_say_nothing(tmp_path: Path) -> None:
    def refused(match: str, *folders: str, **options: Any) -> None:
        place = tmp_path / "x"
        for k, folder in enumerate(folders):
            pack(place / folder, range(10 * k, 10 * k + 3))
        index_shards(place)
        with pytest.raises(UsageError, match=match) as error:
            shards(place, size=8, **options)
        assert "\n" not in str(error.value)
        shutil.rmtree(place)

    refused(r"shards in '.*more' beside 'train': move them into 'train' or 'test'", "train", "more")
    refused(r"'.*000\.tar' lies beside folders of shards", "train", "train/a")
    refused("lie in different folders \\('b'\\)", "train/a", "train/b", "test/a")
    refused("only test shards", "test")
    refused("experiences is 3, and the shards lie in 2 folders: leave it out", "train/a", "train/b", experiences=3)


def test_test_shards_between_others_are_not_trained_on(tmp_path: Path) -> None:
    for name, number in (("a", 0), ("z", 10)):
        pack(tmp_path, [number])
        (tmp_path / "000.tar").rename(tmp_path / f"{name}.tar")
    pack(tmp_path / "test", [1000])
    index_shards(tmp_path)
    with pytest.raises(UsageError, match=r"'.*z\.tar' comes after the test shards .* into 'train'"):
        shards(tmp_path, size=8)


def test_a_field_that_is_no_image_shows_before_training(tmp_path: Path) -> None:
    with webdataset.TarWriter(str(tmp_path / "a.tar")) as writer:
        writer.write({"__key__": "1", "jpg": b"no image"})
    index_shards(tmp_path)
    with pytest.raises(UsageError, match=r"cannot read image '1\.jpg' of shard '.*a\.tar'"):
        shards(tmp_path)


def test_a_changed_shard_shows_before_training(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    labeled_folder(tmp_path)
    words = ["--strategy", "simclr", "--benchmark", "shards", "--data", str(tmp_path), "--out", str(tmp_path / "run")]
    shard = tmp_path / "train" / "003.tar"
    shard.write_bytes(shard.read_bytes()[:-512])
    assert run.main(words) == 2
    said = capsys.readouterr().err
    assert "shard" in said and "its index says" in said and said.count("\n") == 1
    (tmp_path / "shards.json").unlink()
    assert run.main(words) == 2
    assert capsys.readouterr().err.endswith(f"make it with avalanche-ssl shards --index {tmp_path}\n")


# -- runs ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Shards, the narrow encoder, and checkpoints at any cost."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(ENCODERS, "tiny", tiny)
    monkeypatch.setitem(Checkpointer.__init__.__kwdefaults__, "share", 1.0)  # type: ignore[arg-type]
    labeled_folder(tmp_path / "data", train=64, test=24, per_shard=7, side=20)
    return tmp_path


def options(out: str, *more: str) -> list[str]:
    return [
        *["--strategy", "simclr", "--device", "cpu", "--precision", "fp32", "--encoder", "tiny", "--out", out],
        *["--benchmark", "shards", "--data", "data", "--experiences", "2", "--benchmark-option", "size=16"],
        *["--benchmark-option", "block=12", "--set", "batch_size=8", "--set", "epochs=2", "--set", "output_dim=8"],
        *["--checkpoint-every", "never", "--keep-checkpoints", *more],
    ]


@pytest.mark.slow
@pytest.mark.parametrize(
    "kind",
    [["--plugin", "replay", "--set", "replay.size=20", "--set", "replay.batch=4"], ["--online-batch-size", "8"]],
)
def test_a_run_that_is_stopped_in_an_experience_ends_bit_for_bit_alike(
    kind: list[str], desk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped three times: inside an epoch, in the second experience, and between batches of the same block."""
    assert run.main(options("whole", *kind)) == 0
    steps = []
    update = SimCLR.update

    def stopping(self: Any, outputs: Any) -> None:
        update(self, outputs)
        steps.append(1)
        if len(steps) in (2, 3, 10):
            os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(SimCLR, "update", stopping)
    assert run.main(options("stopped", *kind)) == 143
    assert [run.main(["--resume", "--out", "stopped"]) for _ in range(2)] == [143, 143]
    assert run.main(["--resume", "--keep-checkpoints", "--out", "stopped"]) == 0
    assert not comparison.differences(Path("whole"), Path("stopped"))


def test_exchanged_images_are_found_when_a_run_is_resumed(tmp_path: Path) -> None:
    fingerprints = []
    for first in (0, 0, 1):
        pack(tmp_path / "train", range(first, first + 20), [i % 2 for i in range(20)])
        index_shards(tmp_path)
        fingerprints.append(stream_fingerprint(shards(tmp_path, size=8, experiences=2).train_stream))
        shutil.rmtree(tmp_path / "train")
    assert fingerprints[0] == fingerprints[1] != fingerprints[2]


def test_probes_see_what_training_sees(tmp_path: Path) -> None:
    """The same pixels by both ways: without a list, and as a part of the dataset."""
    labeled_folder(tmp_path)
    (experience,) = shards(tmp_path, size=6).train_stream
    whole, *_ = make_reader(experience.dataset).batch(torch.tensor([3, 30]))
    part, *_ = make_reader(experience.dataset.subset([3, 30])).batch(torch.arange(2))
    assert torch.equal(whole, part) and not np.array_equal(part[0], part[1])
