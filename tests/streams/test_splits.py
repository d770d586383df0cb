"""Mistakes in the options of a split are named."""

from __future__ import annotations

import inspect
from dataclasses import fields
from typing import Any, get_type_hints

import numpy as np
import pytest

from avalanche_ssl.errors import UsageError
from avalanche_ssl.streams import IncrementalSplit, SplitOptions, with_split_options

SIZES = [40, 25, 31, 7, 60, 18]
TARGETS = np.repeat(np.arange(len(SIZES)), SIZES).tolist()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"incremental": "blury"}, "no kind of increment 'blury': did you mean 'blurry'"),
        ({"incremental": "blurry", "leak": 1.5}, "leak is 1.5: give a share"),
        ({"incremental": "blurry", "experiences": 1}, "a single experience has nowhere to leak"),
        ({"imbalance": 0.5}, r"imbalance is 0.5: give 1 \(none\) or more"),
        ({"incremental": "repeated", "repeats": 4}, "cannot repeat classes 4 times in 3 experiences"),
        ({"incremental": "repeated", "repeats": 0}, "cannot repeat classes 0 times"),
        ({"experiences": 7}, "6 classes into 7 experiences"),
        ({"incremental": "repeated", "experiences": 13}, "6 classes into 7 experiences"),
        ({"incremental": "data", "experiences": 500}, "181 training images into 500"),
    ],
)
def test_mistakes_are_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message) as error:
        split = IncrementalSplit(**{"experiences": 3} | options)
        split.check(len(SIZES))
        split.train_parts(TARGETS, len(SIZES))
    assert "\n" not in str(error.value)


def test_options_are_those_of_the_split() -> None:
    """Type checkers read `SplitOptions`, the command line `IncrementalSplit`."""
    declared = get_type_hints(IncrementalSplit)
    assert get_type_hints(SplitOptions) == {
        f.name: declared[f.name] for f in fields(IncrementalSplit) if f.name != "experiences"
    }


def test_a_signature_lists_the_options_and_keeps_its_own() -> None:
    @with_split_options
    def build(data: str, *, experiences: int = 7, seed: int = 5, **split: object) -> None: ...

    parameters = inspect.signature(build).parameters
    assert list(parameters) == [
        "data",
        "experiences",
        "seed",
        "incremental",
        "imbalance",
        "leak",
        "repeats",
        "class_order",
    ]
    assert {parameters[name].default for name in ("experiences", "seed")} == {7, 5}
    assert parameters["leak"].default == IncrementalSplit(1).leak
    assert parameters["leak"].annotation is float
    assert all(p.kind is p.KEYWORD_ONLY for name, p in parameters.items() if name != "data")
