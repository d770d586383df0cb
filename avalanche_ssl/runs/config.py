"""The configuration of a run: `RunConfig`, one documented field per option, from which all else is derived.

The command line (`avalanche_ssl.cli.options`), `config.yaml`, the checks of both and the table of options in
`benchmarks/README.md` read the fields, their types, defaults and help texts. Imports nothing heavy.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_type_hints

from avalanche_ssl.errors import UsageError, unknown_name
from avalanche_ssl.files import split_paths
from avalanche_ssl.plugins import PLUGINS
from avalanche_ssl.recipes import EncoderSetting, file_of
from avalanche_ssl.runs.config_file import FORMER_EVALUATION, today
from avalanche_ssl.runs.misplaced import unknown_option
from avalanche_ssl.runs.named_code import check_encoder, check_strategy
from avalanche_ssl.runs.stream_options import (
    TEST,
    decisive_stream,
    move_seed,
    unknown_benchmark,
    validation_experiences,
)
from avalanche_ssl.streams import BENCHMARKS, REGIMES

HEADLINE_PROBES = {name: "core50" for name in BENCHMARKS if name.startswith("core50-")}
"""The probe protocol that users of a benchmark report first, where it is not ridge."""


def option(help: str, default: Any, metavar: str = "", **more: Any) -> Any:
    """A field of a configuration.

    Args:
        help: what the option does, as `--help` and the table of options show it.
        default: its value if it is not given.
        metavar: stands for the value in `--help`.
        more: `flag`, the option's name on the command line if it is not that of the field; `const`, its value where
            it is given without one; `joined`, that it may be given several times, joined as in PATH; `shown`, what to
            show as the default; `noted`, that the run fills it in, and the command line has no option for it.
    """
    factory = {"default_factory": lambda: dict(default)} if isinstance(default, dict) else {"default": default}
    return dataclasses.field(metadata={"help": help, "metavar": metavar, **more}, **factory)


@dataclass(frozen=True)
class RunConfig:
    """Everything that decides what a run finds; `config.yaml` holds it.

    Raises:
        UsageError: a value has a wrong type or range; the message names the option and the remedy.
    """

    strategy: str = option("what is trained: see --list, or a Python file that defines `recipe`", "", "NAME|PATH")
    benchmark: str = option("the stream: see --list", "", "NAME", shown="split-digits; with --data folder")
    data: str | None = option(
        "where the images are: a folder, or a text file that lists them; repeatable, or several joined as in PATH",
        None,
        "PATH",
        joined=True,
    )
    benchmark_options: dict[str, Any] = option(
        "an option of the benchmark; repeatable", {}, "KEY=VALUE", flag="--benchmark-option"
    )
    online_batch_size: int = option(
        "cut the stream into mini-batches of N images that come once", 0, "N", const=10, shown="off (0); 10 without N"
    )
    access_task_boundaries: bool = option(
        "with --online-batch-size: let plugins know where experiences end", False, shown="off"
    )
    plugins: dict[str, Any] = option(
        "a plugin against forgetting: see --list; repeatable, its settings with --set NAME.KEY=VALUE",
        {},
        "NAME",
        flag="--plugin",
        shown="none",
    )
    probes: str = option(
        "probe protocols, comma-separated, e.g. ridge,ridge:2x2,ridge@10%; the first is the headline",
        "",
        "NAMES",
        shown="ridge; of CORe50 core50",
    )
    probe_every_images: str = option(
        "with --online-batch-size: also probe every N images of the stream, or at these numbers of images",
        "",
        "N[,N...]",
        shown="off",
    )
    probe_every_experiences: int = option(
        "probe after every N-th experience only, and the last", 0, "N", shown="at most 40 times"
    )
    init: str | None = option(
        "weights that the encoder starts from: a file (of a run, torchvision, timm, an official checkpoint), a folder "
        "of a run or export, or torchvision[:NAME] or timm[:NAME], which download them",
        None,
        "FILE|NAME",
        shown="random",
    )
    continue_from: str | None = option(
        "start from the whole state (weights, memories, optimizer) of a finished run with --keep-checkpoints; its "
        "config.yaml holds where no other is given",
        None,
        "RUN",
        shown="off",
    )
    seed: int = option("seed of everything: weights, views, the order of images, and the stream", 0, "N")
    stream_seed: int | None = option(
        "seed of the stream alone: order of classes, generated images, parts of the data, labels that probes keep",
        None,
        "N",
        shown="that of --seed",
    )
    eval_on: str = option(
        "what probes are scored on: test; val, a quarter of the training data (by base object), which is not trained "
        "on; val:N, this of the first N experiences alone",
        "test",
        "NAME",
    )
    device: str = option("auto, cpu or cuda", "auto", "NAME")
    precision: str = option("auto, fp32 or bf16", "auto", "NAME", shown="auto: bf16 where it is faster here")
    eval_precision: str = option("that of evaluation: auto, fp32 or bf16", "auto", "NAME", shown="auto: as --precision")
    compile: bool = option("compile the encoders with torch.compile, which pays off in long runs", False, shown="off")
    num_workers: int = option("processes that decode images not held in memory; changes no result", 0, "N")
    on_nan: Literal["raise", "skip"] = option("at a step whose loss is not finite", "raise")
    logger: Literal["none", "tensorboard"] = option(
        "also write to the run's folder for TensorBoard; changes no result", "none"
    )
    settings: dict[str, Any] = option("a setting of the recipe; repeatable", {}, "KEY=VALUE", flag="--set")
    strategy_sha256: str | None = option("SHA-256 of the Python file that is the strategy", None, noted=True)
    init_sha256: str | None = option("SHA-256 of the weights of --init", None, noted=True)
    continue_from_sha256: str | None = option("SHA-256 of the checkpoint of --continue-from", None, noted=True)
    lineage: list[str] | None = option("the runs that it continues, oldest first", None, noted=True)

    def __post_init__(self) -> None:
        from avalanche_ssl.recipes import convert  # YAML is loaded when it is needed

        for name, kind in get_type_hints(type(self)).items():
            value = getattr(self, name)
            if kind == dict[str, Any]:
                if not isinstance(value, dict):
                    raise UsageError(f"'{name}' is {value!r}: give KEY: VALUE lines")
                continue
            value = convert(value, kind, name)
            if isinstance(value, int) and not 0 <= value < 2**63:
                raise UsageError(f"{name} is {value}: give 0 or more")
            object.__setattr__(self, name, value)
        if self.init and self.continue_from:
            raise UsageError("--init and --continue-from both say what the weights are: give one of them")
        if not self.strategy:
            raise UsageError("no strategy: give --strategy NAME (see --list) or --strategy PATH")
        object.__setattr__(self, "benchmark", self.benchmark or ("folder" if self.data else "split-digits"))
        if self.benchmark not in BENCHMARKS:
            raise unknown_benchmark(self.benchmark)
        move_seed(self)
        validation_experiences(self.eval_on)
        for name in self.plugins:
            if name not in PLUGINS:
                raise unknown_name("plugin", name, PLUGINS)
        if self.access_task_boundaries and not self.online_batch_size:
            raise UsageError(
                "--access-task-boundaries is about a stream of mini-batches: give --online-batch-size, too; of whole "
                "experiences plugins know the ends"
            )
        object.__setattr__(self, "probes", self.probes or HEADLINE_PROBES.get(self.benchmark, "ridge"))

    @classmethod
    def from_mapping(
        cls,
        values: Mapping[str, Any],
        source: str = "the configuration",
        *,
        strategy: str | None = None,
        encoder: str | None = None,
        trust_strategy: bool = False,
        to_run: bool = True,
    ) -> RunConfig:
        """The configuration that a mapping holds, such as `config.yaml`; former names of options are understood.

        A mapping is data, and its strategy the name of an installed one: a Python file is code, which the caller gives
        or trusts. The same holds for the encoder among its settings.

        Args:
            values: options by name.
            source: where they are from, for messages.
            strategy: taken instead of that of the mapping; the name of an installed one or a Python file.
            encoder: taken instead of that of the mapping's settings; a name or a function of a Python file.
            trust_strategy: accept Python files that the mapping names, together with their SHA-256.
            to_run: whether what it names will be run, and not only compared.

        Raises:
            UsageError: a name is not known (the nearest is proposed), a value has a wrong type or range, or strategy
                or encoder are in a Python file that nobody gave or trusted.
        """
        known = today(values)
        names = [f.name for f in dataclasses.fields(cls)]
        for name in known:
            if name not in names:
                raise unknown_option(name, names, known, source, strategy)
        if strategy is not None:
            known |= {"strategy": strategy, "strategy_sha256": None}
        config = cls(**known)
        if encoder is not None:
            settings = {name: value for name, value in config.settings.items() if name != "encoder_sha256"}
            config = dataclasses.replace(config, settings=settings | {"encoder": encoder})
        elif to_run:
            check_encoder(config, source, trust_strategy)
        if strategy is None and to_run:
            check_strategy(config, source, trust_strategy)
        return config

    @property
    def is_file(self) -> bool:
        """Whether the strategy is a Python file, not the name of an installed one."""
        return self.strategy.endswith(".py")

    @property
    def strategy_name(self) -> str:
        """The strategy's name; for a file its stem."""
        return Path(self.strategy).stem if self.is_file else self.strategy.replace("-", "_")

    @property
    def name(self) -> str:
        """The strategy's name with those of its plugins, such as simclr+replay+cla-e."""
        return "+".join([self.strategy_name, *self.plugins])

    @property
    def title(self) -> str:
        """Strategy, plugins, benchmark and seeds in words, and whether it is scored on a validation part."""
        stream = "" if self.stream_seed in (None, self.seed) else f", stream seed {self.stream_seed}"
        return f"{self.name} on {self.benchmark}, seed {self.seed}{stream}{', validation' * (self.eval_on != TEST)}"

    @property
    def seed_of_stream(self) -> int:
        """The seed of the stream: that of everything, unless it has its own."""
        return self.seed if self.stream_seed is None else self.stream_seed

    @property
    def regime(self) -> str:
        """What is trained on, see `avalanche_ssl.streams.REGIMES`: an option of every benchmark."""
        return str(self.benchmark_options.get("regime", REGIMES[0]))

    def as_dict(self) -> dict[str, Any]:
        """All options as plain values, in order, as `config.yaml` and the log hold them."""
        return {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}

    @property
    def decisive(self) -> dict[str, Any]:
        """The options that decide the result: not who decodes the images or logs, nor where they or a strategy lie.

        Weights that a run starts from count by their SHA-256.
        """
        indecisive = ("data", "num_workers", "logger", "init", "continue_from", "lineage", "stream_seed", "eval_on")
        options = {k: v for k, v in self.as_dict().items() if k not in indecisive and (k, v) != FORMER_EVALUATION}
        noted = ("init_sha256", "continue_from_sha256")  # left out where there is none, as in older checkpoints
        options = {name: value for name, value in options.items() if value is not None or name not in noted}
        options["strategy"] = self.strategy_name
        encoder = self.settings.get("encoder")
        if file_of(encoder):
            options["settings"] = self.settings | {"encoder": str(EncoderSetting.parse(str(encoder)).without_folder())}
        return options | decisive_stream(self)

    def with_absolute_paths(self) -> RunConfig:
        """The same with absolute paths, so that `config.yaml` can be used from any folder."""
        strategy = _absolute(self.strategy) if self.is_file else self.strategy
        data = self.data and os.pathsep.join(map(_absolute, split_paths(self.data)))
        named = (self.init or "").partition(":")[0] in ("", "torchvision", "timm")  # or none
        init = self.init if named else _absolute(str(self.init))
        parent = self.continue_from and _absolute(self.continue_from)
        return dataclasses.replace(self, strategy=strategy, data=data, init=init, continue_from=parent)


def _absolute(path: str) -> str:
    return os.path.abspath(Path(path).expanduser())
