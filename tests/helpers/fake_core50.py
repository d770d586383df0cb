"""A small CORe50 in the format that it is distributed in, with file lists and pickles as Avalanche reads them.

The lists follow the published scripts by an independent, naive route; those of NICv2, whose rules are not public, are
made up in the same format.
"""

import argparse
import pickle
import random
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image

TRAIN, TEST = (1, 2, 4, 5, 6, 8, 9, 11), (3, 7, 10)
KINDS = ("plug_adapter", "mobile_phone", "scissor", "light_bulb", "can")
KINDS += ("glass", "ball", "marker", "cup", "remote_control")
NAMES = [f"{kind}{i}" for kind in KINDS for i in range(1, 6)]
PLACES = {
    "ni": "batches_filelists/NI_inc",
    "nc": "batches_filelists/NC_inc",
    "nic": "batches_filelists/NIC_inc",
    "nicv2_79": "NIC_v2_79",
    "nicv2_196": "NIC_v2_196",
    "nicv2_391": "NIC_v2_391",
}


def frame(session: int, thing: int, number: int) -> str:
    return f"s{session}/o{thing}/C_{session:02d}_{thing:02d}_{number:03d}.png"


def write_frames(root: Path, frames: int = 2, side: int = 16, of: str = "core50_128x128") -> Path:
    """`frames` images of each of 50 objects in each of 11 sessions: background of the session, blob of the object."""
    rng = np.random.default_rng(0)
    backgrounds, colors = rng.integers(0, 256, (12, 3)), rng.integers(0, 256, (51, 3))
    for session in range(1, 12):
        for thing in range(1, 51):
            for number in range(frames):
                image = np.clip(backgrounds[session] + rng.integers(-20, 20, (side, side, 3)), 0, 255)
                low = side // 4
                image[low : 3 * low, low : low + 2 + thing % (2 * low)] = colors[thing]
                path = root / of / frame(session, thing, number)
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(image.astype(np.uint8)).save(path, compress_level=0)
    return root / of


def write_zip(images: Path) -> Path:
    """The folder's zip file next to it, as distributed: with the folder inside."""
    path = images.with_suffix(".zip")
    with zipfile.ZipFile(path, "w") as archive:
        for image in sorted(images.rglob("*.png")):
            archive.write(image, image.relative_to(images.parent))
    return path


def write_lists(root: Path, frames: int = 2, runs: int = 2, images: Path | None = None) -> None:
    """The file lists of every scenario, and paths.pkl, LUP.pkl, labels.pkl, labels2names.pkl."""
    paths = [frame(s, o, i) for s in TRAIN + TEST for o in range(1, 51) for i in range(frames)]
    paths = [path for path in paths if images is None or (images / path).exists()]
    random.Random(0).shuffle(paths)
    number = {path: i for i, path in enumerate(paths)}
    table: dict[str, list[list[list[int]]]] = {scenario: [] for scenario in PLACES}
    labels: dict[str, list[list[list[int]]]] = {scenario: [] for scenario in PLACES}
    names: dict[str, list[dict[int, str]]] = {scenario: [] for scenario in PLACES}
    for scenario, place in PLACES.items():
        for run in range(runs):
            batches, label_of = scenario_batches(scenario, run)
            lines = [_lines(batch, paths) for batch in [*batches, [(s, o) for s in TEST for o in range(1, 51)]]]
            folder = root / place / f"run{run}"
            folder.mkdir(parents=True, exist_ok=True)
            files = [f"train_batch_{str(i).zfill(2)}_filelist.txt" for i in range(len(batches))]
            for file, part in zip([*files, "test_filelist.txt"], lines):
                text = "".join(f"{path} {label_of[_object(path)]}\n" for path in part)
                (folder / file).write_text(text, encoding="ascii")
            table[scenario].append([[number[path] for path in part] for part in lines])
            labels[scenario].append([[label_of[_object(path)] for path in part] for part in lines])
            names[scenario].append({label_of[o]: NAMES[o - 1] for o in range(1, 51)})
    for file, value in (("paths", paths), ("LUP", table), ("labels", labels), ("labels2names", names)):
        (root / f"{file}.pkl").write_bytes(pickle.dumps(value))


def _object(path: str) -> int:
    return int(path.split("/")[1][1:])


def _lines(cells: list[tuple[int, int]], paths: list[str]) -> list[str]:
    """Sessions by number, everything inside by its text, as the published script's `sorted(glob(...))`."""
    wanted = set(cells)
    mine = [p for p in paths if (int(p.split("/")[0][1:]), _object(p)) in wanted]
    return sorted(mine, key=lambda p: (int(p.split("/")[0][1:]), p))


def scenario_batches(scenario: str, run: int) -> tuple[list[list[tuple[int, int]]], dict[int, int]]:
    """The (session, object) pairs of each training batch, counted from 1, and the label of each object."""
    label_of = {o: o - 1 for o in range(1, 51)}
    if scenario.startswith("nicv2"):
        return _nicv2(scenario, run), label_of
    n = {"ni": 8, "nc": 9, "nic": 79}[scenario]
    order = list(range(n))
    np.random.seed(1)
    for _ in range(run + 1):
        if scenario == "ni":
            np.random.shuffle(order)
        else:
            rest = order[1:]
            np.random.shuffle(rest)
            order = [0, *rest]
    if scenario == "ni":
        return [[(TRAIN[i], o) for o in range(1, 51)] for i in order], label_of
    if scenario == "nc":
        groups = [[1, 6, 11, 16, 21, 26, 31, 36, 41, 46]]
        for instance in (2, 3, 4, 5):
            groups += [[5 * c + instance for c in range(5)], [5 * c + instance for c in range(5, 10)]]
        label_of = {o: i for i, o in enumerate(o for number in order for o in groups[number])}
        return [[(s, o) for s in TRAIN for o in groups[number]] for number in order], label_of
    first = [1, 6, 11, 16, 21, 26, 31, 36, 41, 46]
    np.random.seed(0)
    rest = [o for o in range(1, 51) if o not in first]
    np.random.shuffle(rest)
    units = [(s, rest[5 * i : 5 * i + 5]) for s in TRAIN for i in range(8)]
    for s in TRAIN[1:]:
        units += [(s, first[:5]), (s, first[5:])]
    np.random.shuffle(units)  # type: ignore[arg-type]
    ordered = [units[number - 1] for number in order[1:]]
    return [[(1, o) for o in first], *([(s, o) for o in part] for s, part in ordered)], label_of


def _nicv2(scenario: str, run: int) -> list[list[tuple[int, int]]]:
    """Ten classes in one session, then 5, 2 or 1 classes in one: as many batches as the name says."""
    rng = random.Random(f"{scenario} {run}")
    first = [(1, o) for o in range(1, 51, 5)]
    size = {"nicv2_79": 5, "nicv2_196": 2, "nicv2_391": 1}[scenario]
    batches = []
    for s in TRAIN:
        rest = [o for o in range(1, 51) if (s, o) not in first]
        rng.shuffle(rest)
        batches += [[(s, o) for o in rest[i : i + size]] for i in range(0, len(rest), size)]
    rng.shuffle(batches)
    return [first, *batches]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--frames", type=int, default=2, help="of each object in each session")
    parser.add_argument("--side", type=int, default=128, help="pixels")
    given = parser.parse_args()
    write_frames(given.folder, given.frames, given.side)
    write_lists(given.folder, given.frames, runs=10)
