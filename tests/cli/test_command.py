"""The console command `avalanche-ssl` and the frame of every command."""

import subprocess
import sys
import warnings

import pytest

from avalanche_ssl.cli.command import COMMANDS, Parser, command, main
from avalanche_ssl.errors import UsageError


def test_the_commands_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == main(["--help"]) == 0
    out = capsys.readouterr().out
    assert all(f"\n  {name} " in out for name in COMMANDS)


def test_the_version_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    from avalanche_ssl import __version__

    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"avalanche-ssl {__version__}\n"


def test_an_unknown_command_proposes_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["reprot"]) == 2
    assert capsys.readouterr().err.startswith("avalanche-ssl: no command 'reprot': did you mean 'report'?")


@pytest.mark.slow
@pytest.mark.parametrize("name", COMMANDS)
def test_help_imports_nothing_heavy(name: str) -> None:
    code = (
        "import sys\nfrom avalanche_ssl.cli.command import main\ntry:\n"
        f"    main(['{name}', '--help'])\n"
        "finally:\n"
        "    heavy = {'torch', 'avalanche', 'numpy', 'yaml', 'PIL', 'sklearn', 'matplotlib'} & set(sys.modules)\n"
        "    assert not heavy, heavy\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=600)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"usage: avalanche-ssl {name} ")


def test_a_mistake_is_one_line_and_status_2(capsys: pytest.CaptureFixture[str]) -> None:
    @command("x")
    def body(arguments: list[str] | None = None) -> int:
        raise UsageError("two\nlines")

    assert body([]) == 2
    assert capsys.readouterr().err == "x: two lines\n"


def test_commands_of_one_process_are_refused_under_torchrun(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (("RANK", "0"), ("WORLD_SIZE", "2"), ("MASTER_ADDR", "localhost"), ("MASTER_PORT", "29500")):
        monkeypatch.setenv(name, value)
    assert command("x")(lambda arguments: 0)([]) == 2
    assert capsys.readouterr().err == "x: works in one process: start it without torchrun\n"
    assert command("x", several=True)(lambda arguments: 0)([]) == 0


def test_ctrl_c_is_one_line_and_status_130(capsys: pytest.CaptureFixture[str]) -> None:
    @command("x")
    def body(arguments: list[str] | None = None) -> int:
        raise KeyboardInterrupt

    assert body([]) == 130
    assert capsys.readouterr().err == "x: interrupted\n"


def test_a_reader_that_has_gone_ends_the_command_without_a_word() -> None:
    code = "from avalanche_ssl.cli.run import main; import sys; sys.exit(main(['--list']))"
    listing = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert listing.stdout and listing.stderr
    listing.stdout.close()
    assert listing.stderr.read() == b""
    assert listing.wait(300) == 141


def test_warnings_are_brief_inside_and_as_before_after() -> None:
    seen: list[str] = []

    @command("x")
    def body(arguments: list[str] | None = None) -> int:
        seen.append(warnings.formatwarning("two\nlines", UserWarning, "x.py", 1))
        return 3

    before = warnings.formatwarning
    assert body(None) == 3
    assert seen == ["x: warning: two lines\n"] and warnings.formatwarning is before


def test_the_parser_raises_at_a_mistake() -> None:
    parser = Parser(prog="x", description="first\nsecond")
    parser.add_argument("--seed", type=int)
    assert "first\nsecond" in parser.format_help()
    with pytest.raises(UsageError, match="invalid int value: 'y'; see --help"):
        parser.parse_args(["--seed", "y"])


@pytest.mark.slow
def test_python_m_is_the_same_command() -> None:
    words = [sys.executable, "-m", "avalanche_ssl", "run", "--lst"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=600)
    assert done.returncode == 2 and done.stderr.startswith("avalanche-ssl run: unrecognized arguments: --lst")
