"""A name in the wrong place: where it belongs."""

import pytest

from avalanche_ssl.runs.misplaced import place


@pytest.mark.parametrize(
    ("name", "strategy", "field"),
    [
        ("lr", "moco", "settings"),
        ("queue_size", "moco", "settings"),
        ("queue_size", "simclr", None),
        ("augment.size", "moco-v1", "settings"),
        ("batch_size", "", "settings"),
        ("batch_size", "no/file.py", "settings"),
        ("temperature", "no/file.py", None),
        ("composites", "moco", "benchmark_options"),
        ("method", "", None),
        ("nothing", "moco", None),
    ],
)
def test_the_field_of_a_name(name: str, strategy: str, field: str | None) -> None:
    assert place(name, strategy, "split-digits") == field


def test_a_run_without_a_benchmark_is_of_the_default_ones() -> None:
    assert place("composites", "moco", "") == "benchmark_options"
    assert place("composites", "moco", "folder") is None


def test_an_unknown_benchmark_has_no_options() -> None:
    assert place("composites", "moco", "nowhere") is None
