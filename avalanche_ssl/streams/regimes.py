"""What a stream is trained on: one experience after the other, all at once (joint), or all so far (cumulative)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from typing import Any

from avalanche.benchmarks import CLScenario, CLStream, DatasetExperience
from avalanche.benchmarks.scenarios import SequenceCLStream

from avalanche_ssl.data import concat_datasets


class MergedStream(SequenceCLStream[Any]):  # type: ignore[misc]
    """A training stream each of whose experiences holds the images of several of a benchmark's; no image is copied.

    Its experiences say how many samples they hold of each (`n_samples_from_each_exp`), as Avalanche's blurred streams
    do: plugins then know which experiences of the benchmark were trained on.

    Args:
        benchmark: has the training experiences.
        members: for each experience, which of these it holds, by position.
    """

    def __init__(self, benchmark: CLScenario, members: Sequence[range]) -> None:
        self.experiences, self.members = list(benchmark.train_stream), members
        super().__init__("train", benchmark)

    def _full_length(self) -> int:
        return len(self.members)

    def _make_experience(self, experience_idx: int) -> DatasetExperience[Any]:
        held = [self.experiences[j] for j in self.members[experience_idx]]
        datasets = [experience.dataset for experience in held]
        sizes = {e.logging().current_experience: len(e.dataset) for e in held}
        merged: DatasetExperience[Any] = DatasetExperience(
            dataset=datasets[0] if len(datasets) == 1 else concat_datasets(datasets)
        )
        merged.n_samples_from_each_exp = [sizes.get(number, 0) for number in range(max(sizes) + 1)]
        return merged


def joint_stream(benchmark: CLScenario) -> CLStream[Any]:
    """The training stream as a single experience of all images, for joint (iid) training."""
    return MergedStream(benchmark, [range(len(benchmark.train_stream))])


def cumulative_stream(benchmark: CLScenario) -> CLStream[Any]:
    """The training stream whose k-th experience holds the images of the first k, for cumulative training."""
    return MergedStream(benchmark, [range(k + 1) for k in range(len(benchmark.train_stream))])


def joint_experience(benchmark: CLScenario) -> Any:
    """All training experiences of a benchmark as a single one, for joint (iid) training."""
    return joint_stream(benchmark)[0]


def experience_sizes(benchmark: CLScenario, regime: str) -> list[int]:
    """Images of each experience of `training_stream`, without making it."""
    sizes = [len(experience.dataset) for experience in benchmark.train_stream]
    return {"joint": [sum(sizes)], "cumulative": list(accumulate(sizes))}.get(regime, sizes)


def training_stream(benchmark: CLScenario, regime: str) -> Any:
    """What is trained on in one of the `REGIMES`; probes keep to the experiences of the benchmark."""
    made = {"joint": joint_stream, "cumulative": cumulative_stream}
    return benchmark.train_stream if regime == "sequential" else made[regime](benchmark)
