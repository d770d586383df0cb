"""What a run prints: the state on a terminal only, a line per experience, the sections of the report."""

import io
import sys
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from avalanche_ssl.evaluation import TaskResult
from avalanche_ssl.logging import CurveEvent, ExperienceEvent, RepresentationEvent
from avalanche_ssl.runs.console import (
    experience_head,
    experience_line,
    plugin_text,
    print_end,
    print_report,
    seconds_line,
    status,
)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_the_state_is_shown_and_erased_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    with status("preparing data"):
        assert terminal.getvalue() == "preparing data ...\r", "what is printed now takes its place"
    assert terminal.getvalue() == "preparing data ...\r\r\x1b[K"
    with pytest.raises(KeyError), status("drawing"):
        raise KeyError
    assert terminal.getvalue().endswith("drawing ...\r\r\x1b[K")


def test_the_state_is_not_written_elsewhere(capsys: pytest.CaptureFixture[str]) -> None:
    with status("preparing data"):
        pass
    assert capsys.readouterr() == ("", "")


EVENT = ExperienceEvent(
    experiences_trained=2, images_trained=12345, steps=9, loss=1.23456, seconds=7.54, images_per_second=1636.7
)
HEAD = "experience          images   seconds  images/s     loss"
LINE = "experience 2/5      12,345       7.5     1,637    1.235"


def test_line_of_an_experience() -> None:
    rows = [{}, {"all": np.array([0.5, 0.25]), "seen": np.array([0.5, np.nan]), "knn-20/all": np.array([0.1, 0.1])}]
    headline = SimpleNamespace(scopes=("all", "seen"))
    probe: Any = SimpleNamespace(rows=rows, measured=True, scopes=("all", "seen", "task"), probes=[headline])
    progress: Any = SimpleNamespace(last=EVENT, experiences=5, time_left="12 min")
    assert experience_head(progress, probe) == f"{HEAD}   all %  seen %  time left"
    assert experience_line(progress, probe) == f"{LINE}    37.5    50.0     12 min"
    probe.measured = False
    assert experience_line(progress, probe) == f"{LINE}                     12 min", "the accuracies are older"
    assert experience_head(progress, None) == f"{HEAD}  time left"
    assert experience_line(progress, None) == f"{LINE}     12 min"
    progress.experiences = 2
    assert experience_line(progress, None) == LINE.replace("2/5", "2/2"), "nothing is left"
    progress.experiences, headline.scopes = 400, probe.scopes
    assert len(experience_head(progress, probe)) <= 100


def test_seconds_that_are_named_nowhere_are_the_rest() -> None:
    clocks = {"train_seconds": 10.0, "seconds": 20.0, "checkpoint_seconds": 1.0, "probe_seconds": 2.5}
    assert seconds_line(clocks) == "checkpoint 1.0, probe 2.5, rest 6.5"


def probed(**more: Any) -> Any:
    """What the report needs of a `ProbePlugin`."""
    given = {
        "probes": [SimpleNamespace(name="ridge", scopes=("all",), caveat="")],
        "scopes": ("all",),
        "matrix": lambda scope, probe="ridge": np.array([[0.5, 0.25], [0.75, 1.0]]),
        "untrained": lambda scope, probe="ridge": np.array([0.25, 0.25]),
        "pixels": lambda probe="ridge": np.array([0.375, 0.125]),
        "frozen_matrix": lambda scope: np.array([[0.5, np.nan], [0.25, 1.0]]),
        "curve": [],
        "task_results": [],
        "full_test_results": [],
        "full_test_accuracies": {},
        "probing_tasks": [],
        "consolidation": 0.875,
    }
    return SimpleNamespace(**given | more)


def report(capsys: pytest.CaptureFixture[str], **more: Any) -> str:
    print_report(probed(**more), chance=0.125)
    return capsys.readouterr().out


def test_the_report_of_a_plain_run(capsys: pytest.CaptureFixture[str]) -> None:
    matrix, metrics = report(capsys).split("\n\n")
    assert matrix.splitlines() == [
        "",
        "accuracy (%) on the test data of each experience; ridge, fitted on the training data of all",
        "trained              e1    e2   mean",
        "untrained          25.0  25.0   25.0",
        "1                  50.0  25.0   37.5",
        "2                  75.0 100.0   87.5",
        "frozen             25.0 100.0   62.5",
        "raw pixels 16x16   37.5  12.5   25.0",
        "chance             12.5  12.5   12.5",
        "frozen: the last encoder, read by the probe that was fitted right after each experience",
    ]
    assert (
        metrics.startswith("average accuracy              87.5 %") and "consolidation                 87.5 %" in metrics
    )
    assert "forgetting (refitted probe)    0.0 %" in metrics and "forgetting (frozen probe)     25.0 %" in metrics


