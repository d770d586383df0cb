"""The parts of a run: what labels and the order of the stream change in them."""

from pathlib import Path

import pytest
from helpers.streams import array_stream

from avalanche_ssl.errors import UsageError
from avalanche_ssl.runs.assembly import assemble
from avalanche_ssl.runs.build import resolve
from avalanche_ssl.runs.config import RunConfig
from avalanche_ssl.runs.origin import Origin

SMALL = {"encoder.width": 4, "queue_size": 64, "batch_size": 16}


def parts(tmp_path: Path, benchmark: object, **options: object) -> object:
    config, recipe = resolve(RunConfig(strategy="moco", device="cpu", precision="fp32", settings=SMALL, **options))
    return assemble(recipe, benchmark, config, tmp_path, "never", Origin())


def test_plugins_come_in_the_order_in_which_they_measure(tmp_path: Path) -> None:
    run = parts(tmp_path, array_stream(3), plugins={"replay": {"size": 8}})
    names = [type(plugin).__name__ for plugin in run.strategy.plugins]
    ours = [name for name in names if name in ("Progress", "Replay", "RepresentationMonitor", "ProbePlugin")]
    assert ours == ["Progress", "Replay", "ProbePlugin", "RepresentationMonitor"]
    assert run.strategy.plugins[0] is run.progress
    assert run.checkpointer.path == tmp_path / "checkpoint"
    assert run.shuffle


def test_an_ordered_stream_is_not_shuffled(tmp_path: Path) -> None:
    benchmark = array_stream(3)
    benchmark.ordered = True
    assert not parts(tmp_path, benchmark).shuffle


def test_images_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="do not fit"):
        parts(tmp_path, array_stream(3), plugins={}).strategy.try_shapes([(3, 0, 4)])


def test_probes_keep_the_labels_that_the_seed_of_the_stream_draws(tmp_path: Path) -> None:
    for options, seed in (({"seed": 3}, 3), ({"seed": 3, "stream_seed": 1}, 1)):
        run = parts(tmp_path, array_stream(3), **options)
        assert (run.probe.evaluator.seed, run.config.seed) == (seed, 3)
