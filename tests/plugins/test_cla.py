"""CLA: its term by loops, the copy that follows, what it needs, and what it leaves alone."""

import math

import pytest
import torch
from crashes.small_run import few_digits
from helpers import resuming
from helpers.encoders import tiny
from helpers.strategies import Spy, assert_same, cmc, cpc, make, simclr, state

from avalanche_ssl.errors import UsageError
from avalanche_ssl.methods import BYOL
from avalanche_ssl.plugins.cla import CLA
from avalanche_ssl.plugins.replay import Replay, mean_embeddings
from avalanche_ssl.streams import online_stream

TARGETS = ("stream", "ema", "stored")


METHODS = {"simclr": simclr, "cmc": lambda: cmc(capacity=100, count=16), "cpc": cpc}


def strategy_with(*plugins, model=None, size=8, **settings):
    return make(model or simclr(), plugins=list(plugins), train_mb_size=size, evaluator=None, **settings)


def learn(strategy, steps=6, size=8):
    parts = online_stream(few_digits().train_stream, size)
    strategy.train([part for _, part in zip(range(steps), parts, strict=False)], eval_streams=[])
    return strategy


def plugins_for(to, batch=16, **settings):
    replay = [] if to == "stream" else [Replay(size=40, batch=batch, policy="fifo")]
    return [*replay, CLA(to, hidden_dim=8, **settings)]


def cosine(a, b):
    dot = sum(float(x) * float(y) for x, y in zip(a, b, strict=True))
    return dot / math.sqrt(sum(float(x) ** 2 for x in a) * sum(float(y) ** 2 for y in b))


# -- the term --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("to", TARGETS)
def test_the_term_is_the_mean_cosine_with_the_target_of_each_view(to, name):
    plugins = plugins_for(to)
    cla, replay, checked = plugins[-1], plugins[0], []
    embedded = []

    def before(strategy):
        if cla.teacher:
            rows = slice(0, strategy.n_new) if to == "stream" else slice(strategy.n_new, None)
            some = len(strategy.mb_x[rows]) > 0
            embedded.append(cla.teacher.embeddings(strategy, rows) if some else None)

    @torch.no_grad()
    def after(strategy):
        first, last = (0, strategy.n_new) if to == "stream" else (strategy.n_new, len(strategy.mb_x))
        if first == last:
            assert cla.loss is None
            return
        spaces = []
        offset = 0
        for s, space in enumerate(strategy.model.embeddings(strategy.mb_output)):
            a = cla.aligners[s]
            rows = torch.cat([z[first:last].reshape(-1, z.shape[-1]) for z in space]).detach()
            aligned = iter(a[3](a[2](torch.nn.functional.batch_norm(a[0](rows), None, None, *bn(a[1])))))
            cosines = []
            for v, z in enumerate(space):
                for i in range(first, last):
                    for n in range(z.shape[1] if z.ndim == 3 else 1):
                        if to == "stored":
                            target = features[replay.slots[i - first], offset : offset + z.shape[-1]]
                        else:
                            target = embedded[-1][s][v][i - first]
                            target = target[n] if z.ndim == 3 else target
                        cosines.append(cosine(next(aligned), target))
            spaces.append(sum(cosines) / len(cosines))
            offset += space[0].shape[-1]
        assert float(cla.loss) == pytest.approx(-sum(spaces) / len(spaces), abs=1e-5)
        checked.append(True)

    features = None

    def keep(strategy):
        nonlocal features
        if to == "stored":
            features = replay.buffer.features.clone()

    def bn(layer):
        return layer.weight, layer.bias, True, 0.0, layer.eps

    spy = Spy(before_forward=keep, after_forward=before, before_update=after)
    size, steps = (16, 2) if to == "stream" else (8, 4)  # replay begins in the fourth step
    learn(strategy_with(*plugins, spy, model=METHODS[name](), size=size), steps, size)
    assert len(checked) == (2 if to == "stream" else 1)


