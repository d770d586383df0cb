"""Every classifier against scikit-learn, its training against what it must reach, labels that are few, presets."""

import warnings

import numpy as np
import pytest
import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression as SklearnLogistic
from sklearn.neighbors import KNeighborsClassifier, NearestCentroid
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from avalanche_ssl.errors import UsageError
from avalanche_ssl.probes.classifier import PooledClassifier, scaling
from avalanche_ssl.probes.knn import KNN
from avalanche_ssl.probes.label_subsets import keep_labels
from avalanche_ssl.probes.logistic import LogisticRegression
from avalanche_ssl.probes.nearest_mean import NearestClassMean
from avalanche_ssl.probes.protocols import PROTOCOLS, get_protocol
from avalanche_ssl.probes.ridge import Ridge
from avalanche_ssl.probes.scopes import fit_probes, probe_accuracies
from avalanche_ssl.probes.sgd import SGDClassifier

FAST = ["ridge", "knn-20", "knn-200", "ncm", "logistic", "sgd", "mlp", "cla", "osiris", "lump"]


def data(n, seed, classes=5, width=10):
    """Overlapping classes, the features of large mean and unequal spread."""
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(7).normal(size=(classes, width))
    y = rng.integers(0, classes, n)
    x = (centres[y] + rng.normal(size=(n, width))) * np.linspace(0.1, 3, width) + 20
    return torch.tensor(x, dtype=torch.float32), torch.tensor(y)


TRAIN, TEST = data(400, 0), data(300, 1)


def fitted(classifier, train=TRAIN, n_classes=5):
    return classifier.prepare([train], n_classes)(slice(0, 1))


def score(model, x=TEST[0], y=TEST[1]):
    return float((model(x).argmax(1) == y).double().mean())


# -- scikit-learn ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("k", [1, 20, 1000])
def test_neighbours_equal_scikit_learns(k):
    x, y = TRAIN[0] - 20, TRAIN[1]  # around zero: else all cosines are nearly one
    theirs = KNeighborsClassifier(
        min(k, len(y)), metric="cosine", weights=lambda d: np.exp(-d / 0.07), algorithm="brute"
    )
    theirs.fit(x.double(), y)
    ours = fitted(KNN(k, 0.07), (x.double(), y))(TEST[0].double() - 20)
    expected = theirs.predict_proba(TEST[0].double() - 20)
    np.testing.assert_allclose(ours / ours.sum(1, keepdim=True), expected, atol=1e-9)


def test_class_means_equal_scikit_learns():
    theirs = NearestCentroid().fit(TRAIN[0].double(), TRAIN[1])
    assert fitted(NearestClassMean())(TEST[0]).argmax(1).tolist() == theirs.predict(TEST[0].double()).tolist()


@pytest.mark.parametrize("classes", [2, 5])
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_logistic_regression_equals_scikit_learns(classes):
    train, x = data(400, 0, classes), data(300, 1, classes)[0]
    theirs = make_pipeline(StandardScaler(), SklearnLogistic(C=0.1, max_iter=500)).fit(train[0].double(), train[1])
    ours = fitted(LogisticRegression(c=0.1, max_iter=500), train, classes)(x)
    np.testing.assert_allclose(ours.softmax(1), theirs.predict_proba(x.double()), atol=2e-3)
    assert (ours.argmax(1).numpy() == theirs.predict(x.double())).mean() > 0.995


def test_sgd_comes_near_the_optimum_of_logistic_regression():
    from sklearn.metrics import log_loss

    best = make_pipeline(StandardScaler(), SklearnLogistic(C=1e4, max_iter=1000)).fit(TRAIN[0].double(), TRAIN[1])
    ours = fitted(SGDClassifier(epochs=100, batch_size=32))(TRAIN[0]).double().softmax(1)
    optimum = log_loss(TRAIN[1], best.predict_proba(TRAIN[0].double()))
    assert optimum - 1e-3 < log_loss(TRAIN[1], ours) < optimum + 0.01


def test_an_mlp_solves_what_no_linear_probe_can():
    rng = np.random.default_rng(0)
    x = torch.tensor(rng.normal(size=(600, 2)), dtype=torch.float32)
    y = (x.prod(1) > 0).long()
    linear, mlp = (fitted(SGDClassifier(hidden_dim, optimizer="adam", lr=0.01), (x, y), 2) for hidden_dim in (0, 50))
    assert score(linear, x, y) < 0.65 < 0.9 < score(mlp, x, y)


