"""A run writes to its own folder only, and removes nothing that it did not write."""

from pathlib import Path

import pytest
from crashes import small_run
from helpers.encoders import tiny

from avalanche_ssl.cli import run
from avalanche_ssl.errors import UsageError
from avalanche_ssl.models import ENCODERS
from avalanche_ssl.runs import RunConfig
from avalanche_ssl.runs.folder import MARKER, check_out, claim, encoder_file, is_finished, start_folder
from avalanche_ssl.streams import BENCHMARKS

FOREIGN = {
    "config.yaml": "strategy: simclr",
    "checkpoint_notes.txt": "mine",
    "checkpoint.bak": "mine",
    "encoder.pt": "mine",
    "embeddings/words.npy": "mine",
    "embeddings/000.npy": "mine",
}
"""A project of somebody else."""


def write(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def content(folder: Path) -> dict[str, str]:
    return {str(p.relative_to(folder)): p.read_text() for p in folder.rglob("*") if p.is_file()}


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize("files", [FOREIGN, {"a.txt": ""}, {"log.jsonl": '{"event": "run"}\n'}, {".hidden": ""}])
def test_a_folder_with_other_files_is_refused(tmp_path: Path, overwrite: bool, files: dict[str, str]) -> None:
    write(tmp_path, files)
    with pytest.raises(UsageError, match=r"holds files, but no \.avalanche-ssl-run .*: give another --out, empty or"):
        check_out(tmp_path, overwrite)
    with pytest.raises(UsageError, match="holds files"):
        claim(tmp_path)
    assert content(tmp_path) == files


def test_a_folder_that_is_empty_or_new_is_claimed(tmp_path: Path) -> None:
    for out in (tmp_path, tmp_path / "a" / "b"):
        check_out(out, False)
        claim(out)
        check_out(out, False)
        claim(out)
        assert (out / MARKER).is_file()
        (out / "a.txt").touch()
        check_out(out, False)
        (out / "log.jsonl").touch()
        check_out(out, True)
        with pytest.raises(UsageError, match="already holds a run: give another --out, or --overwrite"):
            check_out(out, False)


def test_a_run_that_is_not_finished_can_be_resumed(tmp_path: Path) -> None:
    write(tmp_path, {MARKER: "", "log.jsonl": "", "checkpoint": ""})
    with pytest.raises(UsageError, match="a run that is not finished: give --resume to continue it, another --out, or"):
        check_out(tmp_path, False)
    (tmp_path / "log.jsonl").write_text('{"event": "end"}\n')
    with pytest.raises(UsageError, match="already holds a run"):
        check_out(tmp_path, False)


def test_an_encoder_that_is_not_written_yet(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="the run is not over; finish it with run --resume --out"):
        encoder_file(tmp_path)
    (tmp_path / "encoder.pt").touch()
    assert encoder_file(tmp_path) == tmp_path / "encoder.pt"


def test_a_new_run_removes_what_a_run_wrote_and_nothing_else(tmp_path: Path) -> None:
    claim(tmp_path)
    others = {"checkpoint_notes.txt": "x", "checkpoint.bak": "x", "encoder.md": "x", "embeddings/mine.npy": "x"}
    others |= {"embeddings/000.npy.old": "x", "finetune-full.jsonl": "x", "embeddings/0.npy": "x", "log.jsonl.old": "x"}
    ours = ["log.jsonl", "accuracy.csv", "curve.csv", "accuracy.png", "encoder.pt", "encoder.pt.md", "checkpoint"]
    ours += ["checkpoint.previous", "checkpoint.part", "embeddings/000.npy", "embeddings/1000.npy"]
    ours += ["embeddings/images.npz", "embeddings/002.npy.part", "config.yaml.part"]
    ours += ["events.out.tfevents.1.host.2.0", "hparams/events.out.tfevents.1.host.2.1"]
    write(tmp_path, others | dict.fromkeys(ours, "x"))
    start_folder(tmp_path, RunConfig(strategy="cmc"))
    found = content(tmp_path)
    assert found.pop("config.yaml").startswith("strategy: cmc") and found.pop(MARKER)
    assert found == others
    (tmp_path / "embeddings" / "mine.npy").unlink()
    (tmp_path / "embeddings" / "000.npy.old").unlink()
    (tmp_path / "embeddings" / "0.npy").unlink()
    start_folder(tmp_path, RunConfig(strategy="cmc"))
    assert not (tmp_path / "embeddings").exists() and not (tmp_path / "hparams").exists()


@pytest.mark.parametrize("name", ["lock", "embeddings", "log.jsonl", "checkpoint.part", "encoder.pt.part"])
def test_a_run_does_not_write_through_a_link(tmp_path: Path, name: str) -> None:
    (out := tmp_path / "a").mkdir()
    claim(out)
    (target := tmp_path / "theirs").mkdir()
    (target / "000.npy").write_text("theirs")
    (out / name).symlink_to(target if name == "embeddings" else target / "000.npy")
    with pytest.raises(UsageError, match=f"{name} is a symbolic link, which no run makes: remove it"):
        check_out(out, True)
    assert content(target) == {"000.npy": "theirs"}


@pytest.mark.slow
@pytest.mark.parametrize("more", [[], ["--overwrite"], ["--resume"], ["--overwrite", "--resume"]])
def test_the_command_leaves_a_foreign_folder_as_it_is(
    more: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path / "project", FOREIGN)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(ENCODERS, "tiny", tiny)
    monkeypatch.setitem(BENCHMARKS, "few-digits", small_run.few_digits)
    assert run.main([*small_run.run_options("simclr"), "--out", "project", *more]) == 2
    said = capsys.readouterr().err
    assert (
        said.startswith("avalanche-ssl run: project holds files, but no .avalanche-ssl-run") and said.count("\n") == 1
    )
    assert content(tmp_path / "project") == FOREIGN


def test_a_finished_run_ends_with_the_event_end(tmp_path: Path) -> None:
    assert not is_finished(tmp_path)
    for text, finished in (("", False), ('{"event": "run"}\n', False), ('{"event": "end", "x": 1}\n', True)):
        (tmp_path / "log.jsonl").write_text(text)
        assert is_finished(tmp_path) == finished