def test_the_target_is_the_feature_of_before_the_step():
    """With an encoder that stands still, the feature after the step is half the prediction, and that is no target."""
    replay, cla = plugins_for("stored")
    seen = []

    def look(strategy):
        if len(replay.slots):
            now = mean_embeddings(strategy.model, strategy.mb_output)[strategy.n_new :]
            seen.append((replay.slots, cla_target(strategy), now))

    def cla_target(strategy):
        rows = [[z[strategy.n_new :] for z in s] for s in strategy.model.embeddings(strategy.mb_output)]
        return replay.stored(rows)[0][0].clone()

    def refreshed(strategy):
        if seen and len(replay.slots):
            slots, target, now = seen[-1]
            kept = replay.buffer.born[slots] < int(replay.buffer.seen) - 8  # not overwritten by new ones
            assert torch.allclose(replay.buffer.features[slots][kept], ((target + now) / 2)[kept], atol=1e-6)

    learn(strategy_with(replay, cla, Spy(before_backward=look, after_training_iteration=refreshed)), steps=8)
    assert len(seen) == 5


# -- the copy --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("to", ["stream", "ema"])
def test_the_copy_follows_each_step_with_the_methods_statistics(to):
    plugins = plugins_for(to, momentum=0.9)
    cla, expected = plugins[-1], {}

    def follow(strategy):
        for name, weight in strategy.model.named_parameters():
            before = expected.get(name, initial[name])
            expected[name] = 0.9 * before + 0.1 * weight.detach()

    strategy = strategy_with(*plugins, Spy(after_update=follow))
    initial = {name: weight.detach().clone() for name, weight in strategy.model.named_parameters()}
    learn(strategy, steps=8)
    for name, weight in cla.teacher.method.named_parameters():
        assert torch.allclose(weight, expected[name], atol=1e-6) and not torch.equal(weight, initial[name])
        assert not weight.requires_grad and weight.grad is None
    theirs = dict(strategy.model.named_buffers())
    means = [name for name, _ in cla.teacher.method.named_buffers() if "running" in name]
    assert means and all(torch.equal(dict(cla.teacher.method.named_buffers())[name], theirs[name]) for name in means)
    assert cla.teacher.taken == 8


def test_several_passes_move_the_copy_several_times():
    cla = CLA("stream", hidden_dim=8)
    learn(strategy_with(cla, train_epochs=3), steps=2)
    assert cla.teacher.taken == 6


def test_the_copy_embeds_the_aligned_rows_or_all():
    rows = {}
    for teacher_rows in ("aligned", "all"):
        replay, cla = plugins_for("ema", teacher_rows=teacher_rows)
        sizes = []
        strategy = strategy_with(replay, cla)
        embed = cla.teacher.method.embed
        cla.teacher.method.embed = lambda views, embed=embed, sizes=sizes: (
            sizes.append(len(views["first"])) or embed(views)
        )
        learn(strategy, steps=4)
        rows[teacher_rows] = sizes, float(cla.loss)
    assert rows["aligned"][0] == [16] and rows["all"][0] == [24]
    assert rows["aligned"][1] != rows["all"][1], "they normalize by other statistics"


def test_stored_features_need_no_copy():
    replay, cla = plugins_for("stored")
    strategy_with(replay, cla)
    assert cla.teacher is None and not any("teacher" in name for name in cla.state_dict())


@pytest.mark.filterwarnings("ignore:an experience of a single image is skipped")
def test_a_single_image_is_embedded_with_all_others():
    cla, sizes = CLA("stream", hidden_dim=8), []
    strategy = strategy_with(Replay(size=8, batch=2), cla, size=1)
    embed = cla.teacher.method.embed
    cla.teacher.method.embed = lambda views: sizes.append(len(views["first"])) or embed(views)
    with pytest.warns(UserWarning, match="CLA normalizes by the statistics of 2 rows"):
        learn(strategy, steps=6, size=1)
    assert sizes == [3, 3, 3] and torch.isfinite(cla.loss)


