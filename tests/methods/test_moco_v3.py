"""MoCo v3: the keys of the batch, both directions."""

import pytest
import torch
from helpers.methods import make

from avalanche_ssl.checks.harness import textured
from avalanche_ssl.methods import MoCoV3


def test_moco_v3_is_symmetric_and_twice_tau():
    method = make(MoCoV3, temperature=0.3)
    outputs = method(textured(8))
    total = torch.zeros(())
    for q, k in (("query", "key"), ("query2", "key2")):
        for i in range(8):
            scores = outputs[k] @ outputs[q][i] / 0.3
            total = total + 0.6 * (scores.logsumexp(0) - scores[i]) / 8
    assert method.loss(outputs).item() == pytest.approx(total.item(), rel=1e-5)
    swapped = {"query": "query2", "key": "key2", "query2": "query", "key2": "key"}
    assert torch.allclose(method.loss({n: outputs[s] for n, s in swapped.items()}), method.loss(outputs))
    assert not any("queue" in name for name in method.state_dict())
