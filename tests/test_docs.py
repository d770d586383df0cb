"""The code that README and CONTRIBUTING show runs."""

import inspect
import io
import re
import shlex
import sys
from contextlib import redirect_stdout
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from avalanche.training.plugins import EvaluationPlugin
from helpers.docs import ROOT, block
from helpers.encoders import tiny

from avalanche_ssl import ProbePlugin, check_method, models, streams
from avalanche_ssl.checks import check_plugin
from avalanche_ssl.cli.options import read_options
from avalanche_ssl.cli.run import parser as run_parser
from avalanche_ssl.cli.sweep import plan
from avalanche_ssl.methods import SimCLR
from avalanche_ssl.models.encoders import ENCODERS
from avalanche_ssl.plugins import PLUGINS as PLUGINS_BY_NAME
from avalanche_ssl.plugins import build_plugins, complete_plugins, plugin_class
from avalanche_ssl.recipes.loading import load_recipe
from avalanche_ssl.runs.build import resolve


def test_contributings_method_runs(tmp_path: Path, digits: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ENCODERS, "smallconv", tiny)
    path = tmp_path / "mine.py"
    path.write_text(block("CONTRIBUTING.md", "class BarlowTwins"), encoding="utf-8")
    recipe = load_recipe(str(path)).override({"output_dim": 16, "epochs": 1, "lr": 0.02})
    assert {"output_dim", "weight", "augment"} <= recipe.settings.keys()
    check_method(recipe.build_method())
    losses: list[float] = []
    strategy = recipe.build()
    strategy.plugins.append(type("Spy", (), {"after_training_iteration": lambda _, s, **k: losses.append(s.loss)})())
    strategy.train(digits.train_stream[0], eval_streams=[])
    assert losses[-1] < losses[0]


def test_readmes_script_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With a smaller encoder and a stream that needs no download."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(models, "resnet18", tiny)
    monkeypatch.setattr(streams, "split_cifar10", lambda experiences: streams.split_digits(2, composites=2))
    names: dict[str, Any] = {}
    exec(compile(block("README.md", "split_cifar10"), "README.md", "exec"), names)
    assert names["plugins"][0].trained == 2
    out = capsys.readouterr().out
    for name in ("Top1_Acc_Exp/eval_phase/test_stream/Task000/Exp001", "StreamForgetting", "ProbeForgetting_ridge_all"):
        assert name in out, name
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    board = EventAccumulator("tb").Reload()
    scalars, pictures = board.Tags()["scalars"], board.Tags()["images"]
    assert {
        "Probe_knn-20_task/eval_phase/test_stream/Exp001",
        "ProbeAverageAccuracy_ridge_all/eval_phase/test_stream",
    } <= {*scalars}
    matrix = names["plugins"][0].matrix("all")
    averages = [e.value for e in board.Scalars("ProbeAverageAccuracy_ridge_all/eval_phase/test_stream")]
    assert averages == pytest.approx([matrix[0, 0], matrix[1].mean()])
    assert "ProbeMatrix_ridge_all/eval_phase/test_stream" in pictures
    assert (tmp_path / "tb" / "projector_config.pbtxt").exists()
    assert "ConfusionMatrix_Stream" in out


def test_the_script_from_naive_to_self_supervised_runs(
    digits: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With a smaller encoder and a stream that needs no download."""
    monkeypatch.setattr("avalanche_ssl.models.smallconv", lambda in_channels: tiny())
    monkeypatch.setattr("avalanche.benchmarks.classic.SplitMNIST", lambda n_experiences: digits)
    names: dict[str, Any] = {}
    exec(compile(block("avalanche_ssl/training/README.md", "SplitMNIST"), "README.md", "exec"), names)
    out = capsys.readouterr().out
    for name in ("Top1_Acc_Stream", "StreamForgetting", "Loss_Epoch", "LearningRate_Epoch"):
        assert name in out, name


PLUGINS = "avalanche_ssl/plugins/README.md"
TEXT = (ROOT / PLUGINS).read_text(encoding="utf-8")


@pytest.mark.slow
def test_the_tags_in_tensorboard_are_those_of_readme(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Names of experiences, pairs of views and memories stand for others of their kind."""
    from crashes import small_run
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    from avalanche_ssl.cli import run

    monkeypatch.setitem(ENCODERS, "tiny", tiny)
    monkeypatch.setitem(streams.BENCHMARKS, "few-digits", small_run.few_digits)
    found: set[str] = set()
    for strategy in ("moco", "swav"):
        options = [*small_run.run_options(strategy), "--plugin", "cassle", "--set", "cassle.hidden_dim=8"]
        with redirect_stdout(io.StringIO()):
            assert run.main([*options, "--logger", "tensorboard", "--out", str(tmp_path / strategy)]) == 0
        tags = EventAccumulator(str(tmp_path / strategy)).Reload().Tags()
        found |= {*tags["scalars"], *tags["images"]}

    def kind(tag: str) -> str:
        tag = re.sub(r"Exp\d+", "Exp000", re.sub("_(seen|task)/", "_all/", tag))
        return re.sub(r"(bounds|clusters|memory|plugins)\.[^/]*", r"\1.NAME", tag)

    section = (ROOT / PLUGINS).read_text(encoding="utf-8").partition("<!-- tags")[2].partition("<!-- end of tags")[0]
    assert {kind(tag) for tag in found} == set(re.findall(r"^\| `(.*?)` \|", section, re.MULTILINE))


def plugin_rows() -> dict[str, list[str]]:
    """The cells of the table of plugins behind each name."""
    section = (
        (ROOT / PLUGINS).read_text(encoding="utf-8").partition("<!-- plugins")[2].partition("<!-- end of plugins")[0]
    )
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in section.splitlines() if line.startswith("| `")]
    return {cells[0].strip("`"): cells[1:] for cells in rows}


