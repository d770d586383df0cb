"""Check every continual plugin with every method, alone and behind a replay, and print a table.

python benchmarks/check_plugins.py                                # all pairs, all rules; some 6 minutes of one core
python benchmarks/check_plugins.py --plugin cassle cla-e --method SimCLR MoCo --replay no

Each cell is a run of `check_plugin` with a narrow encoder and small memories: "ok", "-" for a combination that is
refused, or the name of the rule that is broken. Below the table stand the reasons; exit status 1 if a rule is broken.
"""

from __future__ import annotations

import inspect
import time
from functools import partial
from typing import Any

import torch
from crashes.small_run import SMALL, SMALL_PLUGINS

from avalanche_ssl import methods
from avalanche_ssl.checks import ContractError, check_plugin
from avalanche_ssl.cli.command import Parser, command
from avalanche_ssl.errors import UsageError
from avalanche_ssl.methods import Method
from avalanche_ssl.models import smallconv
from avalanche_ssl.plugins import PLUGINS, Replay, build_plugins, complete_plugins
from avalanche_ssl.recipes import arguments

OWN_MEMORY = ("replay", "climb")
"""Plugins that bring a memory and join no other."""

OWN_REPLAY: dict[str, dict[str, Any]] = {"der": {"refresh": False}}
"""Settings of the replay that a plugin needs."""


@command("check_plugins.py")
def main(given: list[str] | None = None) -> int:
    """Check the pairs; exit status 1 if a rule is broken, 2 for a mistake."""
    known = method_classes()
    parser = Parser(description=__doc__)
    add = parser.add_argument
    add("--plugin", nargs="*", default=list(PLUGINS), choices=list(PLUGINS), metavar="NAME", help="(all)")
    add("--method", nargs="*", default=list(known), choices=list(known), metavar="NAME", help="names of classes (all)")
    add("--replay", nargs="*", default=["no", "yes"], choices=["no", "yes"], help="behind a replay (no yes)")
    options = parser.parse_args(given)
    torch.set_num_threads(1)
    reasons: list[str] = []
    broken = 0
    start = time.process_time()
    for replayed in (name == "yes" for name in options.replay):
        plugins = [name for name in options.plugin if not (replayed and name in OWN_MEMORY)]
        print("| behind a replay |" if replayed else "| alone |", *(f"{name} |" for name in plugins))
        print("|---" * (1 + len(plugins)) + "|")
        for method in options.method:
            print(f"| {method} |", end="", flush=True)
            for plugin in plugins:
                verdict, reason = check(plugin, known[method], replayed)
                broken += verdict not in ("ok", "-")
                reasons += [f"{plugin} with {method}{' behind a replay' * replayed}: {reason}"] if reason else []
                print(f" {verdict} |", end="", flush=True)
            print()
        print()
    print("\n".join(dict.fromkeys(reasons)))
    print(f"{broken} broken, {time.process_time() - start:.0f} s of CPU time")
    return int(broken > 0)


def check(plugin: str, method: type[Method], replayed: bool) -> tuple[str, str]:
    """The verdict on a pair, and its reason if it is not "ok"."""
    torch.manual_seed(0)
    own = OWN_REPLAY.get(plugin, {})
    before = [Replay(size=SMALL_PLUGINS["size"], **own)] if replayed or own else []
    try:
        check_plugin(small_plugin(plugin, replayed), small_method(method), before)
    except UsageError as error:
        return "-", str(error)
    except ContractError as error:
        return str(error).split('"')[1], str(error)
    return "ok", ""


def small_plugin(name: str, replayed: bool = False) -> Any:
    """The plugin with small networks and a small memory."""
    settings = complete_plugins({name: {}})[name]
    small = {key: value for key, value in SMALL_PLUGINS.items() if key in settings}
    if replayed:
        small.pop("size", None)  # LUMP takes its images from the replay
    return build_plugins({name: small})[0]


def small_method(method: type[Method]) -> Method:
    """The method with a narrow encoder and small memories."""
    known = arguments(method)
    settings = {name: value for name, value in SMALL.items() if name in known}
    made: Method = method(partial(smallconv, width=4), **settings)  # type: ignore[arg-type]
    return made


def method_classes() -> dict[str, type[Method]]:
    """Every method of the package, by the name of its class."""
    named = {name: getattr(methods, name) for name in methods.__all__}
    return {
        name: kind
        for name, kind in named.items()
        if inspect.isclass(kind) and issubclass(kind, Method) and kind.loss is not Method.loss
    }


if __name__ == "__main__":
    raise SystemExit(main())
