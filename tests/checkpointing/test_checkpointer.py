"""A run that was killed continues bit for bit as if it had not been."""

from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from avalanche.evaluation.metrics import accuracy_metrics, forgetting_metrics, loss_metrics
from avalanche.training import plugins as av
from avalanche.training.storage_policy import ClassBalancedBuffer, ReservoirSamplingBuffer
from crashes.comparison import compare
from crashes.small_run import DecodedImages, few_digits
from helpers.encoders import tiny
from helpers.resuming import assert_survives, checkpointer, make, moco, save, train
from torch.optim import SGD
from torchvision import transforms

from avalanche_ssl import ProbePlugin, SelfSupervised
from avalanche_ssl.checkpointing import Checkpointer, file_format
from avalanche_ssl.errors import UsageError
from avalanche_ssl.evaluation import ProbeSchedule
from avalanche_ssl.methods import CMC, SimCLR

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


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:__array_wrap__")  # Avalanche's SI
@pytest.mark.parametrize("name", PLUGINS)
def test_avalanches_plugins_survive(name: str) -> None:
    benchmark = few_digits()
    strategy = assert_survives(lambda: make(benchmark, PLUGINS[name]()), benchmark)
    assert strategy.clock.train_exp_counter == 2


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:__array_wrap__")
def test_replay_and_ewc_matter() -> None:
    """The comparison above would pass for plugins that do nothing."""
    benchmark = few_digits()
    weights = []
    for name in ("nothing", "replay", "ewc", "si"):
        strategy = make(benchmark, PLUGINS[name]())
        train(Checkpointer(name.replace(" ", "-"), strategy, benchmark.train_stream, every="never"), benchmark)
        weights.append(strategy.model.encoder.stages[0][0].weight)
    assert not any(torch.equal(weights[0], other) for other in weights[1:])


@pytest.mark.slow
@pytest.mark.parametrize("size", [0, 10])
@pytest.mark.parametrize("model", ["bank", "queue"])
def test_memories_survive_in_mini_batches_too(size: int, model: str) -> None:
    benchmark = few_digits()

    def bank() -> CMC:
        torch.manual_seed(0)
        return CMC(tiny, output_dim=8, capacity=100, count=16)

    kinds = {"bank": bank, "queue": moco}
    policy = ReservoirSamplingBuffer
    epochs = 1 if size else 2
    assert_survives(
        lambda: make(
            benchmark,
            [av.ReplayPlugin(mem_size=30, storage_policy=policy(30))],
            kinds[model](),
            train_mb_size=size or 16,
            train_epochs=epochs,
        ),
        benchmark,
        kills=(4, 10),
        online_batch_size=size,
    )


@pytest.mark.slow
def test_the_curve_of_a_stream_survives() -> None:
    """Kills lie before and after entries of the curve, and between two passes over a mini-batch."""
    benchmark = few_digits()

    def build() -> Any:
        strategy = make(benchmark, train_mb_size=10)
        (probe,) = (plugin for plugin in strategy.plugins if isinstance(plugin, ProbePlugin))
        probe.schedule = ProbeSchedule(every=20)
        return strategy

    strategy = assert_survives(build, benchmark, kills=(5, 8, 21), every="1it", online_batch_size=10)
    (probe,) = (plugin for plugin in strategy.plugins if isinstance(plugin, ProbePlugin))
    seen = [point.images_seen for point in probe.curve if point.scope == "all"]
    assert seen == [0, 20, 40, 60, 72, 82, 102, 122, 142, 144]


@pytest.mark.slow
def test_a_kill_at_any_step() -> None:
    """Every step of two experiences of two epochs, the last of an epoch and of an experience among them."""
    benchmark = few_digits()
    build = partial(make, benchmark, train_mb_size=36)  # two steps per epoch
    assert_survives(build, benchmark, kills=range(1, 9), every="1it")


