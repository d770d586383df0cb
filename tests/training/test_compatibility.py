"""What cannot work with a method is refused before any training, or warned of."""

import warnings
from functools import partial

import numpy as np
import pytest
import torch
from avalanche.benchmarks import benchmark_from_datasets, nc_benchmark
from avalanche.benchmarks.utils import as_classification_dataset
from helpers.datasets import PictureDataset
from helpers.encoders import tiny
from helpers.strategies import Spy, cmc, make, moco, train
from torch.optim import SGD

from avalanche_ssl import ProbePlugin, SelfSupervised
from avalanche_ssl.data import with_labels
from avalanche_ssl.errors import UsageError
from avalanche_ssl.methods import PIRL, DeepCluster, SimCLR, Supervised
from avalanche_ssl.streams import online_stream
from avalanche_ssl.training.compatibility import check_boundaries, check_labels, count_bank_hits


def test_other_mistakes_are_refused_before_training():
    with pytest.raises(UsageError, match="is a Linear, not a Method"):
        make(torch.nn.Linear(2, 2))
    with pytest.raises(UsageError, match="precision 'fp16'"):
        make(precision="fp16")
    with pytest.raises(UsageError, match=r"the optimizer is 'sgd': give one of torch, e\.g\. SGD\(model"):
        make(optimizer="sgd")


@pytest.mark.filterwarnings("ignore::avalanche.training.templates.base.PositionalArgumentsDeprecatedWarning")
def test_a_criterion_is_refused_wherever_it_stands():
    model, criterion = moco(), torch.nn.CrossEntropyLoss()
    optimizer = SGD(model.parameters(), lr=0.1)
    message = r"SelfSupervised takes no criterion \(CrossEntropyLoss\): the loss comes with the method; leave it out"
    for call in (
        lambda: SelfSupervised(model, optimizer, criterion),
        lambda: SelfSupervised(model, optimizer, criterion, 32, train_epochs=2),
        lambda: SelfSupervised(model=model, optimizer=optimizer, criterion=criterion),
        lambda: SelfSupervised(model, optimizer, criterion=criterion),
    ):
        with pytest.raises(UsageError, match=message):
            call()
    with pytest.raises(UsageError, match=r"no criterion \(<function cross_entropy"):
        make(model, criterion=torch.nn.functional.cross_entropy)
    assert SelfSupervised(model, optimizer, 16).train_mb_size == 16


def test_a_parameter_missing_from_the_optimizer_is_named():
    model = moco()
    with pytest.raises(UsageError, match=r"the optimizer holds no projection_head\.0\.weight.*model\.parameters"):
        make(model, optimizer=SGD(model.encoder.parameters(), lr=0.1))


@pytest.mark.slow
def test_a_part_that_was_exchanged_after_training_is_named(digits):
    strategy = train(make(SimCLR(tiny, output_dim=8)), digits, 1)
    strategy.model.projection_head[0] = torch.nn.Linear(*strategy.model.projection_head[0].weight.shape[::-1])
    steps = strategy.clock.train_iterations
    with pytest.raises(UsageError, match=r"the optimizer holds no projection_head.0.weight, projection_head.0.bias"):
        strategy.train(digits.train_stream[1])
    assert strategy.clock.train_iterations == steps
    strategy.optimizer.add_param_group({"params": strategy.model.projection_head[0].parameters(), "lr": 0.1})
    before = strategy.model.projection_head[0].weight.clone()
    strategy.train(digits.train_stream[1])
    assert not torch.equal(strategy.model.projection_head[0].weight, before)


def test_images_that_change_from_epoch_to_epoch_are_reported(digits):
    def disturb(strategy):
        strategy.mbatch[0][:, 0, 0, 0] = torch.randint(0, 256, (32,))
        strategy.mbatch[0][:, 1] = torch.randint(0, 256, strategy.mbatch[0][:, 1].shape)

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        train(make(cmc(), train_epochs=3), digits, experiences=2)
    with pytest.warns(UserWarning, match="no image of a repeated epoch was recognized .* larger than the bank"):
        train(make(cmc(), train_epochs=2, plugins=[Spy(before_training_iteration=disturb)]), digits, experiences=1)


def test_a_bank_that_loses_rows_before_the_next_epoch_is_reported(digits):
    """An experience of the fixture has 192 images; one epoch reads no row a second time."""
    size, makers = len(digits.train_stream[0].dataset), (cmc, partial(PIRL, tiny, output_dim=8, count=64))
    for make_method in makers:
        message = f"the memory bank holds {size - 1} images and the experience has {size}: .* capacity to {size} or"
        with pytest.warns(UserWarning, match=message):
            train(make(make_method(capacity=size - 1), train_epochs=2), digits, experiences=1)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            train(make(make_method(capacity=size), train_epochs=2), digits, experiences=1)
            train(make(make_method(capacity=size - 1), train_epochs=1), digits, experiences=1)


def test_labels_without_a_class_are_refused(digits):
    dataset = digits.train_stream[0].dataset
    check_labels(SimCLR(tiny), dataset)
    check_labels(Supervised(tiny, classes=10), dataset)
    with pytest.raises(UsageError, match=r"Supervised reads labels 0 to 1, and the experience has \d: give it more cl"):
        check_labels(Supervised(tiny, classes=2), dataset)
    for label, message in ((-1, "has -1: .* or give a labeled stream"), (10**9, "has 1000000000: .* number those of")):
        with pytest.raises(UsageError, match=message):
            check_labels(Supervised(tiny, classes=10), with_labels(dataset, np.full(len(dataset), label)))


def test_images_without_a_class_of_the_probe_are_not_scored():
    """Avalanche would count them as wrong; the probe leaves those without a label out."""
    pictures = PictureDataset(64)
    pictures.targets = [(-1, 0, 1)[i % 3] for i in range(64)]
    dataset = as_classification_dataset(pictures)
    benchmark = benchmark_from_datasets(train=[dataset], test=[dataset])
    other = nc_benchmark(PictureDataset(64), PictureDataset(64), 1, False)
    probe = ProbePlugin(benchmark)
    strategy = make(SimCLR(tiny), plugins=[probe])
    strategy.train(benchmark.train_stream)
    with pytest.raises(UsageError, match=r"one has the label -1, which is none of the probe's 0 to 1: evaluate on"):
        strategy.eval(benchmark.test_stream)
    with pytest.raises(UsageError, match=r"one has the label [2-9], which is none of the probe's 0 to 1"):
        strategy.eval(other.test_stream)


def test_labels_that_start_from_zero_in_each_experience_are_not_read():
    data = PictureDataset(40), PictureDataset(20)
    for zero in (False, True):
        stream = nc_benchmark(*data, 5, task_labels=True, class_ids_from_zero_in_each_exp=zero).train_stream
        strategy = make(Supervised(tiny, classes=5))
        if zero:
            with pytest.raises(
                UsageError, match=r"Supervised reads labels, .* leave class_ids_from_zero_in_each_exp out"
            ):
                strategy.train(stream[0])
        else:
            strategy.train(stream[0])


def test_mini_batches_are_refused_for_a_method_that_requires_full_experiences(digits):
    (part, *_) = online_stream(digits.train_stream[0], 10)
    check_boundaries(SimCLR(tiny), part)
    with pytest.raises(UsageError, match="DeepCluster reads a full experience before each epoch"):
        check_boundaries(DeepCluster(tiny), part)


def test_hits_are_counted_over_all_banks(digits):
    assert count_bank_hits(moco()) is None
    strategy = train(make(cmc(), train_epochs=2), digits, experiences=1)
    assert count_bank_hits(strategy.model) > 0
