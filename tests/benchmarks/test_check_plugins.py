"""The command check_plugins.py: a table of verdicts, with the reasons below it."""

import check_plugins
import pytest

from avalanche_ssl import methods
from avalanche_ssl.checks import ContractError
from avalanche_ssl.plugins import PLUGINS


@pytest.mark.slow
def test_sound_and_refused_pairs_have_other_verdicts(capsys):
    words = ["--plugin", "replay", "cassle", "--method", "MoCo", "Supervised", "--replay", "no"]
    assert check_plugins.main(words) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[:4] == [
        "| alone | replay | cassle |",
        "|---|---|---|",
        "| MoCo | ok | ok |",
        "| Supervised | ok | - |",
    ]
    assert lines[5].startswith("cassle with Supervised: Supervised declares no embeddings")
    assert lines[6].startswith("0 broken, ")


def test_a_broken_rule_is_named(monkeypatch, capsys):
    def fails(*given):
        raise ContractError('CaSSLe with MoCo breaks "off_is_off": it changed')

    monkeypatch.setattr(check_plugins, "check_plugin", fails)
    assert check_plugins.main(["--plugin", "cassle", "--method", "MoCo", "--replay", "yes"]) == 1
    out = capsys.readouterr().out
    assert "| MoCo | off_is_off |" in out and 'cassle with MoCo behind a replay: CaSSLe with MoCo breaks "off' in out


def test_plugins_with_a_memory_join_no_replay(monkeypatch, capsys):
    monkeypatch.setattr(check_plugins, "check_plugin", lambda *given: None)
    assert check_plugins.main(["--method", "SimCLR"]) == 0
    tables = [line for line in capsys.readouterr().out.splitlines() if line.startswith("| ")]
    assert tables[0] == "| alone | " + " | ".join(PLUGINS) + " |"
    behind = [name for name in PLUGINS if name not in check_plugins.OWN_MEMORY]
    assert tables[2] == "| behind a replay | " + " | ".join(behind) + " |"


def test_every_method_has_a_row_and_can_be_made():
    known = check_plugins.method_classes()
    assert {"BYOL", "CPC", "PIRL", "Supervised", "SwAV"} <= known.keys() and "Method" not in known
    for kind in known.values():
        assert isinstance(check_plugins.small_method(kind), methods.Method)


def test_small_plugins_are_small():
    assert check_plugins.small_plugin("replay").buffer.size == 30
    assert check_plugins.small_plugin("cassle").hidden_dim == 8
