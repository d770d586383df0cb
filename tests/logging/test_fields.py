"""Fields of events carry what the schema shows and checks."""

import dataclasses

from avalanche_ssl.logging import fields


def test_fields_carry_meaning_default_and_range() -> None:
    made = dataclasses.make_dataclass(
        "Made",
        [
            ("steps", int, fields.count("steps of the optimizer")),
            ("accuracy", float, fields.share("of the test images", 0.5)),
            ("duration", float, fields.seconds("of all", None)),
            ("drift", float, fields.measure("of features", None)),
        ],
    )
    found = {f.name: (f.default, f.metadata["meaning"], f.metadata["low"]) for f in dataclasses.fields(made)}
    assert found["steps"] == (dataclasses.MISSING, "steps of the optimizer", 0)
    assert found["accuracy"] == (0.5, "of the test images", 0) and found["duration"] == (None, "of all", 0)
    assert found["drift"][2] < 0
    assert [f.metadata["high"] for f in dataclasses.fields(made)] == [2**53, 1, 1e10, 1e9]
