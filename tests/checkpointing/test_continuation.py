"""A new run from the whole state of a finished one: weights, memories, optimizer; its own rates."""

from pathlib import Path
from typing import Any

import pytest
import torch
from crashes.small_run import few_digits
from helpers.encoders import tiny

from avalanche_ssl.checkpointing import Checkpointer, FinishedState, check_continues, continue_strategy, read_finished
from avalanche_ssl.errors import UsageError
from avalanche_ssl.methods import MoCo
from avalanche_ssl.plugins import CLA, CaSSLe, Replay
from avalanche_ssl.training import AvalancheReplay, SelfSupervised


def strategy_of(queue_size: int = 40, lr: float = 0.05, kind: Any = torch.optim.SGD, plugins: Any = ()) -> Any:
    torch.manual_seed(0)
    model = MoCo(tiny, output_dim=8, queue_size=queue_size)
    momentum = {"momentum": 0.9} if kind is torch.optim.SGD else {}
    optimizer = kind(model.parameters(), lr=lr, **momentum)
    return SelfSupervised(model=model, optimizer=optimizer, train_mb_size=16, plugins=list(plugins))


def finished(plugins: Any = ()) -> tuple[Any, FinishedState]:
    """A strategy that was trained, and its last checkpoint."""
    stream, strategy = few_digits().train_stream, strategy_of(plugins=plugins)
    checkpointer = Checkpointer("checkpoint", strategy, stream)
    for experience in checkpointer.stream(stream):
        strategy.train(experience, eval_streams=[])
    return strategy, read_finished(Path("checkpoint"))


def test_weights_memories_and_optimizer_are_those_of_the_end() -> None:
    trained, state = finished()
    assert state.experiences == 2 and state.optimizer_name == "SGD"
    own = strategy_of(lr=0.01)
    assert continue_strategy(own, state) == []
    for name, value in trained.model.state_dict().items():
        assert torch.equal(own.model.state_dict()[name], value), name
    assert own.model.queue.rows.abs().sum() > 0, "the queue is full of keys"
    before = trained.optimizer.state_dict()["state"]
    after = own.optimizer.state_dict()["state"]
    assert before and before.keys() == after.keys()
    assert all(torch.equal(before[i]["momentum_buffer"], after[i]["momentum_buffer"]) for i in before)
    assert [g["lr"] for g in own.optimizer.param_groups] == [0.01], "rates are those of the new run"
    assert own.clock.train_iterations == 0


def test_more_epochs_go_on_from_there() -> None:
    """One step from the state is the step that the finished strategy would make."""
    trained, state = finished()
    own = strategy_of()
    continue_strategy(own, state)
    losses = []
    for strategy in (trained, own):
        strategy.model.generator = torch.Generator().manual_seed(3)
        x = torch.stack([few_digits().train_stream[0].dataset[i][0] for i in range(16)])
        strategy.model.train()
        outputs = strategy.model(x)
        loss = strategy.model.loss(outputs)
        strategy.optimizer.zero_grad()
        loss.backward()
        strategy.optimizer.param_groups[0]["lr"] = 0.05  # whatever the schedule has left
        strategy.optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[0] == losses[1]
    for name, value in trained.model.state_dict().items():
        assert torch.equal(own.model.state_dict()[name], value), name


def test_another_optimizer_is_said() -> None:
    _, state = finished()
    own = strategy_of(kind=torch.optim.Adam)
    assert continue_strategy(own, state) == ["the state of the optimizer SGD, since this one is Adam"]
    assert not own.optimizer.state_dict()["state"]


def test_another_grouping_of_parameters_is_said() -> None:
    _, state = finished()
    own = strategy_of()
    first, *others = own.optimizer.param_groups[0]["params"]
    own.optimizer = torch.optim.SGD([{"params": [first]}, {"params": others}], lr=0.05, momentum=0.9)
    assert continue_strategy(own, state) == [
        "the state of the optimizer SGD, since this one has other groups of parameters"
    ]


@pytest.mark.parametrize("memory", [AvalancheReplay, Replay])
def test_a_replay_memory_is_said_to_stay_behind(memory: Any) -> None:
    _, state = finished([memory(8)])
    assert continue_strategy(strategy_of(), state) == ["the replay memory, whose images are of the stream of that run"]


@pytest.mark.parametrize("plugins", [(), (CaSSLe(hidden_dim=16),)], ids=["none", "CaSSLe"])
def test_plugins_are_new_and_the_method_keeps_its_moments(plugins: Any) -> None:
    """CLA's aligners have as many parameters as CaSSLe's predictors, of other shapes."""
    trained, state = finished([CLA("stream", hidden_dim=8)])
    own = strategy_of(plugins=plugins)
    assert continue_strategy(own, state) == ["what CLA had learned and kept"]
    before, after = (s.optimizer.state_dict()["state"] for s in (trained, own))
    count = sum(p.requires_grad for p in own.model.parameters())
    assert len(after) == count < len(before), "one of each parameter of the method"
    assert all(torch.equal(before[i]["momentum_buffer"], after[i]["momentum_buffer"]) for i in after)
    own.train(few_digits().train_stream, eval_streams=[])


def test_a_state_that_does_not_fit_is_refused_by_number_and_name() -> None:
    _, state = finished()
    own = strategy_of(queue_size=50)
    with pytest.raises(UsageError) as error:
        check_continues(own.model, state)
    total = len(own.model.state_dict())
    text = str(error.value)
    assert (
        f"the state checkpoint does not fit: {total - 1} of {total} tensors, not queue.rows (40x8, here 50x8)" in text
    )
    with pytest.raises(UsageError, match="does not fit"):
        continue_strategy(own, state)
    other = SelfSupervised(model=(m := MoCo(tiny, queue_size=40)), optimizer=torch.optim.SGD(m.parameters(), lr=1))
    with pytest.raises(UsageError, match=r"of \d+ tensors, not projection_head.* and \d+ more; keep strategy, encoder"):
        continue_strategy(other, state)


def test_a_checkpoint_inside_an_experience_is_refused() -> None:
    stream, strategy = few_digits().train_stream, strategy_of()
    checkpointer = Checkpointer("checkpoint", strategy, stream, every="1it")
    steps: list[Any] = []
    after_step = strategy.after_step

    def stop() -> None:
        after_step()
        steps.append(1)
        if len(steps) == 2:
            raise KeyboardInterrupt

    strategy.after_step = stop
    with pytest.raises(KeyboardInterrupt):
        strategy.train(next(iter(checkpointer.stream(stream))), eval_streams=[])
    with pytest.raises(UsageError, match="was written inside an experience: finish the run with --resume first"):
        read_finished(Path("checkpoint"))
