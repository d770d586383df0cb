"""Features, fits and scores of one encoder, which stays as it is."""

import copy
from typing import Any

import numpy as np
import pytest
import torch
from avalanche.benchmarks import CLScenario, benchmark_from_datasets
from avalanche.benchmarks.utils import as_classification_dataset
from helpers.consolidation import consolidation
from helpers.probing import corner, moco

from avalanche_ssl import streams
from avalanche_ssl.data import ArrayDataset, RawDataLoader
from avalanche_ssl.errors import UsageError
from avalanche_ssl.evaluation import Evaluator
from avalanche_ssl.methods import MoCo
from avalanche_ssl.probes import get_protocol, probe_accuracies

core50_only_in_part = pytest.mark.filterwarnings(r"ignore:.*of CORe50's 164,866 frames:UserWarning")


def test_one_pass_over_the_features_serves_all_scopes(few: Any) -> None:
    class Counted(MoCo):
        images = 0

        def extract_features(self, x: torch.Tensor) -> torch.Tensor:
            type(self).images += len(x)
            return super().extract_features(x)

    found = Evaluator(few, ["ridge"]).evaluate(moco(method=Counted), seen=())
    assert Counted.images == 40 + 14
    assert found.accuracies["ridge"].keys() == {"all", "seen", "task"}


def test_evaluating_changes_nothing(few: Any) -> None:
    strategy = moco()
    before = copy.deepcopy(strategy.model.state_dict())
    drawn = torch.get_rng_state(), strategy.view_generator.get_state(), strategy.order_generator.get_state()
    strategy.model.train()
    first, second = (Evaluator(few, ["ridge"]).evaluate(strategy, seen=[0]) for _ in range(2))
    assert all(torch.equal(v, before[k]) for k, v in strategy.model.state_dict().items())
    after = torch.get_rng_state(), strategy.view_generator.get_state(), strategy.order_generator.get_state()
    assert all(torch.equal(a, b) for a, b in zip(drawn, after))
    assert strategy.model.training and strategy.probe is None
    for scope, row in first.accuracies["ridge"].items():
        np.testing.assert_array_equal(row, second.accuracies["ridge"][scope])


def test_few_labels_are_drawn_three_times_and_averaged(digits: Any) -> None:
    evaluator, strategy = Evaluator(digits, ["ridge", "ncm@2"]), moco()
    found = evaluator.evaluate(strategy, seen=[0]).accuracies["ncm@2"]
    train, test = (evaluator.features(strategy, part) for part in (evaluator.train, evaluator.test))
    each = [probe_accuracies(get_protocol("ncm@2").fit(train, 10, [0], seed), test) for seed in range(3)]
    for scope, row in found.items():
        np.testing.assert_allclose(row, np.mean([one[scope] for one in each], axis=0))
    assert len({tuple(one["all"]) for one in each}) == 3


@pytest.mark.parametrize("probe", ["ridge", "ncm@2", "knn-20", "cassle-online", "cassle-online-leak"])
def test_which_test_images_are_classified_correctly(few: Any, probe: str) -> None:
    """By hand for ridge; for every probe their mean is the accuracy."""
    evaluator, strategy = Evaluator(few, [probe, "sgd"]), moco()
    found = evaluator.evaluate(strategy, seen=[0, 1], per_image=True)
    assert found.correct is not None
    assert [right.shape for right in found.correct] == [(3 if "@" in probe else 1, len(y)) for _, y in found.test]
    means = [float(right.double().mean(1).mean()) for right in found.correct]
    np.testing.assert_allclose(means, found.accuracies[probe]["all"])
    if probe == "ridge":
        for right, (x, y) in zip(found.correct, found.test):
            assert right[0].tolist() == [
                int(found.classifier(z[None]).argmax()) == int(label) for z, label in zip(x, y)
            ]
    assert evaluator.evaluate(strategy, seen=[0, 1]).correct is None, "not wanted"


def test_without_the_scope_all_no_image_is_known(few: Any) -> None:
    assert Evaluator(few, ["ridge"], ["task"]).evaluate(moco(), seen=[0, 1], per_image=True).correct is None


def test_consolidation_is_measured_at_the_last_boundary(few: Any) -> None:
    evaluator, strategy = Evaluator(few, ["ridge"]), moco()
    assert evaluator.evaluate(strategy, seen=[0]).consolidation is None
    assert evaluator.evaluate(strategy, seen=[0, 1], at_boundary=False).consolidation is None
    train, test = ([x for x, _ in evaluator.features(strategy, part)] for part in (evaluator.train, evaluator.test))
    assert evaluator.evaluate(strategy, seen=[0, 1]).consolidation == pytest.approx(consolidation(train, test))


