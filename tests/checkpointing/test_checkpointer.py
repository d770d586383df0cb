"""Does a run that was stopped go on as if it had not been, bit for bit?"""

import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from avalanche.checkpointing import maybe_load_checkpoint, save_checkpoint
from avalanche.evaluation.metrics import accuracy_metrics, forgetting_metrics, loss_metrics
from avalanche.training import plugins as av
from avalanche.training.storage_policy import ClassBalancedBuffer, ReservoirSamplingBuffer
from crashes import comparison, process, small_run
from helpers.encoders import tiny
from torch.optim import SGD
from torchvision import transforms

from avalanche_ssl import ProbePlugin, SelfSupervised
from avalanche_ssl.checkpointing import file_format, fingerprint
from avalanche_ssl.checkpointing.checkpointer import Checkpointer
from avalanche_ssl.checkpointing.interval import SaveInterval
from avalanche_ssl.checkpointing.strategy_state import capture
from avalanche_ssl.cli import run
from avalanche_ssl.errors import UsageError
from avalanche_ssl.evaluation.schedule import ProbeSchedule
from avalanche_ssl.methods import CMC, MoCo, SimCLR
from avalanche_ssl.models.encoders import ENCODERS
from avalanche_ssl.plugins.monitor import RepresentationMonitor
from avalanche_ssl.runs.embeddings import EmbeddingSnapshots
from avalanche_ssl.streams import BENCHMARKS, online_stream
from avalanche_ssl.training.avalanche_fixes import allow_save_checkpoint


@pytest.fixture(autouse=True)
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to work in; the small stream and encoder of the torture script; checkpoints at any cost."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(ENCODERS, "tiny", tiny)
    monkeypatch.setitem(BENCHMARKS, "few-digits", small_run.few_digits)
    monkeypatch.setitem(Checkpointer.__init__.__kwdefaults__, "share", 1.0)  # type: ignore[arg-type]
    return tmp_path


class Killed(BaseException):
    """Stands for SIGKILL: what it is raised in goes no further."""


def seed_all(seed: int) -> None:
    for source in (random.seed, np.random.seed, torch.manual_seed):
        source(seed)


def moco() -> MoCo:
    torch.manual_seed(0)
    return MoCo(tiny, output_dim=8, queue_size=40)


def make(benchmark: Any, plugins: Any = (), model: Any = None, evaluator: Any = None, **settings: Any) -> Any:
    model = model or moco()
    seed_all(0)
    probe = ProbePlugin(benchmark)
    optimizer = SGD(model.parameters(), lr=0.05, momentum=0.9)
    given = {
        "train_mb_size": 16,
        "train_epochs": 2,
        "plugins": [probe, RepresentationMonitor(benchmark), *plugins],
    } | settings
    return SelfSupervised(model=model, optimizer=optimizer, evaluator=evaluator, **given)


def learn(checkpoints: Checkpointer, benchmark: Any, kill_at: int = -1, cut: int = 0, **settings: Any) -> Any:
    """Learn the stream, or die in the given step, after it and all its plugins."""
    strategy, save = checkpoints.strategy, checkpoints.strategy.after_step

    def after_step() -> None:
        save()
        if strategy.clock.train_iterations == kill_at:
            raise Killed

    strategy.after_step = after_step
    for experience in checkpoints.stream(benchmark.train_stream):
        strategy.train(online_stream(experience, cut, seed=0) if cut else experience, eval_streams=[], **settings)
        if strategy.evaluator.metrics:
            strategy.eval(benchmark.test_stream)
    return strategy


def state(checkpoints: Checkpointer) -> Any:
    return capture(checkpoints.strategy, checkpoints.images)


def assert_survives(build: Any, benchmark: Any, kills: Any = (5, 12), every: str = "3it", **settings: Any) -> Any:
    """Kill, resume and compare with the run that was not killed; the strategy that survived."""
    whole = Checkpointer("whole", build(), benchmark.train_stream, every="never")
    learn(whole, benchmark, **settings)
    for kill_at in (*kills, -1):
        broken = Checkpointer("broken", build(), benchmark.train_stream, every=every)
        seed_all(0 if kill_at == kills[0] else 99)  # another process has other random states
        assert broken.resume() == (kill_at != kills[0])
        try:
            learn(broken, benchmark, kill_at=kill_at, **settings)
            assert kill_at == -1
        except Killed:
            pass
    found = comparison.compare(state(whole), state(broken), "")
    assert not found, found
    return broken.strategy


