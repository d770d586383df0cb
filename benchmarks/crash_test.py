"""Kill or interrupt runs at random moments, resume them, and compare them bit for bit with undisturbed runs.

python benchmarks/crash_test.py --kills 3               # every recipe, fp32 and bf16, with and without replay
python benchmarks/crash_test.py --strategy moco --num-workers 0 2 --plugin none replay+cla-e --online-batch-size 0 10
python benchmarks/crash_test.py --interrupt --num-workers 2

A run is a process of its own that works as run.py does, on a small part of digits-on-photographs, with a narrow encoder
and small memories. One kill of a run comes while a probe is fitted, one while a checkpoint is written, and the others
at any time. With `--interrupt` SIGINT or SIGTERM goes to the whole process group instead, as a terminal and a batch
system send it, sometimes once more a moment later; the exit status must be 130 or 143 then. Compared are all parameters
and memories, the state of the optimizer, every random state, the accuracy matrix, and log.jsonl apart from its times.
Prints one line per run; exit status 1 if any run was lost.
"""

import itertools
import random
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from crashes.comparison import differences, log_of
from crashes.process import interrupt, kills, last_output, launch, wait
from crashes.small_run import run_options

from avalanche_ssl.cli.command import Parser, command
from avalanche_ssl.recipes import recipe_names


@command("crash_test.py")
def main(arguments: list[str] | None = None) -> int:
    """Kill and compare every combination of the options; exit status 1 if a run was lost, 2 for a mistake."""
    parser = Parser(description=__doc__)
    add = parser.add_argument
    add("--strategy", nargs="*", default=recipe_names(), metavar="NAME", help="(all)")
    add("--precision", nargs="*", default=["fp32", "bf16"])
    add("--num-workers", nargs="*", type=int, default=[0], help="loader processes; above 0 also decodes one by one")
    add("--plugin", nargs="*", default=["none", "replay"], metavar="NAMES", help="joined by +, or none (none replay)")
    add("--online-batch-size", nargs="*", type=int, default=[0], help="images per mini-batch of an online stream")
    add("--compile", action="store_true", help="compile the encoders with torch.compile")
    add("--interrupt", action="store_true", help="send SIGINT and SIGTERM to the process group, not SIGKILL")
    add("--kills", type=int, default=3, help="kills per run; one more comes from outside")
    add("--seed", type=int, default=0, help="seed of the moments")
    options = parser.parse_args(arguments)
    total = lost = 0
    noun = "interrupts" if options.interrupt else "kills"
    choices = (options.strategy, options.precision, options.num_workers, options.plugin)
    for strategy, precision, workers, plugins, online in itertools.product(*choices, options.online_batch_size):
        name = f"{strategy:<18} {precision} workers {workers} plugins {plugins} online {online:>2}"
        start = time.monotonic()
        words = run_options(strategy, precision, workers, plugins, online, options.compile)
        survived, wrong = kill_and_compare(name, words, options.kills, options.seed, options.interrupt)
        total += survived
        lost += bool(wrong)
        verdict = f"LOST: {', '.join(wrong[:4])}" if wrong else "the same, bit for bit"
        print(f"{name}  {survived} {noun}  {verdict}  ({time.monotonic() - start:.0f} s)", flush=True)
    print(f"{total} {noun} survived" if not lost else f"{lost} runs lost of those with {total} {noun}")
    return int(lost > 0)


def kill_and_compare(
    name: str, arguments: Sequence[str], count: int, seed: int, interrupt: bool = False
) -> tuple[int, list[str]]:
    """Run to the end once, and once more with kills or interrupts; how many there were, and what differs."""
    rng = random.Random(f"{seed} {name}")
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        unharmed, killed = folder / "unharmed", folder / "killed"
        start = time.monotonic()
        if status := wait(launch([*arguments, "--out", str(unharmed)], folder)):
            return 0, [f"the run that was not killed ended with {status}: {last_output(folder)}"]
        seconds = time.monotonic() - start
        words = [*arguments, "--resume", "--out", str(killed)]
        if interrupt:
            survived, wrong = _interrupt(words, folder, rng, count, seconds)
        else:
            steps = sum(e["steps"] for e in log_of(unharmed) if e["event"] == "experience")
            survived, wrong = _kill(words, folder, rng, count, seconds, steps)
        if not wrong and (status := wait(launch(["--resume", "--keep-checkpoints", "--out", str(killed)], folder))):
            wrong = [f"the last resume ended with {status}: {last_output(folder)}"]
        return survived, wrong or differences(unharmed, killed)


def _kill(
    arguments: Sequence[str], folder: Path, rng: random.Random, count: int, seconds: float, steps: int
) -> tuple[int, list[str]]:
    """Kill the run inside, at chosen moments, and once more from outside, at any time."""
    survived = 0
    for kind, prepare in itertools.islice(kills(rng, count, steps), count):
        status = wait(launch(arguments, folder, prepare))
        if status != -signal.SIGKILL:
            return survived, [f"a run to be killed in {kind} ended with {status}: {last_output(folder)}"]
        survived += 1
    child = launch(arguments, folder)
    time.sleep(rng.uniform(0.1, 0.6) * seconds)
    child.kill()
    return survived + (wait(child) == -signal.SIGKILL), []


def _interrupt(
    arguments: Sequence[str], folder: Path, rng: random.Random, count: int, seconds: float
) -> tuple[int, list[str]]:
    """Send signals to the process group of the run, at any time; a run may end before."""
    survived = 0
    for _ in range(count):
        number = rng.choice([signal.SIGINT, signal.SIGTERM])
        child = launch(arguments, folder)
        time.sleep(rng.uniform(0.1, 0.6) * seconds)
        interrupt(child, number)
        if rng.random() < 0.5:
            time.sleep(rng.uniform(0, 0.02))
            interrupt(child, number)
        status = wait(child)
        if status not in (0, 128 + number, -number):  # the last two are one to a shell; the former has saved
            return survived, [f"a run that got {number.name} ended with {status}: {last_output(folder)}"]
        survived += status != 0
    return survived, []


if __name__ == "__main__":
    sys.exit(main())