@pytest.mark.slow
def test_metrics_of_avalanche_survive() -> None:
    benchmark = few_digits()

    def evaluator() -> Any:
        metrics = (accuracy_metrics(experience=True), forgetting_metrics(stream=True), loss_metrics(epoch=True))
        return av.EvaluationPlugin(*metrics, loggers=[Quiet()])

    strategy = assert_survives(lambda: make(benchmark, evaluator=evaluator()), benchmark)
    results = strategy.evaluator.get_all_metrics()
    assert {"StreamForgetting/eval_phase/test_stream", "Loss_Epoch/train_phase/train_stream/Task000"} <= results.keys()
    assert len(results["Loss_Epoch/train_phase/train_stream/Task000"][0]) == 4, "one per epoch, whatever was killed"


class Quiet:
    """A logger that logs nothing."""

    def log_metrics(self, values: Any) -> None:
        """Log nothing."""


@pytest.mark.slow
@pytest.mark.parametrize("workers", [0, 2])
def test_random_transforms_survive(workers: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Views that the dataset makes, in loader processes or not, are the same after a resume."""
    original = DecodedImages.__getitem__
    crop = transforms.RandomResizedCrop(32, (0.5, 1))

    def cropped(self: Any, index: int) -> Any:
        image, label = original(self, index)
        return crop(image), label

    monkeypatch.setattr(DecodedImages, "__getitem__", cropped)
    benchmark = few_digits(decode=True)

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
    other = train(Checkpointer("other", build(), benchmark.train_stream), benchmark, num_workers=1)
    assert not compare(strategy.model.state_dict(), other.model.state_dict(), ""), "workers change nothing"


@pytest.mark.slow
def test_a_checkpoint_without_some_part_is_refused() -> None:
    """Whatever is missing or of another kind, in a file whose checksum is right: one line, no traceback."""
    benchmark = few_digits()
    save(benchmark)
    path = Path("checkpoint")
    saved = file_format.read(path)
    resumed = checkpointer(make(benchmark), benchmark)
    assert resumed.resume()
    for name in saved.keys() - {"log", "version"}:
        for changed in (saved | {name: 7}, {k: v for k, v in saved.items() if k != name}):
            if name in ("done", "seconds", "threads", "writing") and name in changed:
                continue  # a number, as it should be
            file_format.write(path, changed)
            with pytest.raises(UsageError) as error:
                resumed.resume()
            assert "\n" not in str(error.value)
    for name in saved["strategy"]:
        for value in (7, None, {}, [("x", 1)]):
            if value == saved["strategy"][name]:
                continue
            file_format.write(path, saved | {"strategy": saved["strategy"] | {name: value}})
            with pytest.raises(UsageError) as error:
                resumed.resume()
            assert "\n" not in str(error.value)


def test_seconds_and_experiences_go_on_after_a_resume() -> None:
    benchmark = few_digits()
    first = Checkpointer("checkpoint", make(benchmark, train_epochs=1), benchmark.train_stream)
    assert not first.resume() and first.saved_at is None
    stream = first.stream(benchmark.train_stream)
    for _ in range(2):  # the checkpoint of the first experience is written when the second is asked for
        experience = next(stream)
    assert first.done == 1 and first.strategy.clock.train_iterations == 0
    second = Checkpointer("checkpoint", make(benchmark, train_epochs=1), benchmark.train_stream)
    assert second.resume()
    assert second.done == 1 and second.seconds > 0 and second.writing > 0
    assert [e.current_experience for e in second.stream(benchmark.train_stream)] == [experience.current_experience]
    assert second.done == 2


def test_settings_of_a_former_version_are_compared_as_those_of_today() -> None:
    benchmark = few_digits()

    def made(config: dict[str, Any], **more: Any) -> Checkpointer:
        return Checkpointer("checkpoint", make(benchmark), benchmark.train_stream, config=config, **more)

    made({"name": "old"}).save()
    with pytest.raises(UsageError, match="name was old, is new"):
        made({"name": "new"}).resume()
    assert made({"name": "new"}, config_of_today=lambda saved: saved | {"name": "new"}).resume()
