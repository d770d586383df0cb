"""The command tables.py: all tables of speed by one command, for either kind of machine."""

from pathlib import Path

import pytest
import tables
import throughput

from avalanche_ssl.cli import run, sweep
from avalanche_ssl.cli.options import read_options
from avalanche_ssl.runs import build


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_commands_are_ones_that_exist(device, tmp_path):
    for name, (script, *words) in tables.plan(device, "folder", "images", tmp_path).items():
        assert (tables.HERE / script).is_file()
        if script == "throughput.py":
            options = throughput.parser().parse_args(words)
            assert options.device == device
            if options.strategy:
                options.device, options.precision = "cpu", "fp32"
                assert throughput._cases(options, options.strategy), name
        elif script == "sweep.py":
            own, rest = words[: words.index("--")], words[words.index("--") + 1 :]
            assert len(sweep.plan(own[own.index("--strategy") + 1], "none", "0", [], tmp_path)) == 2
            config = read_options(run.parser().parse_args(["--strategy", "simclr", *rest]))
            assert Path(config.data).name == "images" and build.build_recipe(config).epochs == 100
            build.check_probes(config)
        else:
            assert script == "probe_cost.py" and not words


@pytest.mark.slow
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
    err = capsys.readouterr().err
    assert "did you mean 'views'" in err and err.count("\n") == 1
