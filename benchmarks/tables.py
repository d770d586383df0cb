"""Every table of speed for this machine, with a GPU or without; started again, it skips what is finished.

python benchmarks/tables.py
python benchmarks/tables.py --benchmark folder --data path/to/cifar100 --out runs/tables
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

from avalanche_ssl.errors import UsageError

HERE = Path(__file__).resolve().parent
PEERS = "moco,simclr,byol,swav"


def main(arguments: list[str] | None = None) -> int:
    """Run as a command; status 1 if a table failed, 2 for a mistake."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--device", default="auto", help="auto, cpu or cuda (auto)")
    add("--benchmark", default="split-cifar100", metavar="NAME", help="stream of the runs on a GPU (split-cifar100)")
    add("--data", metavar="DIR", help="folder of that stream")
    add("--only", metavar="NAMES", help="some of the tables, comma-separated")
    add("--out", type=Path, default=Path("runs/tables"), metavar="DIR", help="a text a table inside (runs/tables)")
    add("--list", action="store_true", help="show the commands and run none")
    options = parser.parse_args(arguments)
    try:
        jobs = _chosen(options)
    except UsageError as error:
        print("tables.py:", error, file=sys.stderr)
        return 2
    if options.list:
        print("\n".join(f"{name}: python benchmarks/{' '.join(words)}" for name, words in jobs.items()))
        return 0
    options.out.mkdir(parents=True, exist_ok=True)
    failed = [name for name, words in jobs.items() if not _made(name, words, options.out)]
    for name in failed:
        print(f"failed: {name} (see {options.out / name}.part)")
    return 1 if failed else 0


def plan(device: str, benchmark: str, data: str | None, out: Path) -> dict[str, list[str]]:
    """The command of each table by name: sizes that a GPU is bought for, or those that two cores can bear."""
    speed = ["throughput.py", "--device", device]
    if device == "cpu":
        small, large = ["--encoder", "smallconv", "--batch-size"], ["--encoder", "resnet18", "--batch-size"]
        return {
            "views": [*speed, "--augment"],
            "memory": [*speed, "--memory"],
            "smallconv": [*speed, "--strategy", "all", *small, "128", "--rounds", "3"],
            "resnet18": [*speed, "--strategy", "all", *large, "64", "--rounds", "2", "--steps", "1"],
            "lightly-smallconv": [*speed, "--strategy", PEERS, *small, "256", "--peer", "lightly"],
            "lightly-resnet18": [
                *speed,
                "--strategy",
                PEERS,
                *large,
                "128",
                "--peer",
                "lightly",
                "--rounds",
                "2",
                "--steps",
                "1",
            ],
            "features": [*speed, "--features"],
            "growth": [*speed, "--scale", "--rounds", "2", "--batch-size", "64"],
            "probes": ["probe_costs.py"],
        }
    residual = ["--encoder", "resnet18,resnet50", "--batch-size"]
    place = ["--benchmark", benchmark, *(["--data", data] if data else []), "--device", device]
    pair = ["--strategy", "moco,simclr", *residual]
    learn = ["--experiences", "5", "--epochs", "100", "--encoder", "resnet18", "--set", "batch_size=256"]
    return {
        "views": [*speed, "--augment"],
        "resnets": [*speed, *pair, "256,512,1024,2048,4096", "--precision", "bf16,fp32"],
        "all": [*speed, "--strategy", "all", *residual, "256"],
        "compiled": [*speed, *pair, "256", "--compile"],
        "lightly": [*speed, "--strategy", PEERS, *residual, "256,1024", "--peer", "lightly"],
        "features": [*speed, "--features", "--encoder", "resnet18,resnet50"],
        "growth": [*speed, "--scale", "--encoder", "resnet18", "--batch-size", "256"],
        "cifar100": [
            *("sweep.py", "--strategy", "simclr,moco", "--out", str(out / "cifar100"), "--"),
            *(*place, *learn, "--probes", "ridge,cassle-offline"),
        ],
    }


def _chosen(options: argparse.Namespace) -> dict[str, list[str]]:
    from run import _machine

    from avalanche_ssl.errors import nearest

    jobs = plan(_machine(options.device, "fp32")[0], options.benchmark, options.data, options.out)
    names = options.only.split(",") if options.only else [*jobs]
    for name in names:
        if name not in jobs:
            raise nearest("table", name, jobs)
    return {name: jobs[name] for name in names}


def _made(name: str, words: list[str], out: Path) -> bool:
    """Whether the table is there, or could be made; an unfinished one stays beside as `.part`."""
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
