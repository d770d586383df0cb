"""The main job behind run.py: learn a stream, probe, show progress, write the run's files."""

import math
import platform
import shutil
import textwrap
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from avalanche.core import SupervisedPlugin
from avalanche.training.storage_policy import ExperienceBalancedBuffer, ReservoirSamplingBuffer
from tqdm import tqdm

import avalanche_ssl
from avalanche_ssl import points, questions, results
from avalanche_ssl.errors import UsageError
from avalanche_ssl.evaluation import ProbePlugin
from avalanche_ssl.export import write_encoder
from avalanche_ssl.files import locked, replacing
from avalanche_ssl.gallery import FOLDER, Gallery
from avalanche_ssl.ledger import spent
from avalanche_ssl.logging.jsonl import JsonLog
from avalanche_ssl.recipe import Recipe
from avalanche_ssl.resume import Checkpoints
from avalanche_ssl.rng import _seed
from avalanche_ssl.streams import online_stream
from avalanche_ssl.training.avalanche_fixes import Replay
from avalanche_ssl.vitals import Vitals

FILES = ("config.yaml", "log.jsonl", "accuracy.csv", "points.csv", "accuracy.png", "encoder.pt")

SIGNS = ("feature_std", "rankme", "alignment", "uniformity", "drift_cka")

ROWS = 40
"""A stream of more experiences is probed after as many of them at most, unless the user says how often."""

DEAD = 0.001
"""Share of the healthy standard deviation of unit features below which nothing can be learnt any more."""