def default_weights(name: str) -> str:
    """The default weights of a plugin, as the table has them."""
    kind = plugin_class(name)
    if "weight" not in inspect.signature(kind).parameters:
        return "none"
    (plugin,) = build_plugins(complete_plugins({name: {}}))
    others = ", ".join(f"{key} {value:g}" for key, value in kind.default_weights.items())
    usual = plugin.default_weight(Unknown)  # type: ignore[arg-type]
    return f"{usual:g}" + (f"; {others}" if others else "")


Unknown = SimpleNamespace(family="unknown")


def test_the_table_of_plugins_says_what_the_classes_say() -> None:
    rows = plugin_rows()
    assert rows.keys() == PLUGINS_BY_NAME.keys()
    for name, (_, _, boundaries, replay, labels, cost, weight) in rows.items():
        (plugin,) = build_plugins(complete_plugins({name: {}}))
        takes_every = "every" in inspect.signature(plugin_class(name)).parameters
        assert (boundaries == "needs") == plugin.needs_boundaries == takes_every, name
        assert (replay == "needs", replay == "is one") == (plugin.needs_replay, plugin.fills_batches), name
        assert labels == "no" or (name == "replay" and not plugin.reads_labels), name
        assert weight == default_weights(name), name
        assert cost == "-" or float(cost) >= 1, name


def test_a_plugin_of_ones_own_keeps_the_contract_and_learns(digits: Any) -> None:
    code = block(PLUGINS, "class Tether")
    assert len([line for line in code.splitlines() if line.strip()]) <= 20
    names: dict[str, Any] = {}
    exec(compile(code, PLUGINS, "exec"), names)
    check_plugin(names["Tether"](), SimCLR(tiny, output_dim=8))


def test_the_script_with_plugins_runs(monkeypatch: pytest.MonkeyPatch, digits: Any) -> None:
    monkeypatch.setitem(ENCODERS, "smallconv", tiny)
    names: dict[str, Any] = {}
    exec(compile(block(PLUGINS, "Replay(size=2000"), PLUGINS, "exec"), names)
    assert [type(plugin).__name__ for plugin in names["strategy"].plugins[:2]] == ["Replay", "CLA"]


@pytest.mark.parametrize("line", re.findall(r"^avalanche-ssl (?:run|sweep) .*--plugin.*$", TEXT, re.MULTILINE))
def test_the_commands_with_plugins_are_understood(line: str) -> None:
    """Of a run as far as its configuration, of a sweep as far as the options of its runs."""
    words = shlex.split(line)[2:]
    if line.startswith("avalanche-ssl run"):
        config, _ = resolve(read_options(run_parser().parse_args(words)))
        assert config.plugins
        return
    options = dict(zip(words[::2], words[1::2], strict=True))
    jobs = plan(options["--strategy"], options["--plugin"], options["--seeds"], [], Path(options["--out"]))
    assert len(jobs) == 2 * 3 * 3


def logged(adapter: Any, benchmark: Any) -> dict[str, Any]:
    """Train for an experience with a logger; the last values of numbers."""
    strategy = (
        load_recipe("simclr")
        .override({"encoder": "smallconv", "epochs": 1})
        .build(
            plugins=[ProbePlugin(benchmark, probes=["ridge", "ridge@10%"])],
            evaluator=EvaluationPlugin(loggers=[adapter]),
        )
    )
    strategy.train(benchmark.train_stream[0], eval_streams=[])
    last = strategy.evaluator.get_last_metrics()
    return {name: value for name, value in last.items() if isinstance(value, int | float)}


@pytest.mark.slow
def test_the_adapter_for_weights_and_biases_works_offline(
    tmp_path: Path, digits: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    wandb = pytest.importorskip("wandb")
    monkeypatch.setitem(ENCODERS, "smallconv", tiny)
    names: dict[str, Any] = {}
    exec(compile(block(PLUGINS, "import wandb"), PLUGINS, "exec"), names)
    adapter = names["WandB"](mode="offline", dir=str(tmp_path), settings=wandb.Settings(silent=True))
    expected = logged(adapter, digits)
    summary = dict(adapter.run.summary)
    adapter.run.finish()
    assert {name: summary[name] for name in expected} == pytest.approx(expected)
    assert summary["step"] > 0 and list(tmp_path.rglob("*.wandb"))


@pytest.mark.slow
def test_the_adapter_for_mlflow_gives_names_and_steps_that_mlflow_takes(
    digits: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """MLflow is no package of the tests: a module with its function and its rule for names stands for it."""
    values: dict[str, tuple[float, int]] = {}

    def log_metric(key: str, value: float, step: int | None = None) -> None:
        assert re.fullmatch(r"[\w./: -]+", key) and step is not None and isinstance(value, int | float)
        values[key] = (value, step)

    monkeypatch.setitem(ENCODERS, "smallconv", tiny)
    monkeypatch.setitem(sys.modules, "mlflow", SimpleNamespace(log_metric=log_metric))  # type: ignore[misc]
    names: dict[str, Any] = {}
    exec(compile(block(PLUGINS, "import mlflow"), PLUGINS, "exec"), names)
    expected = logged(names["MLflow"](), digits)
    assert len(values) == len(expected) and any("10%" in name for name in expected)
    assert sorted(value for value, _ in values.values()) == pytest.approx(sorted(expected.values()))
    assert max(step for _, step in values.values()) > 0
