"""Compiling the encoders of a method."""

import pytest
import torch
from helpers.methods import make
from torch import nn

from avalanche_ssl.errors import UsageError
from avalanche_ssl.methods import MoCo
from avalanche_ssl.models import Encoder, compilation


def test_every_encoder_is_compiled_momentum_encoders_too(monkeypatch):
    compiled = []
    monkeypatch.setattr(compilation, "_check_compiler", lambda device: None)
    monkeypatch.setattr(Encoder, "compile", lambda self: compiled.append(self))
    method = make(MoCo)
    compilation.compile_encoders(method, torch.device("cpu"))
    assert compiled == [method.encoder, method.momentum_encoder.copy[0]]


def test_a_model_without_an_encoder_is_refused():
    with pytest.raises(UsageError, match=r"Linear has no Encoder to compile: wrap the network"):
        compilation.compile_encoders(nn.Linear(2, 2), torch.device("cpu"))


def test_a_compiler_that_does_not_work_is_one_line_with_a_remedy(monkeypatch):
    def fails(*args, **kwargs):
        raise RuntimeError("no\n compiler. Set TORCHDYNAMO_VERBOSE=1")

    monkeypatch.setattr(torch, "compile", fails)
    with pytest.raises(UsageError, match=r"does not work here \(no compiler\.\): install a C\+\+ compiler"):
        compilation.compile_encoders(make(MoCo), torch.device("cpu"))
