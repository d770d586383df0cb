"""Which experience was trained on and when it is complete; rows of the matrix against a naive loop for every order."""

import copy
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from avalanche.benchmarks import CLScenario, benchmark_with_validation_stream
from avalanche.benchmarks.scenarios.dataset_scenario import DatasetExperience
from avalanche.benchmarks.scenarios.online import (
    OnlineCLExperience,
    split_continuous_linear_decay_stream,
    split_online_stream,
)
from avalanche.core import SupervisedPlugin
from helpers.naive_probes import naive_row
from helpers.probing import moco

from avalanche_ssl import ProbePlugin
from avalanche_ssl.data import ArrayDataset
from avalanche_ssl.errors import UsageError
from avalanche_ssl.evaluation import ProbeSchedule, average_accuracy, backward_transfer, forgetting, forward_transfer
from avalanche_ssl.logging import Event, ProbeEvent
from avalanche_ssl.plugins import ExperienceBoundaries, RepresentationMonitor
from avalanche_ssl.streams import joint_experience, online_stream
from avalanche_ssl.streams.benchmark import benchmark_from_parts


def completed(boundaries: ExperienceBoundaries, experiences: Any) -> list[bool]:
    return [boundaries.add(experience) for experience in experiences]


# -- when an experience is complete ------------------------------------------------------------------------------------


def test_each_experience_is_complete(few: Any) -> None:
    boundaries = ExperienceBoundaries(few.train_stream)
    assert completed(boundaries, few.train_stream) == [True, True]
    assert (boundaries.completed, boundaries.under_way, boundaries.order) == (2, False, [0, 1])


def test_an_experience_is_complete_with_its_last_part(few: Any) -> None:
    boundaries = ExperienceBoundaries(few.train_stream)
    parts = list(online_stream(few.train_stream, 8))  # of 8, 8 and 4 images
    assert completed(boundaries, parts[:2]) == [False, False]
    assert (boundaries.completed, boundaries.images, boundaries.under_way) == (0, 16, True)
    assert (boundaries.seen, boundaries.order) == ([0], [])
    assert completed(boundaries, parts[2:]) == [True, False, False, True]
    assert (boundaries.completed, boundaries.images, boundaries.under_way) == (2, 0, False)
    assert boundaries.seen == boundaries.order == [0, 1]


