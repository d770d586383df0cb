"""Python files that a configuration names are run only if they are trusted, and can be."""

from __future__ import annotations

from typing import Any

import pytest

from avalanche_ssl.errors import UsageError
from avalanche_ssl.runs.config import RunConfig
from avalanche_ssl.runs.named_code import check_encoder, check_strategy


def net(**settings: Any) -> RunConfig:
    return RunConfig(strategy="simclr", settings={"encoder": "/x/net.py:build"} | settings)


def test_what_is_installed_needs_no_trust() -> None:
    check_strategy(RunConfig(strategy="moco-v1"), "c.yaml", trusted=False)
    check_encoder(RunConfig(strategy="simclr", settings={"encoder": "resnet18"}), "c.yaml", trusted=False)
    with pytest.raises(UsageError, match=r"no strategy in c.yaml 'simcl': did you mean 'simclr'"):
        check_strategy(RunConfig(strategy="simcl"), "c.yaml", trusted=True)


def test_a_file_needs_trust_and_a_hash() -> None:
    mine = RunConfig(strategy="mine.py", strategy_sha256="0")
    check_strategy(mine, "c.yaml", trusted=True)
    with pytest.raises(UsageError, match=r"c.yaml names the Python file 'mine.py': give --trust-strategy"):
        check_strategy(mine, "c.yaml", trusted=False)
    with pytest.raises(UsageError, match="without its strategy_sha256"):
        check_strategy(RunConfig(strategy="mine.py"), "c.yaml", trusted=True)
    check_encoder(net(encoder_sha256="0"), "c.yaml", trusted=True)
    with pytest.raises(UsageError, match=r"'/x/net.py' as its encoder: give --trust-strategy"):
        check_encoder(net(encoder_sha256="0"), "c.yaml", trusted=False)
    with pytest.raises(UsageError, match="without its encoder_sha256"):
        check_encoder(net(), "c.yaml", trusted=True)
