"""The accuracy matrix, the curve and task results, kept through a checkpoint."""

import math

import numpy as np
import pytest
import torch

from avalanche_ssl.errors import UsageError
from avalanche_ssl.evaluation import History, TaskResult, accuracy_curve, backward_transfer
from avalanche_ssl.logging import CurveEvent
from avalanche_ssl.probes import get_protocol


def accuracies(*values: float) -> dict[str, dict[str, np.ndarray]]:
    """The same values of two probes, in one and in two scopes."""
    row = np.array(values)
    return {"ridge": {"all": row, "task": row / 2}, "knn-20": {"all": row / 4}}


def filled() -> History:
    """A history of three experiences, the second of which was not measured."""
    history = History(3, "ridge")
    history.add_row(accuracies(0.1, 0.2, 0.3))
    history.add_row(accuracies(0.4, math.nan, 0.6), [0])
    history.add_unmeasured_row([0, 1])
    history.add_row(accuracies(0.7, 0.8, 0.9), [0, 1, 2])
    return history


def point(images_seen: int, accuracy: float, probe: str = "ridge", scope: str = "all") -> CurveEvent:
    return CurveEvent(
        images_seen=images_seen,
        images_trained=2 * images_seen,
        seconds=0.5,
        experiences_trained=1,
        probe=probe,
        scope=scope,
        accuracy=accuracy,
    )


def test_nothing_yet() -> None:
    history = History(3, "ridge")
    assert (history.trained, history.measured, history.rows, history.curve) == (0, False, [], [])
    assert math.isnan(history.consolidation)
    assert np.isnan(history.matrix("all")).all() and history.matrix("all").shape == (3, 3)


def test_a_scope_that_was_not_measured_is_named_with_those_that_were() -> None:
    history = History(2, "ridge", one_test_set=True)
    history.add_row({"ridge": {"all": np.array([0.5]), "seen": np.array([math.nan])}})
    history.add_row({"ridge": {"all": np.array([0.6]), "seen": np.array([0.6])}}, [0])
    for read in (history.matrix, history.untrained):
        with pytest.raises(UsageError, match=r"no accuracies of 'task': choose one \(all, seen\)"):
            read("task")


def test_the_matrix_begins_after_the_untrained_encoder() -> None:
    history = filled()
    assert (history.trained, history.measured) == (3, True)
    nan = math.nan
    np.testing.assert_array_equal(history.matrix("all"), [[0.4, nan, 0.6], [nan, nan, nan], [0.7, 0.8, 0.9]])
    np.testing.assert_array_equal(history.matrix("all", "ridge"), history.matrix("all"))
    np.testing.assert_array_equal(history.matrix("all", "knn-20"), history.matrix("all") / 4)
    np.testing.assert_array_equal(history.untrained("task"), np.array([0.1, 0.2, 0.3]) / 2)
    assert history.rows[0].keys() == {"all", "task", "knn-20/all"}


def test_the_matrix_is_in_the_order_of_training() -> None:
    """Rows and columns; the experience that was not trained on comes last."""
    history, nan = History(3, "ridge"), math.nan
    history.add_row(accuracies(0.1, 0.2, 0.3))
    np.testing.assert_array_equal(history.untrained("all"), [0.1, 0.2, 0.3])
    history.add_row(accuracies(0.4, 0.5, 0.6), [2])
    assert history.columns == [2, 0, 1]
    np.testing.assert_array_equal(history.matrix("all"), [[0.6, 0.4, 0.5], [nan] * 3, [nan] * 3])
    history.add_row(accuracies(0.7, 0.8, 0.9), [2, 1])
    assert history.columns == [2, 1, 0]
    np.testing.assert_array_equal(history.matrix("all"), [[0.6, 0.5, 0.4], [0.9, 0.8, 0.7], [nan] * 3])
    np.testing.assert_array_equal(history.untrained("all"), [0.3, 0.2, 0.1])
    np.testing.assert_array_equal(history.rows[2]["all"], [0.7, 0.8, 0.9])
    assert backward_transfer(history.matrix("all")[:2, :2]) == pytest.approx(0.9 - 0.6)


def test_the_last_row_is_that_of_the_last_encoder() -> None:
    """An experience that is trained on again adds a row; the matrix holds the latest of as many experiences."""
    history = filled()
    history.add_row(accuracies(0.2, 0.3, 0.4), [0, 1, 2])
    assert (history.trained, len(history.rows), history.measured) == (3, 5, True)
    matrix = filled().matrix("all")
    matrix[2] = [0.2, 0.3, 0.4]
    np.testing.assert_array_equal(history.matrix("all"), matrix)
    history.add_unmeasured_row([0, 1, 2])
    assert not history.measured
    np.testing.assert_array_equal(history.matrix("all"), matrix)


def test_experiences_of_another_benchmark_are_rows_but_not_in_the_matrix() -> None:
    history = History(3, "ridge")
    history.add_row(accuracies(0.1, 0.2, 0.3))
    history.add_row(accuracies(0.4, 0.5, 0.6))
    assert (history.trained, len(history.rows)) == (0, 2)
    assert np.isnan(history.matrix("all")).all()
    np.testing.assert_array_equal(history.untrained("all"), [0.1, 0.2, 0.3])


