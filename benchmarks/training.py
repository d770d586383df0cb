"""The main job behind run.py: learn a stream, probe, show progress, write the run's files."""

import platform
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from avalanche.core import SupervisedPlugin
from tqdm import tqdm

import avalanche_ssl
from avalanche_ssl import results
from avalanche_ssl.errors import UsageError
from avalanche_ssl.evaluation import ProbePlugin
from avalanche_ssl.gallery import FOLDER, Gallery
from avalanche_ssl.ledger import spent
from avalanche_ssl.log import JsonLog
from avalanche_ssl.recipe import Recipe
from avalanche_ssl.streams import online
from avalanche_ssl.vitals import Vitals

FILES = ("config.yaml", "log.jsonl", "accuracy.csv", "accuracy.png", "encoder.pt")


def train(
    recipe: Recipe,
    benchmark: Any,
    config: dict[str, Any],
    out: Path,
    start: float,
) -> None:
    """Learn the whole stream and leave config.yaml, log.jsonl, accuracy.csv and accuracy.png in `out`.

    A stream without labels cannot be probed: of it, config.yaml and log.jsonl are left.
    """
    log = JsonLog(out / "log.jsonl")
    names = config["probes"].split(",")
    probe = ProbePlugin(benchmark, probes=names, log=log) if benchmark.class_names else None
    progress = Progress(len(benchmark.train_stream))
    vitals = Vitals(benchmark, log=log)
    plugins = [progress, vitals, probe] if probe else [progress, vitals]
    device, precision = config["device"], config["precision"]
    strategy = recipe.build(seed=config["seed"], device=device, precision=precision, plugins=plugins)

    _open(out, config)
    name = f"{Path(config['strategy']).stem} on {config['benchmark']}, seed {config['seed']}"
    log("run", name=name, config=config, device=device, precision=precision, versions=_versions())
    print(f"{name} ({device}, {precision}, {recipe.encoder}) -> {out}")
    gallery = Gallery(probe.test, out) if probe else None
    if probe and gallery:
        probe.measure(strategy)
        gallery.save(0, probe.latest)
        print(f"untrained encoder: all {results.percent(float(np.mean(probe.untrained('all'))))} %")
    else:
        print("the stream has no labels: nothing to probe, watch the loss")
    for experience in benchmark.train_stream:
        part = online(experience, config["online"], seed=config["seed"]) if config["online"] else experience
        with progress.watch(len(experience.dataset) * recipe.epochs):
            strategy.train(part, eval_streams=[], num_workers=config["workers"])
        log("experience", **progress.last)
        if probe and gallery:
            gallery.save(progress.learnt, probe.latest)
        torch.save(strategy.model.encoder.state_dict(), out / "encoder.pt")
        print(progress.line(probe))
    seconds = time.perf_counter() - start
    log("spent", **spent(strategy, progress.example, progress.images, progress.steps))
    log("end", images=progress.images, train_seconds=round(progress.seconds, 3), seconds=round(seconds, 3))
    if probe:
        _report(probe, out, name)
    print(f"\ntraining {progress.seconds:.1f} s, {progress.rate:,.0f} images/s; everything {seconds:.1f} s")
    print(f"files in {out}: {', '.join(f for f in FILES if (out / f).exists())}")


