"""The hash of a state, and processes that have drifted apart."""

import pytest
import torch
from avalanche.logging import InteractiveLogger
from avalanche.training.plugins import EvaluationPlugin
from helpers.several import spawned
from helpers.several_work import drift
from helpers.strategies import make

from avalanche_ssl import distributed
from avalanche_ssl.checkpointing.processes import check_processes_agree, state_hash
from avalanche_ssl.checkpointing.serialization import StreamIndex


def test_every_value_counts():
    state = {"rows": torch.arange(3.0), "count": 2, "nested": [{"name": "a"}, (1, None)]}
    same = {"rows": torch.arange(3.0), "count": 2, "nested": [{"name": "a"}, (1, None)]}
    assert state_hash(state) == state_hash(same)
    others = [
        state | {"rows": torch.tensor([0.0, 1.0, 2.0000002])},
        state | {"rows": torch.arange(3.0).double()},
        state | {"rows": torch.arange(3.0)[None]},
        state | {"count": 3},
        state | {"nested": [{"name": "b"}, (1, None)]},
        state | {"nested": [{"name": "a"}, [1, None]]},
    ]
    assert len({state_hash(other) for other in (state, *others)}) == 7


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
