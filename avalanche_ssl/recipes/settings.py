"""Settings as data: read, check and change the arguments of a dataclass or callable by their declared types."""

import dataclasses
import inspect
import math
import types
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import yaml

from avalanche_ssl.errors import UsageError, unknown_name


def parse_settings(pairs: Iterable[str], option: str = "--set") -> dict[str, Any]:
    """A mapping of `["lr=1e-4", "augment.blur_prob=0.5"]`, values read as YAML.

    Args:
        pairs: of the command line.
        option: that they were given by, for errors.

    Raises:
        UsageError: a pair has no `=`, or its value is not YAML.
    """
    settings = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name:
            raise UsageError(f"{option} {pair} has no value: give {option} {name or 'name'}=value")
        try:
            settings[name.strip()] = read_yaml(value)
        except ValueError as error:
            raise UsageError(f"{option} {pair[:200]} is not YAML: {str(error)[:200]}") from error
    return settings


class _Tree(yaml.SafeLoader):
    """Loads plain data only, and no aliases: a few of them could stand for billions of values."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("aliases such as *name are not read: write the value")
        node: yaml.Node | None = super().compose_node(parent, index)
        return node


def read_yaml(text: str) -> Any:
    """The plain values of a YAML text, which cannot run code.

    Raises:
        ValueError: the text is not YAML, is nested too deeply, or uses aliases; one line.
    """
    try:
        return yaml.load(text, _Tree)
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # ValueError: e.g. no such date
        raise ValueError(" ".join(str(error).split())) from error


def to_plain(value: Any) -> Any:
    """A setting as plain YAML values: dataclasses become mappings, tuples lists, paths strings."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: to_plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, tuple | list):
        return [to_plain(v) for v in value]
    return str(value) if isinstance(value, Path) else value


def is_plain(value: Any) -> bool:
    """Whether YAML can write the value, see `to_plain`, and read it back."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return all(is_plain(getattr(value, f.name)) for f in dataclasses.fields(value))
    if isinstance(value, tuple | list):
        return all(is_plain(v) for v in value)
    return value is None or isinstance(value, bool | int | float | str | Path)


def flatten(settings: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested settings by dotted names."""
    flat: dict[str, Any] = {}
    for name, value in settings.items():
        flat |= flatten(value, f"{prefix}{name}.") if isinstance(value, Mapping) else {f"{prefix}{name}": value}
    return flat


def arguments(function: Callable[..., Any]) -> dict[str, tuple[Any, Any]]:
    """Type and default of each argument with a plain default, of a callable or a `partial` of it.

    Arguments without a default, or with one that YAML cannot write (a function, a module), are left out.

    Raises:
        UsageError: a declared type is a name that only type checkers import.
    """
    bound = inspect.signature(function).parameters
    inner: Any = function.func if isinstance(function, partial) else function
    inner = inspect.getattr_static(inner, "__init__") if isinstance(inner, type) else inner  # possibly inherited
    # without the return type, which may be a name that only type checkers import
    declared = types.SimpleNamespace(__annotations__={k: v for k, v in inner.__annotations__.items() if k != "return"})
    try:
        hints = get_type_hints(declared, inner.__globals__)
    except NameError as error:
        raise UsageError(
            f"the types of {inner.__qualname__}'s arguments: {error}; import it without TYPE_CHECKING"
        ) from error
    valued = {n: p.default for n, p in bound.items() if p.default is not p.empty}
    return {n: (hints.get(n, Any), value) for n, value in valued.items() if is_plain(value)}


