"""`SelfSupervised`: any method as an Avalanche strategy, without labels, with Avalanche's own plugins and metrics."""

import copy
import shutil

import numpy as np
import pytest
import torch
from avalanche.benchmarks import benchmark_from_datasets, nc_benchmark
from avalanche.benchmarks.utils import AvalancheDataset
from avalanche.evaluation.metrics import (
    accuracy_metrics,
    bwt_metrics,
    confusion_matrix_metrics,
    forgetting_metrics,
    forward_transfer_metrics,
    loss_metrics,
)
from avalanche.logging import CSVLogger, InteractiveLogger, TensorboardLogger, TextLogger
from avalanche.training import plugins as av
from avalanche.training.storage_policy import ExperienceBalancedBuffer, ReservoirSamplingBuffer
from helpers.encoders import tiny
from helpers.strategies import Spy, assert_same, cmc, make, moco, state, train
from torch.optim import SGD
from torchvision import transforms

from avalanche_ssl import LRSchedule, ProbePlugin
from avalanche_ssl.errors import UsageError
from avalanche_ssl.methods import MoCo, SimCLR
from avalanche_ssl.streams import online_stream


@pytest.mark.parametrize("build", [moco, cmc])
def test_labels_are_never_read(digits, build):
    def scramble(strategy):
        generator = torch.Generator().manual_seed(1)
        for labels in strategy.mbatch[1:]:
            labels.copy_(torch.randint(-9, 99, labels.shape, generator=generator))

    plain = train(make(build()), digits)
    noise = train(make(build(), plugins=[Spy(before_training_iteration=scramble)]), digits)
    assert_same(state(plain), state(noise))


def test_the_same_seed_gives_the_same_run_whatever_the_global_random_state(digits):
    first = train(make(moco()), digits)
    model = moco()
    torch.manual_seed(123)
    np.random.seed(123)
    second = train(make(model), digits)
    assert_same(state(first), state(second))
    third = train(make(moco(), seed=1), digits)
    assert not torch.equal(state(first)["queue.rows"], state(third)["queue.rows"])


