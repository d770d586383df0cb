"""Are a stream's further questions answered from the right images, by group, and only where it was asked to?"""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers.encoders import tiny
from helpers.fake_core50 import write_frames
from torch import Tensor, nn

from avalanche_ssl import ProbePlugin, Recipe, streams
from avalanche_ssl.data.loader import RawDataLoader
from avalanche_ssl.errors import UsageError
from avalanche_ssl.evaluation.tasks import TaskResult, evaluate_task
from avalanche_ssl.methods import SimCLR
from avalanche_ssl.models.encoders import ENCODERS
from avalanche_ssl.probes.protocols import PROTOCOLS
from avalanche_ssl.runs.summary import protocol_table
from avalanche_ssl.streams.tasks import ProbingTask

pytestmark = pytest.mark.filterwarnings(r"ignore:.*of CORe50's 164,866 frames:UserWarning")


def codes(*parts: list[int]) -> list[Any]:
    return [np.array(part, np.int64) for part in parts]


class Read(nn.Module):
    """Names the class that the feature says, among those of the labels it was fitted on."""

    def __init__(self, data: Any) -> None:
        super().__init__()
        self.known = data[1][data[1] >= 0]

    def forward(self, x: Tensor) -> Tensor:
        scores = torch.full((len(x), 10), -1.0)
        scores[:, self.known] = 0.0
        scores[torch.arange(len(x)), x[:, 0].long()] += 0.5
        return scores


def features(*parts: list[int]) -> list[tuple[Tensor, Tensor]]:
    return [(torch.tensor(part)[:, None].float(), torch.zeros(len(part))) for part in parts]


def test_an_answer_by_hand() -> None:
    question = ProbingTask(
        "kind",
        train_labels=codes([0, 1, -1], [2]),
        test_labels=codes([0, 1, 2], [2, -1, 1]),
        groups={"place": (["here", "there", "nowhere"], codes([0, 0, 1], [1, 1, -1]))},
    )
    asked: list[Any] = []

    def fit(data: Any, n_classes: int) -> nn.Module:
        asked.append((data[1].tolist(), n_classes))
        return Read(data)

    # the features say 0 2 2 | 2 0 1 where 0 1 2 | 2 ? 1 are right
    found = evaluate_task(question, fit, features([0, 1, 5], [2]), features([0, 2, 2], [2, 0, 1]))
    assert asked == [([0, 1, -1, 2], 3)]
    assert found == TaskResult("kind", 4 / 5, 1 / 3, {"place": {"here": 1 / 2, "there": 1.0}})


def test_an_answer_about_a_fold_comes_from_the_others() -> None:
    fold = codes([0, 1, 0], [1])
    question = ProbingTask(
        "kind", codes([0, 1, 2], [3]), codes([0, 1, 2], [3]), on_training_images=True, folds=(fold, fold)
    )
    asked: list[Any] = []

    def fit(data: Any, n_classes: int) -> nn.Module:
        asked.append(data[1].tolist())
        return Read(data)

    train = features([0, 1, 2], [3])
    found = evaluate_task(question, fit, train, features([9, 9], [9]))
    assert asked == [[-1, 1, -1, 3], [0, -1, 2, -1]]
    assert found.accuracy == 0.0  # each label is known to the other fold's classifier only
    assert found.chance == 1 / 4


# -- while learning --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("core50")
    write_frames(folder, frames=2, side=16)
    return folder


class Look(SimCLR):
    """Its features are the mean colour of a part of the image."""

    part: tuple[slice, slice]

    def extract_features(self, x: Tensor) -> Tensor:
        return x[(..., *self.part)].float().mean((2, 3)) / 255


def corner(benchmark: Any, part: tuple[slice, slice], **options: Any) -> dict[str, TaskResult]:
    """What the questions say of an encoder that sees but a part."""
    plugin = ProbePlugin(benchmark, probes=["knn-20"], scopes=["all"], **options)
    strategy = Recipe(Look, encoder="smallconv").build(plugins=[plugin])
    strategy.model.part = part
    plugin.measure(strategy)
    ((learnt, found),) = plugin.task_results
    assert learnt == 0
    return {one.question: one for one in found}


