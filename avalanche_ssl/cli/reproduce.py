"""Reproduce published numbers: train what an entry of the registry says, and print both beside each other.

avalanche-ssl reproduce --list
avalanche-ssl reproduce tiny/digits/simclr/replay
avalanche-ssl reproduce cla/cifar100/low/simclr/replay --data cifar100-450 --seeds 0,1,2
avalanche-ssl reproduce cla/cifar100/low/simclr --data cifar100-450 --dry-run   # all entries that begin so
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from avalanche_ssl.cli.command import Parser, command
from avalanche_ssl.errors import UsageError

if TYPE_CHECKING:
    from avalanche_ssl.reproductions import Entry


@command("avalanche-ssl reproduce")
def main(arguments: list[str] | None = None) -> int:
    """Run as a command; exit status 1 if a run failed."""
    parser = Parser(prog="avalanche-ssl reproduce", description=__doc__)
    add = parser.add_argument
    add("entry", nargs="?", metavar="ENTRY", help="name of an entry, or the beginning of several")
    add("--list", action="store_true", help="list the entries, their published numbers and how long they take")
    add("--seeds", default="0", metavar="NUMBERS", help="comma-separated (0)")
    add("--data", metavar="PATH", help="where the images are, if the entry needs them")
    add(
        "--out",
        type=Path,
        default=Path("runs/reproductions"),
        metavar="DIR",
        help="one folder per run inside (runs/reproductions); started again, finished runs are skipped",
    )
    add("--jobs", type=int, default=1, metavar="N", help="processes at a time (1)")
    add("--overwrite", action="store_true", help="replace runs of other settings that are there already")
    add("--dry-run", action="store_true", help="print the commands of the runs, and run none")
    parser.epilog = "Options of `avalanche-ssl run` after `--` change those of the entry."
    words = sys.argv[1:] if arguments is None else arguments
    end = words.index("--") if "--" in words else len(words)
    options, rest = parser.parse_args(words[:end]), words[end + 1 :]
    if options.list:
        _print_list()
        return 0
    if not options.entry:
        raise UsageError("no entry: give the name of one, see --list")

    from avalanche_ssl.cli.grid import whole_numbers
    from avalanche_ssl.cli.jobs import command_of, run_jobs
    from avalanche_ssl.reproductions import check_data, find_entries, results_text

    entries = find_entries(options.entry)
    seeds = [int(number) for number in whole_numbers(options.seeds, "--seeds")]
    _check_changes(rest)
    jobs = {
        entry.name: {
            options.out / f"{entry.name.replace('/', '-')}-s{seed}": _words(entry, seed, options.data, rest)
            for seed in seeds
        }
        for entry in entries
    }
    if options.dry_run:
        print(*(command_of(out, words) for each in jobs.values() for out, words in each.items()), sep="\n")
        return 0
    for data in dict.fromkeys(entry.data for entry in entries):
        check_data(data, options.data)
    _check_gpu(entries, rest)
    for entry in entries:
        print(f"{entry.name}: {entry.time} for each of {len(seeds)} seed{'s' * (len(seeds) > 1)}")
    every = {out: words for each in jobs.values() for out, words in each.items()}
    failed = run_jobs(every, overwrite=options.overwrite, processes=options.jobs)

    from avalanche_ssl.runs import read_run

    found = [(entry, [read_run(out) for out in jobs[entry.name] if out not in failed]) for entry in entries]
    print(f"\n{results_text(found)}")
    if rest:
        print(f"deviation of all: {' '.join(rest)}, as given")
    return 1 if failed else 0


def _words(entry: Entry, seed: int, data: str | None, rest: Sequence[str]) -> list[str]:
    """The options of a run of an entry."""
    from avalanche_ssl.cli.words import words_of
    from avalanche_ssl.reproductions import DATA

    needed = DATA[entry.data]
    given = {"data": data or (entry.data if needed.folder else None)} if needed.taken else {}
    return [*words_of({**entry.options, **given, "seed": seed}), *rest]


def _check_changes(rest: Sequence[str]) -> None:
    """Refuse options of a run that are not known, and those that the command gives: all seeds would be one."""
    from avalanche_ssl.cli.run import parser

    given = parser().parse_args(list(rest))
    for option, own in (("seed", "--seeds"), ("data", "--data"), ("out", "--out")):
        if getattr(given, option) is not None:
            raise UsageError(f"--{option} after `--`: give {own} before it")


def _check_gpu(entries: Sequence[Entry], rest: Sequence[str]) -> None:
    """Refuse entries that would take days here, unless a device is given."""
    meant = [entry for entry in entries if entry.gpu]
    if not meant or any(word.partition("=")[0] == "--device" for word in rest):
        return
    import torch

    if not torch.cuda.device_count():
        raise UsageError(
            f"{meant[0].name} is meant for a GPU ({meant[0].time}), and there is none: give `-- --device cpu` to train "
            "it here, or a smaller encoder with it"
        )


def _print_list() -> None:
    """Print the entries by table."""
    from avalanche_ssl.reproductions import read_entries

    entries = read_entries().values()
    width = max(len(entry.name) for entry in entries)
    for paper in dict.fromkeys(entry.paper for entry in entries):
        print(f"{paper}:")
        for entry in (entry for entry in entries if entry.paper == paper):
            number = "-" if entry.published is None else f"{entry.published:.1f}"
            print(f"  {entry.name:<{width}}  {number:>5}  {'GPU, ' * entry.gpu}{entry.time}")
