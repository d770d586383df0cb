"""What a second domain costs the first, by method and plugin: photographs of a folder, then the embedded digits.

python benchmarks/two_domains.py --photographs cifar100 --strategy cmc pirl --plugin none replay cassle --seeds 0 1 2

A rich domain followed by a narrow one is where forgetting shows on a small budget: the digits teach nothing of what
tells photographs apart. The first experience holds `--images` training images of each class of the folder (CLASS
folders in `train` and `test`), the second all of `digits-on-photographs`. After each a ridge probe is fitted on either
domain, on its own training images, and scored on its own test images. A plugin is to be judged on both columns: what is
kept of the photographs, and what is learned of the digits.

Sets of plugins are joined by `+`, settings given by `--set`; `none@6` trains the second experience for 6 passes without
a plugin, to compare replay at equal views. Rows are appended to a CSV file as they come, and those that are there are
not run again. Differences are paired by seed, to `none`.
"""

from __future__ import annotations

import argparse
import csv
import sys
import time
import warnings
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from avalanche_ssl.cli.command import Parser, command
from avalanche_ssl.errors import UsageError

FIELDS = ("strategy", "plugins", "seed", "photographs before", "photographs after", "digits before", "digits after")

Row = dict[str, Any]
"""A line of the file; accuracies are shares."""


@command("two_domains.py")
def main(arguments: list[str] | None = None) -> int:
    """Train what is not in the file yet, and print the table; exit status 2 for a mistake."""
    parser = Parser(description=__doc__)
    add = parser.add_argument
    add("--photographs", type=Path, required=True, metavar="DIR", help="folder with train/CLASS and test/CLASS")
    add("--images", type=int, default=32, metavar="N", help="training images of each class of them (32)")
    add("--test-images", type=int, default=20, metavar="N", help="test images of each class (20)")
    add("--composites", type=int, default=4, metavar="N", help="images of each digit (4)")
    add("--strategy", nargs="+", default=["cmc"], metavar="NAME", help="(cmc)")
    add("--plugin", nargs="+", default=["none"], metavar="NAMES", help="sets of plugins, joined by + (none)")
    add("--set", action="append", default=[], metavar="NAME.KEY=VALUE", help="a setting of a plugin; repeatable")
    add("--recipe", action="append", default=[], metavar="KEY=VALUE", help="a setting of all strategies; repeatable")
    add("--epochs", nargs=2, type=int, default=[4, 3], metavar="N", help="passes over either domain (4 3)")
    add("--seeds", nargs="+", type=int, default=[0], metavar="N", help="(0)")
    add("--out", type=Path, default=Path("two_domains.csv"), metavar="FILE", help="(two_domains.csv)")
    options = parser.parse_args(arguments)
    warnings.filterwarnings("ignore", module="qpsolvers")  # Avalanche imports it, and it misses solvers
    rows = _read(options.out)
    done = {(row["strategy"], row["plugins"], int(row["seed"])) for row in rows}
    domains: list[Any] = []
    for seed in options.seeds:
        for strategy in options.strategy:
            for plugins in options.plugin:
                if (strategy, plugins, seed) not in done:
                    domains = domains or load_domains(options)
                    rows.append(_measured(options, domains, strategy, plugins, seed))
                    _append(options.out, rows[-1])
    print_table([row for row in rows if row["strategy"] in options.strategy and row["plugins"] in options.plugin])
    return 0


def load_domains(options: argparse.Namespace) -> list[Any]:
    """Photographs and digits, each a benchmark of one experience; of the photographs the first ones of each class."""
    from avalanche.benchmarks import benchmark_from_datasets

    from avalanche_ssl.data import class_labels
    from avalanche_ssl.streams import digits_on_photographs, folder

    photographs = folder(str(options.photographs), experiences=1)
    parts = {}
    for name, stream, count in (
        ("train", photographs.train_stream, options.images),
        ("test", photographs.test_stream, options.test_images),
    ):
        labels = class_labels(stream[0].dataset)
        rows = [i for label in sorted(set(labels.tolist())) for i in (labels == label).nonzero()[0][:count].tolist()]
        parts[name] = [stream[0].dataset.subset(rows)]
    return [benchmark_from_datasets(**parts), digits_on_photographs(1, composites=options.composites)]


