"""Does the code that README and CONTRIBUTING show run?"""

import re
from pathlib import Path
from typing import Any

import pytest
from conftest import tiny

from avalanche_ssl import check_method, encoders, streams
from avalanche_ssl.encoders import ENCODERS
from avalanche_ssl.recipe import load_recipe

ROOT = Path(__file__).parent.parent


def block(file: str, text: str) -> str:
    """The first block of Python in a file that holds a text."""
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / file).read_text(encoding="utf-8"), re.DOTALL)
    return next(b for b in blocks if text in b)


def test_contributings_method_runs(tmp_path: Path, digits: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ENCODERS, "smallconv", tiny)
    path = tmp_path / "mine.py"
    path.write_text(block("CONTRIBUTING.md", "class BarlowTwins"), encoding="utf-8")
    recipe = load_recipe(str(path), ROOT / "strategies").override({"dim": 16, "epochs": 1, "lr": 0.02})
    assert {"dim", "weight", "augment"} <= recipe.settings.keys()
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
    monkeypatch.setattr(encoders, "resnet18", tiny)
    monkeypatch.setattr(streams, "split_cifar10", lambda experiences: streams.split_digits(2, composites=2))
    names: dict[str, Any] = {}
    exec(compile(block("README.md", "split_cifar10"), "README.md", "exec"), names)
    assert names["plugins"][0].trained == 2
    assert "Top1_Acc_Exp/eval_phase/test_stream/Task000/Exp001" in capsys.readouterr().out
