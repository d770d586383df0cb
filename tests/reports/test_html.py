"""The page is complete, self-contained and escaped, and works in a browser, on a phone and in the dark."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from helpers.logs import add_embeddings, add_evidence, add_tasks, write_run

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
    assert "</a> of <b>mine</b>: &lt;not&gt; so" in text and "&lt;b&gt;" in text


def test_baselines_that_runs_log_stand_in_the_text_and_under_every_protocol(tmp_path: Path, one_stream: Any) -> None:
    text = html.page([one_stream(add_evidence(write_run(tmp_path / "a")))], [])
    (said,) = [line for line in text.splitlines() if line.startswith("<p>3 experiences.")]
    assert ">raw pixels 16x16</a> 25.0; <a " in said and ">chance</a> 12.5.</p>" in said
    results = text.partition('id="s1-results"')[2].partition("</section>")[0]
    assert "raw pixels" not in results and "<td>50.0</td>" in results, "forgetting of the frozen probe"
    protocols = text.partition('id="s1-protocols"')[2].partition("</details>")[0]
    assert '<th scope="row">ridge, all</th><td>60.0</td><td>25.0</td><td>12.5</td>' in protocols
    assert '<th scope="row">ridge, all, untrained</th><td>40.0</td><td></td><td></td>' in protocols
    assert "raw pixels" not in html.page([one_stream(write_run(tmp_path / "old"))], []).partition("glossary")[0]


def test_task_results_on_the_page(tmp_path: Path, one_stream: Any) -> None:
    text = html.page([one_stream(add_tasks(write_run(tmp_path / "a"), full_test=0.7))], [])
    section = text.partition('id="s1-tasks">')[2].partition("</details>")[0]
    assert section.count("<table>") == 2 and section.count("<img") == 2
    for part in ("<td>70.0</td><td>40.0</td>", "<td>70.0</td><td>60.0</td>", "&lt;scene&gt;", "on all test images"):
        assert part in section, part
    assert section.count('<th scope="row">chance</th>') == 1
    assert '<th scope="row">ridge, all, on all test images</th><td>70.0</td>' in text
    assert "<h3>Probing tasks</h3>" not in html.page([one_stream(write_run(tmp_path / "b"))], [])


def test_neighbors_differ_in_words_and_marks(tmp_path: Path, one_stream: Any) -> None:
    """Not by color alone: the name of the class, a check mark, and what a screen reader says."""
    names = ["apple", "bottle", "castle", "<dolphin>"]
    text = html.page([one_stream(add_embeddings(write_run(tmp_path / "a"), class_names=names))], [])
    section = text.partition('id="s1-neighbors"')[2].partition('id="s1-cost"')[0]
    same, other = (section.count(f'aria-label="{words}: ') for words in ("same class", "another class"))
    assert same + other == 4 * 2 * 5 and section.count("✓ ") == same + 1, "and one in the text that explains it"
    assert section.count('aria-label="query: &lt;dolphin&gt;"') == 2 and "<dolphin>" not in text


def test_best_cells_are_marked_and_differences_tested(tmp_path: Path, one_stream: Any) -> None:
    shifts = {"cmc": (0.0, 0.01, 0.02), "moco": (0.1, 0.13, 0.13)}
    folders = [write_run(tmp_path / f"{m}{s}", m, s, x) for m, each in shifts.items() for s, x in enumerate(each)]
    text = html.page([one_stream(*folders)], [])
    assert "<b>72.0</b> <small>± 4.3</small>" in text and "<td>61.0 <small>" in text
    assert '<small class="note-of">p = 0.003</small>' in text
    assert "<b>60.0</b>" not in html.page([one_stream(write_run(tmp_path / "alone"))], []), "no best of one"


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


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Chromium, if it is there."""
    sync = pytest.importorskip("playwright.sync_api", reason="needs pip install playwright")
    browser_path = shutil.which("chromium") or shutil.which("google-chrome")
    if browser_path is None:
        pytest.skip("needs chromium")
    with sync.sync_playwright() as p:
        found = p.chromium.launch(executable_path=browser_path, args=["--no-sandbox"])
        yield found
        found.close()


@contextmanager
def opened(browser: Any, page: Path, width: int = 390, scheme: str = "light") -> Iterator[Any]:
    """The page as a file in a tab, which asks for nothing else and reports no error until it is closed."""
    tab = browser.new_page(viewport={"width": width, "height": 800}, color_scheme=scheme)
    errors: list[str] = []
    requests: list[str] = []
    tab.on("pageerror", lambda e: errors.append(str(e)))
    tab.on("console", lambda message: errors.append(message.text) if message.type in ("error", "warning") else None)
    tab.on("request", lambda r: requests.append(r.url))
    tab.goto(page.as_uri())
    yield tab
    assert not errors and all(url.startswith(("file:", "data:")) for url in requests)
    tab.close()


UNFOLD = "document.querySelectorAll('details').forEach(d => { d.open = true; })"
STICKS_OUT = "document.documentElement.scrollWidth > window.innerWidth"


