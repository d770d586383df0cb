"""Labels of any size and per-task labels: accuracies and logits are those of the classes they stand for."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from avalanche.benchmarks import benchmark_from_datasets, nc_benchmark
from avalanche.benchmarks.utils import AvalancheDataset, DataAttribute
from avalanche.evaluation.metrics import accuracy_metrics
from avalanche.training.plugins import EvaluationPlugin
from helpers.probing import Listener, corner, moco
from torch import nn

from avalanche_ssl import ProbePlugin
from avalanche_ssl.data import class_labels, with_labels
from avalanche_ssl.errors import UsageError
from avalanche_ssl.evaluation import Evaluator
from avalanche_ssl.evaluation.class_logits import MAX_LABEL, ClassLogits
from avalanche_ssl.streams import ClassIndex

LARGE = np.array([7, 12, 100_000, 10**9])
"""Labels of four classes, in order."""


class Colors:
    """Images of one color, that of their class, with noise that makes classes overlap."""

    def __init__(self, n: int, seed: int, labels: Any = range(6)) -> None:
        classes = np.arange(n) % 6
        colors = 80 + 60 * np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1], [0, 1, 1], [1, 0, 1], [1, 1, 0]])[classes]
        colors = colors + np.random.default_rng(seed).normal(0, 20, colors.shape)
        self.data = np.broadcast_to(colors[:, None, None], (n, 8, 8, 3)).astype(np.uint8)
        self.targets = [int(labels[c]) for c in classes]

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, index: int) -> tuple[Any, int]:
        return torch.from_numpy(self.data[index].copy()).permute(2, 0, 1), self.targets[index]


def tasks(labels: Any = range(6), task_labels: bool = True, **options: Any) -> Any:
    """Three experiences of two classes each."""
    data = Colors(120, 0, labels), Colors(60, 1, labels)
    return nc_benchmark(*data, 3, task_labels, seed=0, fixed_class_order=[*map(int, labels)], **options)


def renamed(benchmark: Any, names: Any) -> Any:
    """The benchmark with `names[y]` for label y."""

    def experience(e: Any) -> Any:
        return SimpleNamespace(dataset=with_labels(e.dataset, names[class_labels(e.dataset)]), current_experience=0)

    return SimpleNamespace(
        train_stream=[experience(e) for e in benchmark.train_stream],
        test_stream=[experience(e) for e in benchmark.test_stream],
    )


@pytest.mark.parametrize("probe", ["ridge", "logistic", "ncm", "knn-20", "sgd", "mlp", "ridge@2", "cassle-online"])
def test_large_labels_give_what_small_ones_give(few: Any, probe: str) -> None:
    small, large = Evaluator(few, [probe]), Evaluator(renamed(few, LARGE), [probe])
    assert large.n_classes == 4
    strategies = [moco(), moco()]
    for evaluator, strategy in zip((small, large), strategies, strict=True):
        strategy.mbatch = [torch.zeros(8)]  # images of a step
        evaluator.step_online(strategy)
    found = [e.evaluate(s, seen=[0]).accuracies[probe] for e, s in zip((small, large), strategies, strict=True)]
    for scope, row in found[0].items():
        np.testing.assert_array_equal(row, found[1][scope])


def test_per_task_labels_from_zero_give_what_six_classes_give() -> None:
    six, zero = tasks(), tasks(class_ids_from_zero_in_each_exp=True)
    known, found, mixed = (
        Evaluator(b, ["ridge"], classes=c).evaluate(corner(), seen=[0, 1]).accuracies["ridge"]
        for b, c in ((six, None), (zero, None), (zero, "shared"))
    )
    for scope in ("all", "seen", "task"):
        np.testing.assert_array_equal(found[scope], known[scope])
    assert known["all"].max() < 1 and mixed["all"].tolist() == [1, 1, 1], "two classes are easier than six"
    np.testing.assert_array_equal(mixed["task"], known["task"])


class Scores(nn.Module):
    """The features are the scores."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x


def test_logits_by_label() -> None:
    logits = ClassLogits(Scores(), ClassIndex(np.array([1, 4])))(torch.tensor([[0.5, -2.0]]))
    inf = float("inf")
    assert logits.tolist() == [[-inf, 0.5, -inf, -inf, -2.0]]


def test_logits_of_the_own_task() -> None:
    """Classes (task, label): (0, 0), (0, 1), (3, 0), (3, 2)."""
    classes = ClassIndex(np.array([0, 1, 0, 2]), np.array([0, 0, 3, 3]))
    scores = torch.tensor([[0.1, 0.2, 0.3, 0.4]]).repeat(2, 1)
    found = ClassLogits(Scores(), classes)(scores, torch.tensor([0, 3]))
    inf = float("inf")
    torch.testing.assert_close(found, torch.tensor([[0.1, 0.2, -inf], [0.3, -inf, 0.4]]))


