"""Every number of a report is explained, once."""

from avalanche_ssl.reports.glossary import MEASURES, glossary, measure
from avalanche_ssl.reports.tables import COLUMNS, COST_COLUMNS, PAIRED
from avalanche_ssl.runs.summary import METRICS


def test_all_words_of_the_tables_are_explained_in_sentences() -> None:
    words = glossary()
    computed = {"images/s"}
    assert words.keys() >= {*COLUMNS, *PAIRED, *METRICS, *COST_COLUMNS} - computed
    assert all(text[0].isupper() and text.endswith(".") and not text.endswith("..") for text in words.values())


def test_measures_are_named_and_explained_by_the_schema_of_the_log() -> None:
    assert [measure(field)[0] for field in MEASURES] == [
        "feature std",
        "RankMe",
        "feature drift (CKA)",
        "alignment",
        "uniformity",
    ]
    assert glossary()["feature drift (CKA)"].startswith("Linear CKA of the first experience's features")
