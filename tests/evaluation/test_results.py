"""What an evaluation gives is fixed once it was found."""

import dataclasses

import pytest
from torch import nn

from avalanche_ssl.evaluation import Evaluation, FullTestResult


def test_results_are_not_changed_later() -> None:
    full = FullTestResult({"core50": 0.5}, 300, [])
    found = Evaluation({}, nn.Identity(), [], [], None, full)
    assert found.full_test is full and found.correct is None, "which images are right is found on request"
    for result, name in ((found, "accuracies"), (full, "images")):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(result, name, None)
