"""What a run starts from: its fingerprint in `config.yaml`, what fits, and the lineage of runs."""

import hashlib
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from crashes.comparison import compare
from crashes.small_run import few_digits, run_options
from helpers.encoders import tiny

from avalanche_ssl import distributed
from avalanche_ssl.checkpointing import read_encoder
from avalanche_ssl.cli import run
from avalanche_ssl.cli.options import read_options
from avalanche_ssl.errors import UsageError
from avalanche_ssl.models import ENCODERS
from avalanche_ssl.runs import RunConfig, read_run
from avalanche_ssl.runs.build import differences, resolve
from avalanche_ssl.runs.origin import Origin, check_origin, read_origin, starting_point
from avalanche_ssl.streams import BENCHMARKS


@pytest.fixture(scope="module", autouse=True)
def small() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(BENCHMARKS, "few-digits", few_digits)
        patch.setitem(ENCODERS, "tiny", tiny)
        yield


@pytest.fixture(autouse=True)
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def config(**options: Any) -> RunConfig:
    settings = {"encoder": "tiny"} | options.pop("settings", {})
    return RunConfig(strategy="simclr", benchmark="few-digits", settings=settings, **options)


def write_weights(seed: int = 5, prefix: str = "") -> dict[str, torch.Tensor]:
    torch.manual_seed(seed)
    state = tiny().state_dict()
    torch.save({prefix + name: value for name, value in state.items()}, "e.pt")
    return state


def test_the_file_is_fingerprinted_and_decides() -> None:
    write_weights()
    found, recipe = resolve(config(init="e.pt"))
    sha256 = hashlib.sha256(Path("e.pt").read_bytes()).hexdigest()
    assert found.init_sha256 == sha256 and found.init == str(Path("e.pt").absolute())
    assert found.decisive["init_sha256"] == sha256 and "init" not in found.decisive, "it may lie elsewhere"
    plain = resolve(config())[0]
    assert plain.init_sha256 is None and "init_sha256" not in plain.decisive, "as in older checkpoints"
    Path("moved").mkdir()
    shutil.copy("e.pt", "moved/e.pt")
    assert resolve(config(init="moved/e.pt"))[0].decisive == found.decisive
    Path("a").mkdir()
    Path("a/config.yaml").write_text(yaml.safe_dump(found.as_dict()))
    assert differences(Path("a"), config(init="moved/e.pt")) == []
    write_weights(6)
    (differing,) = differences(Path("a"), config(init="e.pt"))
    assert differing.startswith(f"init_sha256 was {sha256}, is ")
    with pytest.raises(
        UsageError, match=r"the weights .*e.pt are not as noted .*SHA-256.*give --init to start from what"
    ):
        read_origin(found, recipe)


def test_what_does_not_fit_is_refused_before_images_are_read() -> None:
    torch.save({"x": torch.zeros(2)}, "e.pt")
    found, recipe = resolve(config(init="e.pt"))
    with pytest.raises(UsageError, match=r"0 of 20 tensors, and 90% are needed; .* \(not in the file\)"):
        check_origin(read_origin(found, recipe), recipe)
    with pytest.raises(UsageError, match="no weights 'nowhere"):
        resolve(config(init="nowhere.pt"))
    with pytest.raises(UsageError, match="torchvision has no pretrained network 'tiny'"):
        resolve(config(init="torchvision"))
    with pytest.raises(UsageError, match="--init and --continue-from both say"):
        config(init="e.pt", continue_from="a")


def test_a_name_is_no_path() -> None:
    assert config(init="timm:resnet18").with_absolute_paths().init == "timm:resnet18"
    assert config(init="timm").with_absolute_paths().init == "timm"


def test_what_the_command_line_gives_replaces_what_a_file_noted() -> None:
    noted = config(init="old.pt", init_sha256="0" * 64)
    Path("config.yaml").write_text(yaml.safe_dump(noted.as_dict()))

    def options(*words: str) -> RunConfig:
        return read_options(run.parser().parse_args(["--config", "config.yaml", *words]))

    assert (options().init, options().init_sha256) == ("old.pt", "0" * 64)
    assert (options("--init", "new.pt").init, options("--init", "new.pt").init_sha256) == ("new.pt", None)
    continued = options("--continue-from", "a")
    assert (continued.init, continued.init_sha256, continued.continue_from) == (None, None, "a")


@pytest.mark.parametrize("left", ["config.yaml", "config.yaml log.jsonl", ""])
def test_a_run_that_cannot_be_continued(left: str) -> None:
    Path("a").mkdir()
    if "config" in left:
        Path("a/config.yaml").write_text(yaml.safe_dump(config().as_dict()))
    if "log" in left:
        Path("a/log.jsonl").write_text('{"event": "end"}\n')
    with pytest.raises(UsageError) as error:
        resolve(config(continue_from="a"))
    words = {
        "": "no run 'a' to continue from",
        "config.yaml": "is not finished: avalanche-ssl run --resume --out a first",
    }
    assert words.get(left, "only a run with --keep-checkpoints can be continued; its encoder alone is --init a") in str(
        error.value
    )


