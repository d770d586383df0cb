"""`build_strategy`: a tuned strategy by its name, with settings changed by keyword."""

import inspect
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from avalanche_ssl.errors import UsageError, unknown_name
from avalanche_ssl.recipes.loading import load_recipe

if TYPE_CHECKING:
    from avalanche_ssl.training import SelfSupervised

AVALANCHE_NAMES = {"train_mb_size": "batch_size", "train_epochs": "epochs"}
"""Arguments of Avalanche's strategies, with the setting of a recipe that decides them."""


def build_strategy(strategy: str, *, settings: Mapping[str, Any] | None = None, **keywords: Any) -> "SelfSupervised":
    """The strategy of a tuned recipe, ready to train.

    ```python
    strategy = build_strategy("moco", epochs=5, benchmark=benchmark, plugins=[ProbePlugin(benchmark)])
    strategy.train(benchmark.train_stream)
    ```

    Args:
        strategy: name of an installed strategy (`avalanche_ssl.recipes.recipe_names` lists them), or path of a Python
            file that defines `recipe`.
        settings: settings of the recipe by name, nested ones too: `{"augment.blur_prob": 0.5}`.
        keywords: settings of the recipe such as `epochs`, `lr` and `temperature`, which win over `settings`;
            `init`, weights that the encoder starts from, e.g. "moco_v2.pth.tar" or "torchvision", see `Recipe.build`;
            `benchmark`, whose images decide the channels of the encoder and are tried on the strategy, see
            `Recipe.build`; and arguments of `SelfSupervised` such as `plugins`, `device`, `precision`, `seed` and
            `evaluator`. A name that both have is the recipe's.

    Raises:
        UsageError: there is no such strategy or setting (the nearest is proposed), or a value or the images do not fit.
    """
    recipe = load_recipe(strategy)
    own, others = list(recipe.settings), _training_options()
    for name in keywords:
        if name in AVALANCHE_NAMES:
            raise UsageError(f"setting '{name}' of a strategy is '{AVALANCHE_NAMES[name]}' in a recipe: give that")
        if name not in own and name not in others:
            raise unknown_name("setting", name, dict.fromkeys(own + others))
    changes = {name: value for name, value in keywords.items() if name in own}
    options = {name: value for name, value in keywords.items() if name not in own}
    return recipe.override({**(settings or {}), **changes}).build(**options)


def _training_options() -> list[str]:
    """Benchmark, weights to start from, and names of the arguments of `SelfSupervised` that a recipe leaves open."""
    from avalanche_ssl.training import SelfSupervised  # imports Avalanche, which takes seconds

    decided = ("self", "model", "optimizer", "kwargs", *AVALANCHE_NAMES)
    options = inspect.signature(SelfSupervised.__init__).parameters
    return ["benchmark", "init", *(name for name in options if name not in decided)]