# -- training --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("to", TARGETS)
def test_the_aligners_are_learned_and_the_encoder_gets_a_gradient(to):
    gradients = []
    plugins = plugins_for(to, weight=1.0)
    cla = plugins[-1]

    def look(strategy):
        if cla.loss is not None:
            (gradient,) = torch.autograd.grad(
                strategy.loss - strategy.method_loss, [next(strategy.model.encoder.parameters())], retain_graph=True
            )
            gradients.append(float(gradient.abs().sum()))

    strategy = strategy_with(*plugins, Spy(before_backward=look))
    before = [weight.detach().clone() for weight in cla.aligners.parameters()]
    learn(strategy, steps=6)
    assert gradients and min(gradients) > 0
    moved = [not torch.equal(a, b) for a, b in zip(before, cla.aligners.parameters(), strict=True)]
    assert all(moved)
    held = [id(p) for group in strategy.optimizer.param_groups for p in group["params"]]
    assert all(held.count(id(p)) == 1 for p in cla.aligners.parameters())
    assert not any(cla.teacher and id(p) in held for p in (cla.teacher.parameters() if cla.teacher else ()))


@pytest.mark.parametrize("to", TARGETS)
def test_weight_zero_is_the_run_without_it(to):
    with_it, without = plugins_for(to, weight=0.0), plugins_for(to)[:-1]
    runs = [learn(strategy_with(*plugins)) for plugins in (with_it, without)]
    assert_same(*map(state, runs))


def test_the_copys_aligner_pulls_embeddings_towards_the_target():
    """With the term, replayed embeddings stay nearer to their stored features."""
    distances = []
    for weight in (0.0, 30.0):
        replay, cla = plugins_for("stored", weight=weight)
        losses = []
        learn(
            strategy_with(replay, cla, Spy(after_update=lambda s, cla=cla, losses=losses: losses.append(cla.loss))),
            steps=15,
        )
        distances.append(sum(map(float, losses[-5:])) / 5)
    assert distances[1] < distances[0] - 0.1


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:CLA normalizes by the statistics of 8 rows")
@pytest.mark.parametrize("to", TARGETS)
def test_an_interrupted_run_goes_on_bit_for_bit(to, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    benchmark = few_digits()
    resuming.assert_survives(
        lambda: resuming.make(benchmark, plugins_for(to, batch=8)), benchmark, kills=(7,), online_batch_size=16
    )


# -- weights and refusals --------------------------------------------------------------------------------------------


def test_weights_follow_the_method():
    torch.manual_seed(0)
    for model, weight in ((simclr(), 1.0), (BYOL(tiny, output_dim=8), 0.3), (cpc(), 0.3)):
        cla = CLA("stream")
        strategy_with(cla, model=model)
        assert cla.weight == weight


@pytest.mark.parametrize("to", ["ema", "stored"])
def test_replayed_images_are_needed(to):
    for before, after, count in (([], [], 0), ([], [Replay()], 0)):
        with pytest.raises(UsageError) as error:
            strategy_with(*before, CLA(to), *after)
        assert str(error.value) == (
            "CLA works on replayed images: put one Replay before it in the list of plugins (--plugin replay), not "
            f"{count}"
        )
    strategy_with(CLA("stream"))


def test_two_are_refused():
    with pytest.raises(UsageError, match=r"^two CLA align the same embeddings: give one of them$"):
        strategy_with(Replay(), CLA("stream"), CLA("ema"))


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"to": "past"}, "no value for 'to' 'past'"),
        ({"teacher_rows": "new"}, "no value for 'teacher_rows' 'new'"),
        ({"norm": "layer"}, "no value for 'norm' 'layer'"),
        ({"predictor_norm": "layer"}, "no value for 'predictor_norm' 'layer'"),
        ({"momentum": 1.5}, "setting 'momentum' is 1.5: give a number from 0 to 1"),
        ({"hidden_dim": 0}, "setting 'hidden_dim' is 0: give a number above 0"),
        ({"weight": -1}, "setting 'weight' is -1: give 0 or more"),
    ],
)
def test_settings_out_of_range_are_refused(settings, message):
    with pytest.raises(UsageError) as error:
        CLA(**settings)
    assert str(error.value).startswith(message)


def test_few_rows_are_warned_of():
    with pytest.warns(UserWarning, match="CLA normalizes by the statistics of 8 rows, which are noisy below 16"):
        learn(strategy_with(CLA("stream", hidden_dim=8), size=4), steps=2, size=4)
