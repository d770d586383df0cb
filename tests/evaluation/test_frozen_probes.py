"""Frozen probes: the matrix F against probes that are kept by hand, how it begins, its way through a checkpoint."""

import math
from typing import Any

import numpy as np
import pytest
import torch

from avalanche_ssl.evaluation import FrozenProbes
from avalanche_ssl.models import LabeledFeatures
from avalanche_ssl.probes import accuracy, get_protocol, probe_accuracies

CLASSES = 6
"""Two of each of three experiences."""


def features(trained: int, seed: int = 0, n: int = 30) -> list[LabeledFeatures]:
    """Of each experience, by an encoder that moves with every experience it is trained on."""
    found = []
    for j in range(3):
        rng = torch.Generator().manual_seed(100 * seed + j)
        y = 2 * j + torch.randint(0, 2, (n,), generator=rng)
        x = torch.nn.functional.one_hot(y, CLASSES) + 0.5 * torch.randn(n, CLASSES, generator=rng)
        turn = torch.Generator().manual_seed(trained)
        found.append((x @ torch.linalg.qr(torch.randn(CLASSES, CLASSES, generator=turn))[0], y))
    return found


def fits(name: str, trained: int, order: list[int]) -> list[Any]:
    """A probe on the encoder after so many experiences, for each draw of its labels."""
    protocol = get_protocol(name)
    return [protocol.fit(features(trained), CLASSES, order, draw) for draw in range(protocol.draws)]


def measured(name: str = "ridge", rows: tuple[int, ...] = (1, 2, 3), order: Any = (0, 1, 2)) -> Any:
    """Frozen probes over a stream in an order, after some of its experiences; their entries."""
    frozen, entries = FrozenProbes(3), []
    for t in rows:
        so_far = list(order[:t])
        entries += [(t, e) for e in frozen.measure(fits(name, t, so_far), features(t, seed=1), so_far)]
    return frozen, entries


def by_hand(name: str, scope: str, order: Any = (0, 1, 2)) -> np.ndarray:
    """F of whole probes, in the order of training."""
    kept: dict[int, list[Any]] = {}
    matrix = np.full((3, 3), math.nan)
    for t in (1, 2, 3):
        newest = order[t - 1]
        kept[newest] = [fit[scope][newest] for fit in fits(name, t, list(order[:t]))]
        test = features(t, seed=1)
        for column, j in enumerate(order[:t]):
            matrix[t - 1, column] = np.mean([accuracy(probe, *test[j]) for probe in kept[j]])
    return matrix


@pytest.mark.parametrize("name", ["ridge", "ncm", "ridge@5", "logistic"])
@pytest.mark.parametrize("scope", ["all", "seen", "task"])
def test_the_matrix_by_hand(name: str, scope: str) -> None:
    frozen, _ = measured(name)
    np.testing.assert_array_equal(frozen.matrix(scope, range(3)), by_hand(name, scope))


def test_it_begins_where_the_matrix_of_refitted_probes_is() -> None:
    frozen, entries = measured()
    for scope in ("all", "seen", "task"):
        for t in (1, 2, 3):
            (fit,) = fits("ridge", t, list(range(t)))
            refitted = probe_accuracies(fit, features(t, seed=1))[scope]
            assert frozen.matrix(scope, range(3))[t - 1, t - 1] == refitted[t - 1]
    drop = frozen.matrix("all", range(3))
    assert drop[0, 0] > 0.7 and drop[2, 0] < 0.5, "the features have turned"
    first = [(t, e.experience, e.fitted_after) for t, e in entries if e.scope == "seen"]
    assert first == [(1, 0, 1), (2, 0, 1), (2, 1, 2), (3, 0, 1), (3, 1, 2), (3, 2, 3)]


def test_a_reversed_stream() -> None:
    frozen, _ = measured(order=(2, 1, 0))
    np.testing.assert_array_equal(frozen.matrix("seen", [2, 1, 0]), by_hand("ridge", "seen", (2, 1, 0)))