# -- scripts -----------------------------------------------------------------------------------------------------------

PLUGINS: dict[str, Any] = {
    "nothing": lambda: (),
    "replay": lambda: [av.ReplayPlugin(mem_size=30)],
    "reservoir": lambda: [av.ReplayPlugin(mem_size=30, storage_policy=ReservoirSamplingBuffer(30))],
    "classes": lambda: [av.ReplayPlugin(mem_size=30, storage_policy=ClassBalancedBuffer(30))],
    "ewc": lambda: [av.EWCPlugin(ewc_lambda=10.0)],
    "ewc online": lambda: [av.EWCPlugin(ewc_lambda=10.0, mode="online", decay_factor=0.5)],
    "si": lambda: [av.SynapticIntelligencePlugin(si_lambda=10.0)],
    "replay and si": lambda: [av.ReplayPlugin(mem_size=30), av.SynapticIntelligencePlugin(si_lambda=10.0)],
}


@pytest.mark.filterwarnings("ignore:__array_wrap__")  # Avalanche's SI
@pytest.mark.parametrize("name", PLUGINS)
def test_avalanches_plugins_survive(name: str) -> None:
    benchmark = small_run.few_digits()
    strategy = assert_survives(lambda: make(benchmark, PLUGINS[name]()), benchmark)
    assert strategy.clock.train_exp_counter == 2


@pytest.mark.filterwarnings("ignore:__array_wrap__")
def test_replay_and_ewc_matter() -> None:
    """The comparison above would pass for plugins that do nothing."""
    benchmark = small_run.few_digits()
    weights = []
    for name in ("nothing", "replay", "ewc", "si"):
        strategy = make(benchmark, PLUGINS[name]())
        learn(Checkpointer(name.replace(" ", "-"), strategy, benchmark.train_stream, every="never"), benchmark)
        weights.append(strategy.model.encoder.stages[0][0].weight)
    assert not any(torch.equal(weights[0], other) for other in weights[1:])


@pytest.mark.parametrize("cut", [0, 10])
@pytest.mark.parametrize("model", ["bank", "queue"])
def test_memories_survive_in_mini_batches_too(cut: int, model: str) -> None:
    benchmark = small_run.few_digits()

    def bank() -> CMC:
        torch.manual_seed(0)
        return CMC(tiny, output_dim=8, capacity=100, count=16)

    kinds = {"bank": bank, "queue": moco}
    policy = ReservoirSamplingBuffer
    epochs = 1 if cut else 2
    assert_survives(
        lambda: make(
            benchmark,
            [av.ReplayPlugin(mem_size=30, storage_policy=policy(30))],
            kinds[model](),
            train_mb_size=cut or 16,
            train_epochs=epochs,
        ),
        benchmark,
        kills=(4, 10),
        cut=cut,
    )


def test_points_of_a_stream_survive() -> None:
    """Kills lie before and after points, and between two passes over a mini-batch."""
    benchmark = small_run.few_digits()

    def build() -> Any:
        strategy = make(benchmark, train_mb_size=10)
        (probe,) = (plugin for plugin in strategy.plugins if isinstance(plugin, ProbePlugin))
        probe.schedule = ProbeSchedule(every=20)
        return strategy

    strategy = assert_survives(build, benchmark, kills=(5, 8, 21), every="1it", cut=10)
    (probe,) = (plugin for plugin in strategy.plugins if isinstance(plugin, ProbePlugin))
    seen = [point.images_seen for point in probe.curve if point.scope == "all"]
    assert seen == [0, 20, 40, 60, 72, 82, 102, 122, 142, 144]


def test_a_kill_at_any_step() -> None:
    """Every step of two experiences of two epochs, the last of an epoch and of an experience among them."""
    benchmark = small_run.few_digits()
    build = partial(make, benchmark, train_mb_size=36)  # two steps an epoch
    assert_survives(build, benchmark, kills=range(1, 9), every="1it")


