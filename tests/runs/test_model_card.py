"""The model card of an encoder: its code, its input, its numbers."""

from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from avalanche_ssl.errors import UsageError
from avalanche_ssl.methods import Method, SimCLR
from avalanche_ssl.models import ENCODERS, smallconv
from avalanche_ssl.recipes import Recipe
from avalanche_ssl.runs.model_card import card
from avalanche_ssl.transforms import RandomView

RECIPE = Recipe(partial(SimCLR, output_dim=8), encoder="smallconv")
CONFIG = {"strategy": "simclr", "benchmark": "<b>digits</b>", "seed": 3, "settings": {"lr": 0.1}}


def of(recipe: Recipe, file: str = "e.pt", results: Any = (), weights: Any = None) -> str:
    weights = recipe.build_method().encoder.state_dict() if weights is None else weights
    return card(recipe, CONFIG, weights, Path("there") / file, "2 of 5 experiences", results)


def test_numbers_settings_and_input(monkeypatch: pytest.MonkeyPatch) -> None:
    text = of(RECIPE, results=[("ridge", "all", 0.25, 0.5), ("<i>", "task", float("nan"), 1.0)])
    for line in (
        "# Encoder of simclr on &lt;b&gt;digits&lt;/b&gt;, seed 3",
        "| probe | scope | untrained % | trained % |",
        "| ridge | all | 25.0 | 50.0 |",
        "| &lt;i&gt; | task | - | 100.0 |",
        "    seed: 3",
        "      lr: 0.1",
    ):
        assert line in text.splitlines(), line
    assert "over the test data of the experiences:" in text
    monkeypatch.setitem(CONFIG, "eval_on", "val:2")
    assert "over the validation data of the experiences:" in of(RECIPE, results=[("ridge", "all", 0.25, 0.5)])
    assert "parameters, after 2 of 5 experiences." in text
    assert "images (B, 3, H, W) as float in [0, 1], minus 0.5, divided by 0.25" in text
    assert "The stream was not probed." not in text and "The stream was not probed." in of(RECIPE)


@pytest.mark.parametrize("file", ["e.pt", "e.safetensors"])
def test_the_code_loads_the_weights(file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from avalanche_ssl.checkpointing import write_encoder

    monkeypatch.chdir(tmp_path)
    weights = RECIPE.build_method().encoder.state_dict()
    write_encoder(tmp_path / file, weights)
    names: dict[str, Any] = {}
    exec(of(RECIPE, file, weights=weights).partition("```python\n")[2].partition("```")[0], names)
    found = names["encoder"].state_dict()
    assert found.keys() == weights.keys() and all(torch.equal(found[name], weights[name]) for name in weights)


class Own(Method):
    """A method with a network of its own."""

    def __init__(self, encoder: Any) -> None:
        super().__init__(nn.Linear(2, 2), RandomView())

    def extract_features(self, x: torch.Tensor) -> torch.Tensor:
        return x


class Altered(SimCLR):
    """A method that changes the encoder which it was given."""

    def __init__(self, encoder: Any) -> None:
        super().__init__(encoder, 8)
        self.encoder.stages.append(nn.Conv2d(256, 256, 1))


class WithScale(SimCLR):
    """A method that gives the encoder a weight of its own, which no layer shows."""

    def __init__(self, encoder: Any) -> None:
        super().__init__(encoder, 8)
        self.encoder.scale = nn.Parameter(torch.ones(1))


@pytest.mark.parametrize(
    ("encoder", "call"),
    [
        ("resnet9(width=4)", "resnet9(width=4)"),
        ("torchvision:squeezenet1_1", "get_encoder('torchvision:squeezenet1_1')()"),
    ],
)
def test_the_code_has_the_arguments_of_the_encoder_and_runs(
    encoder: str, call: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = Recipe(partial(SimCLR, output_dim=8), encoder=encoder, feature_layer="pool2x2")
    weights = recipe.build_method(0).encoder.state_dict()
    text = of(recipe, weights=weights)
    assert f"encoder = {call}" in text
    assert "Probes read another layer: `avalanche_ssl.models.read_features(encoder, images, 'pool2x2')`." in text
    monkeypatch.chdir(tmp_path)
    torch.save(weights, "e.pt")
    names: dict[str, Any] = {}
    exec(text.split("```python\n")[1].split("```")[0], names)
    assert all(torch.equal(value, names["encoder"].state_dict()[name]) for name, value in weights.items())


def test_an_encoder_of_a_file_gets_no_code(tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text("from avalanche_ssl.models import smallconv as build")
    text = of(Recipe(partial(SimCLR, output_dim=8), encoder=f"{tmp_path}/net.py:build(width=4)"))
    assert "Its network is none of `avalanche_ssl.models`" in text and "```" not in text


@pytest.mark.parametrize("method", [Own, Altered, WithScale])
def test_a_network_of_ones_own_gets_no_code(method: type[Method]) -> None:
    text = of(Recipe(method, encoder="smallconv"))
    assert (
        f"Its network is none of `avalanche_ssl.models`: `{method.__name__}` of the strategy simclr builds it" in text
    )
    assert "```" not in text and "load_state_dict" not in text
    if method is Own:
        assert "images as `Own.extract_features` prepares them" in text


@pytest.mark.parametrize("name", ["mine", "smallconv"])
def test_an_encoder_that_a_strategy_registered_gets_no_code(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """By a name that `avalanche_ssl.models` does not have, or has with another network."""
    monkeypatch.setitem(ENCODERS, name, partial(smallconv, width=4))
    text = of(Recipe(partial(SimCLR, output_dim=8), encoder=name))
    assert "Its network is none of `avalanche_ssl.models`: `SimCLR` of the strategy simclr builds it" in text
    assert "```" not in text


def test_weights_of_another_encoder_are_refused() -> None:
    with pytest.raises(UsageError, match="the weights are not of this run's encoder") as error:
        of(RECIPE, weights={"x": torch.zeros(2)})
    assert "\n" not in str(error.value)