def test_memory_survives_the_experience(digits):
    strategy = train(make(), digits, experiences=1)
    rows = strategy.model.queue.rows.clone()
    steps = int(strategy.model.queue.n_enqueued)
    assert steps == 32 * (len(digits.train_stream[0].dataset) // 32)
    seen = []
    strategy.plugins.insert(0, Spy(before_training_iteration=lambda s: seen.append(s.model.queue.rows.clone())))
    strategy.train(digits.train_stream[1], eval_streams=[])
    assert torch.equal(seen[0], rows), "experience 2 starts from the queue that experience 1 left"

    forgetful = train(make(), digits, experiences=1)
    with torch.no_grad():
        forgetful.model.queue.rows.copy_(moco().queue.rows)
    forgetful.train(digits.train_stream[1], eval_streams=[])
    assert not torch.equal(state(strategy)["encoder.stages.0.0.weight"], state(forgetful)["encoder.stages.0.0.weight"])


def test_update_comes_once_per_step_after_the_optimizer(digits):
    events = []

    class Noted(MoCo):
        def loss(self, outputs):
            events.append("loss")
            return super().loss(outputs)

        def update(self, outputs):
            events.append("update")
            assert not any(t.requires_grad for t in outputs.values())
            super().update(outputs)

    model = Noted(tiny, output_dim=8, queue_size=64)
    optimizer = SGD(model.parameters(), lr=0.05)
    optimizer.register_step_post_hook(lambda *_: events.append("step"))
    train(make(model, optimizer=optimizer), digits, experiences=1)
    assert events == ["loss", "step", "update"] * (len(events) // 3) and events


def test_groups_state_and_frozen_copies_survive(digits):
    model = moco()
    head = list(model.projection_head.parameters())
    rest = list(model.encoder.parameters())
    optimizer = SGD([{"params": rest, "lr": 0.1}, {"params": head, "lr": 0.01, "weight_decay": 0.1}], momentum=0.9)
    strategy = make(model, optimizer=optimizer)
    kept = []
    strategy.plugins.insert(
        0, Spy(before_training_epoch=lambda s: kept.append(copy.deepcopy(s.optimizer.state_dict())))
    )
    train(strategy, digits, experiences=1)
    after = copy.deepcopy(optimizer.state_dict())
    strategy.train(digits.train_stream[1], eval_streams=[])
    assert [len(g["params"]) for g in optimizer.param_groups] == [len(rest), len(head)]
    assert optimizer.param_groups[1]["weight_decay"] == 0.1
    assert all(
        torch.equal(after["state"][i]["momentum_buffer"], kept[1]["state"][i]["momentum_buffer"])
        for i in after["state"]
    )
    assert all(not p.requires_grad and p.grad is None for p in model.momentum_encoder.parameters())


def test_restored_optimizer_state_is_not_reset_by_the_first_experience(digits):
    first = train(make(), digits, experiences=1)
    second = make(copy.deepcopy(first.model))
    second.optimizer.load_state_dict(first.optimizer.state_dict())
    seen = []
    second.plugins.insert(0, Spy(before_training_epoch=lambda s: seen.append(len(s.optimizer.state))))
    second.train(digits.train_stream[1], eval_streams=[])
    assert seen[0] > 0
    second.plugins[0].before_training_epoch = lambda s, **k: seen.append(len(s.optimizer.state))
    second.train(digits.train_stream[2], eval_streams=[], reset_optimizer_state=True)
    assert seen[-1] == 0


@pytest.mark.parametrize("kind", ["cosine", "constant"])
def test_every_experience_warms_up_and_anneals_alike(digits, kind):
    rates = []
    schedule = LRSchedule(kind, warmup=0.25, final=0.1)
    strategy = make(
        plugins=[Spy(before_update=lambda s: rates.append(s.optimizer.param_groups[0]["lr"]))],
        schedule=schedule,
        train_epochs=2,
    )
    ends = []
    for experience in digits.train_stream:
        strategy.train(experience, eval_streams=[])
        ends.append(len(rates))
    start = 0
    for end in ends:
        steps = end - start
        assert rates[start:end] == pytest.approx([0.05 * schedule.factor(i, steps) for i in range(steps)])
        assert max(rates[start:end]) <= 0.05 and rates[start] < 0.02
        assert rates[end - 1] < 0.01 if kind == "cosine" else rates[end - 1] == 0.05
        start = end


def test_the_gradient_is_clipped(digits):
    norms = []

    def norm(s):
        norms.append(torch.cat([p.grad.flatten() for p in s.model.parameters() if p.grad is not None]).norm())

    make_clipped = make(max_grad_norm=1e-3)
    make_clipped.optimizer.register_step_pre_hook(lambda *_: norm(make_clipped))
    train(make_clipped, digits, experiences=1)
    assert norms and max(norms) <= 1.001e-3


def test_bf16_keeps_losses_and_memory_in_fp32(digits):
    dtypes = set()

    def look(strategy):
        dtypes.update({t.dtype for t in strategy.mb_output.values()} | {strategy.loss.dtype})

    fp32 = train(make(), digits, experiences=1)
    bf16 = train(make(precision="bf16", plugins=[Spy(before_backward=look)]), digits, experiences=1)
    assert dtypes == {torch.float32}
    assert bf16.model.queue.rows.dtype == torch.float32
    change = (state(bf16)["projection_head.2.weight"] - state(fp32)["projection_head.2.weight"]).abs().max()
    assert 0 < change < 0.05


@pytest.mark.slow
def test_compiled_encoders_train_the_same_up_to_rounding(digits):
    if not shutil.which("g++"):
        pytest.skip("needs a C++ compiler")
    calls = []
    eager, compiled = make(), make(compile=True)
    compiled.plugins.append(Spy(before_forward=lambda s: calls.append(s.model.encoder._training_pass)))
    for strategy in (eager, compiled):
        train(strategy, digits, experiences=1)
    assert all(calls) and compiled.model.momentum_encoder.copy[0]._training_pass
    for name, weight in state(eager).items():
        assert torch.allclose(state(compiled)[name], weight, atol=1e-2), name


def test_what_cannot_be_compiled_is_refused(monkeypatch):
    torch.manual_seed(0)
    bare = SimCLR(tiny, output_dim=8)
    bare.encoder = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3 * 32 * 32, 8))
    with pytest.raises(UsageError, match="SimCLR has no Encoder to compile: wrap the network"):
        make(bare, compile=True)

    def compile(function, **options):
        def call(*given):
            raise RuntimeError("No working compiler\n Set TORCHDYNAMO_VERBOSE=1")

        return call

    monkeypatch.setattr(torch, "compile", compile)
    with pytest.raises(UsageError) as error:
        make(compile=True)
    assert str(error.value) == (
        "torch.compile does not work here (No working compiler): install a C++ compiler such as g++, or do not compile"
    )


