"""The stream of the tests of training."""

from typing import Any

import numpy as np
import pytest

from avalanche_ssl.data import ArrayDataset
from avalanche_ssl.streams import digits_on_photographs
from avalanche_ssl.streams.benchmark import benchmark_from_parts


@pytest.fixture(scope="session")
def digits() -> Any:
    """Three experiences of 400 small images each, 12 steps of 32; 100 test images each."""
    benchmark = digits_on_photographs(experiences=3, composites=2)
    rng = np.random.default_rng(0)
    sets, parts = [], []
    for stream, size in ((benchmark.train_stream, 400), (benchmark.test_stream, 100)):
        items = [e.dataset[int(i)] for e in stream for i in rng.permutation(len(e.dataset))[:size]]
        sets.append(
            ArrayDataset(np.stack([x.permute(1, 2, 0).numpy() for x, *_ in items]), [int(y) for _, y, *_ in items])
        )
        parts.append(np.split(np.arange(len(items)), len(stream)))
    return benchmark_from_parts(sets[0], parts[0], sets[1], parts[1], benchmark.class_names)
