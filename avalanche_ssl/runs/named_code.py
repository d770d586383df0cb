"""Python files that a configuration names: they are code, which is run only if the caller gives or trusts it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from avalanche_ssl.errors import UsageError, unknown_name
from avalanche_ssl.recipes import file_of, recipe_names

if TYPE_CHECKING:
    from avalanche_ssl.runs.config import RunConfig


def check_strategy(config: RunConfig, source: str, trusted: bool) -> None:
    """Refuse a strategy that a mapping may not name.

    Args:
        config: what the mapping holds.
        source: where it is from, for messages.
        trusted: whether the caller trusts files that are unchanged.

    Raises:
        UsageError: it is no installed one, and a file that is not trusted, or has no SHA-256 by which it could be.
    """
    if not config.is_file:
        if config.strategy_name not in recipe_names():
            raise unknown_name(f"strategy in {source}", config.strategy, recipe_names())
        return
    names = f"{source} names the Python file '{config.strategy}'"
    if not trusted:
        raise UsageError(
            f"{names}: give --trust-strategy to run it if it is unchanged since that run, or --strategy PATH"
        )
    if not config.strategy_sha256:
        raise UsageError(f"{names} without its strategy_sha256, so it cannot be trusted: give --strategy PATH")


def check_encoder(config: RunConfig, source: str, trusted: bool) -> None:
    """Refuse an encoder that a mapping may not name; arguments and errors as of `check_strategy`."""
    path = file_of(config.settings.get("encoder"))
    if path is None:
        return
    names = f"{source} names the Python file '{path}' as its encoder"
    if not trusted:
        raise UsageError(
            f"{names}: give --trust-strategy to run it if it is unchanged since that run, or with `run` "
            "--encoder PATH:NAME"
        )
    if not config.settings.get("encoder_sha256"):
        raise UsageError(f"{names} without its encoder_sha256, so it cannot be trusted: give --encoder PATH:NAME")
