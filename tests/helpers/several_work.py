"""What tests do in each of several processes."""

from __future__ import annotations

import torch
from crashes.small_run import few_digits
from torch import nn
from torch.nn import functional as F

from avalanche_ssl import distributed
from avalanche_ssl.checkpointing.processes import check_processes_agree
from avalanche_ssl.checkpointing.serialization import StreamIndex
from avalanche_ssl.distributed import Share, divided, gathered, gathered_calls, sharing
from avalanche_ssl.errors import UsageError
from avalanche_ssl.evaluation import Evaluator
from avalanche_ssl.models import SplitBatchNorm
from avalanche_ssl.probes.class_statistics import ClassStatistics
from helpers.several import cases, strategy_of, stream, trace
from helpers.strategies import Spy

PARTS = [(6,), (7, 4)]
ONLINE = ["moco", "replay on simclr", "cla-e on simclr", "deepcluster, online"]


def online_traces():
    made = cases()
    return {name: trace(made[name], online=True) for name in ONLINE}


def agree():
    """In each process: agreements, and errors of process 0."""
    rank = distributed.rank()
    found = {
        "place": (rank, distributed.size(), distributed.is_main()),
        "agreed": distributed.agreed(10 * rank + 1),
        "broadcast": distributed.broadcast({"rank": rank, "rows": torch.full((2,), float(rank))}),
        "on main": distributed.on_main(lambda: f"done by {rank}"),
    }

    def fail():
        raise UsageError(f"refused by {rank}")

    def full():
        raise OSError(28, "No space left on device")

    for name, function in (("usage", fail), ("disk", full)):
        try:
            distributed.on_main(function)
        except (UsageError, OSError) as error:
            found[name] = f"{type(error).__name__}: {error}"
    distributed.check_same("equal", "the data")
    try:
        distributed.check_same(f"of {rank // 2}", "the data")
    except UsageError as error:
        found["differ"] = str(error)
    found["speaks"] = distributed.is_first_to_fail("it failed", wait=60)
    return found


def learn(parts, share, anchors):
    """The gradient of embedding and head, where the loss has a parameter of its own behind the gathering."""
    torch.manual_seed(0)
    embed, head = nn.Linear(5, 3).double(), nn.Linear(3, 3).double()
    x = torch.randn(sum(parts), 5, dtype=torch.float64)
    rows = torch.arange(sum(parts))
    if share is None:
        z = embed(x)
    else:
        z = gathered(embed(share.keep(x)), share)
        rows = gathered(share.keep(rows), share)
    scores = head(z) @ z.T
    losses = scores.logsumexp(1) - scores.diag()
    own = anchors and share is not None  # of the own anchors only: the mean over processes is that of all
    loss = losses[share.rows].sum() * share.count / share.total if own else losses.mean()
    loss.backward()
    parameters = [*embed.parameters(), *head.parameters()]
    distributed.average_gradients(parameters)
    return [rows, *(p.grad for p in parameters)]


def adjoint():
    rank, count = distributed.rank(), distributed.size()
    return [learn(parts, Share(parts, rank, count), anchors) for parts in PARTS for anchors in (False, True)]


def kinds():
    """Rows of every dtype, views one under the other, and work that is divided."""
    rank, count = distributed.rank(), distributed.size()
    share = Share((5,), rank, count)
    whole = torch.arange(5)
    found = [gathered(share.keep(whole).to(d), share) for d in (torch.bool, torch.uint8, torch.int64, torch.bfloat16)]
    views = torch.cat([share.keep(whole), share.keep(whole) + 10])
    found.append(gathered_calls(views[:, None].float(), share)[:, 0])
    found.append(divided(lambda x: x * 2 + 0 * rank, whole))
    found.append(divided(lambda x: x + 1, whole[:1]))  # fewer rows than processes
    return found


LAYERS = {
    "2d": lambda: nn.BatchNorm2d(4),
    "1d": lambda: nn.BatchNorm1d(4),
    "not affine": lambda: nn.BatchNorm2d(4, affine=False),
    "no statistics": lambda: nn.BatchNorm2d(4, track_running_stats=False),
    "cumulative": lambda: nn.BatchNorm2d(4, momentum=None),
    "split": lambda: SplitBatchNorm(4, groups=3),
    "interleaved": lambda: interleaved(),
    "subclass": lambda: WithRelu(4),
}


class WithRelu(nn.BatchNorm2d):
    """As some libraries write it: a class of its own that calls the function."""

    def forward(self, x):
        return F.relu(F.batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias, True, 0.1, self.eps))


