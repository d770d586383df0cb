"""Does one command make all tables of speed, for either kind of machine?"""

from pathlib import Path

import pytest
import tables
import throughput

from avalanche_ssl.cli import run, sweep
from avalanche_ssl.runs import build
from avalanche_ssl.runs import config as config_module


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_commands_are_ones_that_exist(device, tmp_path):
    for name, (script, *words) in tables.plan(device, "folder", "images", tmp_path).items():
        if script == "throughput.py":
            options = throughput._parser().parse_args(words)
            assert options.device == device
            if options.strategy:
                options.device, options.precision = "cpu", "fp32"
                assert throughput._cases(options), name
        elif script == "sweep.py":
            own, rest = words[: words.index("--")], words[words.index("--") + 1 :]
            assert len(sweep.plan(own[own.index("--strategy") + 1], "0", [], tmp_path)) == 2
            options = run._parser().parse_args(["--strategy", "simclr", *rest])
            config = config_module._config(options)
            assert Path(config["data"]).name == "images" and build._recipe(options, config).epochs == 100
            config_module._check_probes(config["probes"])
        else:
            assert script == "probe_costs.py" and not words


def test_what_is_finished_is_skipped_and_what_fails_is_named(tmp_path, monkeypatch, capsys):
    jobs = {"good": ["sweep.py", "--help"], "bad": ["throughput.py", "--strategy", "mocco"]}
    monkeypatch.setattr(tables, "plan", lambda *given: jobs)
    assert tables.main(["--out", str(tmp_path)]) == 1
    assert "bad: FAILED" in capsys.readouterr().out
    lines = (tmp_path / "good.txt").read_text().splitlines()
    assert lines[0] == "python benchmarks/sweep.py --help" and "comma-separated" in "".join(lines[1:])
    assert "did you mean 'moco'" in (tmp_path / "bad.part").read_text() and not (tmp_path / "bad.txt").exists()
    assert tables.main(["--out", str(tmp_path), "--only", "good"]) == 0
    assert "finished already" in capsys.readouterr().out


def test_the_commands_can_be_read_first(tmp_path, capsys):
    assert tables.main(["--list", "--device", "cpu", "--out", str(tmp_path / "none")]) == 0
    assert "lightly-resnet18: python benchmarks/throughput.py --device cpu" in capsys.readouterr().out
    assert not (tmp_path / "none").exists()


def test_mistakes_are_one_line(capsys):
    assert tables.main(["--only", "view"]) == 2
    told = capsys.readouterr().err
    assert "did you mean 'views'" in told and told.count("\n") == 1