# -- what all have in common -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FAST)
def test_absent_classes_are_never_predicted_and_a_single_class_always(name):
    x, y = TRAIN
    chosen = PROTOCOLS[name].choose(5)
    some = fitted(chosen, (x[y < 3], y[y < 3]))(TEST[0])
    assert some.shape == (300, 5) and torch.isneginf(some[:, 3:]).all() and some[:, :3].isfinite().all()
    assert fitted(chosen, (x[y == 2], y[y == 2]))(TEST[0]).argmax(1).unique().tolist() == [2]
    assert chosen.prepare([(x, torch.full_like(y, -1))], 5)(slice(0, 1)) is None


@pytest.mark.parametrize("name", FAST)
def test_unlabelled_samples_do_not_count(name):
    x, y = TRAIN
    half = torch.arange(len(y)) % 2 == 0
    with_others = fitted(PROTOCOLS[name].choose(5), (x, y.where(half, -1)))
    without = fitted(PROTOCOLS[name].choose(5), (x[half], y[half]))
    torch.testing.assert_close(with_others(TEST[0]), without(TEST[0]))


@pytest.mark.parametrize("name", FAST)
def test_a_fit_is_repeatable_draws_no_global_number_and_beats_chance(name):
    before = torch.get_rng_state()
    first, second = (fitted(PROTOCOLS[name].choose(5)) for _ in range(2))
    assert torch.equal(first(TEST[0]), second(TEST[0]))
    assert torch.equal(torch.get_rng_state(), before)
    assert score(first) > 0.3


def test_warnings_of_scikit_learn_stay_inside():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fitted(LogisticRegression(max_iter=1))
    with pytest.warns(ConvergenceWarning):
        SklearnLogistic(max_iter=1).fit(*TRAIN)


def test_constant_features_are_harmless():
    x = torch.cat([TRAIN[0], torch.full((400, 1), 7.0)], 1)
    assert scaling(x)[1][-1] == 1
    for classifier in (LogisticRegression(), SGDClassifier(epochs=2), NearestClassMean(), Ridge()):
        assert fitted(classifier, (x, TRAIN[1]))(x).isfinite().all()


# -- training --------------------------------------------------------------------------------------------------------


def test_each_epoch_reads_features_of_its_own():
    asked = []

    def again(epoch):
        asked.append(epoch)
        return [TRAIN[0] + 0.01 * epoch, TRAIN[0]]

    head = SGDClassifier(epochs=3).prepare([TRAIN, TRAIN], 5, again=again)
    augmented, plain = head(slice(0, 1)), fitted(SGDClassifier(epochs=3))
    assert asked == [0, 1, 2]
    assert not torch.equal(augmented(TEST[0]), plain(TEST[0]))


def test_plateaus_lower_the_rate_and_the_best_weights_are_kept():
    rates = []
    head = SGDClassifier(optimizer="adam", lr=0.05, schedule="plateau", epochs=300, features="unit")
    original = torch.optim.Adam.step
    try:
        torch.optim.Adam.step = lambda self, *a: rates.append(self.param_groups[0]["lr"]) or original(self, *a)
        model = fitted(head)
    finally:
        torch.optim.Adam.step = original
    assert 1e-4 <= min(rates) < 3e-4 and sorted(set(rates), reverse=True)[1] == pytest.approx(0.05 / 3)
    assert len(rates) < 300 * 2, "the end comes before 300 epochs of two steps"
    assert score(model) > 0.3


@pytest.mark.parametrize(
    "wrong", [{"lr": 0}, {"epochs": 0}, {"schedule": "cosin"}, {"features": "x"}, {"optimizer": "x"}]
)
def test_impossible_heads_are_refused(wrong):
    with pytest.raises(UsageError):
        SGDClassifier(**wrong)


@pytest.mark.parametrize("make", [lambda: KNN(k=0), lambda: KNN(temperature=0), lambda: LogisticRegression(c=-1)])
def test_impossible_settings_are_refused(make):
    with pytest.raises(UsageError, match="give a number above 0"):
        make()


# -- few labels ------------------------------------------------------------------------------------------------------


