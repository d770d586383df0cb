"""Options of a run as the words of a command line, the inverse of `avalanche_ssl.cli.options.read_options`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from avalanche_ssl.cli.options import flag, option_fields


def words_of(options: Mapping[str, Any]) -> list[str]:
    """The words that give these options, by name as in `config.yaml`, in the order of the fields of `RunConfig`.

    The seed comes last; so commands that differ in it alone are alike to their end.
    """
    fields = {field.name: field for field in option_fields() if field.name in options}
    words: list[str] = []
    for name, field in fields.items():
        value = options[name]
        if name in ("plugins", "seed"):
            continue
        if isinstance(value, Mapping):
            for key, text in _flat(value):
                words += [flag(field), f"{key}={text}"]
        elif value is True:
            words.append(flag(field))
        elif value is not None and value is not False:
            words += [flag(field), str(value)]
    for plugin, settings in options.get("plugins", {}).items():
        words += ["--plugin", plugin]
        for key, text in _flat(settings or {}):
            words += ["--set", f"{plugin}.{key}={text}"]
    return [*words, "--seed", str(options["seed"])] if "seed" in options else words


def _flat(values: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The values as YAML on one line, those of nested mappings by dotted names."""
    import yaml

    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from ((f"{name}.{key}", text) for key, text in _flat(value))
        else:
            text = yaml.safe_dump(value, default_flow_style=True, width=10**6).removesuffix("...\n").strip()
            yield name, text.replace(", ", ",") if isinstance(value, list) else text
