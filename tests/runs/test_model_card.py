"""The model card of an encoder: its code, its input, its numbers."""

from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from avalanche_ssl.errors import UsageError
from avalanche_ssl.methods import Method, SimCLR
from avalanche_ssl.recipes import Recipe
from avalanche_ssl.runs.model_card import card
from avalanche_ssl.transforms import RandomView

RECIPE = Recipe(partial(SimCLR, output_dim=8), encoder="smallconv")
CONFIG = {"strategy": "simclr", "benchmark": "<b>digits</b>", "seed": 3, "settings": {"lr": 0.1}}


def of(recipe: Recipe, file: str = "e.pt", results: Any = (), weights: Any = None) -> str:
    weights = recipe.build_method().encoder.state_dict() if weights is None else weights
    return card(recipe, CONFIG, weights, Path("there") / file, "2 of 5 experiences", results)


def test_numbers_settings_and_input() -> None:
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


def test_a_network_of_ones_own_is_loaded_into_the_method() -> None:
    text = of(Recipe(Own, encoder="smallconv"))
    assert "`method.encoder.load_state_dict(torch.load('e.pt', weights_only=True))`" in text
    assert "images as `Own.extract_features` prepares them" in text and "```" not in text


def test_weights_of_another_encoder_are_refused() -> None:
    with pytest.raises(UsageError, match="the weights are not of this run's encoder") as error:
        of(RECIPE, weights={"x": torch.zeros(2)})
    assert "\n" not in str(error.value)