def train(
    recipe: Recipe,
    benchmark: Any,
    config: dict[str, Any],
    out: Path,
    *,
    every: str = "10min",
    resume: bool = False,
    before: Mapping[str, float] = {},
) -> None:
    """Learn the whole stream and leave config.yaml, log.jsonl, accuracy.csv, accuracy.png and a checkpoint in `out`.

    A stream without labels cannot be probed: of it, accuracy.csv and accuracy.png are not left.

    Args:
        recipe: what learns.
        benchmark: the stream.
        config: all settings; a resumed run must have the same.
        out: the run's folder.
        every: how often a checkpoint is written inside an experience, see `Interval.parse`.
        resume: go on from the checkpoint in `out`, if there is one.
        before: seconds that were spent before, by what they were spent on; told at the end.

    Raises:
        UsageError: the run cannot go on; the message says why and where its last checkpoint is.
        StoppedError: a signal came, and the state is saved.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        lock = ExitStack()
        lock.enter_context(locked(out))
    except OSError as error:
        raise UsageError(f"cannot write to {out}: {error.strerror}; give another --out") from error
    with lock:
        try:
            _train(recipe, benchmark, config, out, every, resume, before)
        except OSError as error:
            raise UsageError(f"cannot write to {out}: {error.strerror}; make room, then --resume") from error


def _train(
    recipe: Recipe,
    benchmark: Any,
    config: dict[str, Any],
    out: Path,
    every: str,
    resume: bool,
    before: Mapping[str, float],
) -> None:
    log = JsonLog(out / "log.jsonl")
    names = config["probes"].split(",")
    at = points.Points.parse(config["probe_every"]) if config["probe_every"] else None
    boundaries = config["probe_boundaries"] or -(-len(benchmark.train_stream) // ROWS)
    probe = (
        ProbePlugin(benchmark, probes=names, points=at, log=log, boundaries=boundaries)
        if benchmark.class_names
        else None
    )
    shuffle = not getattr(benchmark, "ordered", False)
    progress = Progress(len(benchmark.train_stream))
    vitals = Vitals(benchmark, log=log, boundaries=boundaries)
    device, precision = config["device"], config["precision"]
    given = [progress, _replay(config), vitals, probe]
    strategy = recipe.build(
        seed=config["seed"],
        device=device,
        precision=precision,
        compiled=config["compile"],
        on_nan=config["on_nan"],
        plugins=[plugin for plugin in given if plugin],
    )
    settings = {name: value for name, value in config.items() if name != "workers"}  # they change no result
    checkpoints = Checkpoints(
        out / "checkpoint", strategy, benchmark.train_stream, every=every, config=settings, log=log
    )
    name = f"{Path(config['strategy']).stem} on {config['benchmark']}, seed {config['seed']}"
    resumed = resume and checkpoints.resume()
    if not resumed:
        _open(out, config)
        log("run", name=name, config=config, device=device, precision=precision, versions=_versions())
        _seed(config["seed"])
    encoder = f"{recipe.encoder}, compiled" if config["compile"] else recipe.encoder
    print(f"{name} ({device}, {precision}, {encoder}) -> {out}")
    gallery = Gallery(probe.test, out) if probe else None
    if resumed:
        print(f"resumed after {strategy.clock.train_iterations} steps, {checkpoints.done} experiences complete")
    elif probe and gallery:
        probe.measure(strategy)
        gallery.save(0, probe.latest)
        print(f"untrained encoder: all {results.percent(float(np.mean(probe.untrained('all'))))} %")
    if not probe:
        print("the stream has no labels: nothing to probe, watch the loss")
    try:
        with checkpoints.signals():
            for experience in checkpoints.stream(benchmark.train_stream):
                part = _cut(experience, config, shuffle)
                with progress.watch(len(experience.dataset) * recipe.epochs):
                    strategy.train(
                        part, eval_streams=[], num_workers=config["workers"], shuffle=shuffle or config["online"] > 0
                    )
                log("experience", **progress.last)
                if probe and gallery and probe.measured:
                    gallery.save(progress.learnt, probe.latest)
                write_encoder(out / "encoder.pt", strategy.model.encoder.state_dict())
                print(progress.line(probe))
                _check_alive(vitals)
    except UsageError as error:
        raise UsageError(f"{error}; {_where(checkpoints, vitals, strategy)}") from error
    clocks = {
        "train_seconds": progress.seconds,
        "seconds": checkpoints.seconds + sum(before.values()),
        "checkpoint_seconds": checkpoints.writing,
        "probe_seconds": probe.eval_seconds if probe else 0.0,
        **{f"{name}_seconds": value for name, value in before.items()},
    }
    log("spent", **spent(strategy, progress.example, progress.images, progress.steps))
    log("end", images=progress.images, **{name: round(value, 3) for name, value in clocks.items()})
    if probe:
        _report(probe, out, name)
    print(f"\ntraining {progress.seconds:.1f} s, {progress.rate:,.0f} images/s", end="; ")
    print(f"everything {clocks['seconds']:.1f} s, of it {_parts(clocks)}")
    print(f"files in {out}: {', '.join(f for f in FILES if (out / f).exists())}")


def _parts(clocks: Mapping[str, float]) -> str:
    """What the seconds beside those of training went into; "rest" is health, pictures and reports."""
    parts = {name.removesuffix("_seconds"): s for name, s in clocks.items() if name not in ("seconds", "train_seconds")}
    parts["rest"] = clocks["seconds"] - clocks["train_seconds"] - sum(parts.values())
    return ", ".join(f"{name} {seconds:.1f}" for name, seconds in parts.items())


def _cut(experience: Any, config: dict[str, Any], shuffle: bool) -> Any:
    """The experience, or its mini-batches, in which the order does not matter."""
    size = config["online"]
    return online_stream(experience, size, seed=config["seed"], shuffle=shuffle) if size else experience


def _replay(config: dict[str, Any]) -> Replay | None:
    """A memory of so many images: equal parts of all experiences, or, of mini-batches, a fair sample of all images."""
    size, batch = config["replay"], config["replay_batch"] or 2 * config["online"] or None
    kind = ReservoirSamplingBuffer if config["online"] else ExperienceBalancedBuffer
    return Replay(mem_size=size, batch_size_mem=batch, storage_policy=kind(size)) if size else None


def _check_alive(vitals: Vitals) -> None:
    """Stop a run whose features have collapsed beyond recovery: of identical features no loss has a useful gradient."""
    event = vitals.events[-1] if vitals.events else {}
    std = event.get("feature_std", 1.0)
    if std < DEAD / math.sqrt(event.get("dim", 1)):
        raise UsageError(
            f"the features have collapsed beyond recovery after experience {event['trained']}: lower lr, or look at "
            "temperature, momentum and batch_size"
        )


def _where(checkpoints: Checkpoints, vitals: Vitals, strategy: Any) -> str:
    """What someone wants to know of a run that was stopped by a fault."""
    signs = ", ".join(f"{k} {v:.3g}" for k, v in vitals.events[-1].items() if k in SIGNS) if vitals.events else ""
    health = f" after experience {vitals.events[-1]['trained']}: {signs}" if signs else ": none measured yet"
    last = f"step {checkpoints.saved_at}, {checkpoints.path}" if checkpoints.saved_at is not None else "none"
    return f"stopped after step {strategy.clock.train_iterations}; vital signs{health}; last good checkpoint: {last}"


class Progress(SupervisedPlugin):  # type: ignore[misc]
    """A bar while an experience is learnt, and what is said of it afterwards."""

    KEPT = ("learnt", "images", "steps", "seconds", "example", "last", "_loss", "_steps", "_here", "_here_seconds")
    _bar: Any = None

    def __init__(self, experiences: int) -> None:
        super().__init__()
        self.experiences = experiences
        self.learnt = self.images = self.steps = 0
        self.seconds = 0.0
        self.example: torch.Tensor | None = None
        """Two raw images of the stream."""
        self.last: dict[str, Any] = {}
        """Fields of the latest `experience` event."""
        self._loss, self._steps, self._here, self._here_seconds = torch.zeros(()), 0, 0, 0.0
        self._since = 0.0

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint keeps."""
        return {name: getattr(self, name) for name in self.KEPT} | {"running": time.perf_counter() - self._since}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from `state_dict`, and move the bar, if there is one, to where it was."""
        for name in self.KEPT:
            setattr(self, name, state[name])
        self._since = time.perf_counter() - state["running"]
        if self._bar is not None:
            self._bar.set_description(self._title())
            self._bar.update(self._here - self._bar.n)

    @property
    def rate(self) -> float:
        """Images a second while learning, evaluation excluded."""
        return self.images / max(self.seconds, 1e-9)

    @contextmanager
    def watch(self, images: int) -> Iterator[None]:
        """Show the progress over an experience of so many images, passes included."""
        self.learnt += 1
        self._loss, self._steps, self._here, self._here_seconds = torch.zeros(()), 0, 0, 0.0
        bar = tqdm(total=images, desc=self._title(), unit="img", unit_scale=True, leave=False, mininterval=0.5)
        with bar as self._bar:
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

    def _title(self) -> str:
        return f"experience {self.learnt}/{self.experiences}"

    def before_training_exp(self, strategy: Any, **kwargs: Any) -> None:
        """Start the clock; after the data were made ready, before the first step."""
        self._since = time.perf_counter()

    def after_training_iteration(self, strategy: Any, **kwargs: Any) -> None:
        """Move the bar; the loss is read from the device only when the bar is drawn."""
        self._loss = self._loss + strategy.loss.detach().squeeze()
        self._steps += 1
        if self.example is None:
            self.example = strategy.mb_x[:2].clone()  # not a view, with which a checkpoint would keep the whole batch
        self._here += len(strategy.mb_x)
        if self._bar.update(len(strategy.mb_x)):
            self._bar.set_postfix(loss=f"{float(self._loss) / self._steps:.3f}")

    def after_training_epoch(self, strategy: Any, **kwargs: Any) -> None:
        """Stop the clock before anybody evaluates."""
        now = time.perf_counter()
        self._here_seconds += now - self._since
        self._since = now

    def line(self, probe: ProbePlugin | None) -> str:
        """A row of the table: what the latest experience cost and what the probes say after it."""
        last = self.last
        text = (
            f"experience {last['trained']}/{self.experiences}  {last['images']:>9,} images  {last['seconds']:>6.1f} s"
            f"  {last['images_per_second']:>7,.0f} images/s  loss {last['loss']:>7.3f}"
        )
        for scope, row in (probe.rows[-1] if probe and probe.measured else {}).items():
            text += "" if "/" in scope else f"  {scope} {results.percent(float(np.nanmean(row))):>5} %"
        return text


def _open(out: Path, config: dict[str, Any]) -> None:
    """Clear the run's folder of the files of an earlier run, and write the configuration."""
    for path in [*(out / name for name in (*FILES, "encoder.md")), *out.glob("checkpoint*")]:
        path.unlink(missing_ok=True)
    shutil.rmtree(out / FOLDER, ignore_errors=True)
    with replacing(out / "config.yaml") as file:
        file.write(yaml.safe_dump(config, sort_keys=False).encode())