def test_a_validation_part_is_called_so(capsys: pytest.CaptureFixture[str]) -> None:
    print_report(probed(), 0.125, "validation")
    assert "accuracy (%) on the validation data of each experience; ridge, fitted" in capsys.readouterr().out


def test_an_encoder_that_was_given_is_not_called_untrained(capsys: pytest.CaptureFixture[str]) -> None:
    probes = [SimpleNamespace(name=name, scopes=("all",), caveat="") for name in ("ridge", "ncm")]
    print_report(probed(probes=probes), 0.125, start="at the start")
    matrix, protocols, _ = capsys.readouterr().out.split("\n\n")
    assert "at the start       25.0  25.0   25.0" in matrix.splitlines()
    assert "at the start, all" in protocols and "untrained" not in matrix + protocols


def test_what_was_not_measured_has_no_row(capsys: pytest.CaptureFixture[str]) -> None:
    """A probe of nearest neighbors is not kept, and a stream may have no pixels to compare."""
    nothing = np.full((2, 2), np.nan)
    printed = report(capsys, frozen_matrix=lambda scope: nothing, pixels=lambda probe="knn-20": nothing[0])
    assert "frozen" not in printed.partition("\n\n")[0] and "raw pixels" not in printed
    assert "forgetting (frozen probe)        - %" in printed
    last = np.array([[np.nan, np.nan], [0.25, 1.0]])
    assert "frozen  " not in report(capsys, frozen_matrix=lambda scope: last), "all were fitted on the last encoder"


def test_the_report_has_a_section_for_all_that_was_measured(capsys: pytest.CaptureFixture[str]) -> None:
    numbers = {"images_seen": 1000, "images_trained": 1000, "seconds": 1.0, "experiences_trained": 0}
    curve = [CurveEvent(probe="ridge", scope="all", accuracy=0.625, **numbers)]
    _, points, _ = report(capsys, curve=curve).split("\n\n")
    assert points == (
        "mean accuracy (%) by images of the stream seen; ridge\n images seen     all\n       1,000    62.5"
    )
    second = SimpleNamespace(name="knn-20", scopes=("all",), caveat="it has one")
    for probes in ([*probed().probes, second], [second]):
        _, protocols, _ = report(capsys, probes=probes).split("\n\n")
        assert protocols.startswith("probe  ") and protocols.endswith("  caveat: it has one")
    results = [(t, [TaskResult("kind", 0.5, 0.25, {"place": {"here": 0.375}})]) for t in (0, 2)]
    tasks = [SimpleNamespace(name="kind", groups={"place": None})]
    _, answers, _ = report(capsys, task_results=results, probing_tasks=tasks).split("\n\n")
    assert answers.startswith("probing tasks (accuracy in %; kind by place first)\n") and " 37.5" in answers


@pytest.mark.parametrize(
    ("vitals", "text"),
    [
        ({"teacher_norm": "batch"}, "no term yet; norm batch"),
        (
            {"gradient_ratio": 0.5678, "term": -0.91234, "weight": 2.0},
            "latest term -0.912 at weight 2; its gradient at weight 1 is 0.57 times that of the method's loss",
        ),
        (
            {"images": 2000, "age_median": 1500, "age_oldest": 12345},
            "2,000 images, of median age 1,500 and 12,345 at most",
        ),
        (
            {"term": 0.5, "weight": 1.0, "momentum": 0.999, "steps": 250, "teacher_norm": "eval"},
            "latest term 0.5 at weight 1; its copy is 1,000 steps behind (momentum 0.999), and the experience had 250; "
            "norm eval",
        ),
        ({"momentum": 1.0, "steps": 9}, "its copy never moves (momentum 1), and the experience had 9"),
    ],
)
def test_plugins_in_words(vitals: dict[str, Any], text: str) -> None:
    assert plugin_text(vitals) == text


def test_the_end_of_a_run_has_a_line_for_each_plugin(capsys: pytest.CaptureFixture[str]) -> None:
    progress: Any = SimpleNamespace(seconds=2.0, rate=1234.5)
    clocks = {"train_seconds": 2.0, "seconds": 3.0}
    plugins = {"replay": {"images": 3, "age_median": 1, "age_oldest": 2}, "cassle": {"teacher_norm": "batch"}}
    event = RepresentationEvent(experiences_trained=1, images_measured=2, feature_dim=3, plugins=plugins)
    print_end(progress, event, clocks)
    lines = capsys.readouterr().out.splitlines()
    assert lines == [
        "",
        "replay: 3 images, of median age 1 and 2 at most",
        "cassle: no term yet; norm batch",
        "",
        "training 2.0 s, 1,234 images/s; everything 3.0 s, of it rest 1.0",
    ]
    for event_without in (None, RepresentationEvent(experiences_trained=1, images_measured=2, feature_dim=3)):
        print_end(progress, event_without, clocks)
        assert capsys.readouterr().out.splitlines() == lines[3:]