def test_nothing_is_read_where_nothing_is_given_or_a_checkpoint_is_there() -> None:
    assert starting_point(config(), None, Path("a"), False) == Origin()  # type: ignore[arg-type]
    Path("a").mkdir()
    Path("a/checkpoint").touch()
    assert starting_point(config(init="gone.pt"), None, Path("a"), True) == Origin()  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="a would continue from itself"):
        starting_point(config(continue_from="a"), None, Path("a"), False)  # type: ignore[arg-type]


def test_nothing_is_read_where_process_0_has_a_checkpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder of the run is on its machine only."""
    monkeypatch.setattr(distributed, "on_main", lambda function: True)
    assert starting_point(config(init="gone.pt"), None, Path("a"), True) == Origin()  # type: ignore[arg-type]


def of(folder: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(Path(folder, "config.yaml").read_text())
    return found


@pytest.mark.slow
def test_a_run_from_weights(capsys: pytest.CaptureFixture[str]) -> None:
    """An official layout; the run probes the given encoder before training, and resumes without the file."""
    given = write_weights(prefix="module.encoder_q.")
    options = [*run_options("byol"), "--epochs", "1", "--init", "e.pt", "--out", "a"]
    assert run.main(options) == 0
    said = capsys.readouterr().out
    assert "20 of 20 tensors of the encoder from 'encoder_q.' (names of: this package)" in said
    assert "encoder at the start: all " in said
    baselines = read_run("a").baselines
    assert baselines.keys() == {"chance", "raw pixels 16x16", "encoder at the start"}
    assert of("a")["init_sha256"] == hashlib.sha256(Path("e.pt").read_bytes()).hexdigest()
    method = resolve(RunConfig.from_mapping(of("a")))[1].build_method(0)
    assert compare(method.encoder.state_dict(), given, ""), "without the weights it would be another"
    Path("e.pt").unlink()
    assert run.main(["--resume", "--out", "a"]) == 0


@pytest.mark.slow
def test_a_run_that_continues_another(capsys: pytest.CaptureFixture[str]) -> None:
    """Same settings by default, its own where given, on another stream; the lineage grows."""
    assert run.main([*run_options("moco"), "--epochs", "1", "--out", "a"]) == 0
    capsys.readouterr()
    more = ["--benchmark-option", "experiences=3", "--epochs", "2", "--keep-checkpoints", "--checkpoint-every", "2it"]
    assert run.main(["--continue-from", "a", *more, "--out", "b"]) == 0
    said = capsys.readouterr().out
    assert f"continues {Path('a').absolute()} after its 2 experiences" in said
    before = torch.from_numpy(probe(Path("a"), -1)), torch.from_numpy(probe(Path("b"), 0))
    assert before[0].shape != before[1].shape, "another stream"
    a, b = of("a"), of("b")
    assert b["settings"] == a["settings"] | {"epochs": 2} and b["benchmark_options"]["experiences"] == 3
    assert b["continue_from"] == str(Path("a").absolute())
    sha256 = hashlib.sha256(Path("a/checkpoint").read_bytes()).hexdigest()
    assert b["continue_from_sha256"] == sha256
    assert b["lineage"] == [f"moco on few-digits, seed 0: {Path('a').absolute()} (SHA-256 {sha256[:12]})"]
    assert run.main(["--continue-from", "b", "--out", "c"]) == 0
    assert [entry.partition(" (")[0] for entry in of("c")["lineage"]] == [
        f"moco on few-digits, seed 0: {Path(name).absolute()}" for name in "ab"
    ]
    assert run.main(["--continue-from", "a", "--set", "queue_size=50", "--out", "d"]) == 2
    assert "queue.rows (40x8, here 50x8)" in capsys.readouterr().err
    assert run.main(["--continue-from", "c", "--out", "d"]) == 2
    assert "only a run with --keep-checkpoints can be continued" in capsys.readouterr().err
    assert run.main(["--continue-from", "nowhere"]) == 2
    assert "no run 'nowhere' to continue from" in capsys.readouterr().err


def probe(folder: Path, row: int) -> Any:
    from avalanche_ssl.runs import read_run

    found = read_run(folder)
    return found.untrained("ridge", "all") if row == 0 else found.matrix("ridge", "all")[row]


@pytest.mark.slow
def test_the_encoder_at_the_start_is_that_of_the_end() -> None:
    """On the same stream, the first row of the new run is the last of the old one."""
    assert run.main([*run_options("simclr"), "--epochs", "1", "--out", "a"]) == 0
    for more in (["--continue-from", "a"], [*run_options("simclr"), "--epochs", "1", "--init", "a"]):
        assert run.main([*more, "--overwrite", "--out", "b"]) == 0
        assert (probe(Path("a"), -1) == probe(Path("b"), 0)).all()
        assert compare(read_encoder("a/encoder.pt"), read_encoder("b/encoder.pt"), ""), "it went on"