def build(options: argparse.Namespace, strategy: str, plugins: str, seed: int) -> Any:
    """The strategy with its plugins: smallconv, Adam at a constant rate of 0.003, batches of 64."""
    from avalanche_ssl.plugins import PLUGINS, build_plugins, complete_plugins
    from avalanche_ssl.recipes import load_recipe, parse_settings

    names = [] if plugins.startswith("none") else plugins.split("+")
    chosen: dict[str, dict[str, Any]] = {name: {} for name in names}
    for name, value in parse_settings(options.set).items():
        plugin, _, key = name.partition(".")
        if plugin not in PLUGINS or not key:
            raise UsageError(f"--set {name}: give --set PLUGIN.KEY=VALUE, or --recipe {name}=VALUE")
        if plugin in chosen:
            chosen[plugin][key] = value
    settings = {"batch_size": 64, "optimizer": "adam", "lr": 0.003, "schedule.kind": "constant", "encoder": "smallconv"}
    recipe = load_recipe(strategy).override(settings).override(parse_settings(options.recipe))
    return recipe.build(seed=seed, plugins=build_plugins(complete_plugins(chosen)), evaluator=None)


def _measured(options: argparse.Namespace, domains: list[Any], name: str, plugins: str, seed: int) -> Row:
    """Train on one domain after the other, and probe both before and after the second."""
    strategy = build(options, name, plugins, seed)
    _, _, passes = plugins.partition("@")
    epochs = [options.epochs[0], int(passes or options.epochs[1])]
    scores, busy = [], 0.0
    for domain, count in zip(domains, epochs, strict=True):
        began = time.process_time()
        strategy.train_epochs = count
        strategy.train(domain.train_stream, eval_streams=[])
        busy += time.process_time() - began
        scores.append([_accuracy(strategy, each) for each in domains])
    (photographs, digits), (photographs_now, digits_now) = scores
    values = [name, plugins, seed, photographs, photographs_now, digits, digits_now]
    row = dict(zip(FIELDS, values, strict=True)) | {"train seconds": round(busy, 1)}
    print(", ".join(f"{key} {value:.4f}" if isinstance(value, float) else str(value) for key, value in row.items()))
    sys.stdout.flush()
    return row


def _accuracy(strategy: Any, domain: Any) -> float:
    """Accuracy of a ridge probe of a domain, fitted on its training images."""
    from avalanche_ssl.data import class_labels
    from avalanche_ssl.evaluation import FeatureExtractor
    from avalanche_ssl.probes import get_protocol, probe_accuracies

    sets = [[e.dataset for e in stream] for stream in (domain.train_stream, domain.test_stream)]
    extract = FeatureExtractor(sets, 512)
    train, test = (extract(strategy, part) for part in sets)
    n_classes = 1 + max(int(class_labels(part[0]).max()) for part in sets)
    fitted = get_protocol("ridge").fit(train, n_classes, [0])
    return float(probe_accuracies(fitted, test)["all"].mean())


def print_table(rows: list[Row]) -> None:
    """Means over seeds with standard deviations, in per cent, and differences to `none` paired by seed."""
    print(
        "| strategy | plugins | seeds | photographs before, after | kept beside none | digits | learned beside none |"
    )
    print("|---|---|---|---|---|---|---|")
    groups: dict[tuple[str, str], dict[int, Row]] = {}
    for row in rows:
        groups.setdefault((row["strategy"], row["plugins"]), {})[int(row["seed"])] = row
    for (strategy, plugins), found in groups.items():
        plain = groups.get((strategy, "none"), {})
        cells = [strategy, plugins, str(len(found))]
        before, after, digits = (
            _text([100 * float(row[key]) for row in found.values()])
            for key in ("photographs before", "photographs after", "digits after")
        )
        kept, learned = (
            _text([100 * (float(found[s][key]) - float(plain[s][key])) for s in found if s in plain], "+.1f")
            for key in ("photographs after", "digits after")
        )
        print(f"| {' | '.join(cells)} | {before}, {after} | {kept} | {digits} | {learned} |")


def _text(values: list[float], form: str = ".1f") -> str:
    if not values:
        return ""
    return format(mean(values), form) + (f" ± {stdev(values):.1f}" if len(values) > 1 else "")


def _read(path: Path) -> list[Row]:
    if not path.exists():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _append(path: Path, row: Row) -> None:
    is_new = not path.exists()
    with path.open("a", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(row))
        if is_new:
            writer.writeheader()
        writer.writerow(row)


if __name__ == "__main__":
    sys.exit(main())
