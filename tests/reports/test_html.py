"""The page is complete, self-contained and escaped, and its slider works in a browser."""

import shutil
from pathlib import Path
from typing import Any

import pytest
from helpers.logs import add_embeddings, add_tasks, write_run

from avalanche_ssl.errors import UsageError
from avalanche_ssl.reports import html
from avalanche_ssl.reports.comparison import streams
from avalanche_ssl.runs import read_runs


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page of two strategies, one of them with a name that must be escaped."""
    root = tmp_path_factory.mktemp("runs")
    folders = [
        add_embeddings(write_run(root / "a")),
        write_run(root / "b", "cmc", 1, 0.02),
        add_embeddings(write_run(root / "c", "<script>alert(1)//")),
    ]
    runs, notes = read_runs(folders)
    html.write(root / "out" / "report.html", html.page(streams(runs), notes))
    return root / "out" / "report.html"


def test_the_page_is_self_contained_and_escapes_what_comes_from_files(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert "http" not in text.replace("data:image/svg+xml", "") and 'src="data:' in text
    assert "<script>alert" not in text and "&lt;script&gt;alert" in text
    for part in (
        "Accuracy matrices",
        "Forgetting of each",
        "RankMe",
        "feature std",
        "Nearest neighbors",
        "Glossary",
        "knowledge gain",
        "lr: 0.1",
    ):
        assert part in text, part


def test_the_page_speaks_plain_english(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for word in ("learnt", "odd", "told", "anew", "pictures", "beside ", "neighbours", "effective rank", "likeness"):
        assert f" {word}" not in text.replace("RankMe</dt><dd>Effective rank", ""), word


def test_caveats_and_notes_are_escaped(tmp_path: Path, one_stream: Any) -> None:
    text = html.page([one_stream(write_run(tmp_path / "a", probe="mine", caveat="<not> so"))], ["<b>"])
    assert "Caveat of <b>mine</b>: &lt;not&gt; so" in text and "&lt;b&gt;" in text


def test_task_results_on_the_page(tmp_path: Path, one_stream: Any) -> None:
    text = html.page([one_stream(add_tasks(write_run(tmp_path / "a"), full_test=0.7))], [])
    section = text.partition('<section id="tasks">')[2].partition("<section>")[0]
    assert section.count("<table>") == 2 and section.count("<img") == 2
    for part in ("<td>70.0</td><td>40.0</td>", "<td>70.0</td><td>60.0</td>", "&lt;scene&gt;", "on all test images"):
        assert part in section, part
    assert section.count("<td>chance</td>") == 1
    assert "<td>ridge, all, on all test images</td><td>70.0</td>" in text
    assert "<h3>Probing tasks</h3>" not in html.page([one_stream(write_run(tmp_path / "b"))], [])


def test_the_page_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="give another --out"):
        html.write(tmp_path / "file" / "x.html", "")


def test_where_no_page_can_be_is_known_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "folder.html").mkdir()
    html.check_writable(tmp_path / "new" / "x.html")
    for name, reason in {
        "log.jsonl": "give a name that ends in .html",
        "folder.html": r"\(is a folder\): give another --out",
        "file/x.html": r"file' is a file\): give another --out",
        f"{'x' * 300}.html": r"\(File name too long\): give another --out",
    }.items():
        with pytest.raises(UsageError, match=reason):
            html.check_writable(tmp_path / name)
    monkeypatch.setattr("os.access", lambda *given: False)
    with pytest.raises(UsageError, match="no permission to write in"):
        html.check_writable(tmp_path / "x.html")


def test_a_browser_moves_the_slider(page: Path) -> None:
    """Opens the page as a file and moves the slider from the last encoder to the first."""
    sync = pytest.importorskip("playwright.sync_api", reason="needs pip install playwright")
    browser_path = shutil.which("chromium") or shutil.which("google-chrome")
    if browser_path is None:
        pytest.skip("needs chromium")
    with sync.sync_playwright() as p:
        browser = p.chromium.launch(executable_path=browser_path, args=["--no-sandbox"])
        tab = browser.new_page(viewport={"width": 390, "height": 800})
        errors: list[str] = []
        requests: list[str] = []
        tab.on("pageerror", lambda e: errors.append(str(e)))
        tab.on("request", lambda r: requests.append(r.url))
        tab.goto(page.as_uri())
        shown = "() => [...document.querySelectorAll('.frame')].filter(f => f.offsetParent).map(f => f.alt)"
        assert tab.evaluate(shown) == ["embeddings, after experience 3"] * 2
        slider = tab.locator(".slider input")
        slider.press("Home")
        assert tab.evaluate(shown) == ["embeddings, untrained encoder"] * 2
        slider.press("ArrowRight")
        assert tab.locator(".slider output").inner_text() == "after experience 1"
        assert tab.evaluate(shown) == ["embeddings, after experience 1"] * 2
        assert tab.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), (
            "nothing sticks out on a phone"
        )
        assert tab.evaluate("[...document.images].every(i => i.complete && i.naturalWidth > 0)")
        assert not errors and all(url.startswith(("file:", "data:")) for url in requests)
        browser.close()
