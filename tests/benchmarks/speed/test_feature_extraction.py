"""Speed of feature extraction."""

from speed import feature_extraction


def test_extraction_and_bare_encoder_take_time(moco, monkeypatch):
    monkeypatch.setattr(feature_extraction, "BATCH", 8)
    row = feature_extraction.feature_speed(moco, 2, 3)
    assert [len(row[name]) for name in ("extraction_seconds", "bare_seconds", "share")] == [3, 3, 3]
    assert all(s > 0 for s in row["extraction_seconds"] + row["bare_seconds"])