def test_core50_asks_for_objects_and_for_the_background(root: Path) -> None:
    """The middle of the fake pictures has a colour of the object, the rest one of the session."""
    benchmark = streams.core50_stream("nc", root, size=16)
    middle, edge = slice(5, 6), slice(12, 16)
    of_object, of_session = corner(benchmark, (middle, middle)), corner(benchmark, (edge, edge))
    assert list(of_object) == ["object", "category", "new instance", "background"]
    assert [round(1 / found.chance) for found in of_object.values()] == [50, 10, 10, 8]
    assert of_object["object"].accuracy > 0.9 > 0.3 > of_object["background"].accuracy
    assert of_session["background"].accuracy > 0.9 > 0.1 > of_session["object"].accuracy
    assert of_object["category"].accuracy > 0.9 > 0.4 > of_object["new instance"].accuracy
    found = of_object["object"].by
    assert {name: len(groups) for name, groups in found.items()} == {
        "session": 3,
        "object": 50,
        "category": 10,
        "experience": 9,
    }
    assert list(found["session"]) == ["s3", "s7", "s10"]
    for groups in (found["session"], found["object"], found["category"]):
        assert np.mean(list(groups.values())) == pytest.approx(of_object["object"].accuracy)


def test_images_that_experiences_share_are_represented_once(root: Path) -> None:
    """All eight experiences of NI are tested on the same images."""
    benchmark = streams.core50_stream("ni", root, size=16)
    plugin = ProbePlugin(benchmark, scopes=["all"])
    strategy = Recipe(Look, encoder="smallconv").build(plugins=[plugin])
    strategy.model.part = (slice(0, 8), slice(0, 8))
    seen: list[int] = []
    extract_features = strategy.model.extract_features
    strategy.model.extract_features = lambda x: seen.append(len(x)) or extract_features(x)
    plugin.measure(strategy)
    assert sum(seen) == 1100
    shared = plugin.latest
    plugin._features._joined = {}
    plugin.measure(strategy)
    assert all(torch.equal(a, c) and torch.equal(b, d) for (a, b), (c, d) in zip(shared, plugin.latest))
    assert np.array_equal(plugin.rows[0]["all"], plugin.rows[1]["all"])


