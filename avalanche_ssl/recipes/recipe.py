"""A recipe: the settings of one strategy, which build a `SelfSupervised` and travel as YAML."""

import dataclasses
import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_type_hints

import torch

from avalanche_ssl.errors import UsageError, unknown_name
from avalanche_ssl.methods import Method, check_channels
from avalanche_ssl.models import EncoderFactory, Weights, read_weights, with_channels
from avalanche_ssl.optim import OPTIMIZERS, LRSchedule
from avalanche_ssl.recipes.encoder_loading import checked_encoder, encoder_sha256, load_encoder
from avalanche_ssl.recipes.encoder_setting import EncoderSetting
from avalanche_ssl.recipes.initialization import initialized_method
from avalanche_ssl.recipes.settings import arguments, change, convert, to_plain

if TYPE_CHECKING:
    from avalanche_ssl.training import SelfSupervised


@dataclasses.dataclass(frozen=True)
class Recipe:
    """All settings of a strategy: everything that decides how it trains, except the stream and the machine.

    Settings have flat names: the fields here and the arguments of the method, e.g. ``lr`` and ``temperature``;
    nested ones are dotted, e.g. ``augment.blur_prob`` and ``schedule.warmup``. An argument of the encoder is dotted,
    too: ``encoder.width``.

    Args:
        method: a `Method` class, or a `functools.partial` of one with other defaults; called with the encoder.
        encoder: name of an encoder, see `avalanche_ssl.models.get_encoder`, or `PATH.py:FUNCTION`, which is run when a
            method is built; with arguments as in "resnet18(width=32)".
        batch_size: images per step.
        epochs: passes over each experience.
        optimizer: "sgd" (momentum 0.9), "adam", "adamw" or "lars" (large batches).
        lr: base learning rate, which `schedule` multiplies.
        weight_decay: applied to weights; not to biases and normalization layers.
        schedule: learning-rate schedule within an experience.
        max_grad_norm: norm to which larger gradients are clipped, or None.
        in_channels: channels of the images, for the encoder; None: those of the stream, or 3 where it is not given.
        feature_layer: which layer `extract_features` gives, see `avalanche_ssl.models.FEATURE_LAYERS`; None: the output
            of the encoder. Training does not depend on it.
        encoder_sha256: SHA-256 of the encoder's file, as runs note it; other content is not run.

    Raises:
        UsageError: a value is out of its range, or the method is an instance or has an argument with a field's name.
    """

    method: Callable[..., Method]
    encoder: str = "smallconv"
    batch_size: int = 128
    epochs: int = 5
    optimizer: Literal["sgd", "adam", "adamw", "lars"] = "sgd"
    lr: float = 0.06
    weight_decay: float = 5e-4
    schedule: LRSchedule = LRSchedule()
    max_grad_norm: float | None = None
    in_channels: int | None = None
    feature_layer: Literal["global_pool", "cls", "pool2x2"] | None = None
    encoder_sha256: str | None = None

    def __new__(cls, *values: Any, **settings: Any) -> "Recipe":
        """Refuse a keyword that is no field: those of the method are given to the method.

        Raises:
            UsageError: names the keyword, and where it belongs or the nearest field.
        """
        fields = [f.name for f in dataclasses.fields(cls)]
        for name in settings:
            method: Any = values[0] if values else settings.get("method")
            if name not in fields and callable(method) and name in arguments(method):
                called = (method.func if isinstance(method, partial) else method).__name__
                raise UsageError(f"setting '{name}' is of the method: give partial({called}, {name}=...) to the recipe")
            if name not in fields:
                raise unknown_name("setting", name, fields)
        return super().__new__(cls)

    def __post_init__(self) -> None:
        self._check_method()
        for name, (kind, value) in self._fields().items():
            object.__setattr__(self, name, convert(value, kind, name))
        for name in ("batch_size", "epochs"):
            if getattr(self, name) < 1:
                raise UsageError(f"setting '{name}' is {getattr(self, name)}: give 1 or more")
        if self.in_channels is not None and self.in_channels < 1:
            raise UsageError(f"setting 'in_channels' is {self.in_channels}: give 1 or more, or null")
        if not 0 < self.lr < math.inf or not 0 <= self.weight_decay < math.inf:
            raise UsageError(f"lr {self.lr} must be above 0, weight_decay {self.weight_decay} not below, both finite")
        if self.max_grad_norm is not None and not 0 < self.max_grad_norm < math.inf:
            raise UsageError(f"setting 'max_grad_norm' is {self.max_grad_norm}: give a number above 0, or null")
        if self.optimizer not in OPTIMIZERS:
            raise unknown_name("optimizer", self.optimizer, OPTIMIZERS)
        object.__setattr__(self, "encoder", checked_encoder(self.encoder))

    def _check_method(self) -> None:
        if isinstance(self.method, Method) or not callable(self.method):
            raise UsageError(
                "the method of a recipe is the class, or a partial of it: Recipe(MoCo), not Recipe(MoCo(...))"
            )
        clash = (arguments(self.method).keys() & {f.name for f in dataclasses.fields(self)}) - {"encoder"}
        if clash:
            raise UsageError(f"argument '{min(clash)}' of the method is a setting of every recipe: choose another name")

    @property
    def settings(self) -> dict[str, Any]:
        """All settings by name, as plain values that YAML can write."""
        return {name: to_plain(value) for name, (_, value) in self._typed().items()}

    @property
    def online_defaults(self) -> dict[str, Any]:
        """Settings for a stream of mini-batches: one step each, at a constant learning rate, and the method's own."""
        method = self.method.func if isinstance(self.method, partial) else self.method
        one_step = {"epochs": 1, "schedule.kind": "constant", "schedule.warmup": 0.0}
        return one_step | dict(getattr(method, "online_defaults", {}))

    def override(self, changes: Mapping[str, Any]) -> "Recipe":
        """A copy with some settings changed.

        Args:
            changes: new values by name, as YAML reads them; they are converted to the declared type. Parts of a
                setting, such as "encoder.width", count after the whole of it.

        Raises:
            UsageError: an unknown name (the nearest is proposed) or a value of a wrong type or range.
        """
        recipe = self
        for name, value in sorted(changes.items(), key=lambda change: "." in str(change[0])):
            recipe = recipe._changed(str(name), value)
        return recipe

    def with_noted_encoder(self) -> "Recipe":
        """The recipe with the absolute path and the SHA-256 of its encoder's file, if it is one.

        Raises:
            UsageError: the file cannot be read.
        """
        encoder = str(EncoderSetting.parse(self.encoder).with_absolute_path())
        return dataclasses.replace(self, encoder=encoder, encoder_sha256=self.encoder_sha256 or encoder_sha256(encoder))

    def encoder_factory(self) -> EncoderFactory:
        """What builds the encoder, for images with the recipe's channels; a file is run now.

        Raises:
            UsageError: there is no such file or function, or it is not the one that was noted.
        """
        return with_channels(load_encoder(self.encoder, self.encoder_sha256), self.in_channels)

    def for_images(self, shapes: Sequence[tuple[int, int, int]]) -> "Recipe":
        """The recipe for a stream's images of these shapes (C, H, W): with their channels, unless it has some.

        Raises:
            UsageError: the images differ in channels, other than gray and RGB.
        """
        from avalanche_ssl.data import common_channels

        if self.in_channels is not None or not shapes:
            return self
        channels = common_channels(shapes)
        if channels is None:
            found = ", ".join(map(str, dict.fromkeys(shape[0] for shape in shapes)))
            raise UsageError(f"the experiences have images of {found} channels: give all as many")
        return dataclasses.replace(self, in_channels=channels)

    def build_method(self, seed: int | None = None, init: Weights | None = None) -> Method:
        """The method with new weights, drawn from torch's global random state, or a seed that leaves it alone.

        With `init` its encoder starts from given weights instead, see `avalanche_ssl.models.load_weights`.
        """
        if seed is not None:
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(seed)
                return self.build_method(init=init)
        factory = self.encoder_factory()
        try:
            with warnings.catch_warnings():
                warnings.filterwarnings("error", "Initializing zero-element")  # of a layer without outputs
                method = initialized_method(self.method, factory, init) if init else self.method(factory)
        except UsageError:
            raise
        except (ValueError, RuntimeError, UserWarning) as error:  # from torch: sizes below 0 or beyond the memory
            raise UsageError(f"these settings build no method: {' '.join(str(error).split())}") from error
        if self.in_channels is not None:
            check_channels(method, self.in_channels)
        method.choose_features(self.feature_layer)
        return method

    def build(
        self, *, seed: int = 0, benchmark: Any = None, init: str | Path | Weights | None = None, **options: Any
    ) -> "SelfSupervised":
        """The strategy: method, optimizer and training loop.

        Args:
            seed: seed of the weights, the views and the order of images. The global random state is left alone.
            benchmark: the stream it will be trained on, if it is known: the encoder gets the channels of its images,
                and two images of each shape are passed through the method, so that what does not fit shows now.
            init: weights that the encoder starts from: a file, a folder of a run or an export, or `torchvision` or
                `timm` for those that the package has for this encoder, see `avalanche_ssl.models.load_weights`.
            options: arguments of `SelfSupervised` that a recipe does not decide: device, precision, plugins, ...

        Raises:
            UsageError: a setting, or the images of the benchmark, do not fit.
        """
        from avalanche_ssl.data import Shape, stream_shapes
        from avalanche_ssl.training import SelfSupervised  # imports Avalanche, which takes seconds

        shapes: Sequence[Shape] = ()
        if benchmark is not None:
            shapes = stream_shapes(benchmark.train_stream, options.get("use_dataset_transforms", False))
        weights = read_weights(init, self.encoder) if isinstance(init, str | Path) else init
        method = self.for_images(shapes).build_method(seed, weights)
        decided: dict[str, Any] = {
            "train_mb_size": self.batch_size,
            "train_epochs": self.epochs,
            "schedule": self.schedule,
            "max_grad_norm": self.max_grad_norm,
            "seed": seed,
        }
        strategy = SelfSupervised(model=method, optimizer=self._optimizer(method), **decided | options)
        strategy.try_shapes(shapes)
        return strategy

    def _typed(self) -> dict[str, tuple[Any, Any]]:
        """Type and value of each setting by name."""
        return self._fields() | {n: v for n, v in arguments(self.method).items() if n != "encoder"}

    def _fields(self) -> dict[str, tuple[Any, Any]]:
        kinds = get_type_hints(type(self))
        return {f.name: (kinds[f.name], getattr(self, f.name)) for f in dataclasses.fields(self) if f.name != "method"}

    def _changed(self, name: str, value: Any) -> "Recipe":
        head, dot, rest = name.partition(".")
        typed = self._typed()
        if head not in typed or (dot and not rest):
            raise unknown_name("setting", name, typed)
        if head == "encoder" and rest:
            value, rest = str(EncoderSetting.parse(self.encoder).with_argument(rest, value)), ""
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
        return OPTIMIZERS[self.optimizer]([g for g in groups if g["params"]], lr=self.lr)