@pytest.mark.parametrize("probe", ["ridge", "knn-20", "lump", "cassle-online"])
def test_the_classifier_knows_all_classes(few: Any, probe: str) -> None:
    """That of the first probe, or of ridge if that one is not fitted on all experiences at once."""
    evaluator, strategy = Evaluator(few, [probe]), moco()
    found, again = evaluator.evaluate(strategy, seen=[0]), evaluator.fit_headline(strategy, seen=[0])
    x = torch.cat([x for x, _ in found.test])
    assert found.classifier(x).shape == (14, 4)
    assert torch.equal(found.classifier(x), again(x))


def test_an_unknown_scope_is_refused(few: Any) -> None:
    with pytest.raises(UsageError, match="no scope 'al': did you mean 'all'"):
        Evaluator(few, ["ridge"], ["al"])


@pytest.mark.parametrize("names", [{"probes": "ridge"}, {"probes": ["ridge"], "scopes": "all"}])
def test_a_string_in_the_place_of_names_is_refused(few: Any, names: dict[str, Any]) -> None:
    ((kind, value),) = [item for item in names.items() if isinstance(item[1], str)]
    with pytest.raises(UsageError, match=rf"{kind} is the string .{value}.: give a list .*{kind}=\['{value}'\]"):
        Evaluator(few, **names)


def test_probes_named_twice_or_not_at_all_or_unknown_are_refused(few: Any) -> None:
    for wrong, message in (
        ([], "name at least one"),
        (["ridge", "ridge"], "each once"),
        (["ridg"], "did you mean 'ridge'"),
    ):
        with pytest.raises(UsageError, match=message):
            Evaluator(few, wrong)


@core50_only_in_part
def test_the_full_test_by_hand(core50_root: Any) -> None:
    evaluator, strategy = Evaluator(streams.core50_stream("nic", core50_root, size=16), ["core50"]), corner()
    assert evaluator.evaluate(strategy, seen=range(79)).full_test is None, "not asked for"
    found = evaluator.evaluate(strategy, seen=range(79), full_test=True)
    assert found.full_test is not None and found.full_test.images == 300
    frames = streams.core50_stream("ni", core50_root, size=16).test_stream[0].dataset
    ((x, y, *_),) = RawDataLoader([frames], [300], shuffle=False, drop_last=False)
    correct = found.classifier(strategy.model.extract_features(x)).argmax(1) == y
    assert found.full_test.accuracies == {"core50": pytest.approx(float(correct.double().mean()))}
    result = found.full_test.task_results[0]
    assert result.accuracy == pytest.approx(found.full_test.accuracies["core50"])
    sessions = {"s3": correct[:100], "s7": correct[100:200], "s10": correct[200:]}
    assert result.by_group["session"] == {k: pytest.approx(float(v.double().mean())) for k, v in sessions.items()}
    assert found.task_results[0].accuracy != found.full_test.accuracies["core50"]


# -- readouts --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_readouts_are_probed_from_the_same_pass(few: Any, precision: Any) -> None:
    names = ["2x2", "stages", "projection"]
    strategy, sizes = moco(precision=precision), []
    extract_features = strategy.model.extract_features
    strategy.model.extract_features = lambda x: sizes.append(len(x)) or extract_features(x)
    evaluator = Evaluator(few, ["ridge", *(f"ridge:{name}" for name in names), "ncm:2x2@2"])
    found = evaluator.evaluate(strategy, seen=[0])
    assert sum(sizes) == 40 + 14, "each image once"
    plain = Evaluator(few, ["ridge"]).evaluate(strategy, seen=[0])
    assert_same_rows(found.accuracies["ridge"], plain.accuracies["ridge"])

    def read(part: Any, name: str) -> Any:
        rows = []
        for dataset in part:
            ((x, y, *_),) = RawDataLoader([dataset], [40], shuffle=False, drop_last=False)
            strategy.model.eval()
            with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
                rows.append((strategy.model.read_out(x, [name])[name].float(), y))
        return rows

    for name in names:
        fitted = get_protocol("ridge").fit(read(evaluator.train, name), 4, [0])
        expected = probe_accuracies(fitted, read(evaluator.test, name))
        assert_same_rows(found.accuracies[f"ridge:{name}"], expected)
    each = [get_protocol("ncm@2").fit(read(evaluator.train, "2x2"), 4, [0], seed) for seed in range(3)]
    mean = np.mean([probe_accuracies(fit, read(evaluator.test, "2x2"))["all"] for fit in each], axis=0)
    np.testing.assert_allclose(found.accuracies["ncm:2x2@2"]["all"], mean)