def test_metrics_of_avalanche_survive() -> None:
    benchmark = small_run.few_digits()

    def evaluator() -> Any:
        metrics = (accuracy_metrics(experience=True), forgetting_metrics(stream=True), loss_metrics(epoch=True))
        return av.EvaluationPlugin(*metrics, loggers=[Quiet()])

    strategy = assert_survives(lambda: make(benchmark, evaluator=evaluator()), benchmark)
    results = strategy.evaluator.get_all_metrics()
    assert {"StreamForgetting/eval_phase/test_stream", "Loss_Epoch/train_phase/train_stream/Task000"} <= results.keys()
    assert len(results["Loss_Epoch/train_phase/train_stream/Task000"][0]) == 4, "one an epoch, whatever was killed"


class Quiet:
    """A logger of nothing."""

    def log_metrics(self, values: Any) -> None:
        """Nothing."""


@pytest.mark.parametrize("workers", [0, 2])
def test_random_transforms_survive(workers: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Views that the dataset makes, in loader processes or not, are the same after a resume."""
    plain = small_run.DecodedImages.__getitem__
    crop = transforms.RandomResizedCrop(32, (0.5, 1))

    def cropped(self: Any, index: int) -> Any:
        image, label = plain(self, index)
        return crop(image), label

    monkeypatch.setattr(small_run.DecodedImages, "__getitem__", cropped)
    benchmark = small_run.few_digits(decode=True)

    def build() -> Any:
        torch.manual_seed(0)
        model = SimCLR(tiny, output_dim=8)
        optimizer = SGD(model.parameters(), lr=0.05)
        return SelfSupervised(
            model=model, optimizer=optimizer, train_mb_size=16, train_epochs=2, use_dataset_transforms=True
        )

    strategy = assert_survives(build, benchmark, num_workers=workers, kills=(3,) if workers else (3, 7))
    if workers:
        return
    other = learn(Checkpointer("other", build(), benchmark.train_stream), benchmark, num_workers=1)
    assert not comparison.compare(strategy.model.state_dict(), other.model.state_dict(), ""), "workers change nothing"


# -- what is refused ---------------------------------------------------------------------------------------------------


def saved(benchmark: Any, **settings: Any) -> None:
    Checkpointer(
        "checkpoint", make(benchmark, **settings), benchmark.train_stream, config={"lr": 1, "deep": {"a": 1}}
    ).save()


def test_changed_settings_are_named() -> None:
    benchmark = small_run.few_digits()
    saved(benchmark)
    other = make(benchmark, train_mb_size=8)
    checkpoints = Checkpointer("checkpoint", other, benchmark.train_stream, config={"lr": 2, "deep": {}, "new": 5})
    with pytest.raises(UsageError) as error:
        checkpoints.resume()
    for difference in ("deep.a was 1, is absent", "lr was 1, is 2", "new was absent, is 5", "batch size was 16, is 8"):
        assert difference in str(error.value)
    assert "epochs" not in str(error.value)


def test_plugins_that_cannot_be_saved_are_refused_at_once() -> None:
    benchmark = small_run.few_digits()
    strategy = make(benchmark, [av.AGEMPlugin(10, 10)])
    with pytest.raises(UsageError, match=r"the state of AGEMPlugin cannot be saved: give it state_dict\(\)"):
        Checkpointer("checkpoint", strategy, benchmark.train_stream)


def test_other_plugins_are_refused() -> None:
    benchmark = small_run.few_digits()
    saved(benchmark)
    config = {"lr": 1, "deep": {"a": 1}}
    strategy = make(benchmark, [av.ReplayPlugin(mem_size=10)])
    with pytest.raises(
        UsageError, match=r"has the plugins ProbePlugin, RepresentationMonitor, Eval.*; this strategy has .*Replay"
    ):
        Checkpointer("checkpoint", strategy, benchmark.train_stream, config=config).resume()


def test_another_shape_is_refused() -> None:
    benchmark = small_run.few_digits()
    saved(benchmark)
    config = {"lr": 1, "deep": {"a": 1}}
    strategy = make(benchmark, model=MoCo(tiny, output_dim=8, queue_size=41))
    with pytest.raises(UsageError, match=r"is of another method or optimiser: .*queue") as error:
        Checkpointer("checkpoint", strategy, benchmark.train_stream, config=config).resume()
    assert "\n" not in str(error.value)


def test_a_checkpoint_without_some_part_is_refused() -> None:
    """Whatever is missing or of another kind, in a file whose checksum is right: one line, no traceback."""
    benchmark = small_run.few_digits()
    saved(benchmark)
    path, config = Path("checkpoint"), {"lr": 1, "deep": {"a": 1}}
    whole = file_format.read(path)
    checkpoints = Checkpointer(path, make(benchmark), benchmark.train_stream, config=config)
    assert checkpoints.resume()
    for name in whole.keys() - {"log", "version"}:
        for changed in (whole | {name: 7}, {k: v for k, v in whole.items() if k != name}):
            if name in ("done", "seconds", "writing") and name in changed:
                continue  # a number, as it should be
            file_format.write(path, changed)
            with pytest.raises(UsageError) as error:
                checkpoints.resume()
            assert "\n" not in str(error.value)
    for name in whole["strategy"]:
        for value in (7, None, {}, [("x", 1)]):
            if value == whole["strategy"][name]:
                continue
            file_format.write(path, whole | {"strategy": whole["strategy"] | {name: value}})
            with pytest.raises(UsageError) as error:
                checkpoints.resume()
            assert "\n" not in str(error.value)


def test_a_memory_of_other_images_is_refused() -> None:
    benchmark = small_run.few_digits()
    strategy = make(benchmark, [av.ReplayPlugin(mem_size=10)])
    checkpoints = Checkpointer("checkpoint", strategy, list(benchmark.train_stream)[1:])
    strategy.train(benchmark.train_stream[0], eval_streams=[])
    with pytest.raises(UsageError, match="holds some that are not in the stream"):
        checkpoints.save()


def test_other_versions_are_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    benchmark = small_run.few_digits()
    saved(benchmark)
    monkeypatch.setattr(fingerprint, "_versions", lambda: {"torch": "9"})
    checkpoints = Checkpointer(
        "checkpoint", make(benchmark), benchmark.train_stream, config={"lr": 1, "deep": {"a": 1}}
    )
    with pytest.warns(UserWarning, match=r"started with torch 2.*, now 9: results may differ in the last bits"):
        assert checkpoints.resume()


@pytest.mark.parametrize("text", ["", "5", "0it", "5 days", "-1s", "it", "1e3it"])
def test_no_interval(text: str) -> None:
    with pytest.raises(UsageError, match=r"is no interval: give e\.g\. 500it"):
        SaveInterval.parse(text)


def test_intervals() -> None:
    assert SaveInterval.parse("500it") == SaveInterval(iterations=500)
    assert SaveInterval.parse("10min") == SaveInterval(seconds=600)
    assert SaveInterval.parse("1.5 h") == SaveInterval(seconds=5400)
    assert SaveInterval.parse("never") == SaveInterval()


def test_writing_takes_no_more_than_its_share(monkeypatch: pytest.MonkeyPatch) -> None:
    """A slow disk, and a checkpoint wanted after each step: one in twenty of the time is spent on it."""
    benchmark = small_run.few_digits()
    now, training_cost = 0.0, [0.0]
    strategy = make(benchmark, train_epochs=40)
    checkpoints = Checkpointer("checkpoint", strategy, benchmark.train_stream, every="1it", share=0.05)
    monkeypatch.setattr(time, "monotonic", lambda: now)
    checkpoints._last = 0.0

    def write(path: Path, state: Any) -> None:
        nonlocal now
        now += 2
        training_cost[0] += 2

    def step() -> None:
        nonlocal now
        now += 1
        checkpoints._after_step()

    monkeypatch.setattr(file_format, "write", write)
    strategy.after_step = step
    strategy.train(benchmark.train_stream[0], eval_streams=[])
    assert 4 <= training_cost[0] <= 0.06 * now


def test_avalanches_own_checkpoints_work_on_request(desk: Path) -> None:
    benchmark = small_run.few_digits()
    allow_save_checkpoint()
    whole, broken = make(benchmark), make(benchmark)
    whole.train(benchmark.train_stream[0], eval_streams=[])
    save_checkpoint(whole, desk / "theirs")
    broken, start = maybe_load_checkpoint(broken, desk / "theirs")
    assert start == 1
    for strategy in (whole, broken):
        strategy.train(benchmark.train_stream[1], eval_streams=[])
    assert not comparison.compare(whole.model.state_dict(), broken.model.state_dict(), "")


# -- run.py ------------------------------------------------------------------------------------------------------------


def options(out: str, *more: str, strategy: str = "simclr") -> list[str]:
    return [*small_run.run_options(strategy, "fp32", 0, 30, 0), "--out", out, *more]


def lines(out: str) -> list[Any]:
    return comparison.log_of(Path(out))


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that nothing stopped."""
    place = tmp_path_factory.mktemp("original")
    with pytest.MonkeyPatch.context() as m:
        m.setitem(ENCODERS, "tiny", tiny)
        m.setitem(BENCHMARKS, "few-digits", small_run.few_digits)
        assert run.main(options(str(place / "whole"))) == 0
    return place / "whole"


@pytest.fixture
def whole(original: Path, desk: Path) -> Path:
    """A copy of it."""
    return Path(shutil.copytree(original, desk / "whole"))


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_saves_and_says_how_to_resume(
    number: int, status: int, whole: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    updates = []

    def update(self: Any, outputs: Any) -> None:
        updates.append(1)
        if len(updates) in (3, 9):
            os.kill(os.getpid(), number)

    monkeypatch.setattr(SimCLR, "update", update)
    capsys.readouterr()
    assert run.main(options("a", "--checkpoint-every", "never")) == status
    said = capsys.readouterr().err.split("\r")[-1]
    name = signal.Signals(number).name
    assert (
        said == f"avalanche-ssl run: stopped by {name}, everything is saved; continue with: run.py --resume --out a\n"
    )
    assert len(updates) == 3, "the step was finished, and no other begun"
    assert run.main(["--resume", "--out", "a"]) == status
    assert run.main(["--resume", "--out", "a"]) == 0
    assert len(updates) == sum(e["steps"] for e in lines("a") if e["event"] == "experience"), "none was repeated"
    assert not comparison.differences(whole, Path("a"))
    assert "resumed after 9 steps, 1 experiences complete" in capsys.readouterr().out


def test_a_second_interrupt_stops_at_once(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def update(self: Any, outputs: Any) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)

    before = signal.getsignal(signal.SIGINT)
    monkeypatch.setattr(SimCLR, "update", update)
    assert run.main(options("a")) == 130
    assert capsys.readouterr().err.endswith("avalanche-ssl run: interrupted\n")
    assert signal.getsignal(signal.SIGINT) is before


def test_a_finished_run_can_be_resumed(whole: Path) -> None:
    before = lines("whole")
    (whole / "accuracy.csv").unlink()
    assert run.main(["--resume", "--out", "whole"]) == 0
    assert lines("whole") == before
    assert (whole / "accuracy.csv").exists()


def test_resume_starts_what_never_began(whole: Path) -> None:
    assert run.main(options("b", "--resume")) == 0
    assert not comparison.differences(whole, Path("b"))


def test_a_resume_with_other_settings_is_refused(whole: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def content() -> dict[str, bytes]:
        return {p.name: p.read_bytes() for p in whole.rglob("*") if p.is_file() and p.name != "lock"}

    before = content()
    assert run.main(["--resume", "--out", "whole", "--set", "lr=0.5", "--seed", "3"]) == 2
    said = capsys.readouterr().err
    assert "seed was 0, is 3; settings.lr was 0.003, is 0.5" in said and said.count("\n") == 1
    assert content() == before
    assert run.main(["--resume", "--out", "whole", "--num-workers", "1"]) == 0, "which changes no result"


def test_resume_without_a_run(capsys: pytest.CaptureFixture[str]) -> None:
    assert run.main(["--resume", "--out", "nowhere"]) == 2
    assert capsys.readouterr().err.startswith("avalanche-ssl run: no strategy")
    assert run.main(options("a", "--checkpoint-every", "5 days")) == 2
    assert "'5 days' is no interval" in capsys.readouterr().err


def test_a_second_run_on_one_folder_is_refused(desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (desk / "a").mkdir()
    code = "import fcntl, os; f = open('a/lock', 'a+'); fcntl.lockf(f, fcntl.LOCK_EX); f.write(str(os.getpid()))"
    code += "; f.flush(); print(flush=True); input()"
    holder = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stdin=subprocess.PIPE)
    assert holder.stdout and holder.stdin
    holder.stdout.readline()
    try:
        for more in ([], ["--overwrite"], ["--resume"]):
            assert run.main(options("a", *more)) == 2
            said = capsys.readouterr().err
            assert said == f"avalanche-ssl run: a is in use by process {holder.pid}: give another --out, or wait\n"
        assert [p.name for p in (desk / "a").iterdir()] == ["lock"]
    finally:
        holder.kill()
        holder.communicate()
    assert run.main(options("a")) == 0, "the lock went with its holder"


@pytest.mark.parametrize("place", ["log", "checkpoint", "embeddings"])
def test_a_full_disk_stops_the_run_in_one_line(place: str, whole: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import resource

    def fill() -> None:
        limit = (whole / ("log.jsonl" if place == "log" else "checkpoint")).stat().st_size
        if place == "log":
            monkeypatch.setattr(file_format, "write", lambda *_: None)
        if place != "embeddings":
            for name in ("_write_images", "save"):
                monkeypatch.setattr(EmbeddingSnapshots, name, lambda *_: None)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit // 2, resource.RLIM_INFINITY))

    assert process.wait(process.launch(options("a"), Path(), fill)) == 2
    said = process.last_output(Path()).split("\r")[-1].strip().splitlines()[-1]
    words = "cannot write to a: " if place == "embeddings" else "cannot write a/"
    assert said.startswith(f"avalanche-ssl run: {words}") and "make room" in said and "then --resume" in said
    assert process.wait(process.launch(options("a", "--resume"), Path())) == 0, process.last_output(Path())
    assert not comparison.differences(whole, Path("a"))


def test_a_damaged_checkpoint_costs_an_experience_at_most(whole: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = whole / "checkpoint"
    before = lines("whole")
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.warns(UserWarning, match="was damaged"):
        assert run.main(["--resume", "--out", "whole"]) == 0
    assert lines("whole") == before
    assert json.loads((whole / "log.jsonl").read_text().splitlines()[-1])["event"] == "end"


def test_a_changed_log_is_refused(whole: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = whole / "log.jsonl"
    log.write_text(log.read_text().replace("probe", "prove", 1))
    assert run.main(["--resume", "--out", "whole"]) == 2
    assert "log.jsonl is not what the checkpoint left" in capsys.readouterr().err


def test_collapsed_features_stop_the_run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """In the second experience the last layer dies: all images have the same features from then on."""

    def update(self: Any, outputs: Any) -> None:
        self.encoder.stages[-1][1].weight.data *= 0 if len(lines("a")) >= before else 1

    monkeypatch.setattr(SimCLR, "update", update)
    before = 10**9
    assert run.main(options("a", "--checkpoint-every", "never")) == 0, "features as they should be"
    before = next(i for i, e in enumerate(lines("a"), 1) if e["event"] == "experience")
    steps = sum(e["steps"] for e in lines("a") if e["event"] == "experience")
    capsys.readouterr()
    with pytest.warns(UserWarning, match="COLLAPSED after experience 2"):
        assert run.main(options("a", "--checkpoint-every", "never", "--overwrite")) == 2
    said = capsys.readouterr().err.split("\r")[-1]
    assert said.startswith(
        "avalanche-ssl run: the features have collapsed beyond recovery after experience 2: lower lr, or look"
    )
    assert re.search(rf"; stopped after step {steps}; vital signs after experience 2: feature_std \S+e-\d+, ", said)
    assert said.endswith(f"; last good checkpoint: step {steps // 2}, a/checkpoint\n") and said.count("\n") == 1
