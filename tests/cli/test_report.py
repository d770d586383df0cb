"""The command `avalanche-ssl report`: its table, its page, its one-line mistakes."""

from pathlib import Path

import pytest
from helpers.logs import add_embeddings, write_run

from avalanche_ssl.cli import report


@pytest.mark.slow
def test_a_table_on_the_screen_and_a_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs = [str(add_embeddings(write_run(tmp_path / "a"))), str(write_run(tmp_path / "b", "moco"))]
    page = tmp_path / "pages" / "report.html"
    assert report.main([*runs, "--out", str(page)]) == 0
    out = capsys.readouterr().out
    assert "difference to cmc, seed by seed" in out and max(map(len, out.splitlines()[:-1])) <= 100
    assert out.endswith(f"written: {page}\n")
    text = page.read_text(encoding="utf-8")
    assert "Nearest neighbors" in text and "Glossary" in text


def test_no_runs_are_refused_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "empty").mkdir()
    write_run(tmp_path / "young", trained=0, end=False)
    assert report.main([]) == 2
    assert report.main([str(tmp_path / "empty"), str(tmp_path / "young")]) == 2
    first, second = capsys.readouterr().err.splitlines()
    assert first == "avalanche-ssl report: no run to report: give folders of runs, e.g. runs/*"
    assert "holds no run (log.jsonl: No such file or directory)" in second
    assert "no experience was trained on and probed" in second


def test_an_unreadable_folder_next_to_a_good_one_is_noted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs = [str(write_run(tmp_path / "a", tail="{")), str(tmp_path / "b")]
    assert report.main([*runs, "--out", str(tmp_path / "r.html")]) == 0
    out = capsys.readouterr().out
    assert "b holds no run" in out and "a: the last line was cut off" in out


def test_the_page_cannot_be_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    assert report.main([str(write_run(tmp_path / "a")), "--out", str(tmp_path / "file" / "x.html")]) == 2
    assert "give another --out" in capsys.readouterr().err


def test_a_run_is_not_overwritten_by_a_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = write_run(tmp_path / "a") / "log.jsonl"
    before = log.read_bytes()
    assert report.main([str(log.parent), "--out", str(log)]) == 2
    assert capsys.readouterr().err.endswith("is no page: give a name that ends in .html\n")
    assert log.read_bytes() == before


def test_all_notes_on_a_run_are_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = write_run(tmp_path / "a", version="0.0.1", end=False, tail="{")
    assert report.main([str(folder), "--out", str(tmp_path / "r.html")]) == 0
    (line,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("note: ")]
    assert line.startswith(f"note: {folder}: the last line was cut off; unfinished: 3 of 3 experiences; written by")


def test_tables_beside_the_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = str(write_run(tmp_path / "a"))
    assert report.main([run, "--out", str(tmp_path / "r.html"), "--format", "md", "latex"]) == 0
    assert capsys.readouterr().out.endswith(f"written: {tmp_path}/r.html, {tmp_path}/r.md, {tmp_path}/r.tex\n")
    assert not (tmp_path / "r.csv").exists() and "| cmc | 1 | 0 | 60.0 |" in (tmp_path / "r.md").read_text()
    assert report.main([run, "--format", "pdf"]) == 2
    assert capsys.readouterr().err.startswith("avalanche-ssl report: argument --format: invalid choice: 'pdf'")
