"""`LinearProbe`: the precision of its logits."""

import torch
from helpers.features import clusters

from avalanche_ssl.probes.class_statistics import ClassStatistics
from avalanche_ssl.probes.ridge import solve_ridge


def test_float32_probe_decides_alike_even_with_means_large_against_the_spread():
    x, y = clusters(300, range(5))
    x = (x / x.std(0).clamp(min=1e-6) + 1e3).float()
    probe = solve_ridge(ClassStatistics.from_features(x, y, 5), 10.0)
    exact = probe(x)
    assert exact.dtype == torch.float64
    torch.testing.assert_close(probe.float()(x).double(), exact, rtol=0, atol=1e-4)


def test_autocast_does_not_lower_the_precision_of_the_logits():
    x, y = clusters(100, range(3))
    probe = solve_ridge(ClassStatistics.from_features(x, y, 3), 1.0)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(probe(x), probe(x.clone()))
        assert probe(x).dtype == torch.float64
