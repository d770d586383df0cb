"""References of a run: as many views, of the same stream and encoder, each with a name of its own."""

from pathlib import Path
from typing import Any

import pytest
from helpers.logs import changed, config, write_run

from avalanche_ssl.errors import UsageError
from avalanche_ssl.runs import JOINT, Run, read_run, reference_of_run

ENCODER = {"encoder": "resnet9", "feature_layer": None, "in_channels": 3, "batch_size": 8}


def a_run(folder: Path, strategy: str = "simclr", views: int = 600, images: int | None = 50, **more: Any) -> Run:
    """A run on 50 images which was trained on 100, two epochs."""
    options = config(strategy) | {"settings": {"lr": 0.1, "epochs": 2} | ENCODER, "plugins": {"replay": {"size": 9}}}
    options |= {"data": "here", "continue_from": "runs/a", "probes": "ridge"} | more
    changed(write_run(folder, strategy, classes=7), "run", config=options, images=images, stream="abc")
    return read_run(changed(folder, "cost", views=views))


def test_iid_is_the_same_method_on_all_data_at_once(tmp_path: Path) -> None:
    found = reference_of_run(a_run(tmp_path / "a"), "iid")
    assert found is not None
    assert found.config["settings"] == {"lr": 0.1, "epochs": 2} | ENCODER
    assert found.config["benchmark_options"] == {"experiences": 3, "regime": "joint"}
    assert found.config["plugins"] == {} and found.config["continue_from"] is None
    assert found.config["probes"] == "ridge" and found.config["data"] == "here"
    strategy, kind, digest, seed = found.name.split("-")
    assert (strategy, kind, len(digest), seed) == ("simclr", "iid", 8, "s0")


@pytest.mark.parametrize(("views", "epochs"), [(600, 12), (300, 6), (10, 1), (330, 7)])
def test_a_supervised_epoch_is_one_view_of_an_image(tmp_path: Path, views: int, epochs: int) -> None:
    found = reference_of_run(a_run(tmp_path / "a", views=views), "supervised")
    assert found is not None and found.config["strategy"] == "supervised"
    shared = {"encoder": "resnet9", "in_channels": 3, "batch_size": 8}
    assert found.config["settings"] == shared | {"classes": 7, "epochs": epochs}
    assert found.config["benchmark_options"] == {"experiences": 3}
    joint = reference_of_run(a_run(tmp_path / "b", views=views), "supervised-iid")
    assert joint is not None and joint.config["settings"] == found.config["settings"] | JOINT
    assert joint.config["benchmark_options"]["regime"] == "joint"
    assert (found.name.split("-")[0], joint.name.split("-")[:2]) == ("supervised", ["supervised", "iid"])


def test_replayed_images_are_views_too(tmp_path: Path) -> None:
    """Of 100 images trained on, 50 were replayed: the reference sees each of 50 images twice."""
    run = a_run(tmp_path / "a", views=200)
    run.settings["epochs"] = 1
    found = reference_of_run(run, "iid")
    assert found is not None and found.config["settings"]["epochs"] == 2


def test_the_name_follows_data_code_and_options(tmp_path: Path) -> None:
    runs = [
        a_run(tmp_path / "a"),
        a_run(tmp_path / "b", data="elsewhere", plugins={}),
        a_run(tmp_path / "c", probes="ncm"),
    ]
    runs += [a_run(tmp_path / name) for name in "de"]
    runs[3].stream, runs[4].version = "other images", "0.0.1"
    names = [found.name for run in runs if (found := reference_of_run(run, "iid"))]
    assert names[0] == names[1], "wherever the images lie"
    assert len(set(names)) == 4


def test_a_reference_has_none(tmp_path: Path) -> None:
    joint = config()["benchmark_options"] | {"regime": "joint"}
    assert reference_of_run(a_run(tmp_path / "a", benchmark_options=joint), "iid") is None
    assert reference_of_run(a_run(tmp_path / "b", "supervised"), "supervised") is None


def test_a_run_that_does_not_say_what_it_has_cost_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="does not say what it has cost: finish it with --resume, or train it again"):
        reference_of_run(a_run(tmp_path / "a", images=None), "iid")
