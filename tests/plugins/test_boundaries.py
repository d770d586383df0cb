"""When an experience of a benchmark is complete, whether it comes at once or in online sub-experiences."""

from typing import Any

import pytest

from avalanche_ssl.plugins import ExperienceBoundaries
from avalanche_ssl.streams import online_stream


def completed(boundaries: ExperienceBoundaries, experiences: Any) -> list[bool]:
    return [boundaries.add(experience) for experience in experiences]


def test_each_experience_is_complete(few: Any) -> None:
    boundaries = ExperienceBoundaries([20, 20])
    assert completed(boundaries, few.train_stream) == [True, True]
    assert (boundaries.completed, boundaries.under_way) == (2, False)


def test_an_experience_is_complete_with_its_last_part(few: Any) -> None:
    boundaries = ExperienceBoundaries([20, 20])
    parts = list(online_stream(few.train_stream, 8))  # of 8, 8 and 4 images
    assert completed(boundaries, parts[:2]) == [False, False]
    assert (boundaries.completed, boundaries.images, boundaries.under_way) == (0, 16, True)
    assert completed(boundaries, parts[2:]) == [True, False, False, True]
    assert (boundaries.completed, boundaries.images, boundaries.under_way) == (2, 0, False)


def test_beyond_the_benchmark_every_part_is_complete(few: Any) -> None:
    boundaries = ExperienceBoundaries([20])
    assert completed(boundaries, online_stream(few.train_stream, 8)) == [False, False, True, True, True, True]


def test_parts_are_counted_through_a_checkpoint(few: Any) -> None:
    parts, boundaries, copy = list(online_stream(few.train_stream, 8)), *(ExperienceBoundaries([20, 20]) for _ in "ab")
    completed(boundaries, parts[:4])
    copy.load_state_dict(boundaries.state_dict())
    assert (copy.completed, copy.images) == (1, 8)
    assert completed(copy, parts[4:]) == [False, True]


@pytest.mark.parametrize(
    ("every", "experiences"), [(1, [1, 2, 3, 4, 5, 6]), (2, [2, 4, 5, 6]), (3, [3, 5, 6]), (9, [5, 6])]
)
def test_every_nth_experience_and_the_last_are_due(every: int, experiences: list[int]) -> None:
    boundaries, due = ExperienceBoundaries([1] * 5), []
    for number in range(1, 7):
        boundaries.completed = number
        due += [number] if boundaries.due(every) else []
    assert due == experiences
