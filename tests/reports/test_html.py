"""Does `benchmarks/report.py` read runs as far as they go, compare what can be compared, and show it in a browser?"""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from avalanche_ssl import __version__
from avalanche_ssl.cli import report
from avalanche_ssl.errors import UsageError
from avalanche_ssl.reports import comparison, figures, html, neighbors, tables, tasks
from avalanche_ssl.runs import reader

R = [[0.8, 0.5, 0.3], [0.6, 0.9, 0.4], [0.7, 0.6, 0.5]]


def write(
    folder, strategy="cmc", seed=0, shift=0.0, learnt=3, end=True, benchmark="digits", version=__version__, tail=""
):
    """A small run of three experiences: its log and embeddings."""
    config = {"strategy": strategy, "benchmark": benchmark, "stream": {"experiences": 3}, "seed": seed}
    config["settings"] = {"lr": 0.1, "augment": {"size": 32}}
    lines = [{"event": "run", "config": config, "versions": {"avalanche-ssl": version}}]
    for t, row in enumerate([[0.4, 0.4, 0.4], *R][: learnt + 1]):
        for j, value in enumerate(row):
            lines += [
                {
                    "event": "probe",
                    "trained": t,
                    "evaluated": j + 1,
                    "probe": "ridge",
                    "scope": "all",
                    "accuracy": value + shift,
                }
            ]
        if t:
            lines += [{"event": "vitals", "trained": t, "feature_std": 0.1, "rankme": 5.0 + t, "drift_cka": None}]
    lines += [{"event": "spent", "views": 200, "steps": 10, "parameters": 5, "bytes_remembered": 7}]
    lines += [{"event": "end", "images": 100, "train_seconds": 2.0}] if end else []
    folder.mkdir(parents=True)
    (folder / "log.jsonl").write_text("\n".join(map(json.dumps, lines)) + "\n" + tail, encoding="utf-8")
    return folder


def embed(folder, moments=4):
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(4), 6)
    (folder / "embeddings").mkdir()
    images = rng.integers(0, 255, (24, 8, 8, 3)).astype(np.uint8)
    np.savez(folder / "embeddings" / "images.npz", images=images, labels=labels, experiences=labels)
    for t in range(moments):
        np.save(folder / "embeddings" / f"{t:03d}.npy", rng.normal(size=(24, 5)) + t * 5 * np.eye(5)[labels])
    return folder


# -- reading ---------------------------------------------------------------------------------------------------------


def test_a_finished_run(tmp_path):
    run = reader.read(write(tmp_path / "a"))
    assert (run.strategy, run.seed, run.experiences, run.trained, run.finished, run.notes) == ("cmc", 0, 3, 3, True, [])
    np.testing.assert_array_equal(run.matrix("ridge", "all"), R)
    np.testing.assert_array_equal(run.untrained("ridge", "all"), [0.4] * 3)


def test_an_unfinished_run_is_used_as_far_as_it_goes_and_said_so(tmp_path):
    run = reader.read(write(tmp_path / "a", learnt=2, end=False, tail='{"event": "prob'))
    assert run.trained == 2 and run.notes == ["the last line was cut off", "unfinished: 2 of 3 experiences"]
    np.testing.assert_array_equal(run.matrix("ridge", "all"), np.array(R)[:2, :2])
    (stream,) = comparison.streams([run])
    assert stream.groups[0].label == "cmc (unfinished: 2 of 3)"
    assert stream.groups[0].values("average accuracy", "ridge", "all") == {0: pytest.approx(0.75)}


def test_broken_lines_and_other_versions_are_noted(tmp_path):
    folder = write(tmp_path / "a", version="0.0.1")
    text = (folder / "log.jsonl").read_text().splitlines()
    text[3:3] = ["\x00\x00", "[1]", '{"event": "probe", "trained": "x"}']
    (folder / "log.jsonl").write_text("\n".join(text))
    run = reader.read(folder)
    assert run.trained == 3
    assert run.notes == [
        "line 4 is broken",
        "line 5 is broken",
        "1 probe events are broken",
        f"written by version 0.0.1, read by {__version__}",
    ]


def test_a_restarted_run_counts_what_was_measured_last(tmp_path):
    again = {"event": "probe", "trained": 3, "evaluated": 3, "probe": "ridge", "scope": "all", "accuracy": 0.9}
    run = reader.read(write(tmp_path / "a", tail=json.dumps(again)))
    assert run.matrix("ridge", "all")[2, 2] == 0.9


