"""A run folder is data: no command runs the Python file that it names, unless the user gives or trusts that file."""

import json
import shutil
import sys
from pathlib import Path

import pytest
import yaml
from crashes import small_run
from helpers.encoders import tiny
from helpers.untrained_run import pictures

from avalanche_ssl.cli.command import main
from avalanche_ssl.models import ENCODERS
from avalanche_ssl.streams import BENCHMARKS

pytestmark = pytest.mark.slow

STRATEGY = """
from pathlib import Path
from avalanche_ssl import Recipe
from avalanche_ssl.methods import SimCLR

(Path(__file__).parent / "marker").touch()
recipe = Recipe(SimCLR)
"""
COMMANDS = {
    "run --config": ["run", "--config", "a/config.yaml", "--out", "b"],
    "run --config, cut otherwise": ["run", "--config", "a/config.yaml", "--out", "b", "--online-batch-size", "8"],
    "run --resume": ["run", "--resume", "--out", "a"],
    "export": ["export", "a"],
    "embed": ["embed", "a", "--data", "photos", "--out", "t.npz"],
    "finetune": ["finetune", "a", "--epochs", "1", "--labels", "0.5", "--out", "fine"],
    "report --baselines": ["report", "a", "--baselines", "--cache", "cache"],
}
NAMED = [name for name in COMMANDS if name != "report --baselines"]
"""Commands that take the strategy of one run from the command line."""


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ENCODERS, "tiny", tiny)
    monkeypatch.setitem(BENCHMARKS, "few-digits", small_run.few_digits)


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of a strategy of one's own, with its checkpoints."""
    place = tmp_path_factory.mktemp("original")
    (place / "mine.py").write_text(STRATEGY)
    with pytest.MonkeyPatch.context() as m:
        m.chdir(place)
        m.setitem(ENCODERS, "tiny", tiny)
        m.setitem(BENCHMARKS, "few-digits", small_run.few_digits)
        assert (
            main(["run", *small_run.run_options("simclr"), "--strategy", "mine.py", "--epochs", "1", "--out", "a"]) == 0
        )
    return place


