"""A recipe: the settings of one strategy, which build a `SelfSupervised` and travel as YAML."""

import dataclasses
import importlib.util
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_type_hints

import torch
import yaml

from avalanche_ssl.encoders import ENCODERS
from avalanche_ssl.errors import UsageError, nearest
from avalanche_ssl.method import Method
from avalanche_ssl.schedule import Schedule
from avalanche_ssl.settings import arguments, change, plain

if TYPE_CHECKING:
    from avalanche_ssl.strategy import SelfSupervised


@dataclasses.dataclass(frozen=True)
class Recipe:
    """Everything that decides how a strategy learns, except the stream and the machine.

    Settings have flat names: the fields here and the arguments of the method, e.g. ``lr`` and ``temperature``;
    nested ones are dotted, e.g. ``augment.blur`` and ``schedule.warmup``.

    Args:
        method: a `Method` class, or a `functools.partial` of one with other defaults; called with the encoder.
        encoder: name of an encoder, see `avalanche_ssl.encoders.ENCODERS`.
        batch_size: images a step.
        epochs: passes over each experience.
        optimizer: "sgd" (momentum 0.9), "adam" or "adamw".
        lr: base learning rate, which `schedule` multiplies.
        weight_decay: of weights; biases and normalisation layers have none.
        schedule: of the learning rate within an experience.
        clip: largest norm of the gradient, or None.
    """

    method: Callable[..., Method]
    encoder: str = "smallconv"
    batch_size: int = 128
    epochs: int = 5
    optimizer: Literal["sgd", "adam", "adamw"] = "sgd"
    lr: float = 0.06
    weight_decay: float = 5e-4
    schedule: Schedule = Schedule()
    clip: float | None = None

    def __post_init__(self) -> None:
        for name in ("batch_size", "epochs"):
            if getattr(self, name) < 1:
                raise UsageError(f"setting '{name}' is {getattr(self, name)}: give 1 or more")
        if self.lr <= 0 or self.weight_decay < 0:
            raise UsageError(f"lr {self.lr} must be above 0 and weight_decay {self.weight_decay} not below")
        if self.encoder not in ENCODERS:
            raise nearest("encoder", self.encoder, ENCODERS)

    @property
    def settings(self) -> dict[str, Any]:
        """All settings by name, as plain values that YAML can write."""
        return {name: plain(value) for name, (_, value) in self._typed().items()}

    def override(self, changes: Mapping[str, Any]) -> "Recipe":
        """A copy with some settings changed.

        Args:
            changes: values by name, as YAML reads them: converted to the declared type.

        Raises:
            UsageError: an unknown name (the nearest is proposed) or a value of a wrong type or range.
        """
        recipe = self
        for name, value in changes.items():
            recipe = recipe._changed(name, value)
        return recipe

    def build_method(self) -> Method:
        """The method with freshly initialised weights, from torch's global random state."""
        try:
            return self.method(ENCODERS[self.encoder])
        except UsageError:
            raise
        except ValueError as error:
            raise UsageError(str(error)) from error

    def build(self, *, seed: int = 0, **settings: Any) -> "SelfSupervised":
        """The strategy: method, optimiser and loop.

        Args:
            seed: of the weights, the views and the order of images. The global random state is left alone.
            settings: arguments of `SelfSupervised` that a recipe does not decide: device, precision, plugins, ...
        """
        from avalanche_ssl.strategy import SelfSupervised  # imports Avalanche, which takes seconds

        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            method = self.build_method()
        decided: dict[str, Any] = {
            "train_mb_size": self.batch_size,
            "train_epochs": self.epochs,
            "schedule": self.schedule,
            "clip": self.clip,
            "seed": seed,
        }
        return SelfSupervised(model=method, optimizer=self._optimizer(method), **decided | settings)

    def _typed(self) -> dict[str, tuple[Any, Any]]:
        """Type and value of each setting by name."""
        kinds = get_type_hints(type(self))
        own = {f.name: (kinds[f.name], getattr(self, f.name)) for f in dataclasses.fields(self) if f.name != "method"}
        return own | {n: v for n, v in arguments(self.method).items() if n != "encoder"}

    def _changed(self, name: str, value: Any) -> "Recipe":
        head, _, rest = name.partition(".")
        typed = self._typed()
        if head not in typed:
            raise nearest("setting", name, typed)
        kind, current = typed[head]
        new = change(current, {rest: value} if rest else value, kind, head)
        if head in {f.name for f in dataclasses.fields(self)}:
            return dataclasses.replace(self, **{head: new})
        return dataclasses.replace(self, method=partial(self.method, **{head: new}))

    def _optimizer(self, method: Method) -> torch.optim.Optimizer:
        trained = [p for p in method.parameters() if p.requires_grad]
        groups: list[dict[str, Any]] = [
            {"params": [p for p in trained if p.ndim > 1], "weight_decay": self.weight_decay},
            {"params": [p for p in trained if p.ndim <= 1], "weight_decay": 0.0},
        ]
        groups = [g for g in groups if g["params"]]
        if self.optimizer == "sgd":
            return torch.optim.SGD(groups, lr=self.lr, momentum=0.9)
        if self.optimizer == "adam":
            return torch.optim.Adam(groups, lr=self.lr)
        return torch.optim.AdamW(groups, lr=self.lr)


def load_recipe(strategy: str, folder: Path) -> Recipe:
    """The recipe of a strategy: a name in `folder`, or a path to a Python file of yours that defines `recipe`.

    Raises:
        UsageError: no such name (the nearest is proposed), no such file, or a file without a recipe.
    """
    path = Path(strategy) if strategy.endswith(".py") else folder / f"{strategy}.py"
    if not path.is_file():
        if strategy.endswith(".py"):
            raise UsageError(f"no strategy file '{strategy}': give a path to a Python file that defines `recipe`")
        error = nearest("strategy", strategy, recipe_names(folder))
        raise UsageError(f"{error}; or give the path of a Python file that defines `recipe`")
    spec = importlib.util.spec_from_file_location(f"avalanche_ssl_recipe_{path.stem.replace('-', '_')}", path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    recipe = getattr(module, "recipe", None)
    if not isinstance(recipe, Recipe):
        raise UsageError(f"{path} defines no `recipe = Recipe(...)`: add one")
    return recipe


def recipe_names(folder: Path) -> list[str]:
    """Names of the recipes in a folder."""
    return sorted(p.stem for p in folder.glob("*.py") if not p.stem.startswith("_"))


def parse_settings(pairs: Iterable[str]) -> dict[str, Any]:
    """`["lr=1e-4", "augment.blur=0.5"]` as a mapping; values are read as YAML.

    Raises:
        UsageError: a pair has no `=`, or its value is not YAML.
    """
    settings = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name:
            raise UsageError(f"setting '{pair}' has no value: give --set name=value")
        try:
            settings[name.strip()] = yaml.safe_load(value)
        except yaml.YAMLError as error:
            raise UsageError(f"setting '{pair}' is not YAML: {str(error).splitlines()[0]}") from error
    return settings