def test_few_labels_are_balanced_nested_and_seeded():
    labels = [torch.arange(1000) % 10, torch.arange(500) % 10, torch.full((7,), -1)]
    one, ten, other = (keep_labels(labels, share, seed) for share, seed in ((0.01, 0), (0.1, 0), (0.1, 1)))
    assert [len(y) for y in ten] == [1000, 500, 7] and (ten[2] == -1).all()
    pooled = torch.cat(ten)
    assert pooled[pooled >= 0].bincount().tolist() == [15] * 10
    assert all(((a == -1) | (a == b)).all() for a, b in zip(one, ten)), "1 % is part of 10 %"
    assert not all(torch.equal(a, b) for a, b in zip(ten, other))
    assert all(((a == -1) | (a == b)).all() for a, b in zip(ten, labels))
    five = torch.cat(keep_labels(labels, 5))
    assert five[five >= 0].bincount().tolist() == [5] * 10
    assert torch.cat(keep_labels(labels, 10**6)).eq(torch.cat(labels)).all()
    assert torch.cat(keep_labels([torch.tensor([0, 1, 1])], 0.01)).tolist().count(-1) == 1, "one of each class at least"


@pytest.mark.parametrize("amount", [0, -1, 0.0, 1.5, True, float("nan")])
def test_impossible_amounts_of_labels_are_refused(amount):
    with pytest.raises(UsageError, match="give a share"):
        keep_labels([torch.arange(3)], amount)


# -- protocols -------------------------------------------------------------------------------------------------------


def test_names_are_parsed():
    assert get_protocol("ridge") is PROTOCOLS["ridge"] and get_protocol(PROTOCOLS["cla"]) is PROTOCOLS["cla"]
    assert (get_protocol("ridge@10%").name, get_protocol("ridge@10%").labels) == ("ridge@10%", 0.1)
    assert get_protocol("knn-20@5").labels == 5
    for wrong in ("ridge@", "ridge@0%", "ridge@200%", "ridge@x", "ridge@0", "ridge@1.5", "ridge@-3"):
        with pytest.raises(UsageError, match="NAME@10%"):
            get_protocol(wrong)
    with pytest.raises(UsageError, match="no probe 'rigde': did you mean 'ridge'"):
        get_protocol("rigde")


def test_a_protocol_with_few_labels_is_its_classifier_on_them():
    kept = keep_labels([TRAIN[1]], 0.1)
    expected = fit_probes([(TRAIN[0], kept[0])], 5, 1)
    found = get_protocol("ridge@10%").fit([TRAIN], 5, 1)
    assert torch.equal(found["all"][0](TEST[0]), expected["all"][0](TEST[0]))
    assert not torch.equal(found["all"][0](TEST[0]), get_protocol("ridge").fit([TRAIN], 5, 1)["all"][0](TEST[0]))


def test_lumps_slip_is_kept():
    assert [PROTOCOLS["lump"].choose(seen).k for seen in (0, 1, 7, 500)] == [1, 1, 7, 200]
    assert "slip" in PROTOCOLS["lump"].caveat


def test_core50_takes_each_twentieth_sample_of_training_and_test():
    protocol = PROTOCOLS["core50"]
    found = protocol.fit([TRAIN], 5, 1)
    expected = fit_probes([(TRAIN[0][::20], TRAIN[1][::20])], 5, 1, ["all"])
    torch.testing.assert_close(found["all"][0](TEST[0]), expected["all"][0](TEST[0]))
    assert len(protocol.tested([TEST])[0][1]) == 15


def test_presets_have_the_settings_of_their_papers():
    assert PROTOCOLS["osiris"].choose(3) == KNN(200, 0.1) and tuple(PROTOCOLS["osiris"].scopes) == ("all", "task")
    cla = PROTOCOLS["cla"].choose(3)
    assert (cla.features, cla.optimizer, cla.lr, cla.batch_size, cla.schedule) == ("unit", "adam", 0.05, 256, "plateau")
    cassle = PROTOCOLS["cassle-offline"].choose(3)
    assert (cassle.lr, cassle.epochs, cassle.schedule, cassle.features) == (3.0, 100, "steps", "raw")
    assert PROTOCOLS["cassle-offline"].augment
    literature = {"cassle-offline", "cla", "osiris", "lump", "core50"}
    assert all(PROTOCOLS[name].caveat for name in literature)


@pytest.mark.parametrize("name", FAST)
def test_every_probe_fills_its_scopes(name):
    train = [(x + 0, y) for x, y in (data(120, s) for s in range(3))]
    found = probe_accuracies(PROTOCOLS[name].fit(train, 5, seen=2), train)
    assert tuple(found) == tuple(PROTOCOLS[name].scopes)
    for scope, row in found.items():
        assert np.isnan(row).tolist() == ([False, False, True] if scope == "seen" else [False] * 3)


def test_a_classifier_without_fit_says_so():
    with pytest.raises(NotImplementedError):
        PooledClassifier().prepare([TRAIN], 5)(slice(0, 1))
