"""When a run is probed, and what its progress expects."""

from typing import Any

import pytest
from helpers.probing import few_images

from avalanche_ssl.evaluation import ProbeSchedule
from avalanche_ssl.runs import RunConfig
from avalanche_ssl.runs.planning import PROBED_EXPERIENCES, planned_progress, probing_times


class Long:
    """A benchmark of so many experiences."""

    def __init__(self, experiences: int) -> None:
        self.train_stream = range(experiences)


def test_a_long_stream_is_probed_forty_times_at_most() -> None:
    config = RunConfig(strategy="cmc")
    expected = {1: 1, 40: 1, 41: 2, 391: 10}
    assert {n: probing_times(config, Long(n))[0] for n in expected} == expected and PROBED_EXPERIENCES == 40
    assert probing_times(RunConfig(strategy="cmc", probe_every_experiences=3), Long(391)) == (3, None)
    online = RunConfig(strategy="cmc", online_batch_size=10, probe_every_images="15")
    assert probing_times(online, Long(2)) == (1, ProbeSchedule(every=15))


@pytest.mark.parametrize(
    ("options", "images", "probes"),
    [
        ({}, [60, 60], [1, 1]),
        ({"benchmark_options": {"regime": "joint"}}, [120], [1]),
        ({"benchmark_options": {"regime": "cumulative"}}, [60, 120], [1, 1]),
        ({"online_batch_size": 10, "probe_every_images": "15"}, [60, 60], [2, 2]),
        ({"probe_every_experiences": 2}, [60, 60], [0, 1]),
    ],
)
def test_progress_knows_images_and_probes(options: dict[str, Any], images: list[int], probes: list[int]) -> None:
    progress = planned_progress(RunConfig(strategy="cmc", **options), few_images(), epochs=3)
    assert (progress.planned, progress.probes) == (images, probes)