def convert(value: Any, kind: Any, name: str) -> Any:
    """Convert a value, as YAML reads it, to the declared type `kind`; so "1e-4" becomes a float.

    Raises:
        UsageError: the value does not fit; the message gives name, value and what would fit.
    """
    origin, args = get_origin(kind), get_args(kind)
    if kind is Any:
        return value
    if origin in (Union, types.UnionType):
        return _first_that_fits(value, args, name)
    if origin is Literal:
        if value not in args:
            raise unknown_name(f"value for '{name}'", value, args)
        return value
    if origin is tuple:
        return _tuple(value, args, name)
    if origin in (Sequence, list):
        values = _tuple(value, (*args, ...), name)
        return list(values) if origin is list else values
    if isinstance(kind, type) and dataclasses.is_dataclass(kind):
        return _dataclass(value, kind, name)
    if kind is types.NoneType and value is None:
        return None
    if kind is float:
        return _number(value, name)
    if kind is Path and isinstance(value, str):
        return Path(value)
    if isinstance(value, origin or kind) and not (kind is int and isinstance(value, bool)):
        return value
    raise UsageError(f"setting '{name}' is {value!r}: give {_words(kind)}")


def replace_fields(current: Any, changes: Mapping[str, Any], name: str = "") -> Any:
    """A copy of a dataclass instance with some fields changed; nested ones as mappings or by dotted names."""
    kinds = get_type_hints(type(current))
    fields = {f.name: getattr(current, f.name) for f in dataclasses.fields(current)}
    for key, value in changes.items():
        head, _, rest = str(key).partition(".")
        if head not in fields:
            raise unknown_name("setting", f"{name}{key}", [f"{name}{field}" for field in fields])
        fields[head] = change(fields[head], {rest: value} if rest else value, kinds[head], f"{name}{head}")
    return _construct(type(current), fields, name)


def change(current: Any, value: Any, kind: Any, name: str) -> Any:
    """The new value of a setting: a mapping changes fields of a dataclass, anything else replaces the value."""
    if dataclasses.is_dataclass(current) and isinstance(value, Mapping):
        return replace_fields(current, value, f"{name}.")
    return convert(value, kind, name)


def _first_that_fits(value: Any, kinds: tuple[Any, ...], name: str) -> Any:
    for kind in kinds:
        try:
            return convert(value, kind, name)
        except UsageError:
            continue
    raise UsageError(f"setting '{name}' is {value!r}: give {' or '.join(_words(k) for k in kinds)}")


def _number(value: Any, name: str) -> float:
    """A float; YAML reads 1e-4 as a string. NaN is refused: no setting needs it, and it passes most range checks."""
    try:
        number = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if math.isnan(number):
        raise UsageError(f"setting '{name}' is {value!r}: give {_words(float)}")
    return number


def _tuple(value: Any, args: tuple[Any, ...], name: str) -> tuple[Any, ...]:
    many = len(args) == 2 and args[1] is Ellipsis
    if isinstance(value, str) and "," in value:  # 0,4095 on a command line is [0, 4095]
        with suppress(ValueError):
            value = [read_yaml(part) for part in value.split(",")]
    if not isinstance(value, list | tuple) or not (many or len(value) == len(args)):
        count = "" if many else f"{len(args)} "
        raise UsageError(f"setting '{name}' is {value!r}: give a list of {count}values, e.g. [{_words(args[0])}, ...]")
    kinds = [args[0]] * len(value) if many else args
    return tuple(convert(v, k, name) for v, k in zip(value, kinds, strict=True))


def _dataclass(value: Any, kind: type[Any], name: str) -> Any:
    if isinstance(value, kind):
        return value
    if isinstance(value, Mapping):
        return replace_fields(kind(), value, f"{name}.")
    parts = [f"{name}.{f.name}" for f in dataclasses.fields(kind)]
    value = value if isinstance(value, str | int | float | None) else type(value).__name__
    raise UsageError(f"setting '{name}' is {value!r}: give its parts, e.g. {parts[0]}=VALUE ({', '.join(parts)})")


def _construct(kind: type[Any], fields: dict[str, Any], name: str) -> Any:
    try:
        return kind(**fields)
    except UsageError:
        raise
    except ValueError as error:
        raise UsageError(f"{name.rstrip('.') or 'settings'}: {error}") from error


def _words(kind: Any) -> str:
    names = {int: "a whole number", float: "a number", bool: "true or false", str: "a word", types.NoneType: "null"}
    if get_origin(kind) in (tuple, list, Sequence):
        return "a list"
    if get_origin(kind) is Literal:
        return ", ".join(map(str, get_args(kind)))
    return names.get(kind, getattr(kind, "__name__", str(kind)))
