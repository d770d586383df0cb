"""Features of a folder do not depend on processes or interruptions, and nothing is left out in silence."""

import os
import threading
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import tqdm
from helpers.untrained_run import pictures, untrained_run
from PIL import Image

from avalanche_ssl.data import decode_files
from avalanche_ssl.errors import UsageError
from avalanche_ssl.runs import feature_parts, folder_features
from avalanche_ssl.runs.feature_source import FeatureSource
from avalanche_ssl.runs.folder_features import embed_folder, remove_parts


@pytest.fixture
def source(tmp_path: Path) -> FeatureSource:
    return FeatureSource(untrained_run(tmp_path / "run"))


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return pictures(tmp_path / "data", {"b": 10, "a/x": 11})


@pytest.fixture(autouse=True)
def written(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Parts of eight images in batches of three; the numbers of the parts that were embedded, in this process."""
    numbers: list[int] = []
    write = folder_features.write_part

    def counted(task: Any, *more: Any) -> Any:
        numbers.append(task.number)
        return write(task, *more)

    monkeypatch.setattr(feature_parts, "PART", 8)
    monkeypatch.setattr(folder_features, "write_part", counted)
    return numbers


def test_features_by_name(source: FeatureSource, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feature_parts, "BATCH", 3)
    found = embed_folder(source, data, parts := tmp_path / "parts", processes=1)
    assert found.names == [f"a/x/{i:03d}.png" for i in range(11)] + [f"b/{i:03d}.png" for i in range(10)]
    images, _ = decode_files([data / name for name in found.names], 16)
    expected = source.load().features(torch.from_numpy(images).permute(0, 3, 1, 2))
    assert found.features.dtype == np.float32 and found.reused == 0
    np.testing.assert_allclose(found.features, expected, rtol=1e-4, atol=1e-6)
    assert len({row.tobytes() for row in found.features}) == 21
    assert {path.name for path in parts.iterdir()} == {"000000.npz", "000001.npz", "000002.npz", "lock"}
    remove_parts(parts)
    assert not parts.exists()


def test_global_random_state_and_threads_stay(source: FeatureSource, data: Path, tmp_path: Path) -> None:
    before, threads = torch.get_rng_state(), torch.get_num_threads()
    embed_folder(source, data, tmp_path / "parts", processes=1)
    assert torch.equal(torch.get_rng_state(), before) and torch.get_num_threads() == threads


@pytest.mark.slow
def test_two_processes_give_the_same_bits(source: FeatureSource, data: Path, tmp_path: Path, written: Any) -> None:
    one = embed_folder(source, data, tmp_path / "one", processes=1)
    written.clear()
    two = embed_folder(source, data, tmp_path / "two", processes=2)
    assert not written, "the processes embed, not this one"
    assert one.names == two.names and np.array_equal(one.features, two.features)


def test_an_interrupted_command_goes_on(
    source: FeatureSource, data: Path, tmp_path: Path, written: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = embed_folder(source, data, tmp_path / "whole", processes=1)
    written.clear()
    with monkeypatch.context() as patch:
        write = folder_features.write_part

        def interrupted(task: Any, *more: Any) -> Any:
            if task.number == 1:
                raise KeyboardInterrupt
            return write(task, *more)

        patch.setattr(folder_features, "write_part", interrupted)
        with pytest.raises(KeyboardInterrupt):
            embed_folder(source, data, tmp_path / "parts", processes=1)
    found = embed_folder(source, data, tmp_path / "parts", processes=1)
    assert written == [0, 1, 2] and found.reused == 8
    assert np.array_equal(found.features, whole.features) and found.names == whole.names


def test_parts_of_other_settings_or_images_are_made_again(
    source: FeatureSource, data: Path, tmp_path: Path, written: list[int]
) -> None:
    embed_folder(source, data, parts := tmp_path / "parts", processes=1)
    other = FeatureSource(untrained_run(tmp_path / "other", seed=1))
    with pytest.warns(UserWarning, match="3 of 3 parts in .* are of other settings or images: they are made again"):
        found = embed_folder(other, data, parts, processes=1)
    fresh = embed_folder(other, data, tmp_path / "fresh", processes=1)
    assert np.array_equal(found.features, fresh.features)
    written.clear()
    Image.new("RGB", (9, 9), "red").save(data / "b" / "009.png")
    with pytest.warns(UserWarning, match="1 of 3 parts"):
        embed_folder(other, data, parts, processes=1)
    assert written == [2]
    (parts / "000000.npz").write_bytes(b"damaged")
    with pytest.warns(UserWarning, match="1 of 3 parts"):
        embed_folder(other, data, parts, processes=1)
    assert written == [2, 0]


def test_damaged_images_are_refused_or_skipped_without_a_second_pass(
    source: FeatureSource, data: Path, tmp_path: Path, written: list[int]
) -> None:
    whole = embed_folder(source, data, tmp_path / "whole", processes=1)
    for name in ("a/x/003.png", "b/009.png"):
        (data / name).write_bytes((data / name).read_bytes()[:60])
    line = r"cannot read 2 images: '.*a/x/003.png' \(.*\), '.*b/009.png' .* leave them out with --damaged skip"
    with pytest.raises(UsageError, match=line):
        embed_folder(source, data, parts := tmp_path / "parts", processes=1)
    written.clear()
    with pytest.warns(UserWarning, match=r"left out 2 images: .*003.png.*\(--damaged skip\)"):
        found = embed_folder(source, data, parts, processes=1, damaged="skip")
    assert not written and found.reused == 21
    kept = [row for row, name in enumerate(whole.names) if name not in ("a/x/003.png", "b/009.png")]
    assert found.names == [whole.names[row] for row in kept]
    np.testing.assert_allclose(found.features, whole.features[kept], rtol=1e-4, atol=1e-6)


def test_a_part_without_any_readable_image(source: FeatureSource, data: Path, tmp_path: Path) -> None:
    for number in range(8):
        (data / "a/x" / f"{number:03d}.png").write_bytes(b"none")
    with pytest.warns(UserWarning, match="left out 8 images"):
        found = embed_folder(source, data, tmp_path / "parts", processes=1, damaged="skip")
    assert found.features.shape[0] == 13 and found.names[0] == "a/x/008.png"


def test_what_lies_in_the_folder_is_said(source: FeatureSource, tmp_path: Path) -> None:
    data = pictures(tmp_path / "data", {"a": 2})
    (data / "notes.txt").write_text("x")
    Image.new("RGBA", (9, 9), (0, 0, 0, 0)).save(data / "clear.png")
    with pytest.warns(UserWarning) as warned:
        embed_folder(source, data, tmp_path / "parts", processes=1)
    said = [str(w.message) for w in warned]
    assert any("skipped 1 file" in line for line in said)
    assert any("transparent pixels in 1 of 3 files" in line for line in said)
    with pytest.warns(UserWarning, match="transparent pixels in 1 of 3 files, first '.*clear.png'"):
        assert embed_folder(source, data, tmp_path / "parts", processes=1).reused == 3


def test_images_of_unknown_range_need_one_and_get_it(source: FeatureSource, tmp_path: Path) -> None:
    (data := tmp_path / "data").mkdir()
    Image.fromarray(np.linspace(0, 4095, 400, dtype=np.float32).reshape(20, 20)).save(data / "a.tif")
    with pytest.raises(UsageError, match=r"a.tif'.*--value-range 0 4095"):
        embed_folder(source, data, tmp_path / "parts", processes=1)
    dark, light = (
        embed_folder(source, data, tmp_path / str(top), processes=1, value_range=(0, top)).features
        for top in (8000.0, 4095.0)
    )
    assert not np.array_equal(dark, light)


@pytest.mark.parametrize(
    "given, device, parts, processes",
    [
        (3, "cpu", 9, 3),
        (3, "cpu", 2, 2),
        (None, "cpu", 3, 1),
        (None, "cpu", 99, 6),
        (None, "cuda", 99, 1),
        (2, "cuda", 9, 2),
    ],
)
def test_processes(given: Any, device: str, parts: int, processes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(6)), raising=False)
    assert folder_features._processes(given, device, [None] * parts) == processes


def test_gray_encoders_say_so(data: Path, tmp_path: Path) -> None:
    gray = FeatureSource(untrained_run(tmp_path / "gray", in_channels=1))
    with pytest.warns(UserWarning, match="colors become gray"):
        embed_folder(gray, data, tmp_path / "parts", processes=1)


def test_mistakes_are_one_line(
    source: FeatureSource, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = tmp_path / "parts"
    for more, line in (
        ({"processes": 0}, "--processes is 0: give 1 or more"),
        ({"damaged": "drop"}, "no way with a damaged image 'drop'"),
        ({"value_range": (3.0, 3.0)}, "value_range"),
    ):
        with pytest.raises(UsageError, match=line):
            embed_folder(source, data, parts, **more)
    (empty := tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match="no images in"):
        embed_folder(source, empty, parts)
    with pytest.raises(UsageError, match="no folder"):
        embed_folder(source, tmp_path / "nowhere", parts)
    assert not parts.exists()

    class Killed:
        def __init__(self, *given: Any) -> None:
            pass

        def submit(self, *given: Any) -> Any:
            (future := Future[Any]()).set_exception(BrokenProcessPool())
            return future

        def shutdown(self, **given: Any) -> None:
            pass

    monkeypatch.setattr(folder_features, "ProcessPoolExecutor", Killed)
    with pytest.raises(UsageError, match="repeat the command with fewer --processes, it goes on where it was"):
        embed_folder(source, data, parts, processes=2)


def test_one_process_starts_no_thread_that_stays(source: FeatureSource, data: Path, tmp_path: Path) -> None:
    before = threading.enumerate()
    embed_folder(source, data, tmp_path / "parts", processes=1)
    new = [thread for thread in threading.enumerate() if thread not in before]
    assert all(isinstance(thread, tqdm.TMonitor) for thread in new), "the bar's own stays, of the first in a process"
