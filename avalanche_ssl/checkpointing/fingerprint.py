"""What a checkpoint and a resumed run must share: settings and versions."""

import hashlib
import json
import warnings
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

from avalanche_ssl.errors import UsageError
from avalanche_ssl.recipes.settings import to_plain


def check_same(saved: Mapping[str, Any], given: Mapping[str, Any]) -> None:
    """Refuse settings that are not those of the checkpoint.

    Raises:
        UsageError: the settings that differ, with both values.
    """
    old, new = _flat(saved), _flat(given)
    differing = [
        f"{name} was {old.get(name, 'absent')}, is {new.get(name, 'absent')}"
        for name in sorted(old.keys() | new.keys())
        if old.get(name) != new.get(name)
    ]
    if differing:
        raise UsageError(
            f"the run was started with other settings: {'; '.join(differing)}. Give the same, or a new --out"
        )


def _own(strategy: Any, sizes: list[int]) -> dict[str, Any]:
    """What decides how a strategy learns, as far as it can be read off it."""
    return {
        "method": type(strategy.model).__name__,
        "optimizer": type(strategy.optimizer).__name__,
        "batch size": strategy.train_mb_size,
        "epochs": strategy.train_epochs,
        "schedule": to_plain(strategy.schedule),
        "max_grad_norm": strategy.max_grad_norm,
        "precision": strategy.precision,
        "compiled": strategy.compile,
        "transforms": strategy.use_dataset_transforms,
        "on_nan": strategy.nonfinite_guard.on_nan,
        "images": sizes,
    }


def _flat(settings: Mapping[str, Any], name: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in settings.items():
        flat |= _flat(value, f"{name}{key}.") if isinstance(value, Mapping) else {f"{name}{key}": value}
    return flat


def _hash(config: Any) -> str:
    return hashlib.sha256(json.dumps(config, sort_keys=True).encode()).hexdigest()


def _versions() -> dict[str, str]:
    return {name: version(name) for name in ("torch", "avalanche-lib", "numpy")}


def _warn_of_versions(saved: Mapping[str, str]) -> None:
    other = [f"{name} {old}, now {new}" for name, new in _versions().items() if (old := saved.get(name)) != new]
    if other:
        warnings.warn(f"the run was started with {'; '.join(other)}: results may differ in the last bits", stacklevel=4)
