"""The hash of a state, and processes that have drifted apart."""

import pytest
import torch
from helpers.several import spawned
from helpers.several_work import drift

from avalanche_ssl.checkpointing.processes import state_hash


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


@pytest.mark.slow
def test_processes_that_drift_apart_stop_with_the_name_of_the_part(tmp_path):
    for found in spawned(drift, 2, tmp_path):
        assert found["before"] is None
        assert found["weights"].startswith("after step 2 the state (model) of process 1 and of process 0 differ")
        assert "the state (random)" in found["draws"]