@pytest.mark.slow
def test_a_browser_moves_the_slider(page: Path, browser: Any) -> None:
    """From the last encoder to the first, and one on."""
    with opened(browser, page) as tab:
        tab.evaluate(UNFOLD)
        shown = """() => [...document.querySelectorAll('.frame')].filter(f => f.offsetParent)
            .map(f => f.querySelector('svg').getAttribute('aria-label'))"""
        assert tab.evaluate(shown) == ["embeddings, after experience 3"] * 2
        slider = tab.locator(".slider input")
        slider.press("Home")
        assert tab.evaluate(shown) == ["embeddings, untrained"] * 2
        slider.press("ArrowRight")
        assert tab.locator(".slider output").inner_text() == "after experience 1"
        assert tab.evaluate(shown) == ["embeddings, after experience 1"] * 2


@pytest.mark.slow
@pytest.mark.parametrize("width", [390, 1280])
def test_nothing_sticks_out_of_the_page_folded_or_not(page: Path, browser: Any, width: int) -> None:
    with opened(browser, page, width) as tab:
        assert not tab.evaluate(STICKS_OUT)
        tab.evaluate(UNFOLD)
        assert not tab.evaluate(STICKS_OUT)
        assert tab.evaluate("[...document.images].every(i => i.complete && i.naturalWidth > 0)")


@pytest.mark.slow
def test_every_link_of_the_page_leads_to_something_that_it_opens(page: Path, browser: Any) -> None:
    with opened(browser, page) as tab:
        links = tab.evaluate("[...document.querySelectorAll('a')].map(a => a.getAttribute('href'))")
        assert {"#s1", "#s1-results", "#s1-matrices", "#glossary", "#term-forgetting-refitted-probe"} <= set(links)
        assert all(link.startswith("#") and tab.locator(link).count() == 1 for link in links)
        for link in ("#s1-embeddings", "#s1-cost"):
            assert not tab.locator(link).evaluate("e => e.open")
            tab.locator(f"nav a[href='{link}']").click()
            tab.wait_for_function("link => document.querySelector(link).open", arg=link)
            assert tab.locator(link).evaluate("e => Math.abs(e.getBoundingClientRect().top)") < 800
        tab.locator("thead a[href='#term-forgetting-refitted-probe']").first.click()
        tab.wait_for_function("document.querySelector('#glossary').open")
        assert tab.locator("#term-forgetting-refitted-probe").is_visible()


@pytest.mark.slow
def test_a_wide_table_says_so_and_keeps_its_first_column(page: Path, browser: Any) -> None:
    with opened(browser, page) as tab:
        tab.wait_for_selector("#s1-results .hint", state="visible")
        table = tab.locator("#s1-results .scroll")
        table.evaluate("e => { e.scrollLeft = 200; }")
        left = "e => e.getBoundingClientRect().left"
        first = table.locator("tbody tr").first
        assert first.locator("th").evaluate(left) - table.evaluate(left) < 3
        assert first.locator("td").first.evaluate(left) < table.evaluate(left), "the others have moved"
    with opened(browser, page, 1280) as tab:
        assert not tab.locator("#s1-results .hint").is_visible()


CONTRASTS = """() => {
  const rgb = (color) => color.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b].map((v) => v / 255)
    .map((v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const ground = (e) => {
    for (; e; e = e.parentElement) {
      const color = rgb(getComputedStyle(e).backgroundColor);
      if (color.length < 4 || color[3] > 0) return color;
    }
    return [255, 255, 255];
  };
  const found = [];
  for (const e of document.querySelectorAll('body *')) {
    const own = [...e.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim());
    if (!own || !e.offsetParent || e.closest('svg')) continue;
    const [a, b] = [light(rgb(getComputedStyle(e).color)), light(ground(e))];
    found.push([(Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05), light(ground(e)), e.textContent.slice(0, 30)]);
  }
  return found;
}"""
"""Contrast (WCAG 2.2) of every text that is shown, lightness of its background, and the text."""


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_has_contrast_in_light_and_in_dark(page: Path, browser: Any, scheme: str) -> None:
    with opened(browser, page, scheme=scheme) as tab:
        tab.evaluate(UNFOLD)
        found = tab.evaluate(CONTRASTS)
        assert len(found) > 100 and min(found)[0] >= 4.5, min(found)
        assert all((ground < 0.1) == (scheme == "dark") for _, ground, _ in found)


@pytest.mark.slow
def test_three_streams_fit_in_a_third_of_20_000_pixels_and_ten_runs_in_3_mb(tmp_path: Path, browser: Any) -> None:
    """Ten runs, on three streams; the images of the embeddings are noise, which is the worst to keep."""
    folders = [
        add_embeddings(add_evidence(write_run(tmp_path / f"{name}{i}", f"m{i}", benchmark=name)))
        for name, groups in {"a": 4, "b": 3, "c": 3}.items()
        for i in range(groups)
    ]
    runs, notes = read_runs(folders)
    html.write(tmp_path / "report.html", html.page(streams(runs), notes))
    assert (tmp_path / "report.html").stat().st_size < 3e6
    for width in (390, 1280):
        with opened(browser, tmp_path / "report.html", width) as tab:
            assert tab.evaluate("document.documentElement.scrollHeight") < 20_000 / 3