def test_one_test_set_is_one_column() -> None:
    history, nan = History(3, "ridge", one_test_set=True), math.nan
    for order, value in (([], 0.1), ([1], 0.5), ([1, 0], 0.4)):
        history.add_row(accuracies(value), order)
    assert history.columns == [0]
    np.testing.assert_array_equal(history.matrix("all"), [[0.5], [0.4], [nan]])
    np.testing.assert_array_equal(history.untrained("all"), [0.1])
    copy = History(3, "ridge", one_test_set=True)
    copy.load_state_dict(history.state_dict())
    np.testing.assert_array_equal(copy.matrix("all"), history.matrix("all"))


def test_an_unmeasured_row_counts_but_is_not_measured() -> None:
    history = History(3, "ridge")
    history.add_row(accuracies(0.1, 0.2, 0.3))
    history.add_unmeasured_row([1])
    assert (history.trained, history.measured, history.order) == (1, False, [1])


def test_everything_is_restored() -> None:
    history, result = filled(), TaskResult("object", 0.5, 0.25, {"session": {"s3": 0.5}})
    history.curve.append(point(20, 0.5))
    history.task_results.append((3, [result]))
    history.full_test_accuracies, history.full_test_results = {"ridge": 0.75}, [result]
    history.consolidation = 0.4
    history.pixels = {"ridge": np.array([0.1, 0.2, 0.3])}
    keep_probes(history)
    copy = History(3, "ridge")
    copy.load_state_dict(history.state_dict())
    assert (copy.trained, copy.measured, copy.consolidation) == (3, True, 0.4)
    assert (copy.counts, copy.order) == (history.counts, history.order) == ([0, 1, 2, 3], [0, 1, 2])
    assert [row.keys() for row in copy.rows] == [row.keys() for row in history.rows]
    for scope, probe in (("all", "ridge"), ("task", "ridge"), ("all", "knn-20")):
        np.testing.assert_array_equal(copy.matrix(scope, probe), history.matrix(scope, probe))
    assert (copy.curve, copy.task_results) == (history.curve, history.task_results)
    assert copy.full_test_accuracies == history.full_test_accuracies
    assert copy.full_test_results == history.full_test_results
    np.testing.assert_array_equal(copy.pixels["ridge"], [0.1, 0.2, 0.3])
    np.testing.assert_array_equal(copy.frozen_matrix("all"), history.frozen_matrix("all"))


def keep_probes(history: History) -> None:
    """Probes of the second and the first experience, whose encoder is turned around in between."""
    labels = torch.tensor([0, 1])
    train = [(torch.tensor([[0.0, 1.0], [1.0, 0.0]]), labels)] * 3
    for order, sign in (([1], 1), ([1, 0], -1)):
        features = [(sign * x, y) for x, y in train]
        history.frozen.measure([get_protocol("ncm").fit(features, 2, order)], features, order)


def test_the_matrix_of_frozen_probes_is_in_the_order_of_training() -> None:
    history, nan = History(3, "ncm"), math.nan
    assert np.isnan(history.frozen_matrix("all")).all() and history.frozen_matrix("all").shape == (3, 3)
    keep_probes(history)
    for order in ([], [1], [1, 0]):
        history.add_row({"ncm": {"all": np.full(3, 0.5)}}, order)
    np.testing.assert_array_equal(history.frozen_matrix("seen"), [[1, nan, nan], [0, 1, nan], [nan] * 3])
    one = History(3, "ncm", one_test_set=True)
    assert np.isnan(one.frozen_matrix("all")).all() and one.frozen_matrix("all").shape == (3, 1)


def test_a_checkpoint_of_before_has_no_pixels_and_no_frozen_probes() -> None:
    state = {name: value for name, value in filled().state_dict().items() if name not in ("pixels", "frozen")}
    copy = History(3, "ridge")
    copy.load_state_dict(state)
    np.testing.assert_array_equal(copy.matrix("all"), filled().matrix("all"))
    assert copy.pixels == {} and np.isnan(copy.frozen_matrix("all")).all()


def test_an_empty_history_is_restored() -> None:
    copy = History(3, "ridge")
    copy.load_state_dict(History(3, "ridge").state_dict())
    assert (copy.trained, copy.rows) == (0, [])


def test_nothing_but_what_was_not_measured_yet_is_restored() -> None:
    """The untrained encoder has no accuracy in the scope "seen"."""
    history, copy = History(2, "ridge"), History(2, "ridge")
    history.add_row({"ridge": {"seen": np.full(2, math.nan)}})
    copy.load_state_dict(history.state_dict())
    assert (copy.counts, copy.measured, list(copy.rows[0])) == ([0], False, ["seen"])
    np.testing.assert_array_equal(copy.rows[0]["seen"], [math.nan, math.nan])


def test_the_curve_of_a_probe_and_scope() -> None:
    points = [point(20, 0.5), point(0, 0.1), point(20, 0.6), point(20, 0.9, "knn-20"), point(20, 0.9, scope="task")]
    assert accuracy_curve(points, "ridge", "all") == [(0, 0.1), (20, 0.6)], "the later one at the same number of images"
