"""Small runs for crash tests."""

import numpy as np
from crashes import small_run
from crashes.small_run import few_digits, run_options

from avalanche_ssl.cli import run
from avalanche_ssl.cli.options import read_options
from avalanche_ssl.streams import BENCHMARKS


def test_decoded_images_are_the_same_images():
    arrays, decoded = (few_digits(decode=decode).train_stream for decode in (False, True))
    assert [len(e.dataset) for e in arrays] == [small_run.IMAGES] * 2
    for one, other in zip(arrays, decoded):
        for i in (0, 30):
            image = other.dataset[i][0]  # decoded, while arrays give tensors
            assert (one.dataset[i][0].permute(1, 2, 0).numpy() == np.asarray(image)).all()
        assert list(one.dataset.targets) == list(other.dataset.targets)


def test_options_are_those_of_a_run(monkeypatch):
    monkeypatch.setitem(BENCHMARKS, "few-digits", few_digits)
    words = run_options("moco", "bf16", 2, "replay", 10, compile=True)
    options = run.parser().parse_args(words)
    config = read_options(options)
    assert options.keep_checkpoints and config.compile and config.num_workers == 2 and config.online_batch_size == 10
    assert config.benchmark_options == {"decode": True} and config.settings["queue_size"] == 40
    assert "capacity" not in config.settings, "which moco does not have"
