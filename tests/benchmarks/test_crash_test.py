"""The command crash_test.py: runs that are killed end bit for bit like runs that are not."""

import subprocess
import sys

import crash_test
import pytest
from crashes.small_run import run_options


@pytest.mark.slow
@pytest.mark.parametrize(
    ("strategy", "precision", "num_workers", "plugins", "online_batch_size"),
    [("deepcluster", "fp32", 0, "none", 0), ("moco", "fp32", 0, "replay", 10)],
)
def test_killed_runs_are_the_same(strategy, precision, num_workers, plugins, online_batch_size):
    arguments = run_options(strategy, precision, num_workers, plugins, online_batch_size)
    survived, wrong = crash_test.kill_and_compare(f"test {strategy}", arguments, 2, seed=0)
    assert not wrong, wrong
    assert survived >= 2


@pytest.mark.slow
def test_killed_runs_with_loader_processes():
    command = [sys.executable, "-W", "ignore", crash_test.__file__, "--strategy", "cmc_bank", "--precision", "bf16"]
    command += ["--num-workers", "2", "--plugin", "replay", "--kills", "2"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "the same, bit for bit" in result.stdout and "LOST" not in result.stdout


@pytest.mark.slow
def test_interrupted_runs_with_loader_processes():
    command = [sys.executable, "-W", "ignore", crash_test.__file__, "--interrupt", "--strategy", "moco"]
    command += ["--precision", "fp32", "--num-workers", "2", "--plugin", "replay", "--kills", "4"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "interrupts  the same, bit for bit" in result.stdout and "LOST" not in result.stdout


def test_lost_runs_are_named_and_give_exit_status_1(monkeypatch, capsys):
    monkeypatch.setattr(crash_test, "kill_and_compare", lambda name, *_: (3, ["log.jsonl"] if "bf16" in name else []))
    assert crash_test.main(["--strategy", "moco", "--plugin", "none"]) == 1
    good, lost, total = capsys.readouterr().out.splitlines()
    assert "the same, bit for bit" in good and "LOST: log.jsonl" in lost
    assert total == "1 runs lost of those with 6 kills"


def test_mistakes_are_one_line(capsys):
    assert crash_test.main(["--kill", "often"]) == 2
    err = capsys.readouterr().err
    assert err.startswith("crash_test.py: ") and err.count("\n") == 1