def test_views_are_made_from_raw_pixels_past_the_streams_transforms():
    raw = torch.randint(0, 256, (64, 3, 32, 32), dtype=torch.uint8)

    class Images(torch.utils.data.Dataset):
        data, targets = raw.permute(0, 2, 3, 1).numpy(), [i % 4 for i in range(64)]

        def __len__(self):
            return 64

        def __getitem__(self, i):
            return transforms.functional.to_pil_image(raw[i]), self.targets[i]

    bench = nc_benchmark(
        Images(), Images(), 2, task_labels=False, seed=0, train_transform=transforms.ToTensor(), shuffle=False
    )
    batches = []
    strategy = make(plugins=[Spy(before_forward=lambda s: batches.append(s.mb_x.clone()))], train_mb_size=16)
    strategy.train(bench.train_stream[0], eval_streams=[])
    seen = torch.cat(batches)
    assert seen.dtype == torch.uint8 and len(seen) == 32
    expected = {tuple(i.flatten().tolist()) for i, y in zip(raw, Images.targets) if y < 2}
    assert {tuple(i.flatten().tolist()) for i in seen} == expected

    batches.clear()
    strategy = make(
        plugins=[Spy(before_forward=lambda s: batches.append(s.mb_x.clone()))],
        train_mb_size=16,
        use_dataset_transforms=True,
    )
    strategy.train(bench.train_stream[0], eval_streams=[])
    assert torch.cat(batches).dtype == torch.float32


def test_unlabeled_streams_train():
    raw = torch.randint(0, 256, (48, 3, 32, 32), dtype=torch.uint8)
    bench = benchmark_from_datasets(train=[AvalancheDataset([torch.utils.data.TensorDataset(raw)])])
    strategy = make(train_mb_size=16)
    strategy.train(bench.train_stream[0], eval_streams=[])
    assert strategy.model.queue.n_enqueued == 48


def test_online_experiences_smaller_than_the_batch_are_trained(digits):
    strategy = make(schedule=LRSchedule("constant"))
    stream = list(online_stream(digits.train_stream[0], 10))[:6]
    for part in stream:
        strategy.train(part, eval_streams=[])
    assert strategy.model.queue.n_enqueued == 60
    assert strategy.clock.train_iterations == 6


@pytest.mark.parametrize("policy", [ReservoirSamplingBuffer, ExperienceBalancedBuffer])
def test_replay_mixes_raw_images_of_earlier_experiences(digits, policy):
    sizes, images = [], []

    def look(strategy):
        sizes.append(len(strategy.mb_x))
        images.append(strategy.mb_x[-8:].clone())

    replay = av.ReplayPlugin(mem_size=50, batch_size_mem=8, storage_policy=policy(max_size=50))
    strategy = train(make(plugins=[replay, Spy(before_forward=look)]), digits)
    first = len(digits.train_stream[0].dataset) // 32
    assert set(sizes[:first]) == {32} and set(sizes[first:]) == {40}
    known = {tuple(x.flatten().tolist()) for x, *_ in digits.train_stream[0].dataset}
    assert all(tuple(x.flatten().tolist()) in known for batch in images[first:] for x in batch)
    assert strategy.model.queue.n_enqueued == 32 * len(sizes)  # keys of new images only


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")
@pytest.mark.parametrize("build", [moco, cmc])
@pytest.mark.parametrize(
    "plugin",
    [
        lambda: av.EWCPlugin(ewc_lambda=10),
        lambda: av.EWCPlugin(ewc_lambda=10, mode="online", decay_factor=0.9),
        lambda: av.SynapticIntelligencePlugin(si_lambda=1e3),
        lambda: av.AGEMPlugin(patterns_per_experience=32, sample_size=32),
    ],
    ids=["ewc", "online-ewc", "si", "agem"],
)
def test_plugins_work_unmodified_and_leave_the_memory_alone(digits, build, plugin):
    alone = train(make(build()), digits)
    together = train(make(build(), plugins=[plugin()]), digits)
    (counter,) = state(alone).keys() & {"queue.n_enqueued", "bank.n_written"}
    assert state(alone)[counter] == state(together)[counter], "extra forwards must not write to the memory"
    weights = [k for k in state(alone) if k.startswith("encoder") and k.endswith("weight")]
    assert any(not torch.equal(state(alone)[k], state(together)[k]) for k in weights), "the plugin has an effect"


