"""What every number of a report means. Metrics and fields of events are explained where they are defined."""

from __future__ import annotations

import dataclasses
import re

from avalanche_ssl.logging import CostEvent, Event, RepresentationEvent
from avalanche_ssl.runs import METRICS

MEASURES = ("feature_std", "rankme", "drift_cka", "alignment", "uniformity")
"""Fields of `RepresentationEvent` that a report shows."""
COSTS = ("views", "teacher views", "steps", "parameters", "plugin parameters", "bytes remembered")
"""Fields of `CostEvent`, with spaces."""


def meaning(kind: type[Event], field: str) -> str:
    """What a field of an event means; for a measure it starts with "NAME: "."""
    text: str = next(f.metadata["meaning"] for f in dataclasses.fields(kind) if f.name == field)
    return text


def measure(field: str) -> tuple[str, str]:
    """Name and explanation of a measure of the representation."""
    name, _, explanation = meaning(RepresentationEvent, field).partition(": ")
    return name, explanation


def glossary() -> dict[str, str]:
    """All words of a report with their explanations, as sentences."""
    numbers = {metric.name: metric.explanation for metric in METRICS.values()}
    measures = dict(measure(field) for field in MEASURES)
    costs = {name: meaning(CostEvent, name.replace(" ", "_")) for name in COSTS}
    words = PROBES | numbers | COMPARISON | measures | IMAGES | TIME | costs
    return {word: text[0].upper() + text[1:].rstrip(".") + "." for word, text in words.items()}


def anchor(word: str) -> str:
    """The id of a word's explanation in a page."""
    return "term-" + "-".join(re.findall(r"[a-z0-9]+", word.lower()))


PROBES = {
    "accuracy matrix R": "Row t: after training on experience t. Column j: share of experience j's test images that a "
    "probe classifies correctly. With frozen features it exists for experiences not yet trained on, too. A white "
    "frame marks the experience trained on last.",
    "probe": "A classifier fitted on the frozen features of labeled training images, to measure what the encoder has "
    "learned. The encoder never sees the labels. Accuracies compare within one probe protocol only.",
    "scope all": "The probe is fitted on the training data of all experiences and chooses among all classes.",
    "scope seen": "The probe is fitted on the experiences trained on so far, and tested on these.",
    "scope task": "One probe per experience, fitted and tested on it alone: it is given the experience, which makes "
    "this the easiest scope.",
    "@10%, @5": "The probe gets 10 % of the labels, or 5 per class, class-balanced; mean over three draws of them.",
    "caveat": "What to know about a probe protocol before its numbers are compared with others.",
}

COMPARISON = {
    "mean ± 95 % interval": "Over seeds, by Student's t with n - 1 degrees of freedom, of three seeds or more. A seed "
    "sets weights, views and the order of images.",
    "paired difference": "One strategy minus another with the same seed. Its interval holds the spread of the "
    "differences over seeds (Student's t) and, for the average accuracy where the runs kept which test images they "
    "classify correctly, that over test images (paired bootstrap).",
    "p": "Two-sided p-value of a paired difference, from the same distribution as its interval: without test images "
    "that of a paired t-test. Corrected for the number of differences in its column, or of cells in its table of "
    "plugins (Holm 1979). With few seeds only large differences are found.",
    "references": "What to compare a strategy with at equal views: iid, the same method on all data of the stream at "
    "once; supervised, the same encoder trained on labels, experience by experience; supervised iid, on labels and all "
    "data at once, an upper bound.",
    "plugins": "What joined the training, such as replay; everything else is the same along a row.",
    "baseline": "What to compare with, by the same probes: chance; raw pixels, the images themselves averaged down to "
    "16x16 pixels, which tell how much can be read without any encoder; untrained encoders of several initializations; "
    "the same recipe on the whole stream at once (iid), on as many images; the same encoder trained on labels in the "
    "same way.",
    "probing tasks": "What a stream asks of the features besides its classes, as its documentation says. Of CORe50: "
    "objects by session; categories; new instance (category of objects that the probe was not fitted on); background "
    "(session of a training image of an object that the probe was not fitted on: how much of the scene the features "
    "hold; at chance nothing).",
    "on all test images": "Where a probe uses one in n test images, the last encoder is also tested on all of them. "
    "The accuracy matrix and its metrics keep to one in n, because its rows must be about the same images.",
}

IMAGES = {
    "embedding figure": "A t-SNE of the features of a fixed sample of test images, each started from the one before. "
    "Distances between groups mean little; each axis is stretched to fill the panel.",
    "same-class neighbors": "Share of the five nearest images of the sample, by cosine, that have the same class.",
}

TIME = {
    "training s": "Seconds of training without probes. Comparable on one machine only.",
    "images/s": "Images trained on in a second of it, each pass counted.",
}
