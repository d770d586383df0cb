"""Speed of views and memories by themselves."""

import pytest
import torch
from speed import components

from avalanche_ssl.memory import POLICIES


@pytest.fixture
def quick(monkeypatch):
    def measured(operation, device="cpu", clock="wall"):
        operation()
        return 1e-3 if clock == "wall" else 2e-3

    monkeypatch.setattr(components, "seconds_per_call", measured)
    monkeypatch.setattr(components, "REPEATS", 2)


def test_views_and_every_operation_are_measured(quick, monkeypatch, capsys):
    monkeypatch.setattr(components, "BATCH", 8)
    components.measure_augmentation()
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[-1] for line in lines[3:6]] == ["125.0", "125.0", "1.0"]
    assert {"hue", "lab_views", "gaussian_blur, kernel 3"} <= {line[:32].strip() for line in lines[8:]}


def test_memories_of_every_size_are_measured(quick, monkeypatch, capsys):
    monkeypatch.setattr(components, "SIZES", (300, 600))
    monkeypatch.setattr(components, "IMAGES", 50)
    components.measure_memory()
    head, *rows = capsys.readouterr().out.splitlines()[2:]
    assert "300 rows" in head and "600 rows" in head
    assert len(rows[:5]) == 5 and all(row.count("1,000 (1,000-1,000)") == 2 for row in rows[:5])
    assert rows[6] == "memory of 50 images, us/step: features of 20 follow, 10 images enter"
    assert [row.split() for row in rows[7:]] == [[policy, *["1000.0"] * 3] for policy in POLICIES]
    components.measure_memory("processor")
    head, *rows = capsys.readouterr().out.splitlines()
    assert head.endswith("processor time") and rows[-1].split() == ["climb", *["2000.0"] * 3]


@pytest.mark.parametrize("policy", POLICIES)
def test_images_enter_a_full_memory_and_features_follow(policy, monkeypatch):
    monkeypatch.setattr(components, "IMAGES", 50)
    step = components.image_memory_steps()[policy]
    (memory,) = step.args
    before = memory.features.clone()
    assert memory.seen == 50 and (policy == "climb" or memory.count == 50)
    step()
    assert memory.seen == 60 and 20 <= (memory.features != before).any(1).sum() <= 30


def test_the_memory_is_full_and_knows_its_images():
    operations = components.memory_operations(1000)
    rows, valid = operations["bank: draw and read negatives"]()
    assert rows.shape[-1] == components.DIM and valid.any()


def test_scattered_ids_differ():
    assert len(components.scattered_ids(torch.arange(1000)).unique()) == 1000
