"""The runs of a sweep: strategies with plugins, their settings, and seeds, as options of `avalanche-ssl run`."""

from __future__ import annotations

import hashlib
import itertools
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from avalanche_ssl.cli.options import SHORTCUTS
from avalanche_ssl.cli.run import parser
from avalanche_ssl.errors import UsageError, unknown_name
from avalanche_ssl.plugins import PLUGINS

NONE = "none"
"""The set of no plugins."""

LONGEST = 180
"""Characters of a folder's name before seeds; file systems take 255 bytes, with `.txt` and suffixes."""

Settings = tuple[str, ...]
"""KEY=VALUE each."""


@dataclass(frozen=True)
class Subject:
    """What is run with several settings and seeds: a strategy and the plugins that join it."""

    strategy: str
    plugins: tuple[str, ...]

    @property
    def stem(self) -> str:
        """The strategy's name; for a file its stem."""
        return Path(self.strategy).stem

    @property
    def name(self) -> str:
        """Such as simclr+replay."""
        return "+".join([self.stem, *self.plugins])

    def has(self, setting: str) -> bool:
        """Whether a setting is not that of a plugin which is missing here."""
        head = setting.partition("=")[0].partition(".")[0]
        return head not in PLUGINS or head in self.plugins

    def words(self, settings: Settings, seed: str, stream_seed: str = "") -> list[str]:
        """Strategy, seeds, plugins and settings as options of a run; no seed of the stream is one that follows."""
        seeds = ["--seed", seed, *(["--stream-seed", stream_seed] if stream_seed else [])]
        plugins = [word for plugin in self.plugins for word in ("--plugin", plugin)]
        return ["--strategy", self.strategy, *seeds, *plugins, *(word for s in settings for word in ("--set", s))]

    def shared(self, words: Sequence[str]) -> list[str]:
        """Options of all runs without the settings of plugins that are missing here."""
        kept: list[str] = []
        for word in words:
            follows = kept[-1:] == ["--set"]
            setting = word if follows else word.removeprefix("--set=") if word.startswith("--set=") else ""
            if self.has(setting):
                kept.append(word)
            elif follows:
                kept.pop()
        return kept


@dataclass(frozen=True)
class Axis:
    """The values of a setting, for all strategies or one."""

    name: str
    values: tuple[str, ...]
    strategy: str = ""

    @classmethod
    def parse(cls, text: str) -> Axis:
        """Read KEY=V1,V2 or STRATEGY:KEY=V1,V2; a value in brackets may have commas.

        Raises:
            UsageError: there are no values.
        """
        name, equals, values = text.partition("=")
        found = _split(values)
        if not equals or not all(found):
            raise UsageError(f"grid '{text}': give KEY=V1,V2, or STRATEGY:KEY=V1,V2 of one strategy")
        strategy, colon, key = name.rpartition(":")
        return cls(key, tuple(found), Path(strategy).stem.replace("-", "_") if colon else "")

    @property
    def settings(self) -> list[str]:
        """KEY=VALUE each."""
        return [f"{self.name}={value}" for value in self.values]

    def of(self, subject: Subject) -> bool:
        """Whether it is about the strategy of a subject."""
        return self.strategy in ("", subject.stem.replace("-", "_"))


def _split(text: str) -> list[str]:
    """The parts between commas that stand in no brackets."""
    parts, depth = [""], 0
    for letter in text:
        depth += (letter in "[{") - (letter in "]}")
        if letter == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += letter
    return parts


def subjects(strategies: str, plugins: str) -> list[Subject]:
    """Every strategy with every set of plugins, of comma-separated names.

    Raises:
        UsageError: a plugin is not known, or two strategies have one name.
    """
    for name in plugins.replace("+", ",").split(","):
        if name not in (NONE, *PLUGINS):
            raise unknown_name("plugin", name, (NONE, *PLUGINS))
    sets = [() if joined == NONE else tuple(joined.split("+")) for joined in plugins.split(",")]
    found = [Subject(strategy, chosen) for strategy in dict.fromkeys(strategies.split(",")) for chosen in sets]
    names: dict[str, str] = {}
    for subject in found:
        if names.setdefault(subject.stem, subject.strategy) != subject.strategy:
            other = names[subject.stem]
            raise UsageError(f"{other} and {subject.strategy} have one name, by which folders are called: rename one")
    return found


