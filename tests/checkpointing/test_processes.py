"""Processes that have drifted apart."""

import pytest
from avalanche.logging import InteractiveLogger
from avalanche.training.plugins import EvaluationPlugin
from helpers.several import spawned
from helpers.several_work import drift
from helpers.strategies import make

from avalanche_ssl import distributed
from avalanche_ssl.checkpointing.processes import check_processes_agree
from avalanche_ssl.checkpointing.serialization import StreamIndex


def test_an_evaluator_of_process_0_alone_is_no_drift(monkeypatch):
    digests = []
    monkeypatch.setattr(distributed, "size", lambda: 2)
    monkeypatch.setattr(distributed, "check_same", lambda digest, what: digests.append(digest))
    for evaluator in (EvaluationPlugin(loggers=[InteractiveLogger()]), None):
        check_processes_agree(make(evaluator=evaluator), StreamIndex([]))
    half = len(digests) // 2
    assert half and digests[:half] == digests[half:]


@pytest.mark.slow
def test_processes_that_drift_apart_stop_with_the_name_of_the_part(tmp_path):
    for found in spawned(drift, 2, tmp_path):
        assert found["before"] is None
        assert found["weights"].startswith("after step 2 the state (model) of process 1 and of process 0 differ")
        assert "the state (random)" in found["draws"]
