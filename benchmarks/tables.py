"""Make every table of speed for this machine, with a GPU or without; finished tables are skipped on a second start.

python benchmarks/tables.py
python benchmarks/tables.py --benchmark folder --data path/to/cifar100 --out runs/tables
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

from avalanche_ssl.cli.command import Parser, command

HERE = Path(__file__).resolve().parent
PEERS = "--strategy moco,simclr,byol,swav --peer lightly"
PAIR = "--strategy moco,simclr --encoder resnet18,resnet50"
ON_CPU = {
    "views": "--augment",
    "memory": "--memory",
    "smallconv": "--strategy all --batch-size 128 --rounds 3",
    "resnet18": "--strategy all --encoder resnet18 --batch-size 64 --rounds 2 --steps 1",
    "lightly-smallconv": f"{PEERS} --batch-size 256",
    "lightly-resnet18": f"{PEERS} --encoder resnet18 --batch-size 128 --rounds 2 --steps 1",
    "features": "--features",
    "growth": "--scale --batch-size 64 --rounds 2",
}
"""Arguments of throughput.py by table, of sizes that two cores can compute."""
ON_GPU = {
    "views": "--augment",
    "resnets": f"{PAIR} --batch-size 256,512,1024,2048,4096 --precision bf16,fp32",
    "all": "--strategy all --encoder resnet18,resnet50 --batch-size 256",
    "compiled": f"{PAIR} --batch-size 256 --compile",
    "lightly": f"{PEERS} --encoder resnet18,resnet50 --batch-size 256,1024",
    "features": "--features --encoder resnet18,resnet50",
    "growth": "--scale --encoder resnet18 --batch-size 256",
}
"""Arguments of throughput.py by table, of sizes that fill a GPU."""
RUN = "--experiences 5 --epochs 100 --encoder resnet18 --set batch_size=256 --probes ridge,cassle-offline"
"""Arguments of the runs on a GPU."""


@command("tables.py")
def main(arguments: list[str] | None = None) -> int:
    """Run as a command; exit status 1 if a table failed, 2 for a mistake."""
    parser = Parser(description=__doc__)
    add = parser.add_argument
    add("--device", default="auto", help="auto, cpu or cuda (auto)")
    add("--benchmark", default="split-cifar100", metavar="NAME", help="stream of the runs on a GPU (split-cifar100)")
    add("--data", metavar="DIR", help="folder of that stream")
    add("--only", metavar="NAMES", help="some of the tables, comma-separated")
    add("--out", type=Path, default=Path("runs/tables"), metavar="DIR", help="folder for the tables (runs/tables)")
    add("--list", action="store_true", help="print the commands and run none")
    options = parser.parse_args(arguments)
    jobs = _chosen(options)
    if options.list:
        print("\n".join(f"{name}: python benchmarks/{' '.join(words)}" for name, words in jobs.items()))
        return 0
    options.out.mkdir(parents=True, exist_ok=True)
    failed = [name for name, words in jobs.items() if not _make(name, words, options.out)]
    for name in failed:
        print(f"failed: {name} (see {options.out / name}.part)")
    return 1 if failed else 0


def plan(device: str, benchmark: str, data: str | None, out: Path) -> dict[str, list[str]]:
    """The command of each table: a script of this folder and its arguments."""
    tables = ON_CPU if device == "cpu" else ON_GPU
    jobs = {name: ["throughput.py", "--device", device, *text.split()] for name, text in tables.items()}
    if device == "cpu":
        return jobs | {"probes": ["probe_cost.py"]}
    stream = ["--benchmark", benchmark, *(["--data", data] if data else []), "--device", device]
    sweep = ["sweep.py", "--strategy", "simclr,moco", "--out", str(out / "cifar100"), "--", *stream, *RUN.split()]
    return jobs | {"cifar100": sweep}


def _chosen(options: argparse.Namespace) -> dict[str, list[str]]:
    """The commands of the tables that the options ask for."""
    from avalanche_ssl.errors import unknown_name
    from avalanche_ssl.runs import resolve_machine

    jobs = plan(resolve_machine(options.device, "fp32")[0], options.benchmark, options.data, options.out)
    names = options.only.split(",") if options.only else [*jobs]
    for name in names:
        if name not in jobs:
            raise unknown_name("table", name, jobs)
    return {name: jobs[name] for name in names}


def _make(name: str, words: list[str], out: Path) -> bool:
    """Make a table unless it exists; False if that failed. An unfinished table stays there as `NAME.part`."""
    text, part = out / f"{name}.txt", out / f"{name}.part"
    if text.exists():
        print(f"{name}: finished already, {text}")
        return True
    command = [sys.executable, str(HERE / words[0]), *words[1:]]
    with part.open("w", encoding="utf-8") as file:
        print(f"python benchmarks/{' '.join(words)}", file=file, flush=True)
        code = subprocess.run(command, stdout=file, stderr=subprocess.STDOUT, check=False).returncode
    if code == 0:
        part.replace(text)
    print(f"{name}: {'done' if code == 0 else 'FAILED'}, {text if code == 0 else part}", flush=True)
    return code == 0


if __name__ == "__main__":
    sys.exit(main())
