"""A configuration is completed and checked before anything is trained."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch

from avalanche_ssl.cli import run
from avalanche_ssl.cli.options import read_options
from avalanche_ssl.errors import UsageError
from avalanche_ssl.recipes import load_recipe, strategy_sha256
from avalanche_ssl.runs.build import (
    build_benchmark,
    build_recipe,
    check_probes,
    differences,
    online_settings,
    resolve,
    resolve_benchmark_options,
    resolve_machine,
    run_of_folder,
)
from avalanche_ssl.runs.config import RunConfig
from avalanche_ssl.runs.folder import write_config
from avalanche_ssl.streams import BENCHMARKS, REGIMES

MINE = """from avalanche_ssl import Recipe
from avalanche_ssl.methods import SimCLR

recipe = Recipe(SimCLR, lr=0.03, batch_size=8)
"""


def small(**more: Any) -> RunConfig:
    return RunConfig(**{"strategy": "simclr", "device": "cpu", "precision": "fp32"} | more)


def test_resolving_fills_what_is_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mine.py").write_text(MINE)
    given = RunConfig(strategy="mine.py", benchmark_options={"experiences": 2}, settings={"lr": "1e-4"})
    config, recipe = resolve(given)
    assert given.settings == {"lr": "1e-4"} and given.device == "auto", "what was given stays as it is"
    assert config.device in ("cpu", "cuda") and config.precision in ("fp32", "bf16")
    assert config.settings == recipe.settings
    assert (config.settings["lr"], config.settings["batch_size"]) == (1e-4, 8)
    assert config.benchmark_options["experiences"] == 2
    assert config.benchmark_options.keys() == resolve_benchmark_options(small()).keys() > {"experiences"}
    assert config.strategy == str(tmp_path / "mine.py") and config.strategy_sha256 == strategy_sha256("mine.py")
    assert dataclasses.replace(config, settings={}) == dataclasses.replace(resolve(config)[0], settings={})
    assert resolve(small())[0].strategy_sha256 is None, "an installed strategy has none"


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"settings": {"temprature": 0.1}}, "did you mean 'temperature'"),
        ({"settings": {"encoder": "resnet0"}}, "resnet0"),
        ({"settings": {"temperature": -1}}, "temperature"),
        (
            {"benchmark_options": {"experience": 2}},
            "no option of split-digits 'experience': did you mean 'experiences'",
        ),
        (
            {"benchmark_options": {"ground": "color"}},
            "split-digits has no option 'ground', each is a stream of its own",
        ),
        ({"benchmark_options": {"experiences": "two"}}, "'experiences' is 'two': give a whole number"),
        ({"benchmark": "split-digits", "data": "images"}, "benchmark 'split-digits' needs no --data: leave it out"),
        ({"benchmark": "folder"}, "benchmark 'folder' needs --data PATH"),
        ({"probes": "lump"}, "probe 'lump' has no scope 'all'"),
        ({"probes": "rigde"}, "did you mean 'ridge'"),
        ({"probe_every_images": "100"}, "give --online-batch-size, too"),
        ({"device": "cpx"}, "no device 'cpx': give cuda for a GPU, cuda:1 for the second one, or cpu"),
        ({"device": "meta"}, "no device 'meta'"),
        ({"device": "gpu"}, "no device 'gpu': give cuda for a GPU, cuda:1 for the second one, or cpu"),
        (
            {"settings": {"batch_size": 1}},
            "batch_size is 1: SimCLR compares the images of a batch, give it 2 or more",
        ),
        (
            {"settings": {"batch_size": 1}, "plugins": {"replay": {"size": 50}}},
            "batch_size is 1: SimCLR compares the images of a batch, give it 2 or more",
        ),
        (
            {"online_batch_size": 1},
            "--online-batch-size is 1: a step takes two images, give it 2 or more, or --plugin replay",
        ),
        ({"settings": {"temperature": "inf"}}, "setting 'temperature' is inf: give a finite number above 0"),
        ({"precision": "fp16"}, "no precision 'fp16': did you mean"),
        ({"eval_precision": "fp16"}, "no precision of evaluation 'fp16': did you mean"),
    ],
)
def test_mistakes_are_one_line(values: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        resolve(small(**values))
    assert message in str(caught.value) and "\n" not in str(caught.value)


def test_data_may_lie_anywhere_and_is_no_option_of_the_benchmark(monkeypatch: pytest.MonkeyPatch) -> None:
    options = resolve_benchmark_options(small(benchmark="folder", data="nowhere"))
    assert "data" not in options and options["size"] == 32

    def builder(data: str = "here", experiences: int = 2) -> None:
        raise AssertionError("it is not built")

    monkeypatch.setitem(BENCHMARKS, "mine", builder)
    for data in (None, "there"):
        assert resolve_benchmark_options(small(benchmark="mine", data=data)) == {"experiences": 2}
    with pytest.raises(UsageError, match="no option of mine 'data'"):
        resolve_benchmark_options(small(benchmark="mine", benchmark_options={"data": "there"}))


def test_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    assert resolve_machine("auto", "fp32") == ("cpu", "fp32")
    assert resolve_machine("cpu", "bf16") == ("cpu", "bf16")
    with pytest.raises(UsageError, match="device 'cuda': torch finds 0 CUDA devices here; give another, or cpu"):
        resolve_machine("cuda", "fp32")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert resolve_machine("auto", "fp32") == ("cuda", "fp32")
    assert resolve_machine("cuda:1", "fp32") == ("cuda:1", "fp32")
    with pytest.raises(UsageError, match="device 'cuda:2': torch finds 2 CUDA devices"):
        resolve_machine("cuda:2", "fp32")


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_evaluation_has_the_precision_of_training_or_its_own(precision: str) -> None:
    assert resolve(small(precision=precision))[0].eval_precision == precision
    assert resolve(small(precision=precision, eval_precision="fp32"))[0].eval_precision == "fp32"


def test_a_run_as_it_is_named_differs_in_no_precision(tmp_path: Path) -> None:
    config, _ = resolve(small(precision="bf16"))
    write_config(tmp_path, config)
    assert differences(tmp_path, RunConfig(strategy="simclr")) == []
    (found,) = differences(tmp_path, RunConfig(strategy="simclr", eval_precision="fp32"))
    assert found.startswith("eval_precision was bf16")


def test_a_stream_of_mini_batches_brings_settings() -> None:
    recipe = load_recipe("swav")
    assert online_settings(small(strategy="swav"), recipe) == {}
    found = online_settings(small(strategy="swav", online_batch_size=8), recipe)
    assert found == {"batch_size": 8} | recipe.online_defaults and recipe.online_defaults["queue_size"] == 384
    one = build_recipe(small(strategy="swav", online_batch_size=8, settings={"queue_size": 16})).settings
    assert (one["batch_size"], one["epochs"], one["queue_size"]) == (8, 1, 16)
    assert one["schedule"]["kind"] == "constant"


def options(*given: str) -> dict[str, Any]:
    config = read_options(run.parser().parse_args(["--strategy", "deepcluster", *given]))
    return build_recipe(config).settings


def test_online_brings_the_methods_settings_and_those_beside_it_win() -> None:
    assert options()["clustering"] == "epoch"
    assert options("--online-batch-size")["clustering"] == "online"
    assert options("--online-batch-size", "--set", "clustering=epoch")["clustering"] == "epoch"


def test_the_headline_probe_has_the_scope_of_the_tables() -> None:
    check_probes(small(probes="ridge,sgd@10%", online_batch_size=5, probe_every_images="10,20"))
    with pytest.raises(UsageError, match="'often' is no probe schedule"):
        check_probes(small(online_batch_size=5, probe_every_images="often"))
    check_probes(small(probes="ridge,lump"))
    with pytest.raises(UsageError, match="probe 'lump' has no scope 'all' for the tables: put another first"):
        check_probes(small(probes="lump,ridge"))


def test_the_run_of_a_folder(tmp_path: Path) -> None:
    config, recipe = resolve(small(seed=5, settings={"lr": 0.25}))
    write_config(tmp_path, config)
    again, same = run_of_folder(tmp_path)
    assert again == config and same.settings == recipe.settings
    with pytest.raises(UsageError, match=r"no run '.*nowhere', it has no config\.yaml: give the folder of a run"):
        run_of_folder(tmp_path / "nowhere")


def test_options_that_make_no_stream_are_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def builder(experiences: int = 2) -> Any:
        raise {1: ValueError, 2: UsageError, 3: MemoryError}[experiences]("too large")

    monkeypatch.setitem(BENCHMARKS, "mine", builder)
    for experiences, message in ((1, "these options make no stream: too large"), (2, "too large")):
        with pytest.raises(UsageError) as caught:
            build_benchmark(small(benchmark="mine", benchmark_options={"experiences": experiences}))
        assert str(caught.value) == message
    with pytest.raises(UsageError, match="make no stream"):
        build_benchmark(small(benchmark="mine", benchmark_options={"experiences": 3}))


def test_the_benchmark_gets_its_options_and_its_data(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(BENCHMARKS, "mine", lambda **given: given)
    config = small(benchmark="mine", data="here", benchmark_options={"experiences": 3})
    assert build_benchmark(config) == {"experiences": 3, "data": "here"}
    assert build_benchmark(dataclasses.replace(config, data=None)) == {"experiences": 3}


def test_every_benchmark_has_a_regime_that_is_noted_where_it_is_given() -> None:
    resolved = {name: resolve_benchmark_options(small(benchmark_options={"regime": name})) for name in REGIMES}
    assert resolved["sequential"] == resolve_benchmark_options(small()), "other runs and their checkpoints stay valid"
    for name in ("joint", "cumulative"):
        assert resolved[name] == resolved["sequential"] | {"regime": name}
        assert small(benchmark_options=resolved[name]).regime == name
    assert small().regime == "sequential"
    assert (
        len(build_benchmark(small(benchmark="rotated-digits", benchmark_options={"regime": "joint"})).train_stream) == 5
    )
    with pytest.raises(UsageError, match="no regime 'jiont': did you mean 'joint'"):
        resolve_benchmark_options(small(benchmark_options={"regime": "jiont"}))
    with pytest.raises(UsageError, match=r"no option of split-digits 'regim': did you mean 'regime'"):
        resolve_benchmark_options(small(benchmark_options={"regim": "joint"}))


@pytest.mark.parametrize("name", ["cassle-r", "cla-e", "cla-r", "der", "osiris"])
def test_plugins_of_replayed_images_need_a_replay(name: str) -> None:
    with pytest.raises(UsageError, match=f"^plugin '{name}' works on replayed images: give --plugin replay, too$"):
        resolve(small(plugins={name: {}}))
    resolve(small(plugins={name: {}, "replay": {}}))


def digits(**more: Any) -> Any:
    """Labels and one image of each experience of a small stream of digits, for training and testing."""
    config = small(benchmark_options={"composites": 2, "experiences": 2}, **more)
    benchmark = build_benchmark(dataclasses.replace(config, benchmark_options=resolve_benchmark_options(config)))
    return [(list(e.dataset.targets), e.dataset[5][0].tolist()) for s in benchmark.streams.values() for e in s]


def test_the_seed_draws_the_stream_and_seed_0_the_one_of_before() -> None:
    from avalanche_ssl.streams import split_digits

    plain = split_digits(2, composites=2)
    before = [(list(e.dataset.targets), e.dataset[5][0].tolist()) for s in plain.streams.values() for e in s]
    first, third = digits(), digits(seed=3)
    assert first == before and third != before
    assert digits(seed=3, stream_seed=0) == before and digits(stream_seed=3) == third


def test_a_validation_part_takes_the_place_of_the_test_data() -> None:
    config = small(benchmark_options={"composites": 2, "experiences": 2, "incremental": "data"})
    whole, apart = (build_benchmark(c) for c in (config, dataclasses.replace(config, eval_on="val")))
    for before, train, tested in zip(whole.train_stream, apart.train_stream, apart.test_stream, strict=True):
        images = [{bytes(x.numpy()) for x, *_ in e.dataset} for e in (before, train, tested)]
        assert images[1] | images[2] == images[0] and not images[1] & images[2]
    first = build_benchmark(dataclasses.replace(config, eval_on="val:1"))
    assert (len(first.train_stream), len(first.test_stream)) == (1, 1)
    sizes = [len(stream[0].dataset) for stream in (whole.train_stream, first.train_stream, first.test_stream)]
    assert sizes[0] == sizes[1] + sizes[2] and 0.2 < sizes[2] / sizes[0] < 0.55, "both images of some digits are in it"
