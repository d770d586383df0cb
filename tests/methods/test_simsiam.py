"""SimSiam: equation 4."""

import pytest
from helpers.lcg import lcg
from helpers.methods import make

from avalanche_ssl.methods import SimSiam


def test_simsiam_equals_equation_4():
    method = make(SimSiam)
    p1, z2, p2, z1 = (lcg(seed, 8, 16) for seed in (1, 2, 3, 4))
    loss = method.loss({"prediction": p1, "target": z2, "prediction2": p2, "target2": z1})
    pairs = [(p1, z2), (p2, z1)]
    each = [-sum(float(a @ b / (a.norm() * b.norm())) for a, b in zip(p, z)) / 8 for p, z in pairs]
    assert loss.item() == pytest.approx(sum(each) / 2, rel=1e-12)
