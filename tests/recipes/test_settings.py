"""Settings travel by name, as YAML, and with the type that their owner declares."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import pytest
import yaml
from torch import nn

from avalanche_ssl.errors import UsageError
from avalanche_ssl.models.norms import NORMS
from avalanche_ssl.recipes.settings import (
    arguments,
    change,
    convert,
    is_plain,
    parse_settings,
    read_yaml,
    replace_fields,
    to_plain,
)
from avalanche_ssl.transforms.augmentation import RandomView


@dataclass(frozen=True)
class Inner:
    rate: float = 0.5
    sizes: tuple[int, ...] = (1, 2)

    def __post_init__(self) -> None:
        if self.rate > 1:
            raise ValueError("a rate is at most 1")


@dataclass(frozen=True)
class Outer:
    inner: Inner = Inner()
    name: str = "x"


# -- convert ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "kind", "expected"),
    [
        ("1e-4", float, 1e-4),  # as PyYAML reads it
        (3, float, 3.0),
        (math.inf, float, math.inf),
        (3, int, 3),
        (True, bool, True),
        ("word", str, "word"),
        ("a/b", Path, Path("a/b")),
        (None, None | float, None),
        ("1e-3", float | None, 1e-3),
        (None, type(None), None),
        ("sgd", Literal["sgd", "adam"], "sgd"),
        ([0.2, 1], tuple[float, float], (0.2, 1.0)),
        ("0,4095", tuple[float, float] | None, (0.0, 4095.0)),  # as a command line gives it
        ("2,0,1", Sequence[int] | None, (2, 0, 1)),
        (["l", "ab"], tuple[str, ...], ("l", "ab")),
        ([1, 2], Sequence[int], (1, 2)),
        ([1, 2], list[int], [1, 2]),
        ([1, 2, 3], float | tuple[float, float, float], (1.0, 2.0, 3.0)),
        ({"rate": 1}, Inner, Inner(rate=1.0)),
        (Inner(0.1), Inner, Inner(0.1)),
        ({"a": 1}, dict[str, int], {"a": 1}),
        ("anything", Any, "anything"),
    ],
)
def test_values_take_the_declared_type(value: Any, kind: Any, expected: Any) -> None:
    result = convert(value, kind, "it")
    assert result == expected
    assert type(result) is type(expected)


@pytest.mark.parametrize(
    ("value", "kind", "message"),
    [
        ("fast", float, "setting 'it' is 'fast': give a number"),
        (True, float, "setting 'it' is True: give a number"),
        (None, float, "setting 'it' is None: give a number"),
        ([1], float, "setting 'it' is [1]: give a number"),
        (math.nan, float, "setting 'it' is nan: give a number"),
        (10**400, float, "give a number"),
        (1.5, int, "setting 'it' is 1.5: give a whole number"),
        (True, int, "setting 'it' is True: give a whole number"),
        ("8", int, "setting 'it' is '8': give a whole number"),
        (1, bool, "setting 'it' is 1: give true or false"),
        (5, str, "setting 'it' is 5: give a word"),
        ("x", int | None, "setting 'it' is 'x': give a whole number or null"),
        ("x", float | tuple[float, float], "setting 'it' is 'x': give a number or a list"),
        ("adm", Literal["sgd", "adam"], "no value for 'it' 'adm': did you mean 'adam'? (sgd, adam)"),
        (["adam"], Literal["sgd", "adam"], "no value for 'it'"),
        ("adm", Literal["sgd", "adam"] | None, "setting 'it' is 'adm': give sgd, adam or null"),
        ("1,[", tuple[float, float], "setting 'it' is '1,[': give a list of 2 values"),
        ([1], tuple[float, float], "setting 'it' is [1]: give a list of 2 values, e.g. [a number, ...]"),
        (1, tuple[int, ...], "setting 'it' is 1: give a list of values, e.g. [a whole number, ...]"),
        ([1, "x"], tuple[int, ...], "setting 'it' is 'x': give a whole number"),
        ([1], dict[str, int], "setting 'it' is [1]: give dict"),
        (1, Inner, "setting 'it' is 1: give its parts, e.g. it.rate=VALUE (it.rate, it.sizes)"),
        ({"rat": 1}, Inner, "no setting 'it.rat': did you mean 'it.rate'? (it.rate, it.sizes)"),
        ({"rate": 2}, Inner, "it: a rate is at most 1"),
    ],
)
def test_values_that_do_not_fit_are_refused_in_one_line(value: Any, kind: Any, message: str) -> None:
    with pytest.raises(UsageError) as error:
        convert(value, kind, "it")
    assert message in str(error.value)
    assert "\n" not in str(error.value)


# -- change ---------------------------------------------------------------------------------------------------------


def test_fields_change_by_mapping_and_by_dotted_name() -> None:
    outer = Outer(Inner(sizes=(9,)))
    assert replace_fields(outer, {"name": "y"}) == Outer(Inner(sizes=(9,)), "y")
    assert replace_fields(outer, {"inner": {"rate": "1e-1"}}) == Outer(Inner(0.1, (9,)))
    assert replace_fields(outer, {"inner.rate": 0.1, "inner.sizes": [3]}) == Outer(Inner(0.1, (3,)))
    assert change(outer.inner, {"rate": 0}, Inner, "inner") == Inner(0.0, (9,))
    assert outer == Outer(Inner(sizes=(9,)))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"inner.rat": 1}, "no setting 'inner.rat': did you mean 'inner.rate'?"),
        ({"iner": 1}, "no setting 'iner': did you mean 'inner'? (inner, name)"),
        ({5: 1}, "no setting '5'"),
        ({"inner": {5: 1}}, "no setting 'inner.5'"),
        ({"inner.rate": "x"}, "setting 'inner.rate' is 'x': give a number"),
        ({"inner.rate": 7}, "inner: a rate is at most 1"),
        ({"name.x": 7}, "setting 'name' is {'x': 7}: give a word"),
    ],
)
def test_wrong_changes_name_the_setting(changes: Any, message: str) -> None:
    with pytest.raises(UsageError) as error:
        replace_fields(Outer(), changes)
    assert message in str(error.value)


# -- plain -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [RandomView(blur_prob=0.5, mean=(0.1, 0.2, 0.3)), Outer(), Inner(1e-7)])
def test_dataclasses_survive_yaml(value: Any) -> None:
    written = yaml.safe_dump(to_plain(value))
    assert convert(yaml.safe_load(written), type(value), "it") == value


def test_plain_values() -> None:
    assert to_plain([Path("a"), (1, 2.5), None, True]) == ["a", [1, 2.5], None, True]
    assert is_plain(Outer()) and is_plain((1, "x", None))
    assert not is_plain(nn.ReLU) and not is_plain([NORMS["batch"]])


# -- arguments -------------------------------------------------------------------------------------------------------


def build(
    encoder: int,
    size: int = 3,
    rate: "float | None" = None,
    unknown=5,  # type: ignore[no-untyped-def]
    activation: Callable[..., nn.Module] = nn.ReLU,
) -> "OnlyForTypeCheckers":  # type: ignore[name-defined]  # noqa: F821
    ...


class Parent:
    def __init__(self, size: int = 3) -> None: ...


class Child(Parent): ...


def test_arguments_with_a_value_that_yaml_can_write() -> None:
    """Neither arguments without a value nor functions are settings; names as types are resolved."""
    assert arguments(build) == {"size": (int, 3), "rate": (float | None, None), "unknown": (Any, 5)}
    assert arguments(partial(partial(build, size=4), rate=0.5))["size"] == (int, 4)
    assert arguments(partial(build, rate=0.5))["rate"] == (float | None, 0.5)


def test_arguments_of_a_class_may_be_its_parents() -> None:
    assert arguments(Child) == arguments(Parent) == {"size": (int, 3)}


def test_a_type_that_does_not_exist_at_run_time_is_named() -> None:
    def broken(x: "Missing" = 1) -> None: ...  # type: ignore[name-defined]  # noqa: F821

    with pytest.raises(UsageError, match=r"broken's arguments: name 'Missing' is not defined; import it without"):
        arguments(broken)


# -- a command line -------------------------------------------------------------------------------------------------


def test_settings_of_a_command_line() -> None:
    pairs = ["lr=1e-4", "views=[l, ab]", "max_grad_norm=null", "augment.blur_prob=0.5", "name=a=b", "empty="]
    assert parse_settings(pairs) == {
        "lr": "1e-4",
        "views": ["l", "ab"],
        "max_grad_norm": None,
        "augment.blur_prob": 0.5,
        "name": "a=b",
        "empty": None,
    }


@pytest.mark.parametrize("pair", ["lr", "=5", "lr=[1", "lr=2024-99-99", "lr={a: b: c}"])
def test_a_pair_that_is_none(pair: str) -> None:
    with pytest.raises(UsageError, match=r"^--set (has no value|.* has no value|.* is not YAML)") as error:
        parse_settings([pair])
    assert "\n" not in str(error.value)


def test_yaml_gives_plain_values_and_refuses_aliases() -> None:
    assert read_yaml("{a: [1, 2.5, x], b: null}") == {"a": [1, 2.5, "x"], "b": None}
    for text in ("a: [", "[&x 1, *x]", "!!python/object/apply:os.getcwd []", "[" * 10_000):
        with pytest.raises(ValueError) as error:
            read_yaml(text)
        assert "\n" not in str(error.value)