def axes(grid: Sequence[str], found: Sequence[Subject]) -> list[Axis]:
    """The axes of a grid.

    Raises:
        UsageError: one has no values, is of a strategy or plugin that is not run, or is given twice.
    """
    known = [subject.stem.replace("-", "_") for subject in found]
    parsed = [Axis.parse(text) for text in grid]
    for axis in parsed:
        if axis.strategy and axis.strategy not in known:
            raise unknown_name("strategy of --grid", axis.strategy, dict.fromkeys(known))
        if not any(subject.has(axis.name) for subject in found):
            raise UsageError(
                f"--grid {axis.name} is about a plugin that no run has: give --plugin, too, or leave it out"
            )
    for subject in found:
        names = [axis.name for axis in parsed if axis.of(subject)]
        if again := [name for name in names if names.count(name) > 1]:
            raise UsageError(f"--grid gives {again[0]} of {subject.stem} twice: give all of its values in one")
    return parsed


def combinations(subject: Subject, grid: Sequence[Axis]) -> list[Settings]:
    """Every combination of the settings that a subject has, each once."""
    own = [axis for axis in grid if axis.of(subject)]
    each = itertools.product(*(axis.settings for axis in own))
    return list(dict.fromkeys(tuple(s for s in settings if subject.has(s)) for settings in each))


def trials(found: Sequence[Subject], grid: Sequence[Axis], number: int | None) -> dict[Subject, list[Settings]]:
    """The settings to try of each subject, as many of each.

    Args:
        found: the subjects.
        grid: the values.
        number: draw so many combinations of each at random, always the same; None: all.

    Raises:
        UsageError: a subject has fewer combinations, or all are to be tried and one has more than another.
    """
    every = {subject: combinations(subject, grid) for subject in found}
    counts = {subject.name: len(settings) for subject, settings in every.items()}
    listed = ", ".join(f"{name} {count}" for name, count in counts.items())
    least = min(counts.values())
    if number is None and least < max(counts.values()):
        raise UsageError(
            f"strategies have different numbers of settings to try ({listed}): give --trials N, at most {least}, or as "
            "many values of each"
        )
    if number is not None and not 1 <= number <= least:
        raise UsageError(f"--trials is {number}: give 1 to {least} ({listed}), or more values")
    if number is None:
        return every
    draws = {subject: sorted(random.Random(0).sample(range(len(s)), number)) for subject, s in every.items()}
    return {subject: [settings[place] for place in draws[subject]] for subject, settings in every.items()}


def check_shared(rest: Sequence[str], found: Sequence[Subject], grid: Sequence[Axis], given: Sequence[str]) -> None:
    """Refuse options of all runs that runs have from the sweep or its grid, since one of the two would be dropped.

    Args:
        rest: options of all runs.
        found: what is run.
        grid: values of settings.
        given: options that the sweep gives to its runs, besides strategy, plugins, seed and folder.

    Raises:
        UsageError: one is given twice, is about a plugin that no run has, or is not known.
    """
    from avalanche_ssl.recipes import parse_settings

    strategy = found[0].strategy
    options = parser().parse_args(["--strategy", strategy, *rest])  # the last of two counts
    twice = {
        "--strategy": options.strategy != strategy,
        "--plugin": options.plugins,
        "--seed": options.seed is not None,
        "--out": options.out,
        "--stream-seed": "--stream-seed" in given and options.stream_seed is not None,
        "--eval-on": "--eval-on" in given and options.eval_on is not None,
    }
    if names := [name for name, is_given in twice.items() if is_given]:
        raise UsageError(f"a sweep gives {names[0]} to its runs: leave it out after `--`; see sweep --help")
    settings = dict(parse_settings(options.settings))
    settings |= {
        n: v for n, (at, *_) in SHORTCUTS.items() if at == "settings" and (v := getattr(options, n)) is not None
    }
    for name in settings:
        if name in {axis.name for axis in grid}:
            raise UsageError(f"{name} is among the options of all runs and in --grid: leave one of them out")
        if not any(subject.has(name) for subject in found):
            raise UsageError(f"--set {name} is about a plugin that no run has: give --plugin, too, or leave it out")


def whole_numbers(text: str, option: str) -> list[str]:
    """Seeds of an option, separated by commas, each once.

    Raises:
        UsageError: one is no number.
    """
    for number in text.split(","):
        if not number.isdecimal():
            raise UsageError(f"seed '{number}': give whole numbers, e.g. {option} 0,1,2")
    return list(dict.fromkeys(str(int(number)) for number in text.split(",")))


def run_name(subject: Subject, settings: Settings, seed: str, stream_seed: str = "") -> str:
    """The folder of a run; names of very many settings end with a hash of them."""
    head = "-".join([subject.name, *(s.replace("/", "_") for s in settings)])
    if len(head) > LONGEST:
        head = f"{head[:LONGEST]}-{hashlib.sha256(head.encode()).hexdigest()[:8]}"
    return "-".join([head, f"s{seed}", *([f"stream{stream_seed}"] if stream_seed else [])])
