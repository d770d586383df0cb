"""The schedule of the learning rate within an experience."""

import pytest

from avalanche_ssl.errors import UsageError
from avalanche_ssl.optim import LRSchedule


def test_schedule_formula():
    cosine = LRSchedule("cosine", warmup=0.2, final=0.5)
    assert [round(cosine.factor(i, 10), 4) for i in (0, 1, 2, 6)] == [0.3333, 0.6667, 1.0, 0.75]
    assert LRSchedule("cosine").factor(0, 7) == 1
    assert [LRSchedule("constant").factor(i, 3) for i in range(3)] == [1, 1, 1]
    with pytest.raises(UsageError, match="'linear'"):
        LRSchedule("linear")
    with pytest.raises(UsageError, match=r"warmup 1\.5"):
        LRSchedule(warmup=1.5)
