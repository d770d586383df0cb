"""Named probe protocols: `get_protocol("ridge")`, `get_protocol("knn-20@10%")`, `get_protocol("osiris")`.

The same encoder scores differently under each, so every number carries its protocol's name. The presets of the
literature follow published code; `caveat` is what to know before comparing with published numbers.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

from torch import Tensor

from avalanche_ssl.errors import UsageError, unknown_name
from avalanche_ssl.models import READOUTS, LabeledFeatures
from avalanche_ssl.probes.classifier import AugmentedFeatures, Classifier
from avalanche_ssl.probes.knn import KNN
from avalanche_ssl.probes.label_subsets import check_amount, keep_labels
from avalanche_ssl.probes.logistic import LogisticRegression
from avalanche_ssl.probes.nearest_mean import NearestClassMean
from avalanche_ssl.probes.ridge import Ridge
from avalanche_ssl.probes.scopes import SCOPES, Probes, fit_probes
from avalanche_ssl.probes.sgd import SGDClassifier


@dataclass(frozen=True)
class ProbeProtocol:
    """A classifier, the labels that it gets and the scopes in which it is fitted.

    Args:
        name: name under which its numbers are reported.
        description: what is fitted, in a few words.
        classifier_for: the classifier, by the number of experiences that the encoder was trained on.
        scopes: which of "all", "seen", "task".
        labels: how many keep their label, see `avalanche_ssl.probes.label_subsets.keep_labels`; 1.0 keeps all.
        every: only every n-th sample of training and test data is used, in the order of the stream.
        augment: train each epoch on features of randomly cropped and flipped images.
        draws: number of label choices to fit on; the mean of their accuracies is reported.
        online: "clean" or "leaky" is trained along with the encoder, see `avalanche_ssl.probes.online`; "" afterwards.
        caveat: what to know before comparing with published numbers; reported with every number.
        readout: what of the encoder is read, of `avalanche_ssl.models.READOUTS`; "" is its features.
    """

    name: str
    description: str
    classifier_for: Callable[[int], Classifier]
    scopes: Sequence[str] = SCOPES
    labels: float | int = 1.0
    every: int = 1
    augment: bool = False
    draws: int = 1
    online: Literal["", "clean", "leaky"] = ""
    caveat: str = ""
    readout: str = ""

    def fit(
        self,
        train: Sequence[LabeledFeatures],
        n_classes: int,
        seen: Collection[int],
        seed: int = 0,
        augmented: AugmentedFeatures | None = None,
        scopes: Sequence[str] | None = None,
        one_test_set: bool = False,
    ) -> Probes:
        """As `avalanche_ssl.probes.scopes.fit_probes`, on the labels of this protocol; `scopes` replaces its own."""
        labels = self.select_labels([y for _, y in train], seed)
        data = [(x, y) for (x, _), y in zip(train, labels, strict=True)]
        chosen = self.scopes if scopes is None else scopes
        classifier = self.classifier_for(len(seen))
        augmented = augmented if self.augment else None
        return fit_probes(data, n_classes, seen, chosen, classifier, seed, augmented, one_test_set)

    def select_labels(self, labels: Sequence[Tensor], seed: int = 0) -> Sequence[Tensor]:
        """The labels (N,) of each experience, -1 for those that this protocol does not get."""
        labels = [_every_nth(y, self.every) for y in labels]
        everything = isinstance(self.labels, float) and self.labels == 1.0  # the whole number 1 is one of each class
        return labels if everything else keep_labels(labels, self.labels, seed)

    def select_test(self, test: Sequence[LabeledFeatures]) -> Sequence[LabeledFeatures]:
        """The part of the test data that this protocol scores."""
        return [(x[:: self.every], y[:: self.every]) for x, y in test]


def _every_nth(labels: Tensor, every: int) -> Tensor:
    """Labels (N,), -1 except for every n-th."""
    if every == 1:
        return labels
    kept = labels.new_full(labels.shape, -1)
    kept[::every] = labels[::every]
    return kept


def _always(classifier: Classifier) -> Callable[[int], Classifier]:
    return partial(_same, classifier)  # which can be pickled, with the strategy whose plugin holds it


def _same(classifier: Classifier, experiences_trained: int) -> Classifier:
    return classifier


def _lump(experiences_trained: int) -> Classifier:
    return KNN(k=max(1, min(200, experiences_trained)), temperature=0.1)


def _trained_online(experiences_trained: int) -> Classifier:
    raise UsageError("this probe is trained along with the encoder: name it in ProbePlugin(benchmark, probes=[...])")


DRAWS = 3
"""Number of choices of few labels over which accuracies are averaged."""

_CASSLE = SGDClassifier(features="raw", lr=3.0, schedule="steps", epochs=100, batch_size=256)
_CLA = SGDClassifier(features="unit", optimizer="adam", lr=0.05, schedule="plateau", epochs=100, batch_size=256)

PROTOCOLS: dict[str, ProbeProtocol] = {
    p.name: p
    for p in (
        ProbeProtocol("ridge", "ridge regression, its strength chosen on held-out training data", _always(Ridge())),
        ProbeProtocol("knn-20", "20 nearest neighbors by cosine, T = 0.07", _always(KNN())),
        ProbeProtocol("knn-200", "200 nearest neighbors by cosine, T = 0.1", _always(KNN(200, 0.1))),
        ProbeProtocol("ncm", "nearest class mean", _always(NearestClassMean())),
        ProbeProtocol(
            "logistic", "logistic regression by L-BFGS, at most 100 iterations", _always(LogisticRegression())
        ),
        ProbeProtocol("sgd", "softmax regression by SGD, 30 epochs", _always(SGDClassifier())),
        ProbeProtocol(
            "sgd-augmented",
            "softmax regression by SGD, 30 epochs of cropped and flipped images",
            _always(SGDClassifier()),
            augment=True,
            caveat="extracts the training features 30 times",
        ),
        ProbeProtocol(
            "mlp", "a hidden layer of 1000 by Adam, 30 epochs", _always(SGDClassifier(1000, optimizer="adam", lr=1e-3))
        ),
        ProbeProtocol(
            "cassle-offline",
            "softmax regression by SGD, 100 epochs of cropped and flipped images, lr 3.0, a tenth at 60 and 80",
            _always(_CASSLE),
            scopes=("all",),
            augment=True,
            caveat="CaSSLe (arXiv:2112.04215) tunes lr by method, here it is 3.0; it runs the probe by hand, once; "
            "extracts the training features 100 times",
        ),
        ProbeProtocol(
            "cassle-online",
            "softmax regression by SGD with LARS, one step with each of the encoder's, on all classes from the start",
            _trained_online,
            scopes=("all",),
            online="clean",
            caveat="CaSSLe's published CIFAR numbers come from the leaky variant, cassle-online-leak; its layer had "
            "thousands of steps, after a few hundred it has hardly begun",
        ),
        ProbeProtocol(
            "cassle-online-leak",
            "as cassle-online, on batch-norm statistics that labeled batches of all classes have passed through",
            _trained_online,
            scopes=("all",),
            online="leaky",
            caveat="LEAK, as in CaSSLe's code (arXiv:2112.04215): the batch-norm statistics that it tests with are "
            "averaged over classes the stream has not brought yet; only to compare with its published CIFAR numbers",
        ),
        ProbeProtocol(
            "cla",
            "softmax regression by Adam on unit features, lr 0.05, a third at plateaus of a held-out tenth",
            _always(_CLA),
            scopes=("all",),
            caveat="CLA and CLIMB report one accuracy after each experience and call its mean over the stream AVG ACC",
        ),
        ProbeProtocol(
            "osiris",
            "200 nearest neighbors by cosine, T = 0.1",
            _always(KNN(200, 0.1)),
            scopes=("all", "task"),
            caveat="Osiris (arXiv:2404.19132) calls scope 'all' without task labels, 'task' with task labels",
        ),
        ProbeProtocol(
            "lump",
            "nearest neighbors by cosine among one experience's classes, T = 0.1, k = experiences trained",
            _lump,
            scopes=("task",),
            caveat="LUMP's k is min(200, number of tasks seen), so 1 after the first task: a slip in its code, kept; "
            "the true experience is given, so a five-way problem on Split CIFAR-100 of 20 tasks",
        ),
        ProbeProtocol(
            "core50",
            "ridge regression on one in 20 frames",
            _always(Ridge()),
            scopes=("all",),
            every=20,
            caveat="neighboring frames are near copies: the stream must hold the frames in video order and sessions of "
            "their own for testing; it is tested on one in 20 of their frames, the last encoder on all of them, too",
        ),
    )
}
"""All probe protocols by name."""


def get_protocol(name: str | ProbeProtocol) -> ProbeProtocol:
    """The protocol of a name, such as `ridge`, `ridge:2x2`, `ridge@10%`, `knn-20@5` (5 per class), `ridge:2x2@10%`.

    `:` comes before the readout, if it is not the features; `@` before the amount of labels, if not all are used. Where
    labels are few, three choices of them are drawn, and the mean of the three accuracies is reported.

    Raises:
        UsageError: no such probe (the nearest is proposed), readout or amount of labels; a probe that is trained with
            the encoder has no readouts.
    """
    if isinstance(name, ProbeProtocol):
        return name
    read, at, amount = name.partition("@")
    base, colon, readout = read.partition(":")
    if base not in PROTOCOLS:
        raise unknown_name("probe", base, PROTOCOLS)
    protocol = PROTOCOLS[base]
    if colon:
        if readout not in READOUTS:
            raise unknown_name(f"readout of probe '{name}'", readout, READOUTS)
        if protocol.online:
            raise UsageError(f"probe '{name}' is trained along with the encoder, on its features: give '{base}'")
        protocol = dataclasses.replace(protocol, name=name, readout=readout)
    if not at:
        return protocol
    return dataclasses.replace(protocol, name=name, labels=_amount(name, amount), draws=DRAWS)


def _amount(name: str, text: str) -> float | int:
    try:
        amount = float(text.removesuffix("%")) / 100 if text.endswith("%") else int(text)
        check_amount(amount)
    except ValueError:
        raise UsageError(
            f"probe '{name}': give NAME@10% or NAME@5, a share of the labels or their number per class"
        ) from None
    return amount