@pytest.fixture
def marker(original: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What the strategy's file leaves when it is run; the run lies in `a` of the present folder."""
    shutil.copytree(original / "a", tmp_path / "a")
    monkeypatch.chdir(tmp_path)
    pictures(Path("photos"), {"a": 3})
    (original / "mine.py").write_text(STRATEGY)
    (original / "marker").unlink(missing_ok=True)
    return original / "marker"


def unfinished() -> None:
    log = Path("a/log.jsonl")
    log.write_text("".join(log.read_text().splitlines(keepends=True)[:-1]))


def start(name: str, *more: str) -> int:
    if name == "run --resume":
        unfinished()
    return main([*COMMANDS[name], *more])


@pytest.mark.parametrize("name", COMMANDS)
def test_a_file_that_a_run_names_is_not_run(name: str, marker: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert start(name) == (0 if name.startswith("report") else 2)
    out, err = capsys.readouterr()
    said = out if name.startswith("report") else err
    assert f"names the Python file '{marker.with_name('mine.py')}': give --trust-strategy" in said
    assert err.count("\n") <= 1
    assert not marker.exists()


@pytest.mark.parametrize("name", COMMANDS)
def test_a_trusted_file_is_run(name: str, marker: Path) -> None:
    assert start(name, "--trust-strategy") == 0
    assert marker.exists()


@pytest.mark.parametrize("name", NAMED)
def test_a_file_on_the_command_line_is_run(name: str, marker: Path) -> None:
    assert start(name, "--strategy", str(marker.with_name("mine.py"))) == 0
    assert marker.exists()


@pytest.mark.parametrize("name", COMMANDS)
def test_a_changed_file_is_not_trusted(name: str, marker: Path, capsys: pytest.CaptureFixture[str]) -> None:
    marker.with_name("mine.py").write_text(STRATEGY + "# changed\n")
    assert start(name, "--trust-strategy") == (0 if name.startswith("report") else 2)
    assert "mine.py' is not the file that was noted (SHA-256 " in "".join(capsys.readouterr())
    assert not marker.exists()


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize("strategy", ["{}/mine", "../../mine", "a/b", "strategies.simclr", "{}/mine.py"])
def test_a_name_that_is_a_path_is_refused(
    name: str, strategy: str, marker: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without a noted SHA-256, the user's trust does not help either."""
    strategy = strategy.format(marker.parent)
    values = yaml.safe_load(Path("a/config.yaml").read_text()) | {"strategy": strategy, "strategy_sha256": None}
    Path("a/config.yaml").write_text(yaml.safe_dump(values))
    log = Path("a/log.jsonl")
    first, rest = log.read_text().split("\n", 1)
    log.write_text(json.dumps(json.loads(first) | {"config": values}) + "\n" + rest)
    assert start(name, "--trust-strategy") == (0 if name.startswith("report") else 2)
    said = "".join(capsys.readouterr())
    assert f"'{strategy}'" in said and ("no strategy in " in said or "cannot be trusted" in said)
    assert not marker.exists()


def test_a_run_goes_on_with_a_file_that_moved_but_not_with_one_that_changed(
    marker: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mine.py").write_text(STRATEGY + "# changed\n")
    assert start("run --resume", "--strategy", "mine.py") == 2
    assert "the run was started with other settings: strategy_sha256 was " in capsys.readouterr().err
    (tmp_path / "mine.py").write_text(STRATEGY)
    assert main([*COMMANDS["run --resume"], "--strategy", "mine.py"]) == 0
    assert "resumed after " in capsys.readouterr().out


def test_an_interrupted_run_says_how_to_go_on(marker: Path, capsys: pytest.CaptureFixture[str]) -> None:
    update = "def update(self, outputs):\n        os.kill(os.getpid(), signal.SIGINT)\n"
    text = STRATEGY.replace("recipe =", f"import os, signal\nclass Mine(SimCLR):\n    {update}recipe =")
    Path("its own.py").write_text(text.replace("Recipe(SimCLR)", "Recipe(Mine)"))
    assert main(["run", *small_run.run_options("simclr"), "--strategy", "its own.py", "--out", "b"]) == 130
    assert capsys.readouterr().err.endswith("avalanche-ssl run --resume --out b --strategy 'its own.py'\n")


ENCODER = """
from pathlib import Path
from torch import nn
from avalanche_ssl.models import wrap

(Path(__file__).parent / "marker").touch()

def build(in_channels=3, *, width=4):
    return wrap(nn.Sequential(nn.Conv2d(in_channels, width, 3, 2), nn.ReLU()), width)
"""


@pytest.fixture
def encoder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file of the encoder of a finished run, which lies in `a` of the present folder."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "net.py"
    path.write_text(ENCODER)
    options = [option for option in small_run.run_options("simclr") if "encoder" not in option]
    named = ["--encoder", "net.py:build", "--set", "encoder.width=6", "--set", "feature_layer=pool2x2"]
    assert main(["run", *options, "--epochs", "1", *named, "--out", "a"]) == 0
    (tmp_path / "marker").unlink()
    return path


def refresh(path: Path) -> None:
    """Forget that the file was run in this process."""
    for name in [name for name in sys.modules if name.startswith("avalanche_ssl_encoder_")]:
        del sys.modules[name]
    path.with_name("marker").unlink(missing_ok=True)


def test_a_file_that_a_run_names_as_its_encoder_is_run_only_if_it_is_trusted(
    encoder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = yaml.safe_load(Path("a/config.yaml").read_text())["settings"]
    assert settings["encoder"] == f"{encoder}:build(width=6)" and len(settings["encoder_sha256"]) == 64
    assert settings["feature_layer"] == "pool2x2"
    pictures(Path("photos"), {"a": 3})
    Path("a").rename("finished")
    for changed in (False, True):
        for name in COMMANDS:
            failed = 0 if name.startswith("report") else 2
            for folder in ("a", "b", "cache"):
                shutil.rmtree(folder, ignore_errors=True)
            shutil.copytree("finished", "a")
            encoder.write_text(ENCODER + "# changed\n" * changed)
            refresh(encoder)
            capsys.readouterr()
            assert start(name) == failed
            said = "".join(capsys.readouterr())
            assert f"names the Python file '{encoder}' as its encoder: give --trust-strategy" in said
            assert not encoder.with_name("marker").exists(), name
            assert start(name, "--trust-strategy") == (failed if changed else 0)
            assert encoder.with_name("marker").exists() is not changed, name
            assert ("is not the file that was noted (SHA-256" in "".join(capsys.readouterr())) is changed


def test_a_run_takes_the_file_of_an_encoder_from_the_command_line(
    encoder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    start("run --config")
    assert "or with `run` --encoder PATH:NAME" in capsys.readouterr().err
    assert start("run --config", "--encoder", "net.py:build") == 0
    moved = encoder.with_name("moved")
    moved.mkdir()
    encoder.rename(moved / "net.py")
    assert start("run --resume", "--encoder", "moved/net.py:build") == 2
    assert "settings.encoder was net.py:build(width=6), is net.py:build" in capsys.readouterr().err
    assert main([*COMMANDS["run --resume"], "--encoder", "moved/net.py:build(width=6)"]) == 0
    assert "resumed after " in capsys.readouterr().out


def test_other_ways_to_name_an_encoder_run_no_file_either(encoder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without a noted SHA-256 trust does not help, and parts of the setting name no file."""
    values = yaml.safe_load(Path("a/config.yaml").read_text())
    own = values["settings"].pop("encoder")
    refresh(encoder)
    for changes in (
        {"encoder": own, "encoder_sha256": None},
        {"encoder.": own},
        {"encoder.name": own, "encoder": "smallconv"},
        {"encoder": {"encoder": own}},
        {"encoder": [own]},
    ):
        Path("a/config.yaml").write_text(yaml.safe_dump(values | {"settings": values["settings"] | changes}))
        assert main([*COMMANDS["run --config"], "--trust-strategy"]) == 2
        assert capsys.readouterr().err.count("\n") == 1
        assert not encoder.with_name("marker").exists()