def test_a_label_too_large_for_logits_is_refused_in_one_line() -> None:
    for largest in (MAX_LABEL, MAX_LABEL + 1):
        logits = ClassLogits(Scores(), ClassIndex(np.array([0, largest])))
        if largest == MAX_LABEL:
            assert logits(torch.zeros(1, 2)).shape == (1, MAX_LABEL + 1)
            continue
        with pytest.raises(UsageError, match=f"label {largest} is too large .* number the classes 0, 1, 2") as caught:
            logits(torch.zeros(1, 2))
        assert "\n" not in str(caught.value)


def evaluated(benchmark: Any, **options: Any) -> tuple[Any, Any]:
    """The probe plugin of a strategy after `eval`, and Avalanche's metrics."""
    probe = ProbePlugin(benchmark, **options)
    evaluator = EvaluationPlugin(accuracy_metrics(experience=True), loggers=[Listener()])
    strategy = corner(probe)
    strategy.plugins.append(evaluator)
    strategy.evaluator = evaluator
    probe.measure(strategy)
    strategy.eval(benchmark.test_stream)
    return probe, evaluator.get_last_metrics()


def test_avalanches_metrics_agree_where_labels_have_gaps() -> None:
    labels = [2, 3, 5, 11, 40, 41]
    probe, metrics = evaluated(tasks(labels, task_labels=False))
    accuracies = [value for name, value in metrics.items() if name.startswith("Top1_Acc_Exp")]
    np.testing.assert_allclose(accuracies, probe.untrained("all"))
    assert min(accuracies) > 0.5


def test_avalanches_metrics_know_the_task() -> None:
    """By hand: the classes of the image's own task alone compete."""
    zero = tasks(class_ids_from_zero_in_each_exp=True)
    probe, metrics = evaluated(zero)
    accuracies = [value for name, value in metrics.items() if name.startswith("Top1_Acc_Exp")]
    (strategy,) = [corner()]
    train, test = (probe.evaluator.features(strategy, part) for part in (probe.train, probe.test))
    classifier = probe.probes[0].fit(train, 6, (), 0, None, ["all"])["all"][0]
    own = []
    for task, (x, y) in enumerate(test):
        scores = classifier(x)[:, 2 * task : 2 * task + 2]
        own.append(float((scores.argmax(1) == y - 2 * task).double().mean()))
    np.testing.assert_allclose(accuracies, own)
    assert min(own) > np.min(probe.untrained("all"))


def test_eval_of_labels_too_large_says_what_to_do(few: Any) -> None:
    evaluator = Evaluator(renamed(few, LARGE), ["ridge"])
    classifier = evaluator.fit_headline(moco(), seen=())
    with pytest.raises(UsageError, match="label 1000000000 is too large for the logits of eval"):
        classifier(torch.zeros(1, 8))


def test_the_scope_task_is_the_tested_experience_alone_also_where_a_task_has_several() -> None:
    """Three experiences of tasks 0, 0 and 1, whose labels start from zero; by hand, one probe for each."""
    train, test = Colors(120, 0), Colors(60, 1)

    def parts(data: Any) -> list[Any]:
        attributes = [
            DataAttribute([c % 4 for c in data.targets], "targets"),
            DataAttribute([c // 4 for c in data.targets], "targets_task_labels", use_in_getitem=True),
        ]
        whole = AvalancheDataset([data], data_attributes=attributes)
        return [whole.subset([i for i, c in enumerate(data.targets) if c // 2 == j]) for j in range(3)]

    benchmark = benchmark_from_datasets(train=parts(train), test=parts(test))
    evaluator = Evaluator(benchmark, ["ridge"], classes="per-task")
    assert [np.unique(class_labels(d)).tolist() for d in evaluator.train] == [[0, 1], [2, 3], [4, 5]]
    found = evaluator.evaluate(corner(), seen=[0]).accuracies["ridge"]
    features = [evaluator.features(corner(), part) for part in (evaluator.train, evaluator.test)]
    for j, (own, (x, y)) in enumerate(zip(*features, strict=True)):
        probe = evaluator.probes[0].fit([own], 6, (), 0, None, ["all"])["all"][0]
        assert found["task"][j] == float((probe(x).argmax(1) == y).double().mean())
    six = Evaluator(tasks(), ["ridge"]).evaluate(corner(), seen=[0]).accuracies["ridge"]
    np.testing.assert_array_equal(found["all"], six["all"])
