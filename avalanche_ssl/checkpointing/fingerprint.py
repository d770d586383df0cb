"""Settings, package and machine that a checkpoint and the run that resumes from it must share."""

import hashlib
import json
import warnings
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

import torch

from avalanche_ssl.errors import UsageError
from avalanche_ssl.recipes import flatten, to_plain

OWN = "avalanche-ssl"


def check_same(saved: Mapping[str, Any], given: Mapping[str, Any]) -> None:
    """Refuse settings that are not those of the checkpoint.

    Raises:
        UsageError: the settings that differ, with both values.
    """
    old, new = flatten(saved), flatten(given)
    differing = [
        f"{name} was {old.get(name, 'absent')}, is {new.get(name, 'absent')}"
        for name in sorted(old.keys() | new.keys())
        if old.get(name) != new.get(name)
    ]
    if differing:
        raise UsageError(
            f"the run was started with other settings: {'; '.join(differing)}. Give the same, or a new --out"
        )


def strategy_settings(strategy: Any, sizes: list[int]) -> dict[str, Any]:
    """Settings that decide how a strategy trains, as far as the strategy knows them.

    Args:
        strategy: a `SelfSupervised`.
        sizes: images of each experience.
    """
    return {
        "method": type(strategy.model).__name__,
        "optimizer": type(strategy.optimizer).__name__,
        "train_mb_size": strategy.train_mb_size,
        "train_epochs": strategy.train_epochs,
        "schedule": to_plain(strategy.schedule),
        "max_grad_norm": strategy.max_grad_norm,
        "precision": strategy.precision,
        "compile": strategy.compile,
        "use_dataset_transforms": strategy.use_dataset_transforms,
        "on_nan": strategy.nonfinite_guard.on_nan,
        "images": sizes,
    }


def settings_hash(settings: Any) -> str:
    """SHA-256 of settings, in hexadecimal."""
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()


def package_versions() -> dict[str, str]:
    """Versions of the packages that results depend on."""
    return {name: version(name) for name in ("torch", "avalanche-lib", "numpy")}


def check_own_version(saved: Mapping[str, str]) -> None:
    """Refuse a checkpoint that another avalanche-ssl has written: its methods may train in another way.

    Raises:
        UsageError: both versions.
    """
    old, now = saved.get(OWN, "of an unknown version"), version(OWN)
    if old != now:
        raise UsageError(
            f"the checkpoint was written by {OWN} {old}, this is {now}: install that version to go on, or start a "
            "new run with another --out"
        )


def warn_of_last_bits(versions: Mapping[str, str], threads: int) -> None:
    """Warn if a run was started with other versions of packages, or another number of threads, than there are now."""
    now = package_versions()
    other = [f"{name} {old}, now {new}" for name, new in now.items() if (old := versions.get(name)) != new]
    if threads != torch.get_num_threads():
        other.append(f"{threads} thread{'s' if threads > 1 else ''}, now {torch.get_num_threads()}")
    if other:
        warnings.warn(f"the run was started with {'; '.join(other)}: results may differ in the last bits", stacklevel=4)