def test_no_runs_are_refused_in_one_line(tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    write(tmp_path / "young", learnt=0, end=False)
    assert report.main([]) == 2
    assert report.main([str(tmp_path / "empty"), str(tmp_path / "young")]) == 2
    first, second = capsys.readouterr().err.splitlines()
    assert first == "report.py: no run to report: give folders of runs, e.g. runs/*"
    assert "holds no run (log.jsonl: No such file or directory)" in second and "no experience was learnt" in second


# -- comparing -------------------------------------------------------------------------------------------------------


def test_groups_means_and_paired_differences_by_hand(tmp_path):
    runs = [write(tmp_path / f"a{s}", "cmc", s, 0.01 * s) for s in range(3)]
    runs += [write(tmp_path / f"b{s}", "moco", s, 0.01 * s + 0.1 + 0.02 * (s == 2)) for s in (1, 2)]
    (stream,) = comparison.streams([reader.read(r) for r in runs])
    first, second = stream.groups
    assert comparison.spread(list(first.values("average accuracy", "ridge", "all").values())) == pytest.approx(
        (0.61, 0.01)
    )
    mean, std, seeds = comparison.paired(first, second, "average accuracy", "ridge", "all")
    assert (mean, std, seeds) == (pytest.approx(0.11), pytest.approx(0.02 / 2**0.5), 2)
    text = tables.table([stream], [])
    assert "probe ridge, scope all" in text and "61.0 ± 1.0" in text
    assert "moco minus cmc, 2 paired seeds: average accuracy +11.0 ± 1.4" in text


def test_settings_that_differ_are_named_and_streams_kept_apart(tmp_path):
    folders = [write(tmp_path / "a"), write(tmp_path / "b"), write(tmp_path / "c", benchmark="cifar")]
    runs = [reader.read(f) for f in folders]
    runs[1].config["settings"]["augment"]["size"] = 16
    digits, cifar = comparison.streams(runs)
    assert [g.label for g in digits.groups] == ["cmc augment.size=32", "cmc augment.size=16"]
    assert [g.label for g in cifar.groups] == ["cmc"]
    assert "2 different streams are kept apart" in tables.table([digits, cifar], [])


@pytest.mark.parametrize(
    ("epochs", "words"), [((1, 1), ", one pass"), ((3, 3), ", 3 passes"), ((3, 1), ", 1 or 3 passes"), ((1, None), "")]
)
def test_the_title_of_an_online_stream_says_the_passes(tmp_path, epochs, words):
    runs = [reader.read(write(tmp_path / f"{seed}", seed=seed)) for seed in range(2)]
    for run, number in zip(runs, epochs):
        run.config |= {"online": 10, "settings": {"epochs": number} if number else None}
    (stream,) = comparison.streams(runs)
    assert stream.title == f"digits (experiences 3, in mini-batches of 10{words})"


def test_what_is_odd_is_said_beside_the_numbers_and_consolidation_is_read(tmp_path):
    folder = write(tmp_path / "a")
    log = folder / "log.jsonl"
    log.write_text(
        log.read_text().replace('"probe": "ridge"', '"probe": "mine", "odd": "<odd> so"')
        + '{"event": "consolidation", "trained": 3, "accuracy": 0.625, "chance": 0.333}\n'
    )
    (stream,) = comparison.streams([reader.read(folder)])
    text = tables.table([stream], [])
    assert "odd about mine: <odd> so" in text.splitlines() and "62.5" in text
    assert "&lt;odd&gt; so" in html.page([stream], [])
    log.write_text(log.read_text().replace('"mine", "odd": "<odd> so"', '"lump"'))
    assert "slip" in reader.read(folder).caveat["lump"], "of a run by an older version, which did not say it"


# -- further questions -----------------------------------------------------------------------------------------------


def ask(folder, final=0.0, trained=(0, 2, 3), first=0.5):
    """Answers to two questions over the stream, and about all test images at the end if `final` is told."""
    kind = {"event": "answer", "probe": "ridge", "chance": 0.25}
    lines = []
    for t in trained:
        by = {"place": {"here": first + t / 10, "there": 0.1}, "thing": {"o1": 0.0}}
        lines += [kind | {"trained": t, "question": "kind", "accuracy": first + t / 20, "by": by, "whole": False}]
        again = {"question": "<scene>", "accuracy": 0.35 + first / 10, "chance": 0.125, "by": {}}
        lines += [kind | {"trained": t} | again]
    if final:
        by = {"place": {"here": final, "there": final - 0.1}}
        lines += [kind | {"trained": 3, "question": "kind", "accuracy": final, "by": by, "whole": True}]
        lines += [{"event": "final", "trained": 3, "probe": "ridge", "scope": "all", "accuracy": final, "tested": 9}]
    with (folder / "log.jsonl").open("a") as file:
        file.write("".join(json.dumps(line) + "\n" for line in lines))
    return folder


def cells(text, label):
    """Those of a line of the table of answers, without spaces around the spread."""
    (line,) = [line for line in text.partition("further questions")[2].splitlines() if line.startswith(label)]
    return line.replace(" ± ", "±").split()[1:]


def test_answers_over_seeds_by_hand(tmp_path):
    folders = [ask(write(tmp_path / f"a{s}", seed=s), final=0.7 + 0.02 * s, first=0.5 + 0.2 * s) for s in range(2)]
    (stream,) = comparison.streams([reader.read(f) for f in [*folders, ask(write(tmp_path / "b", "moco"), 0.6)]])
    text = tables.table([stream], [])
    assert "further questions; last encoder on all test images" in text
    (head,) = [line for line in text.splitlines() if "place here" in line]
    assert head.split()[1:] == ["place", "here", "place", "there", "kind", "<scene>"]
    assert cells(text, "cmc") == ["71.0±1.4", "61.0±1.4", "71.0±1.4", "41.0±1.4"]
    assert cells(text, "moco") == ["60.0", "50.0", "60.0", "40.0"]
    assert cells(text, "chance") == ["-", "-", "25.0", "12.5"]
    steps, accuracies = tasks.over_stream(stream.groups[0], "kind")
    assert steps == [0, 2, 3]
    np.testing.assert_allclose(accuracies, [[0.5, 0.6, 0.65], [0.7, 0.8, 0.85]])


def test_answers_are_of_the_same_images_for_all_runs(tmp_path):
    """One of which was not asked about all; and another was asked at other times."""
    folders = [ask(write(tmp_path / "a"), final=0.7), ask(write(tmp_path / "b", seed=1, learnt=3), trained=(0, 1, 3))]
    (stream,) = comparison.streams([reader.read(f) for f in folders])
    text = tables.table([stream], [])
    assert "further questions; last encoder on the test images of the matrix" in text
    assert cells(text, "cmc")[2] == "65.0±0.0"
    assert tasks.over_stream(stream.groups[0], "kind")[0] == [0, 3]


def test_answers_on_the_page(tmp_path):
    (stream,) = comparison.streams([reader.read(ask(write(tmp_path / "a"), final=0.7))])
    text = html.page([stream], [])
    section = text.partition("Further questions to the probe")[2].partition("<section>")[0]
    assert section.count("<table>") == 2 and section.count("<img") == 2
    for part in ("<td>70.0</td><td>40.0</td>", "<td>70.0</td><td>60.0</td>", "&lt;scene&gt;", "on all test images"):
        assert part in section, part
    assert section.count("<td>chance</td>") == 1
    assert "<td>ridge, all, on all test images</td><td>70.0</td>" in text
    (plain,) = comparison.streams([reader.read(write(tmp_path / "b"))])
    assert "Further questions to the probe" not in html.page([plain], []), "of a stream that asks none"
    assert "further questions" not in tables.table([plain], [])


def test_broken_answers_are_noted(tmp_path):
    folder = ask(write(tmp_path / "a"))
    with (folder / "log.jsonl").open("a") as file:
        file.write('{"event": "answer", "trained": 3, "question": "kind"}\n{"event": "answer", "by": 3}\n')
    run = reader.read(folder)
    assert run.notes == ["2 answer events are broken"]
    assert [one.question for one in run.task_results[3]] == ["kind", "<scene>"]


# -- the page --------------------------------------------------------------------------------------------------------


def test_neighbours_are_those_of_a_naive_search():
    x = np.random.default_rng(0).normal(size=(12, 4))
    found = neighbors.nearest(x, 3)
    for i in range(12):
        cosines = {j: x[i] @ x[j] / np.linalg.norm(x[i]) / np.linalg.norm(x[j]) for j in range(12) if j != i}
        assert found[i].tolist() == sorted(cosines, key=cosines.get, reverse=True)[:3]


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """A page of two strategies, one of them with a name that must be escaped."""
    root = tmp_path_factory.mktemp("runs")
    folders = [
        embed(write(root / "a")),
        write(root / "b", "cmc", 1, 0.02),
        embed(write(root / "c", "<script>alert(1)//")),
    ]
    assert report.main([*map(str, folders), "--out", str(root / "out" / "report.html")]) == 0
    return root / "out" / "report.html"


def test_the_page_is_self_contained_and_escapes_what_comes_from_files(page):
    text = page.read_text(encoding="utf-8")
    assert "http" not in text.replace("data:image/svg+xml", "") and 'src="data:' in text
    assert "<script>alert" not in text and "&lt;script&gt;alert" in text
    for part in (
        "Accuracy matrices",
        "Forgetting of each",
        "effective rank",
        "Nearest neighbours",
        "Glossary",
        "knowledge gain",
        "lr: 0.1",
    ):
        assert part in text, part


def test_the_page_cannot_be_written(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert report.main([str(write(tmp_path / "a")), "--out", str(tmp_path / "file" / "x.html")]) == 2
    assert "give another --out" in capsys.readouterr().err


def test_broken_embeddings_leave_the_rest(tmp_path):
    folder = embed(write(tmp_path / "a"))
    (folder / "embeddings" / "002.npy").write_bytes(b"cut off")
    assert neighbors.exhibit(folder, "a") is None
    assert neighbors.exhibit(write(tmp_path / "b"), "b") is None


def test_a_browser_moves_the_slider(page: Path):
    """Opens the page as a file and moves the slider from the last moment to the first."""
    sync = pytest.importorskip("playwright.sync_api", reason="needs pip install playwright")
    browser_path = shutil.which("chromium") or shutil.which("google-chrome")
    if browser_path is None:
        pytest.skip("needs chromium")
    with sync.sync_playwright() as p:
        browser = p.chromium.launch(executable_path=browser_path, args=["--no-sandbox"])
        tab = browser.new_page(viewport={"width": 390, "height": 800})
        errors, requests = [], []
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


def test_pictures_of_a_long_stream_show_what_was_measured_where_it_was(tmp_path, monkeypatch):
    """Of four experiences the second and the last were measured, by probes and vitals."""
    rows = np.full((5, 4), np.nan)
    rows[[0, 2, 4]] = 0.5
    run = reader.read(write(tmp_path / "a"))
    run.accuracies["ridge", "all"] = rows
    run.vitals = [{"trained": t, "rankme": 5.0} for t in (1, 2, 4)]
    (stream,) = comparison.streams([run])
    drawn = []
    monkeypatch.setattr(figures, "_svg", lambda figure: drawn.append(figure.axes[0]) or "data:")
    figures.anytime(stream, "ridge", "all")
    figures.health(stream, "rankme", "effective rank")
    figures.heat_map(stream.groups[0], "ridge", "all")
    anytime, health, heat_map = drawn
    assert anytime.lines[0].get_xdata().tolist() == [2, 4]
    assert health.lines[0].get_xdata().tolist() == [1, 2, 4]
    assert [text.get_text() for text in heat_map.get_yticklabels()] == ["untrained", "2", "4"]
    assert heat_map.images[0].get_array().shape == (3, 4)
    assert [(p.get_x() + 0.47, p.get_y() + 0.47) for p in heat_map.patches] == [(1, 1), (3, 2)], "just learnt"


def test_the_page_escapes_notes(tmp_path):
    run = reader.read(write(tmp_path / "a"))
    assert "&lt;b&gt;" in html.page(comparison.streams([run]), ["<b>"])


def test_an_unreadable_folder_beside_a_good_one_is_noted(tmp_path, capsys):
    assert report.main([str(write(tmp_path / "a")), str(tmp_path / "b"), "--out", str(tmp_path / "r.html")]) == 0
    assert "b holds no run" in capsys.readouterr().out
    with pytest.raises(UsageError):
        reader.read(tmp_path / "b")
