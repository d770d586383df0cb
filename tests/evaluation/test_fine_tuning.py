"""The three fine-tuning protocols train what they say, and nothing else."""

import pytest
import torch
from helpers.encoders import tiny

from avalanche_ssl.errors import UsageError
from avalanche_ssl.evaluation import FineTuning, fine_tune, frozen_parts, stages_to_freeze
from avalanche_ssl.methods import CMC, SimCLR
from avalanche_ssl.models import wrap


def changed(before, after):
    """Names of what moved, statistics included."""
    return {k for k, v in before.state_dict().items() if not torch.equal(v, after.state_dict()[k])}


@pytest.mark.parametrize("make", [lambda: SimCLR(tiny), lambda: CMC(tiny, negatives="batch")])
@pytest.mark.parametrize("protocol", ["frozen", "first-2", "full"])
@pytest.mark.parametrize("head", ["linear", "mlp"])
def test_only_what_the_protocol_names_is_trained(digits, make, protocol, head):
    method, before = make(), torch.get_rng_state()
    original = {k: v.clone() for k, v in method.state_dict().items()}
    train, test = ([e.dataset for e in s][:1] for s in (digits.train_stream, digits.test_stream))
    model, curve = fine_tune(method, train, test, 10, FineTuning(protocol, head, epochs=1))
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(v, original[k]) for k, v in method.state_dict().items()), "the original is left alone"
    moved = changed(method.encoder, model.method.encoder)
    stages = {k.split("stages.")[1].split(".")[0] for k in moved}
    assert stages == {"frozen": set(), "first-2": {"2", "3"}, "full": {"0", "1", "2", "3"}}[protocol]
    assert [e.epoch for e in curve] == [1] and 0 <= curve[0].accuracy <= 1


@pytest.mark.slow
def test_it_trains_the_same_for_the_same_seed(digits):
    torch.manual_seed(0)
    method = SimCLR(tiny)
    train, test = ([e.dataset for e in s] for s in (digits.train_stream, digits.test_stream))
    settings, curve = FineTuning("full", epochs=5, lr=0.01, batch_size=32), []
    (_, first), (_, again) = (fine_tune(method, train, test, 10, settings, curve.append) for _ in range(2))
    assert first == again and curve == first + again
    assert first[-1].accuracy > 0.2 and first[-1].loss < first[0].loss


def test_unknown_protocols_and_too_many_stages_are_refused(digits):
    assert [stages_to_freeze(p) for p in ("frozen", "full", "first-3")] == [None, 0, 3]
    for wrong in ("first", "first-0", "first-x", "half", ""):
        with pytest.raises(UsageError, match="give frozen, full, or first-K"):
            stages_to_freeze(wrong)
        with pytest.raises(UsageError, match="give frozen, full, or first-K"):
            FineTuning(wrong)
    data = [digits.train_stream[0].dataset]
    with pytest.raises(UsageError, match="first-9: the encoder has 4 stages"):
        fine_tune(SimCLR(tiny), data, data, 10, FineTuning("first-9"))


def test_stages_are_checked_without_training():
    for protocol in ("frozen", "full", "first-4"):
        frozen_parts(tiny(), protocol)
    with pytest.raises(UsageError, match="first-5: the encoder has 4 stages, give first-1 to that, or frozen"):
        frozen_parts(tiny(), "first-5")
    whole = wrap(torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.ReLU()), 4)
    frozen_parts(whole, "frozen")
    with pytest.raises(UsageError, match="first-1: the encoder is one network whose stages are not known"):
        frozen_parts(whole, "first-1")
    with pytest.raises(UsageError, match="first-1: the stages of the encoder, a Linear, are not known"):
        frozen_parts(torch.nn.Linear(2, 2), "first-1")


def test_unknown_heads_are_refused():
    with pytest.raises(UsageError, match="no head 'mpl': did you mean 'mlp'"):
        FineTuning(head="mpl")
    with pytest.raises(UsageError, match="'test_every' is -1"):
        FineTuning(test_every=-1)


@pytest.mark.parametrize(("every", "tested"), [(1, [1, 2, 3]), (2, [2, 3]), (0, [3]), (9, [3])])
def test_testing_less_often_changes_no_result(digits, every, tested):
    torch.manual_seed(0)
    method = SimCLR(tiny)
    data = [digits.train_stream[0].dataset.subset(range(40))]
    common = {"epochs": 3, "batch_size": 16}
    _, always = fine_tune(method, data, data, 10, FineTuning("full", **common))
    _, curve = fine_tune(method, data, data, 10, FineTuning("full", **common, test_every=every))
    assert [event.epoch for event in curve if event.accuracy is not None] == tested
    assert curve[-1] == always[-1] and [event.loss for event in curve] == [event.loss for event in always]


@pytest.mark.parametrize("number", ["epochs", "batch_size", "lr"])
def test_numbers_must_be_positive(number):
    with pytest.raises(UsageError, match=f"'{number}' is 0"):
        FineTuning(**{number: 0})
