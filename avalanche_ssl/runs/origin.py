"""What a run starts from: random weights, given ones (`--init`), or the state of a finished run (`--continue-from`)."""

from __future__ import annotations

import dataclasses
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from avalanche_ssl import distributed
from avalanche_ssl.errors import UsageError
from avalanche_ssl.files import file_sha256
from avalanche_ssl.runs.config import RunConfig
from avalanche_ssl.runs.config_file import read_config
from avalanche_ssl.runs.folder import CHECKPOINT, PREVIOUS, is_finished

if TYPE_CHECKING:
    from avalanche_ssl.checkpointing import FinishedState
    from avalanche_ssl.models import Weights
    from avalanche_ssl.recipes import Recipe


@dataclasses.dataclass(frozen=True)
class Origin:
    """What a run starts from."""

    weights: Weights | None = None
    """For the encoder; None: random ones."""
    state: FinishedState | None = None
    """Of the run that it continues; None: of none."""

    @property
    def encoder(self) -> str:
        """The encoder at the start, in words."""
        return "encoder at the start" if self.weights or self.state else "untrained encoder"

    @property
    def baseline(self) -> str:
        """What the encoder at the start is called among baselines."""
        return "untrained" if self.encoder == "untrained encoder" else self.encoder


def starting_point(config: RunConfig, recipe: Recipe, out: Path, resume: bool) -> Origin:
    """Read what a run in a folder starts from, and check that it fits; nothing where it resumes from a checkpoint.

    Raises:
        UsageError: it is not there, does not fit, or is not what was noted in the configuration.
    """
    if not (config.init or config.continue_from):
        return Origin()
    if resume and distributed.on_main(lambda: any((out / name).exists() for name in (CHECKPOINT, PREVIOUS))):
        return Origin()
    if config.continue_from and Path(config.continue_from).expanduser().resolve() == out.resolve():
        raise UsageError(f"{out} would continue from itself: give another --out")
    origin = read_origin(config, recipe)
    check_origin(origin, recipe)
    return origin


def noted(config: RunConfig, recipe: Recipe) -> RunConfig:
    """The configuration with the fingerprints of what it starts from, and its lineage, unless it has them.

    Raises:
        UsageError: the weights or the run are not there, or the run cannot be continued.
    """
    if config.init and not config.init_sha256:
        from avalanche_ssl.models import weights_sha256

        config = dataclasses.replace(config, init_sha256=weights_sha256(config.init, recipe.encoder))
    if config.continue_from and not config.continue_from_sha256:
        folder = Path(config.continue_from).expanduser()
        found = _checkpoint_sha256(_finished_checkpoint(folder))
        parent = read_config(folder / "config.yaml")
        title = f"{Path(str(parent.get('strategy'))).stem} on {parent.get('benchmark')}, seed {parent.get('seed')}"
        lineage = [*map(str, parent.get("lineage") or ()), f"{title}: {folder.absolute()} (SHA-256 {found[:12]})"]
        config = dataclasses.replace(config, continue_from_sha256=found, lineage=lineage)
    return config


def read_origin(config: RunConfig, recipe: Recipe) -> Origin:
    """Read what a run starts from.

    Raises:
        UsageError: it cannot be read, or is not what was noted in the configuration.
    """
    if config.init:
        from avalanche_ssl.models import read_weights

        weights = read_weights(config.init, recipe.encoder)
        _check(f"the weights {weights.source} are", weights.sha256, config.init_sha256, "--init")
        return Origin(weights=weights)
    if config.continue_from:
        from avalanche_ssl.checkpointing import read_finished

        path = _finished_checkpoint(Path(config.continue_from).expanduser())
        _check(f"the checkpoint {path} is", _checkpoint_sha256(path), config.continue_from_sha256, "--continue-from")
        return Origin(state=read_finished(path))
    return Origin()


def check_origin(origin: Origin, recipe: Recipe) -> None:
    """Refuse weights or a state that the method cannot start from, before any image is read.

    The channels of the images may change both later, if the recipe leaves them to the stream.

    Raises:
        UsageError: how many of how many tensors fit, and the first by name.
    """
    if origin.weights:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # said once, when the run begins
            recipe.build_method(0, origin.weights)
    if origin.state and recipe.in_channels is not None:
        from avalanche_ssl.checkpointing import check_continues

        check_continues(recipe.build_method(0), origin.state)


def begin_from(origin: Origin, strategy: Any) -> None:
    """Bring a strategy into the state of the run that it continues, and print what it starts from.

    Raises:
        UsageError: the state does not fit.
    """
    if origin.weights:
        from avalanche_ssl.models import match_names

        match = match_names(strategy.model.encoder.state_dict(), origin.weights.content)
        if not match.left_out:  # else a warning has said it
            print(f"weights {origin.weights.source}: {match}")
    if origin.state:
        from avalanche_ssl.checkpointing import continue_strategy

        left_out = continue_strategy(strategy, origin.state)
        without = f", without {' and '.join(left_out)}" if left_out else ""
        print(f"continues {origin.state.path.parent} after its {origin.state.experiences} experiences{without}")


def _finished_checkpoint(folder: Path) -> Path:
    """The last checkpoint of a finished run.

    Raises:
        UsageError: there is none, and what to do.
    """
    if not (folder / "config.yaml").is_file():
        raise UsageError(f"no run '{folder}' to continue from: give the folder of a finished run")
    if not is_finished(folder):
        raise UsageError(f"the run in {folder} is not finished: avalanche-ssl run --resume --out {folder} first")
    if not (folder / CHECKPOINT).is_file():
        raise UsageError(
            f"{folder} has removed its checkpoint: only a run with --keep-checkpoints can be continued; its encoder "
            f"alone is --init {folder}"
        )
    return folder / CHECKPOINT


def _checkpoint_sha256(path: Path) -> str:
    try:
        return file_sha256(path)
    except OSError as error:
        raise UsageError(f"cannot read the checkpoint {path}: {error.strerror}") from error


def _check(what: str, found: str, noted: str | None, option: str) -> None:
    if noted is not None and found != noted:
        raise UsageError(
            f"{what} not as noted in the configuration (SHA-256 {found[:12]}..., noted {noted[:12]}...): give {option} "
            "to start from what is there now"
        )