def test_evaluation_without_a_probe_says_what_to_add(digits):
    with pytest.raises(UsageError, match=r"add ProbePlugin\(benchmark\)"):
        make().eval(digits.test_stream)


@pytest.mark.slow
@pytest.mark.parametrize("build", [moco, cmc])
def test_evaluating_changes_nothing(digits, build):
    alone = train(make(build(), train_epochs=2), digits)
    probe = ProbePlugin(digits)
    watched = make(build(), train_epochs=2, plugins=[probe], eval_every=1)
    for experience in list(digits.train_stream)[:2]:
        watched.train(experience, eval_streams=[digits.test_stream])
        watched.eval(digits.test_stream)
    assert_same(state(alone), state(watched))
    assert torch.equal(alone.view_generator.get_state(), watched.view_generator.get_state())
    assert torch.equal(alone.order_generator.get_state(), watched.order_generator.get_state())
    assert watched.model.training


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")
def test_avalanches_metrics_and_loggers_work_unmodified(digits, tmp_path):
    text = (tmp_path / "text.log").open("w")
    evaluator = av.EvaluationPlugin(
        accuracy_metrics(experience=True, stream=True),
        loss_metrics(epoch=True, experience=True),
        forgetting_metrics(experience=True, stream=True),
        bwt_metrics(experience=True, stream=True),
        forward_transfer_metrics(experience=True, stream=True),
        confusion_matrix_metrics(num_classes=10, stream=True, save_image=False),
        loggers=[
            InteractiveLogger(),
            TextLogger(text),
            CSVLogger(tmp_path / "csv"),
            TensorboardLogger(tmp_path / "tb"),
        ],
    )
    probe = ProbePlugin(digits)
    strategy = make(plugins=[probe], evaluator=evaluator, eval_every=0)
    strategy.eval(digits.test_stream)  # forward transfer compares with the start
    for t, experience in enumerate(digits.train_stream):
        strategy.train(experience, eval_streams=[digits.test_stream])
        results = strategy.eval(digits.test_stream)
        for j in range(3):
            ours = probe.matrix("all")[t, j]
            name = f"Top1_Acc_Exp/eval_phase/test_stream/Task000/Exp{j:03d}"
            assert results[name] == pytest.approx(ours)
            assert results[f"Probe_ridge_all/eval_phase/test_stream/Exp{j:03d}"] == pytest.approx(ours)
    matrix = probe.matrix("all")
    forgotten = np.mean([matrix[j, j] - matrix[2, j] for j in range(2)])
    assert results["StreamForgetting/eval_phase/test_stream"] == pytest.approx(forgotten)
    assert results["StreamBWT/eval_phase/test_stream"] == pytest.approx(-forgotten)
    assert "StreamForwardTransfer/eval_phase/test_stream" in results
    assert results["ConfusionMatrix_Stream/eval_phase/test_stream"].sum() == sum(
        len(e.dataset) for e in digits.test_stream
    )
    text.close()
    assert "Top1_Acc_Stream" in (tmp_path / "text.log").read_text()
    assert (tmp_path / "csv" / "eval_results.csv").stat().st_size > 100
    assert list((tmp_path / "tb").glob("events*"))


def test_the_strategy_can_be_copied(digits):
    strategy = train(make(cmc()), digits, experiences=1)
    twin = copy.deepcopy(strategy)
    for each in (strategy, twin):
        each.train(digits.train_stream[1], eval_streams=[])
    assert_same(state(strategy), state(twin))


def test_simclr_remembers_only_its_weights(digits):
    strategy = train(make(SimCLR(tiny, output_dim=8)), digits)
    assert all(k.startswith(("encoder.", "projection_head.")) for k in state(strategy))