def assert_same_rows(one: Any, other: Any) -> None:
    assert one.keys() == other.keys()
    for scope, row in one.items():
        np.testing.assert_allclose(row, other[scope])


def test_readouts_that_are_not_there_are_refused_by_name(few: Any) -> None:
    with pytest.raises(UsageError, match="probe 'ridge:2x2' has a readout: put one of the features first"):
        Evaluator(few, ["ridge:2x2"])
    evaluator = Evaluator(few, ["ridge", "ridge:2x2"])
    with pytest.raises(UsageError, match="readout '2x2': Corner has none but its features"):
        evaluator.evaluate(corner(), seen=[])
    given = Evaluator(few, ["ridge", "ridge:2x2"], extract_features=lambda model, x: x.float().mean((2, 3)))
    with pytest.raises(UsageError, match=r"readouts \(2x2\) are those of a Method: leave them out"):
        given.evaluate(moco(), seen=[])


# -- raw pixels ------------------------------------------------------------------------------------------------------


def of_sides(*sides: int, channels: tuple[int, ...] = (3, 3)) -> Any:
    """A benchmark of two experiences, whose images are of these sides and channels."""
    rng, parts = np.random.default_rng(0), []
    for j, (side, c) in enumerate(zip(sides, channels, strict=True)):
        shape = (20, side, side, c) if c > 1 else (20, side, side)
        labels = 2 * j + np.arange(20) % 2
        images = rng.integers(0, 60, shape) + 60 * (labels % 2).reshape(-1, *[1] * (len(shape) - 1))
        parts.append(as_classification_dataset(ArrayDataset(images.astype(np.uint8), labels)))
    return benchmark_from_datasets(train=parts, test=parts)


@pytest.mark.parametrize("name", ["ridge", "ncm", "knn-20", "ncm@2"])
def test_raw_pixels_by_hand(few: Any, name: str) -> None:
    evaluator, strategy = Evaluator(few, [name, "ridge:2x2", "sgd"]), moco()
    protocol = get_protocol(name)

    def pixels(part: Any) -> Any:
        loaded = [next(iter(RawDataLoader([d], [40], shuffle=False, drop_last=False))) for d in part]
        return [(x.flatten(1).float() / 255, y) for x, y, *_ in loaded]

    train, test = pixels(evaluator.train), pixels(evaluator.test)
    each = [protocol.fit(train, 4, [0, 1], seed, None, ["all"]) for seed in range(protocol.draws)]
    expected = np.mean([probe_accuracies(fit, test)["all"] for fit in each], axis=0)
    drawn = torch.get_rng_state()
    found = evaluator.pixel_accuracies(strategy)
    assert found.keys() == {name}, "by probes that are exact and quick"
    np.testing.assert_array_equal(found[name], expected)
    assert torch.equal(torch.get_rng_state(), drawn)


def test_pixels_on_one_test_set_and_without_the_scope_all(few: Any) -> None:
    one = CLScenario([few.train_stream, few.test_stream[:1]])
    assert Evaluator(one, ["ncm"]).pixel_accuracies(moco())["ncm"].shape == (1,)
    assert Evaluator(few, ["ncm"], ["task"]).pixel_accuracies(moco()) == {}


def test_pixels_of_images_that_differ_in_size_or_channels() -> None:
    assert Evaluator(of_sides(32, 20), ["ncm"], batch_size=20).pixel_accuracies(moco())["ncm"].tolist() == [1.0, 1.0], (
        "averaged"
    )
    assert Evaluator(of_sides(16, 8), ["ncm"], batch_size=20).pixel_accuracies(moco()) == {}, (
        "they have different pixels"
    )
    mixed = Evaluator(of_sides(16, 16, channels=(3, 1)), ["ncm"], batch_size=20)
    with pytest.warns(UserWarning, match="gray images become RGB"):
        assert mixed.pixel_accuracies(moco())["ncm"].shape == (2,), "as the encoder is given them"


def test_the_fits_of_the_headline_are_given(few: Any) -> None:
    for name, draws in (("ridge", 1), ("ncm@2", 3), ("cassle-online", 0)):
        found = Evaluator(few, [name]).evaluate(moco(), seen=[0])
        assert len(found.headline) == draws
        for fit in found.headline[:1]:
            rows = probe_accuracies(fit, found.test)
            assert rows.keys() == {"all", "seen", "task"}
            if draws == 1:
                np.testing.assert_array_equal(rows["task"], found.accuracies[name]["task"])
