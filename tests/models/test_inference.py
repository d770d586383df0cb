"""Extracting features leaves no trace in the model or in any random state."""

import random

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from avalanche_ssl.errors import UsageError
from avalanche_ssl.models.inference import check_magnitude, eval_mode, extract_features


class Noisy(nn.Module):
    """Batch norm, dropout, a part frozen in eval mode; `extract_features` draws from every random source."""

    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Dropout(0.5))
        self.momentum_encoder = nn.Sequential(nn.BatchNorm1d(8)).eval()

    def extract_features(self, x):
        assert not torch.is_grad_enabled()
        torch.rand(1), np.random.rand(), random.random()
        return self.momentum_encoder(self.body(x.float()))


def test_extraction_leaves_model_and_every_random_state_bit_identical():
    torch.manual_seed(0)
    model = Noisy()
    data = TensorDataset(torch.randn(10, 4).double(), torch.arange(10), torch.zeros(10))
    state = {key: value.clone() for key, value in model.state_dict().items()}
    flags = [module.training for module in model.modules()]
    randomness = torch.get_rng_state(), random.getstate(), np.random.get_state()
    first = extract_features(model, DataLoader(data, batch_size=4, shuffle=True), "cpu")
    again = extract_features(model, DataLoader(data, batch_size=4, shuffle=True), "cpu")

    assert first[0].shape == (10, 8) and first[0].dtype == torch.float32 and not first[0].requires_grad
    assert torch.equal(first[0], again[0]) and sorted(first[1].tolist()) == list(range(10))
    assert all(torch.equal(value, state[key]) for key, value in model.state_dict().items())
    assert [module.training for module in model.modules()] == flags and True in flags and False in flags
    assert torch.equal(torch.get_rng_state(), randomness[0]) and random.getstate() == randomness[1]
    assert all(np.array_equal(a, b) for a, b in zip(np.random.get_state(), randomness[2]))
    assert all(parameter.grad is None and parameter.requires_grad for parameter in model.parameters())


def test_extracted_features_can_train_a_head():
    x, _ = extract_features(Noisy(), [(torch.randn(3, 4), torch.zeros(3))], "cpu")
    nn.Linear(8, 2)(x).sum().backward()


def test_training_flags_and_random_states_come_back_after_an_error():
    model = Noisy()
    flags, before = [module.training for module in model.modules()], torch.get_rng_state()
    with pytest.raises(RuntimeError, match="boom"), eval_mode(model):
        torch.rand(1)
        raise RuntimeError("boom")
    assert [module.training for module in model.modules()] == flags
    assert torch.equal(torch.get_rng_state(), before) and torch.is_grad_enabled()


def test_no_batch_is_refused():
    with pytest.raises(ValueError, match="no batch"):
        extract_features(Noisy(), [], "cpu")


@pytest.mark.parametrize(("value", "shown"), [(float("nan"), "nan"), (float("inf"), "inf"), (-1e20, "1e+20")])
def test_features_that_cannot_be_computed_with_are_a_divergence(value, shown):
    rows = torch.ones(3, 2)
    check_magnitude(rows, torch.tensor([10**18]))
    rows[1, 1] = value
    with pytest.raises(UsageError) as error:
        check_magnitude(rows)
    assert str(error.value) == (
        f"the network gives features as large as {shown}: training has diverged, lower lr, raise temperature, or "
        "clip the gradient with --set max_grad_norm=1"
    )


def test_extracted_features_are_checked():
    class Diverged(nn.Module):
        def extract_features(self, x):
            return x * float("inf")

    with pytest.raises(UsageError, match="training has diverged"):
        extract_features(Diverged(), [(torch.ones(2, 3), torch.zeros(2))], "cpu")
