"""Strategies beside their references, by hand, and what is said of unequal costs."""

from pathlib import Path
from typing import Any

import pytest
from helpers.logs import SETTINGS, changed, config, write_run

from avalanche_ssl.reports import html, tables
from avalanche_ssl.reports.references import REFERENCE_COLUMNS, reference_of, reference_rows, unequal_notes


def a_run(
    folder: Path,
    strategy: str,
    seed: int = 0,
    shift: float = 0.0,
    views: int = 200,
    joint: bool = False,
    **settings: Any,
) -> Path:
    options = config(strategy, seed) | {"settings": SETTINGS | {"encoder": "smallconv"} | settings}
    options["benchmark_options"] |= {"regime": "joint"} if joint else {}
    changed(write_run(folder, strategy, seed, shift), "run", config=options)
    return changed(folder, "cost", views=views)


@pytest.fixture
def stream(tmp_path: Path, one_stream: Any) -> Any:
    folders = []
    for seed in range(3):
        folders += [
            a_run(tmp_path / f"supervised{seed}", "supervised", seed, -0.1 + 0.01 * seed, views=230),
            a_run(tmp_path / f"cmc{seed}", "cmc", seed),
            a_run(tmp_path / f"moco{seed}", "moco", seed, 0.05),
            a_run(tmp_path / f"joint{seed}", "cmc", seed, 0.1 + 0.01 * seed, views=205, joint=True, epochs=3),
            a_run(tmp_path / f"more{seed}", "cmc", seed, 0.2, views=800, joint=True, epochs=9),
        ]
    return one_stream(*folders)


def test_rows_by_hand(stream: Any) -> None:
    rows = reference_rows(stream, "ridge", "all")
    assert [(row.label, row.baseline) for row in rows] == [
        ("cmc", False),
        ("moco", False),
        ("supervised", True),
        ("cmc joint epochs=3", True),
        ("cmc joint epochs=9", True),
    ]
    cmc, moco, supervised, *_ = (dict(zip(REFERENCE_COLUMNS, map(str, row.cells))) for row in rows)
    assert cmc == {
        "average accuracy": "60.0 ± 0.0",
        "minus iid": "-11.0 ± 2.5",
        "minus supervised": "+9.0 ± 2.5",
        "minus supervised iid": "-",
        "views": "200",
        "steps": "10",
        "training s": "2 ± 0",
    }
    assert (moco["minus iid"], moco["minus supervised"]) == ("-", "+14.0 ± 2.5"), "moco has not been trained jointly"
    assert supervised["minus iid"] == "-" and supervised["views"] == "230"
    assert rows[0].cells[1].note == "p = 0.003" and rows[0].cells[2].note == "p = 0.004"


def test_unequal_views_are_said_with_the_remedy(stream: Any) -> None:
    assert unequal_notes(stream) == [
        "not at equal cost to supervised: cmc (200 views against 230), moco (200 views against 230); "
        "`avalanche-ssl sweep --reference supervised` trains it with as many, in whole epochs"
    ]
    for group in stream.groups:
        if group.reference == "supervised":
            for run in group.runs:
                run.cost = type(run.cost)(**run.cost.fields() | {"views": 210})
    assert unequal_notes(stream) == [], "5 % are equal"


def test_a_reference_is_of_the_same_settings(stream: Any) -> None:
    (cmc,) = [group for group in stream.groups if group.label == "cmc"]
    iid = reference_of(stream, cmc, "iid")
    assert iid is not None and iid.label == "cmc joint epochs=3", "the one with the nearest views"
    for group in stream.groups:
        if group.reference == "iid":
            group.runs[0].settings["lr"] = 0.5
        if group.reference == "supervised":
            group.runs[0].settings["encoder"] = "resnet18"
    assert reference_of(stream, cmc, "iid") is None and reference_of(stream, cmc, "supervised") is None


def test_they_stand_in_text_and_page(stream: Any) -> None:
    text = tables.table([stream], [], width=120)
    part = text.partition("against their references")[2]
    assert "-11.0 ± 2.5" in part and "not at equal cost to supervised: cmc (200 views" in text
    page = html.page([stream], [])
    assert 'id="s1-references"' in page and "not at equal cost to supervised: cmc" in page
    assert page.count('<small><a class="term"') >= 3, "references are marked"


def test_without_a_reference_there_is_no_table(tmp_path: Path, one_stream: Any) -> None:
    stream = one_stream(write_run(tmp_path / "a"), write_run(tmp_path / "b", "moco"))
    assert reference_rows(stream, "ridge", "all") == [] == unequal_notes(stream)
    assert "references" not in tables.table([stream], []) and 'id="s1-references"' not in html.page([stream], [])
