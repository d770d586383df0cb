"""The normalizer of NCE: a running mean of the noise."""

import math

import pytest
import torch

from avalanche_ssl.memory.nce_normalizer import NCENormalizer


def test_normalizer_is_a_running_mean_and_does_not_overflow():
    """Of scores at a temperature whose exp(s/T) no float holds; the key in column 0 does not count."""
    normalizer = NCENormalizer(1, temperature=0.005)
    scores = [torch.tensor([[1.0, 0.5, -math.inf], [1.0, low, 0.5]]) for low in (0.5, 0.495)]
    assert normalizer(0, scores[0]).item() == pytest.approx(100, rel=1e-6)  # all noise of the first at 0.5
    for each in scores:
        normalizer.update([each])
    noise = [each[:, 1:][each[:, 1:].isfinite()].double() / 0.005 for each in scores]
    means = torch.stack([z.logsumexp(0) - math.log(3) for z in noise])
    assert normalizer.log_z[0].item() == pytest.approx((means.logsumexp(0) - math.log(2)).item(), rel=1e-6)
    normalizer.update([torch.tensor([[1.0, -math.inf]])])
    assert normalizer.steps == 2, "a step without negatives does not count"