def _report(probe: ProbePlugin, out: Path, name: str) -> None:
    """Print the matrix and the summary; write the CSV and the picture."""
    matrix, untrained = probe.matrix("all"), probe.untrained("all")
    headline = probe.probes[0]
    print(f"\naccuracy (%) on the test data of each experience; {headline.name}, fitted on the training data of all")
    print(results.matrix_table(matrix, untrained))
    print()
    if len(probe.probes) > 1 or headline.odd:
        print(results.protocol_table(probe))
        print()
    if probe.curve:
        print(f"mean accuracy (%) by images of the stream seen; {headline.name}")
        print(points.table(probe.curve, headline.name))
        print()
    if probe.answers:
        grouping = next(iter(probe.questions[0].groups), "")
        print(f"further questions to the probe (accuracy in %; {probe.answers[0][1][0].question} by {grouping} first)")
        print(questions.table(probe.answers, grouping, final=probe.final_answers))
        print()
    for metric, value in results.summary(matrix, untrained, probe.consolidation).items():
        print(f"{metric:<20} {results.percent(value):>6} %   {results.EXPLAIN[metric]}")
    results.write_csv(out / "accuracy.csv", probe.rows, headline.name, {p.name: p.odd for p in probe.probes})
    title = "\n".join([name, *textwrap.wrap(f"{headline.name}: {headline.odd}", 110)]) if headline.odd else name
    matrices = {scope: probe.matrix(scope) for scope in probe.scopes if scope in headline.scopes}
    curves = {scope: points.curve(probe.curve, headline.name, scope) for scope in matrices} if probe.curve else None
    results.draw(out / "accuracy.png", title, matrices, untrained, curves)
    if probe.curve:
        points.write(out / "points.csv", probe.curve)


def _versions() -> dict[str, str]:
    packages = ("torch", "torchvision", "avalanche-lib", "numpy")
    return {
        "avalanche-ssl": avalanche_ssl.__version__,
        "python": platform.python_version(),
    } | {p: version(p) for p in packages}
