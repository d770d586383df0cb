"""`run` in a script: the folder that `read_run` reads, how often it is probed, and which checkpoints are kept."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from crashes import small_run
from helpers.encoders import tiny

from avalanche_ssl.checkpointing import read_encoder
from avalanche_ssl.data import ArrayDataset
from avalanche_ssl.errors import UsageError
from avalanche_ssl.models.encoders import ENCODERS
from avalanche_ssl.rng import seed_all
from avalanche_ssl.runs import RunConfig, read_run, run, runner
from avalanche_ssl.streams import BENCHMARKS
from avalanche_ssl.streams.benchmark import benchmark_from_parts

SETTINGS = {"encoder": "tiny", "output_dim": 8, "batch_size": 36, "epochs": 1}


def many_experiences(experiences: int = 81, labels: bool = True) -> Any:
    """A stream of many experiences of four images in two classes."""
    count = 4 * experiences
    images = np.random.default_rng(0).integers(0, 256, (count, 16, 16, 3), np.uint8)
    targets = np.arange(count) % 2 if labels else np.full(count, -1)
    data, parts = ArrayDataset(images, targets), np.split(np.arange(count), experiences)
    return benchmark_from_parts(data, parts, data, parts, ["a", "b"] if labels else None)


def unnamed(labels: Any = (7, 12, 5000)) -> Any:
    """Two experiences with labels that have no names, and gaps."""
    images = np.random.default_rng(0).integers(0, 256, (24, 16, 16, 3), np.uint8)
    data, parts = ArrayDataset(images, [labels[i % 3] for i in range(24)]), np.split(np.arange(24), 2)
    return benchmark_from_parts(data, parts, data, parts, None)


@pytest.fixture(autouse=True)
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to work in, a small encoder and small streams."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(ENCODERS, "tiny", tiny)
    monkeypatch.setitem(BENCHMARKS, "few-digits", small_run.few_digits)
    monkeypatch.setitem(BENCHMARKS, "many", many_experiences)
    monkeypatch.setitem(BENCHMARKS, "unnamed", unnamed)
    return tmp_path


def config(benchmark: str = "few-digits", **more: Any) -> RunConfig:
    given = {"strategy": "simclr", "device": "cpu", "precision": "fp32", "settings": SETTINGS}
    return RunConfig(benchmark=benchmark, **given | more)


def checkpoints(folder: Path) -> set[str]:
    return {path.name for path in folder.glob("checkpoint*")}


@pytest.mark.slow
def test_a_script_trains_and_reads_what_was_found(desk: Path) -> None:
    options = config(seed=3, plugins={"replay": {"size": 20}})
    folder = run(options)
    assert folder == Path("runs/simclr+replay-few-digits-s3")
    found = read_run(folder)
    assert found.classes == 10
    assert (found.strategy, found.seed, found.n_experiences, found.finished, found.notes) == ("simclr", 3, 2, True, [])
    assert found.settings["output_dim"] == 8 and found.config["benchmark_options"] == {
        "experiences": 2,
        "decode": False,
    }
    assert [(event.experiences_trained, event.steps) for event in found.experiences] == [(1, 2), (2, 2)]
    assert found.end is not None and found.end.images_trained > 2 * small_run.IMAGES, "replayed ones too"
    assert not np.isnan(found.matrix("ridge", "all")).any()
    assert read_encoder(folder / "encoder.pt").keys() == tiny().state_dict().keys()
    assert checkpoints(folder) == set(), "the encoder is all that a finished run needs"
    with pytest.raises(UsageError, match="already holds a run: give another --out, or --overwrite"):
        run(options)
    seed_all(99)
    again = run(options, "again", keep_checkpoints=True)
    assert checkpoints(again) == {"checkpoint", "checkpoint.previous"}
    losses = [[event.loss for event in r.experiences] for r in (found, read_run(again))]
    assert losses[0] == losses[1], "whatever the random states were before"


@pytest.mark.slow
def test_a_long_stream_is_probed_after_forty_experiences_at_most() -> None:
    matrix = read_run(run(config("many"), "a")).matrix("ridge", "all")
    probed = [t for t, row in enumerate(matrix, 1) if not np.isnan(row).all()]
    assert probed == list(range(3, 82, 3))


def test_the_user_says_how_often_to_probe() -> None:
    options = {"benchmark_options": {"experiences": 5}}
    for every, expected in ((0, [1, 2, 3, 4, 5]), (2, [2, 4, 5])):
        folder = run(config("many", probe_every_experiences=every, **options), f"every-{every}")
        matrix = read_run(folder).matrix("ridge", "all")
        assert [t for t, row in enumerate(matrix, 1) if not np.isnan(row).all()] == expected


def test_mistakes_come_before_any_file(desk: Path) -> None:
    for wrong, more in (
        (config(settings=SETTINGS | {"learning": 1}), {}),
        (config(), {"checkpoint_every": "soon"}),
        (config("many", benchmark_options={"labels": False}, online_batch_size=2, probe_every_images="4"), {}),
    ):
        with pytest.raises(UsageError, match=r"learning|soon|--probe-every-images: the stream has no labels"):
            run(wrong, "a", **more)
    assert not list(desk.iterdir())


def test_a_fault_says_where_the_run_was_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: Any) -> None:
        raise UsageError("it broke")

    monkeypatch.setattr(runner, "check_alive", fail)
    with pytest.raises(UsageError, match=r"^it broke; stopped after step 1; representation after experience 1: feat"):
        run(config("many", benchmark_options={"experiences": 2}), "a")


@pytest.mark.slow
def test_labels_without_names_are_probed_and_kept_as_they_are(desk: Path) -> None:
    folder = run(config("unnamed"))
    found = read_run(folder)
    assert (found.n_experiences, found.experiences_trained, found.finished) == (2, 2, True)
    with np.load(folder / "embeddings" / "images.npz", allow_pickle=False) as kept:
        assert sorted(set(kept["labels"].tolist())) == [7, 12, 5000]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("regime", "images", "measured"), [("joint", [144], [True, False, True]), ("cumulative", [72, 216], [True] * 3)]
)
def test_joint_and_cumulative_runs(desk: Path, regime: str, images: list[int], measured: list[bool]) -> None:
    """The probes are fitted and tested on the two experiences of the benchmark, of 72 images each."""
    folder = run(config(benchmark_options={"regime": regime}, probes="ridge,knn-20"))
    found = read_run(folder)
    assert found.config["benchmark_options"]["regime"] == regime
    assert (found.n_experiences, found.experiences_trained, found.finished, found.notes) == (2, 2, True, [])
    assert [event.images_trained for event in found.experiences] == images
    for rows in found.accuracies.values():
        assert rows.shape == (3, 2)
    assert (~np.isnan(found.accuracies["ridge", "all"])).all(1).tolist() == measured
    assert not np.isnan(found.consolidation)
    assert run(config(benchmark_options={"regime": regime}, probes="ridge,knn-20"), resume=True) == folder