class Progress(SupervisedPlugin):  # type: ignore[misc]
    """A bar while an experience is learnt, and what is said of it afterwards."""

    def __init__(self, experiences: int) -> None:
        super().__init__()
        self.experiences = experiences
        self.learnt = self.images = self.steps = 0
        self.seconds = 0.0
        self.example: torch.Tensor | None = None
        """Two raw images of the stream."""
        self.last: dict[str, Any] = {}
        """Fields of the latest `experience` event."""

    @property
    def rate(self) -> float:
        """Images a second while learning, evaluation excluded."""
        return self.images / max(self.seconds, 1e-9)

    @contextmanager
    def watch(self, images: int) -> Iterator[None]:
        """Show the progress over an experience of so many images, passes included."""
        self.learnt += 1
        self._loss, self._steps, self._here, self._here_seconds = torch.zeros(()), 0, 0, 0.0
        title = f"experience {self.learnt}/{self.experiences}"
        with tqdm(total=images, desc=title, unit="img", unit_scale=True, leave=False, mininterval=0.5) as self._bar:
            yield
        self.images += self._here
        self.steps += self._steps
        self.seconds += self._here_seconds
        self.last = {
            "trained": self.learnt,
            "images": self.images,
            "steps": self._steps,
            "loss": float(self._loss) / max(self._steps, 1),
            "seconds": round(self._here_seconds, 3),
            "images_per_second": round(self._here / max(self._here_seconds, 1e-9), 1),
        }

    def before_training_exp(self, strategy: Any, **kwargs: Any) -> None:
        """Start the clock; after the data were made ready, before the first step."""
        self._since = time.perf_counter()

    def after_training_iteration(self, strategy: Any, **kwargs: Any) -> None:
        """Move the bar; the loss is read from the device only when the bar is drawn."""
        self._loss = self._loss + strategy.loss.detach().squeeze()
        self._steps += 1
        self.example = strategy.mb_x[:2]
        self._here += len(strategy.mb_x)
        if self._bar.update(len(strategy.mb_x)):
            self._bar.set_postfix(loss=f"{float(self._loss) / self._steps:.3f}")

    def after_training_epoch(self, strategy: Any, **kwargs: Any) -> None:
        """Stop the clock before anybody evaluates."""
        now = time.perf_counter()
        self._here_seconds += now - self._since
        self._since = now

    def after_training_exp(self, strategy: Any, **kwargs: Any) -> None:
        """Stop a run that has diverged, before the probes fail on it."""
        if not torch.isfinite(self._loss):
            raise UsageError(
                f"the loss of experience {self.learnt} is not finite: lower lr ({strategy.optimizer.defaults['lr']}), "
                "raise temperature, or clip the gradient with --set clip=1"
            )

    def line(self, probe: ProbePlugin | None) -> str:
        """A row of the table: what the latest experience cost and what the probes say after it."""
        last = self.last
        text = (
            f"experience {last['trained']}/{self.experiences}  {last['images']:>9,} images  {last['seconds']:>6.1f} s"
            f"  {last['images_per_second']:>7,.0f} images/s  loss {last['loss']:>7.3f}"
        )
        for scope, row in (probe.rows[-1] if probe else {}).items():
            text += "" if "/" in scope else f"  {scope} {results.percent(float(np.nanmean(row))):>5} %"
        return text


def _open(out: Path, config: dict[str, Any]) -> None:
    """Make the run's folder, without the files of an earlier run there, and write the configuration."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        for name in FILES:
            (out / name).unlink(missing_ok=True)
        shutil.rmtree(out / FOLDER, ignore_errors=True)
        (out / "config.yaml").write_text(yaml.safe_dump(config, sort_keys=False), encoding="utf-8")
    except OSError as error:
        raise UsageError(f"cannot write to {out}: {error.strerror}; give another --out") from error


def _report(probe: ProbePlugin, out: Path, name: str) -> None:
    """Print the matrix and the summary; write the CSV and the picture."""
    matrix, untrained = probe.matrix("all"), probe.untrained("all")
    headline = probe.probes[0]
    print(f"\naccuracy (%) on the test data of each experience; {headline.name}, fitted on the training data of all")
    print(results.matrix_table(matrix, untrained))
    print()
    if len(probe.probes) > 1:
        print(results.protocol_table(probe))
        print()
    for metric, value in results.summary(matrix, untrained).items():
        print(f"{metric:<20} {results.percent(value):>6} %   {results.EXPLAIN[metric]}")
    results.write_csv(out / "accuracy.csv", probe.rows, headline.name)
    results.draw(out / "accuracy.png", name, {s: probe.matrix(s) for s in probe.scopes}, untrained)


def _versions() -> dict[str, str]:
    packages = ("torch", "torchvision", "avalanche-lib", "numpy")
    return {
        "avalanche-ssl": avalanche_ssl.__version__,
        "python": platform.python_version(),
    } | {p: version(p) for p in packages}