@pytest.mark.parametrize("size", [8, 10, 20])
@pytest.mark.parametrize("drop_last", [False, True])
def test_parts_of_avalanches_splitter_that_drop_images_or_are_never_marked(
    few: Any, size: int, drop_last: bool
) -> None:
    """It marks no part as the last where the size divides the experience."""
    boundaries = ExperienceBoundaries(few.train_stream)
    parts = [20 // size if drop_last or 20 % size == 0 else 20 // size + 1] * 2
    expected = [part == count - 1 for count in parts for part in range(count)]
    assert completed(boundaries, split_online_stream(few.train_stream, size, drop_last=drop_last)) == expected


def test_parts_that_say_nothing_are_complete_when_another_experience_begins(few: Any) -> None:
    boundaries = ExperienceBoundaries(few.train_stream)
    parts = list(unmarked(few.train_stream, size=8))  # 8 and 8 of 20 images
    assert completed(boundaries, parts[:2]) == [False, False]
    assert not boundaries.is_next(parts[1]) and boundaries.is_next(parts[2])
    assert boundaries.is_next(few.train_stream[0]), "the whole experience is no part of what is under way"
    boundaries.complete()
    assert not boundaries.is_next(parts[2])
    assert completed(boundaries, parts[2:]) == [False, False]
    assert (boundaries.order, boundaries.seen, boundaries.completed) == ([0], [0, 1], 1)


def unmarked(stream: Any, size: int) -> Iterator[Any]:
    """Parts as a split strategy of one's own may make them: unmarked, and the last images are dropped."""

    def split(experience: Any, size: int) -> Iterator[Any]:
        for start in range(0, len(experience.dataset) - size + 1, size):
            dataset = experience.dataset.subset(list(range(start, start + size)))
            yield OnlineCLExperience(dataset=dataset, origin_experience=experience)

    return split_online_stream(stream, size, experience_split_strategy=split)


def test_parts_are_counted_through_a_checkpoint(few: Any) -> None:
    parts = list(split_online_stream(list(few.train_stream)[::-1], 8, drop_last=True))
    boundaries, resumed = (ExperienceBoundaries(few.train_stream) for _ in "ab")
    assert completed(boundaries, parts[:3]) == [False, True, False]
    resumed.load_state_dict(boundaries.state_dict())
    assert (resumed.completed, resumed.images, resumed.order, resumed.seen) == (1, 8, [1], [1, 0])
    assert resumed.is_next(parts[0]) and not resumed.is_next(parts[3])
    assert completed(resumed, parts[3:]) == [True]
    assert resumed.order == [1, 0]


@pytest.mark.parametrize(
    ("every", "experiences"), [(1, [1, 2, 3, 4, 5, 6]), (2, [2, 4, 5, 6]), (3, [3, 5, 6]), (9, [5, 6])]
)
def test_every_nth_experience_and_the_last_are_due(few: Any, every: int, experiences: list[int]) -> None:
    stream, due = [few.train_stream[0]] * 5, []
    boundaries = ExperienceBoundaries(stream)
    boundaries.positions = {number: number for number in range(5)}
    for number in range(1, 7):
        boundaries.completed, boundaries.order = number, list(range(min(number, 5)))
        due += [number] if boundaries.due(every) else []
    assert due == experiences


# -- which experience it was -------------------------------------------------------------------------------------------


def test_the_benchmark_may_be_a_part_of_a_stream(few: Any) -> None:
    boundaries = ExperienceBoundaries(few.train_stream[1:])
    completed(boundaries, few.train_stream[1:])
    assert boundaries.order == [0] and boundaries.all_complete


def test_an_experience_that_is_none_of_the_benchmarks_is_said_once(few: Any) -> None:
    boundaries = ExperienceBoundaries(few.train_stream[:1])
    with pytest.warns(UserWarning, match="experience 1 is none of the benchmark's 1") as caught:
        assert completed(boundaries, [few.train_stream[1]] * 2) == [True, True]
    assert len(caught) == 1
    assert (boundaries.completed, boundaries.order, boundaries.all_complete) == (2, [], False)


def test_an_experience_without_a_number_is_refused_before_training(few: Any) -> None:
    learner = moco(ProbePlugin(few))
    with pytest.raises(UsageError, match=r"set experience\.current_experience"):
        learner.train(DatasetExperience(dataset=few.train_stream[0].dataset), eval_streams=[])
    assert learner.clock.train_iterations == 0


def test_the_joint_experience_is_all_of_them(few: Any) -> None:
    boundaries = ExperienceBoundaries(few.train_stream)
    assert completed(boundaries, [joint_experience(few)]) == [True]
    assert boundaries.order == [0, 1]


def test_a_blurred_stream_is_complete_at_its_end(few: Any) -> None:
    boundaries = ExperienceBoundaries(few.train_stream)
    parts = split_continuous_linear_decay_stream(few.train_stream, 4, 5, beta=3, shuffle=True)
    seen, ends = [], []
    for part in parts:
        assert not boundaries.is_next(part)
        ends.append(boundaries.add(part))
        seen.append(boundaries.seen)
    assert ends == [False] * 9 + [True]
    assert seen[0] == [0] and seen[-1] == boundaries.order == [0, 1]


# -- rows against a naive loop -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def three() -> Any:
    """Three experiences of two classes each that are hard to tell apart, of different sizes."""
    rng = np.random.default_rng(0)

    def images(counts: list[int]) -> tuple[ArrayDataset, list[Any]]:
        targets = np.repeat(np.arange(6), np.repeat(counts, 2))
        noise = rng.integers(0, 100, (len(targets), 16, 16, 3))
        noise[:, :8] += 12 * targets[:, None, None, None]
        noise[:, :, :8, 1] += 15 * (targets % 2)[:, None, None]
        return ArrayDataset(noise.astype(np.uint8), targets), [np.flatnonzero(targets // 2 == j) for j in range(3)]

    return benchmark_from_parts(*images([25, 26, 27]), *images([30, 31, 32]), list("abcdef"))


class Rows(SupervisedPlugin):
    """The row that a naive loop finds after some numbers of steps, before anything else happens."""

    def __init__(self, benchmark: Any, seen_after: dict[int, list[int]]) -> None:
        super().__init__()
        self.benchmark, self.seen_after = benchmark, seen_after
        self.rows: list[dict[str, Any]] = []

    def after_training_exp(self, strategy: Any, **kwargs: Any) -> None:
        if (seen := self.seen_after.get(strategy.clock.train_iterations)) is not None:
            self.rows.append(naive_row(copy.deepcopy(strategy.model), self.benchmark, seen))


def check(probe: ProbePlugin, rows: Rows) -> None:
    """All rows after the untrained one are those of the naive loop, and no two of them the same."""
    assert len(probe.rows) == len(rows.rows) + 1 == len(rows.seen_after) + 1
    for found, expected in zip(probe.rows[1:], rows.rows, strict=True):
        assert found.keys() == expected.keys()
        for scope, row in found.items():
            np.testing.assert_allclose(row, expected[scope], atol=1e-9)
    assert len({row["all"].tobytes() for row in probe.rows}) == len(probe.rows), "training changes what is measured"


def trained(
    benchmark: Any, stream: Any, seen_after: dict[int, list[int]], at_once: bool = False, **options: Any
) -> tuple[ProbePlugin, Rows]:
    """After training on the stream with batches of 8, as one call of `train` or one for each experience or part."""
    probe, rows = ProbePlugin(benchmark, **options), Rows(benchmark, seen_after)
    learner = moco(rows, probe, batch_size=8, seed=0)
    for experience in [stream] if at_once else stream:
        learner.train(experience, eval_streams=[])
    return probe, rows


both_ways = pytest.mark.parametrize("at_once", [False, True], ids=["one call for each part", "one call"])


@both_ways
def test_rows_where_the_last_images_are_dropped(three: Any, at_once: bool) -> None:
    """50, 52 and 54 images in parts of 16: three parts each, of two steps, and up to six images are left out."""
    parts = split_online_stream(three.train_stream, 16, drop_last=True, seed=0)
    probe, rows = trained(three, parts, {6: [0], 12: [0, 1], 18: [0, 1, 2]}, at_once)
    check(probe, rows)
    assert np.isfinite(probe.matrix("all")).all()


def test_rows_of_unmarked_parts_are_measured_before_the_next_experience(three: Any) -> None:
    probe, rows = trained(three, unmarked(three.train_stream, 16), {6: [0], 12: [0, 1], 18: [0, 1, 2]}, True)
    check(probe, rows)


def test_unmarked_parts_one_by_one_end_with_a_measurement_by_hand(three: Any) -> None:
    probe, rows = ProbePlugin(three), Rows(three, {6: [0], 12: [0, 1], 18: [0, 1, 2]})
    learner = moco(rows, probe, batch_size=8, seed=0)
    for part in unmarked(three.train_stream, 16):
        learner.train(part, eval_streams=[])
    assert len(probe.rows) == 3, "nothing says that the stream has ended"
    probe.measure(learner)
    check(probe, rows)


def test_parts_in_chunks_make_no_row_before_their_experience_ends(three: Any) -> None:
    """Two of six parts a call, which drop the last images: the third call ends the experience."""
    probe = ProbePlugin(three)
    learner = moco(probe, batch_size=8, seed=0)
    found = []
    for experience in three.train_stream:
        parts = list(split_online_stream([experience], 8, drop_last=True, seed=0))
        for start in range(0, len(parts), 2):
            learner.train(parts[start : start + 2], eval_streams=[])
            found.append(len(probe.rows))
    assert found == [1, 1, 2, 2, 2, 3, 3, 3, 4]


def test_rows_of_a_reversed_stream(three: Any) -> None:
    events: list[Event] = []
    stream = reversed(three.train_stream)
    probe, rows = trained(three, stream, {6: [2], 12: [2, 1], 18: [2, 1, 0]}, log=events.append)
    check(probe, rows)
    naive = np.stack([row["all"] for row in rows.rows])[:, ::-1]  # columns in the order of training
    np.testing.assert_allclose(probe.matrix("all"), naive, atol=1e-9)
    seen = probe.matrix("seen")
    assert np.isfinite(seen[np.tril_indices(3)]).all() and np.isnan(seen[np.triu_indices(3, 1)]).all()
    untrained = probe.rows[0]["all"][::-1]
    np.testing.assert_array_equal(probe.untrained("all"), untrained)
    assert forgetting(probe.matrix("all")) == pytest.approx(np.mean([naive[:, j].max() - naive[2, j] for j in (0, 1)]))
    assert backward_transfer(probe.matrix("all")) == pytest.approx(np.mean([naive[2, j] - naive[j, j] for j in (0, 1)]))
    transfer = np.mean([naive[j - 1, j] - untrained[j] for j in (1, 2)])
    assert forward_transfer(probe.matrix("all"), probe.untrained("all")) == pytest.approx(transfer)
    assert not np.isnan(probe.consolidation)
    logged = [e for e in events if isinstance(e, ProbeEvent) and e.scope == "all"]
    order = {(e.experiences_trained, e.experience): e.trained_on for e in logged if e.trained_on is not None}
    assert order == {(1, 1): False, (1, 3): True, (2, 1): False, (2, 3): True}, "left out where it is the usual"


def test_rows_of_a_part_of_the_stream(three: Any) -> None:
    probe, rows = trained(three, three.train_stream[1:], {6: [1], 12: [1, 2]})
    check(probe, rows)
    assert probe.history.columns == [1, 2, 0]
    matrix = probe.matrix("all")
    assert np.isnan(matrix[2]).all()
    corner = [[row["all"][j] for j in (1, 2)] for row in rows.rows]
    np.testing.assert_allclose(matrix[:2, :2], corner, atol=1e-9)
    assert average_accuracy(matrix[:2, :2]) == pytest.approx(np.mean(corner[1]))


@both_ways
def test_rows_of_a_training_stream_with_a_validation_split(three: Any, at_once: bool) -> None:
    """Of 40, 42 and 44 images, online; the probe was given the benchmark without the split."""
    split = benchmark_with_validation_stream(three, 0.2, seed=0)
    assert [len(e.dataset) for e in split.train_stream] == [40, 42, 44]
    parts = split_online_stream(split.train_stream, 8, drop_last=True, seed=0)
    probe, rows = trained(three, parts, {5: [0], 10: [0, 1], 15: [0, 1, 2]}, at_once)
    check(probe, rows)


def test_rows_of_a_second_pass(three: Any) -> None:
    seen = {6: [0], 12: [0, 1], 18: [0, 1, 2], 24: [0, 1, 2], 30: [0, 1, 2], 36: [0, 1, 2]}
    probe, rows = trained(three, [*three.train_stream, *three.train_stream], seen)
    check(probe, rows)
    naive = [row["all"] for row in rows.rows]
    np.testing.assert_allclose(probe.matrix("all"), [naive[0], naive[1], naive[5]], atol=1e-9)
    assert average_accuracy(probe.matrix("all")) == pytest.approx(naive[5].mean())


def test_an_experience_trained_on_twice_in_turn_is_one_row(three: Any) -> None:
    stream = [three.train_stream[0], three.train_stream[0], three.train_stream[1]]
    probe, rows = trained(three, stream, {6: [0], 12: [0], 18: [0, 1]})
    check(probe, rows)
    np.testing.assert_allclose(probe.matrix("all")[:2], [rows.rows[1]["all"], rows.rows[2]["all"]], atol=1e-9)


def test_rows_of_joint_training(three: Any) -> None:
    probe, rows = trained(three, [joint_experience(three)], {19: [0, 1, 2]})
    check(probe, rows)
    matrix = probe.matrix("seen")
    assert np.isnan(matrix[:2]).all() and np.isfinite(matrix[2]).all()


@pytest.fixture(scope="module")
def one_test_set(three: Any) -> Any:
    """As Avalanche's `ni_benchmark` makes it: every experience is tested on all test images."""
    from avalanche.benchmarks import benchmark_from_datasets
    from avalanche.benchmarks.utils import concat_datasets

    test = concat_datasets([e.dataset for e in three.test_stream])
    return benchmark_from_datasets(train=[e.dataset for e in three.train_stream], test=[test])


@pytest.mark.parametrize("probes", [("ridge",), ("ridge", "cassle-online", "ncm@5")], ids=len)
def test_rows_of_one_test_set(one_test_set: Any, probes: tuple[str, ...]) -> None:
    events: list[Event] = []
    options: dict[str, Any] = {"log": events.append, "probes": probes}
    probe, rows = trained(one_test_set, one_test_set.train_stream, {6: [0], 12: [0, 1], 18: [0, 1, 2]}, **options)
    assert probe.scopes == ("all", "seen") and "task" not in probe.rows[0]
    for scope in probe.scopes:
        naive = np.stack([row[scope] for row in rows.rows])
        assert naive.shape == (3, 1)
        np.testing.assert_allclose(probe.matrix(scope), naive, atol=1e-9)
    assert probe.untrained("all").shape == (1,) and np.isnan(probe.untrained("seen")).all()
    assert average_accuracy(probe.matrix("all")) == pytest.approx(rows.rows[2]["all"][0])
    assert np.isnan(forgetting(probe.matrix("all"))) and np.isnan(probe.consolidation)
    logged = [e for e in events if isinstance(e, ProbeEvent)]
    assert {e.experience for e in logged} == {None} and {e.experiences_trained for e in logged} == {0, 1, 2, 3}
    resumed = ProbePlugin(one_test_set, probes=probes)
    resumed.load_state_dict(probe.state_dict())
    np.testing.assert_array_equal(resumed.matrix("all"), probe.matrix("all"))


def test_what_does_not_fit_together_is_one_line(three: Any) -> None:
    train, test = three.train_stream, three.test_stream
    with pytest.raises(UsageError, match=r"3 training but 2 test experiences.*CLScenario"):
        ProbePlugin(CLScenario([train, test[:2]]))
    with pytest.raises(UsageError, match="no test stream"):
        ProbePlugin(CLScenario([train]))
    with pytest.raises(UsageError, match=r"lump: fitted on the tested experience alone.*one test set"):
        ProbePlugin(CLScenario([train, test[:1]]), probes=["ridge", "lump"])


# -- both plugins, and a state in the middle ---------------------------------------------------------------------------


@pytest.mark.parametrize("stop", range(1, 9))
def test_a_resumed_stream_has_the_same_rows(three: Any, stop: int) -> None:
    """The whole state of the plugins goes over between two parts, whose strategies are the same otherwise."""

    def plugins() -> list[Any]:
        return [ProbePlugin(three, schedule=ProbeSchedule(every=16)), RepresentationMonitor(three, images=32, pairs=16)]

    parts = list(split_online_stream(reversed(three.train_stream), 16, drop_last=True, seed=0))
    whole, first, second = plugins(), plugins(), plugins()
    learner = moco(*whole, batch_size=8, seed=0)
    for part in parts:
        learner.train(part, eval_streams=[])
    learner = moco(*first, batch_size=8, seed=0)
    for part in parts[:stop]:
        learner.train(part, eval_streams=[])
    for old, new in zip(first, second, strict=True):
        new.load_state_dict(copy.deepcopy(old.state_dict()))
        learner.plugins[learner.plugins.index(old)] = new
    for part in parts[stop:]:
        learner.train(part, eval_streams=[])
    for scope in ("all", "seen", "task"):
        np.testing.assert_array_equal(second[0].matrix(scope), whole[0].matrix(scope))
    assert [(e.images_seen, e.accuracy) for e in second[0].curve] == [
        (e.images_seen, e.accuracy) for e in whole[0].curve
    ]
    assert second[1].events == whole[1].events and len(whole[1].events) == 3


def test_the_monitor_samples_the_experience_that_was_trained_on(three: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from avalanche_ssl.plugins import monitor

    monkeypatch.setattr(monitor, "MIN_IMAGES", 1)
    measured = RepresentationMonitor(three, images=1000, pairs=16)
    learner = moco(measured, batch_size=8)
    sizes: list[int] = []
    for experience in [*reversed(three.train_stream), three.train_stream[1], joint_experience(three)]:
        learner.train(experience, eval_streams=[])
        sizes.append(measured.events[-1].images_measured)
    assert sizes == [54, 52, 50, 52, 156]
    assert [event.experiences_trained for event in measured.events] == [1, 2, 3, 3, 3]
    assert len(measured._sample(0).rows) == 54, "drift is that of the first experience trained on"


def test_a_row_is_measured_while_a_method_of_avalanche_trains(few: Any) -> None:
    """The moment is the same for every strategy of Avalanche's."""
    import torch
    from avalanche.training.supervised import Naive

    model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(768, 4))
    probe = ProbePlugin(few, extract_features=lambda model, x: model(x.float()))
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-6)
    at: list[int] = []
    measure: Callable[[Any], None] = probe.measure
    probe.measure = lambda learner: (at.append(learner.clock.train_iterations), measure(learner))[1]  # type: ignore[method-assign]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        learner = Naive(model=model, optimizer=optimizer, train_mb_size=8, plugins=[probe])
    floats = few.train_stream
    learner._before_forward = lambda **kwargs: learner.mbatch.__setitem__(0, learner.mb_x.float())  # type: ignore[method-assign]
    learner.train(unmarked(floats, 8), eval_streams=[])
    assert at == [0, 2, 4]