def interleaved():
    layer = SplitBatchNorm(4, groups=3)
    layer.interleaved = True
    return layer


def images(name, views):
    """Views of 26 images, one view under the other."""
    shape = (views, 26, 4) if name == "1d" else (views, 26, 4, 5, 3)
    x = torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return x * 3 + torch.arange(26).view(1, -1, *[1] * (x.ndim - 2))


def passed(name, share, views=1, layout=torch.contiguous_format):
    """Output, gradients and statistics of a layer after two passes."""
    torch.manual_seed(0)
    layer = LAYERS[name]().double()
    for parameter in layer.parameters():
        nn.init.normal_(parameter)
    x = images(name, views)
    x = x.flatten(0, 1) if share is None else torch.stack([share.keep(view) for view in x]).flatten(0, 1)
    x = (x.contiguous(memory_format=layout) if x.ndim == 4 else x).requires_grad_()
    weights = torch.linspace(-1, 1, 26).double()
    weights = (weights if share is None else share.keep(weights)).repeat(views)
    for _ in range(2):
        with sharing(share):
            y = layer(x)
        ((y.flatten(1) ** 3).sum(1) * weights).sum().backward()
    parameters = list(layer.parameters())
    found = [y.detach(), x.grad, *(p.grad for p in parameters), *layer.state_dict().values()]
    if share is not None:  # rows are own, and so are the sums in the gradients of weights
        rows = [gather_views(t, share, views) for t in found[:2]]
        for gradient in found[2 : 2 + len(parameters)]:
            distributed.average([gradient])
            gradient *= share.count
        found[:2] = rows
    return found


def gather_views(x, share, views):
    return distributed.gathered_calls(x.contiguous(), share)


def passes():
    rank, count = distributed.rank(), distributed.size()
    return {
        (name, views, str(layout)): passed(name, Share((16, 10), rank, count), views, layout)
        for name in LAYERS
        for views in (1, 2)
        for layout in (torch.contiguous_format, torch.channels_last)
    }


def drift():
    """What is said of processes that are equal, have other weights, or have drawn another number."""

    def said(strategy, index):
        try:
            check_processes_agree(strategy, index)
        except UsageError as error:
            return str(error)
        return None

    strategy, benchmark = strategy_of("simclr"), stream()
    strategy.train(benchmark.train_stream[0], eval_streams=[])
    index = StreamIndex([e.dataset for e in benchmark.train_stream])
    found = {"before": said(strategy, index)}
    draws = strategy.view_generator.get_state()
    if distributed.rank() == 1:
        torch.rand((), generator=strategy.view_generator)
    found["draws"] = said(strategy, index)
    strategy.view_generator.set_state(draws)
    if distributed.rank() == 1:
        next(strategy.model.parameters()).data.view(-1)[0] += 1e-12
    found["weights"] = said(strategy, index)
    return found


def probed():
    """Accuracies of probes of an untrained encoder, and the statistics of its features."""
    strategy, benchmark = strategy_of("simclr"), stream(41)
    evaluator = Evaluator(benchmark, ["ridge", "knn-20", "ncm"])
    passes = []
    strategy.model.encoder.register_forward_hook(lambda module, inputs, output: passes.append(len(output)))
    found = evaluator.evaluate(strategy, seen=[0])
    x = torch.randn(501, 6, generator=torch.Generator().manual_seed(0))
    sums = ClassStatistics.from_features(x, torch.arange(501) % 4 - 1, 3, chunk=100)
    return {
        "accuracies": str(found.accuracies),
        "features": torch.cat([x for x, _ in found.test]),
        "labels": torch.cat([y for _, y in found.test]),
        "encoded": sum(passes),
        "sums": [sums.counts, sums.sums, sums.scatter],
    }


def decoded(workers):
    """The losses of an epoch whose images are decoded one by one, by so many processes of a loader."""
    torch.manual_seed(0)
    strategy, losses = strategy_of("simclr", {"epochs": 2}), []
    strategy.plugins.append(Spy(before_update=lambda s: losses.append(float(s.loss.detach()))))
    experience = few_digits(decode=True).train_stream[0]
    strategy.train(experience, eval_streams=[], num_workers=workers)
    return losses


def with_dropout():
    """The state after training with dropout, of which shares of 7 and 6 rows draw 7 and 6 rows of masks."""

    def make():
        strategy = strategy_of("simclr")
        strategy.model.projection_head.append(nn.Dropout(0.5))
        return strategy

    return trace(make)