def test_where_nothing_was_measured_the_next_row_gives_the_probe() -> None:
    """After the second experience of three, and after the third."""
    frozen, entries = measured(rows=(2, 3))
    assert [(t, e.experience, e.fitted_after) for t, e in entries if e.scope == "all"] == [
        (2, 0, 2),
        (2, 1, 2),
        (3, 0, 2),
        (3, 1, 2),
        (3, 2, 3),
    ]
    matrix = frozen.matrix("all", range(3))
    assert np.isnan(matrix).tolist() == [[True] * 3, [False, False, True], [False] * 3]
    (fit,) = fits("ridge", 2, [0, 1])
    assert matrix[2, 0] == accuracy(fit["all"][0], *features(3, seed=1)[0])


def test_an_experience_that_comes_again_keeps_its_first_probe() -> None:
    frozen, _ = measured()
    before = frozen.matrix("all", range(3))
    (last, *_) = [frozen.measure(fits("ridge", 4, [0, 1, 2]), features(4, seed=1), [0, 1, 2])]
    assert {e.fitted_after for e in last if e.experience == 0} == {1}
    after = frozen.matrix("all", range(3))
    np.testing.assert_array_equal(after[:2], before[:2])
    (fit,) = fits("ridge", 1, [0])
    assert after[2, 0] == accuracy(fit["all"][0], *features(4, seed=1)[0]), "the row of as many experiences"


def test_before_any_training_and_without_fits_nothing_is_kept() -> None:
    frozen = FrozenProbes(3)
    assert frozen.measure(fits("ridge", 0, []), features(0), []) == []
    assert frozen.measure([], features(1), [0]) == [], "a probe that is trained online"
    assert frozen.matrix("all", range(3)) is None
    assert frozen.state_dict() == {"probes": [], "rows": {}}


def test_neighbors_are_not_kept() -> None:
    frozen, entries = measured("knn-20")
    assert entries == [] and frozen.matrix("all", range(3)) is None


def test_only_the_classes_that_a_probe_knows_are_kept() -> None:
    frozen, _ = measured()
    sizes = {(p["scope"], p["experience"]): p["draws"][0]["weight"].shape for p in frozen.state_dict()["probes"]}
    assert sizes["all", 0] == (6, 6) and sizes["seen", 1] == (4, 6) and sizes["task", 2] == (2, 6)


def test_a_label_that_the_probe_does_not_know_is_wrong_and_none_is_left_out() -> None:
    frozen, order = FrozenProbes(3), [0]
    x, y = features(1)[0]
    strange = torch.cat([y, torch.tensor([5, 5, -1])])
    test = [(torch.cat([x, x[:3]]), strange), *features(1)[1:]]
    task = {e.scope: e.accuracy for e in frozen.measure(fits("ridge", 1, order), test, order)}["task"]
    (fit,) = fits("ridge", 1, order)
    right = accuracy(fit["task"][0], x, y)
    assert task == pytest.approx(right * len(y) / (len(y) + 2))
    unlabeled = [(x, torch.full_like(y, -1)), *features(1)[1:]]
    assert all(math.isnan(e.accuracy) for e in frozen.measure(fits("ridge", 1, order), unlabeled, order))


@pytest.mark.parametrize("name", ["ridge", "ridge@5"])
def test_a_restored_copy_continues_as_if_nothing_had_been(name: str) -> None:
    whole, _ = measured(name)
    begun, _ = measured(name, rows=(1, 2))
    copy = FrozenProbes(3)
    copy.load_state_dict(begun.state_dict())
    copy.measure(fits(name, 3, [0, 1, 2]), features(3, seed=1), [0, 1, 2])
    for scope in ("all", "seen", "task"):
        np.testing.assert_array_equal(copy.matrix(scope, range(3)), whole.matrix(scope, range(3)))
    assert np.isnan(begun.matrix("all", range(3))[2]).all(), "the copy has its own rows"