def test_a_probe_on_every_20th_frame_has_no_others_represented(root: Path) -> None:
    benchmark = streams.core50_stream("nic", root, size=16)
    whole, thin = (ProbePlugin(benchmark, probes=p) for p in (["core50", "ridge"], ["core50"]))
    assert [len(d) for d in thin.train_labels] == [-(-len(d) // 20) for d in whole.train]
    assert [q.train_labels[0].tolist() for q in thin.probing_tasks] == [
        q.train_labels[0][::20].tolist() for q in whole.probing_tasks
    ]
    strategy = Recipe(Look, encoder="smallconv").build(plugins=[])
    strategy.model.part = (slice(5, 6), slice(5, 6))
    for plugin in (whole, thin):
        plugin.measure(strategy)
    assert np.array_equal(whole.rows[0]["all"], thin.rows[0]["all"])
    assert thin.probes[0].name == "core50"


def run(benchmark: Any, **options: Any) -> tuple[ProbePlugin, list[dict[str, Any]]]:
    log: list[dict[str, Any]] = []
    plugin = ProbePlugin(benchmark, log=lambda event, **fields: log.append({"event": event} | fields), **options)
    strategy = Recipe(Look, encoder="smallconv", batch_size=64, epochs=1).build(plugins=[plugin])
    strategy.model.part = (slice(5, 6), slice(5, 6))
    for experience in benchmark.train_stream:
        strategy.train(experience, eval_streams=[])
    return plugin, log


def test_boundaries_and_events(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ENCODERS, "smallconv", tiny)
    benchmark = streams.core50_stream("ni", root, size=16)
    plugin, log = run(benchmark, boundaries=3, scopes=["all"])
    assert {event["trained"] for event in log if event["event"] == "probe"} == {0, 3, 6, 8}
    assert np.isnan(plugin.matrix("all")).all(1).tolist() == [True, True, False, True, True, False, True, False]
    assert [learnt for learnt, _ in plugin.task_results] == [0, 3, 6, 8]
    task_results = [event for event in log if event["event"] == "answer"]
    assert len(task_results) == 4 * 4
    for learnt, found in plugin.task_results:  # the same classifier: sessions and objects have equally many images here
        assert found[0].accuracy == pytest.approx(plugin.rows[learnt]["all"].mean())
    fields = {"event", "trained", "images", "probe", "question", "accuracy", "chance", "by", "whole"}
    assert task_results[-1].keys() == fields and not any(event["whole"] for event in task_results)
    assert not plugin.final and not plugin.full_test_results, "this probe looks at all images anyway"
    assert task_results[0]["by"]["session"].keys() == {"s3", "s7", "s10"}
    copy = ProbePlugin(benchmark, boundaries=3, scopes=["all"])
    copy.load_state_dict(plugin.state_dict())
    assert copy.task_results == plugin.task_results
    assert copy.trained == 8 and np.array_equal(copy.matrix("all"), plugin.matrix("all"), equal_nan=True)
    with pytest.raises(UsageError, match="'boundaries' is 0"):
        ProbePlugin(benchmark, boundaries=0)


@pytest.mark.parametrize("probes", [["core50"], ["ridge", "core50@50%"]])
def test_the_last_encoder_is_tested_on_all_frames_too(
    root: Path, monkeypatch: pytest.MonkeyPatch, probes: list[str]
) -> None:
    """Each frame once, though all experiences of NI are tested on the same; the matrix keeps to its one in 20."""
    monkeypatch.setitem(ENCODERS, "smallconv", tiny)
    benchmark = streams.core50_stream("ni", root, size=16)
    plugin, log = run(benchmark, probes=probes)
    *_, name = probes
    told = [event for event in log if event["event"] == "final"]
    assert [(e["probe"], e["trained"], e["scope"], e["tested"], e["caveat"]) for e in told] == [
        (name, 8, "all", 300, PROTOCOLS["core50"].caveat)
    ]
    assert plugin.final == {name: told[0]["accuracy"]}
    assert f"  on all test images: {100 * plugin.final[name]:.1f}" in protocol_table(plugin).splitlines()
    task_results = [event for event in log if event["event"] == "answer" and event["whole"]]
    assert [e["question"] for e in task_results] == ["object", "category", "new instance"]
    assert [e["accuracy"] for e in task_results] == [found.accuracy for found in plugin.full_test_results]
    by = plugin.full_test_results[0].by
    for grouping in ("session", "object"):
        assert np.mean(list(by[grouping].values())) == pytest.approx(plugin.full_test_results[0].accuracy)
    copy = ProbePlugin(benchmark, probes=probes)
    copy.load_state_dict(plugin.state_dict())
    assert (copy.final, copy.full_test_results) == (plugin.final, plugin.full_test_results)


def test_the_final_accuracy_by_hand(root: Path) -> None:
    benchmark = streams.core50_stream("nic", root, size=16)
    plugin = ProbePlugin(benchmark, probes=["core50"], boundaries=79)
    strategy = Recipe(Look, encoder="smallconv").build(plugins=[plugin])
    strategy.model.part = (slice(5, 6), slice(5, 6))
    plugin.measure(strategy)
    plugin.rows = plugin.rows * 78  # as if so many experiences had been learnt
    plugin.measure(strategy)
    assert not plugin.final, "not the last"
    plugin.measure(strategy)
    frames = streams.core50_stream("ni", root, size=16).test_stream[0].dataset
    ((x, y, *_),) = RawDataLoader([frames], [300], shuffle=False, drop_last=False)
    right = strategy.probe(strategy.model.extract_features(x)).argmax(1) == y
    assert plugin.final == {"core50": pytest.approx(float(right.double().mean()))}
    assert plugin.full_test_results[0].accuracy == pytest.approx(plugin.final["core50"])
    sessions = {"s3": right[:100], "s7": right[100:200], "s10": right[200:]}
    assert plugin.full_test_results[0].by["session"] == {
        k: pytest.approx(float(v.double().mean())) for k, v in sessions.items()
    }
    assert plugin.task_results[-1][1][0].accuracy != plugin.final["core50"]
