"""How the time of a step falls when several processes share its batch, and what travels between them.

python benchmarks/scaling.py --processes 1,2 --threads 1
python benchmarks/scaling.py --processes 1,2,4,8 --device cuda --clock wall --encoder resnet50 --size 224

Starts itself under torchrun for each number of processes, in turn. "strong" keeps the batch of all processes, "weak"
that of each. The efficiency is the step of one process divided by the processor time that all processes take together
for the same images; by wall time with --clock wall, which a machine of one's own needs. Milliseconds of parts are those
of process 0; "between" is what lies between them, gathering above all. MB are what a process gives to collectives.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from avalanche_ssl.cli.command import Parser, command
from avalanche_ssl.distributed import launched
from avalanche_ssl.errors import UsageError

COLUMNS = ("views", "forward", "loss", "backward", "optimizer", "memory", "rest")


@command("scaling.py", several=True)
def main(arguments: list[str] | None = None) -> int:
    """Measure and print, as a command; exit status 2 for a mistake."""
    parser = Parser(description=__doc__)
    add = parser.add_argument
    add("--processes", default="1,2", metavar="N,...", help="numbers of processes, the first of which is 1 (1,2)")
    add("--strategy", default="simclr", help="(simclr)")
    add("--encoder", default="smallconv", help="(smallconv)")
    add("--batch-size", type=int, default=64, help="images of a step of one process (64)")
    add("--size", type=int, default=32, help="side of an image in pixels (32)")
    add("--precision", default="fp32", choices=["fp32", "bf16"])
    add("--device", default="cpu", choices=["cpu", "cuda"])
    add("--clock", default="processor", choices=["processor", "wall"], help="of the efficiency (processor)")
    add("--threads", type=int, default=1, help="threads of a process on the CPU (1)")
    add("--steps", type=int, default=5, help="in each measurement (5)")
    add("--rounds", type=int, default=3, help="launches of each number of processes (3)")
    add("--weak", action="store_true", help="only the same share of each process, not the same batch of all")
    add("--strong", action="store_true", help="only the same batch of all")
    add("--worker", metavar="FILE", help="measure in this process, and write to a file; for this script itself")
    options = parser.parse_args(arguments)
    if options.worker:
        return _work(options)
    counts = _counts(options.processes)
    kinds = [kind for kind in ("strong", "weak") if getattr(options, kind) or not (options.weak or options.strong)]
    for kind in kinds:
        batches = {n: options.batch_size * (n if kind == "weak" else 1) for n in counts}
        taken: dict[int, list[dict[str, Any]]] = {n: [] for n in counts}
        for _ in range(options.rounds):
            for n in counts:
                taken[n].append(_launch(n, batches[n], options))
        print(f"\n{kind}: {options.strategy}, {options.encoder}, {options.size}x{options.size}, {options.precision}")
        _print(taken, batches, options.clock)
    return 0


def _counts(text: str) -> list[int]:
    """The numbers of processes."""
    words = text.split(",")
    counts = [int(word) for word in words if word.isdecimal() and int(word)]
    if len(counts) < len(words) or counts[0] != 1:
        raise UsageError(f"--processes is '{text}': give numbers that begin with 1, such as 1,2,4")
    return counts


def _launch(count: int, batch: int, options: Any) -> dict[str, Any]:
    """The figures of so many processes."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "figures.json"
        launcher = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={count}"] if count > 1 else []
        words = [__file__, "--worker", str(path), "--batch-size", str(batch)]
        for name in ("strategy", "encoder", "size", "precision", "device", "steps", "threads"):
            words += [f"--{name}", str(getattr(options, name))]
        done = subprocess.run([sys.executable, "-W", "ignore", *launcher, *words], capture_output=True, text=True)
        if done.returncode or not path.exists():
            said = [line for line in done.stderr.splitlines() if line.startswith("scaling.py: ")]
            reason = said[0].removeprefix("scaling.py: ") if said else done.stderr[-500:]
            raise UsageError(f"{count} processes failed: {reason}")
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return found


def _work(options: Any) -> int:
    """Measure in this process, one of several or the only one."""
    import avalanche  # noqa: F401  before processes join
    import torch
    from speed.case import Case
    from speed.processes import measure_step, of_processes

    from avalanche_ssl import distributed

    torch.set_num_threads(options.threads)
    device = distributed.start(options.device) if launched() > 1 else torch.device(options.device)
    case = Case(
        options.strategy, options.encoder, options.batch_size, options.size, options.precision, str(device), "wall"
    )
    found = of_processes(measure_step(case, options.steps, repeats=3))
    if distributed.is_main():
        Path(options.worker).write_text(json.dumps(found), encoding="utf-8")
    distributed.leave()
    return 0


def _print(taken: dict[int, list[dict[str, Any]]], batches: dict[int, int], clock: str) -> None:
    """The table."""
    names = [*COLUMNS[:-1], "between"]
    head = f"{'processes':>9}{'batch':>7}{'ms/step':>9}{'CPU ms':>8}{'images/s':>10}{'efficiency':>21}"
    print(head + "".join(f"{name:>10}" for name in names) + f"{'collectives':>13}{'MB/step':>9}")
    for n, rounds in taken.items():

        def median(name: str, rounds: list[dict[str, Any]] = rounds) -> float:
            return float(statistics.median(found[name] for found in rounds))

        each = [
            batches[n] / batches[1] * one[clock] / (n * found[clock])
            for one, found in zip(taken[1], rounds, strict=True)
        ]
        efficiency = f"{statistics.median(each):.0%} ({min(each):.0%}-{max(each):.0%})"
        parts = [statistics.median(found["parts"][name] for found in rounds) for name in COLUMNS]
        print(
            f"{n:>9}{batches[n]:>7}{median('wall'):>9.1f}{median('processor'):>8.1f}"
            f"{1000 * batches[n] / median('wall'):>10,.0f}{efficiency:>21}"
            + "".join(f"{part:>10.1f}" for part in parts)
            + f"{median('collectives'):>13.0f}{median('megabytes'):>9.2f}"
        )


if __name__ == "__main__":
    sys.exit(main())
