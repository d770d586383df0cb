"""Methods whose features break a rule."""

import pytest
import torch
from helpers.broken import Broken, assert_caught, assert_complete

from avalanche_ssl.checks import features
from avalanche_ssl.methods import (
    SimCLR,
)

BROKEN = Broken()
breaks = BROKEN.breaks


@breaks("features_are_finite_rows", "differs from call to call")
class RandomFeatures(SimCLR):
    def extract_features(self, x):
        return self.encoder(self.augment(x, self.generator))


@breaks("features_are_finite_rows", "(8, 64, 1)")
class FeatureMaps(SimCLR):
    def extract_features(self, x):
        return super().extract_features(x)[..., None]


@breaks("features_are_finite_rows", "torch.float64")
class DoubleFeatures(SimCLR):
    def extract_features(self, x):
        return super().extract_features(x).double()


@breaks("features_are_finite_rows", "not finite")
class LogFeatures(SimCLR):
    def extract_features(self, x):
        return (super().extract_features(x) * 0).log()


@breaks("features_belong_to_their_images", "depend on the others")
class TrainModeFeatures(SimCLR):
    def extract_features(self, x):
        return self.train().encoder(self.augment.normalize_only(x))


@breaks("features_belong_to_their_images", "does not permute")
class SortedFeatures(SimCLR):
    def extract_features(self, x):
        return super().extract_features(x).sort(0).values


@breaks("bytes_and_floats_are_the_same_images", "to_float")
class BytesOnly(SimCLR):
    def extract_features(self, x):
        return self.encoder(x.float() / 255)


@breaks("evaluating_changes_nothing", "changed 'seen'")
class CountsFeatures(SimCLR):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.register_buffer("seen", torch.zeros((), dtype=torch.long))

    def extract_features(self, x):
        self.seen += len(x)
        return super().extract_features(x)


@breaks("evaluating_changes_nothing", "switches to train mode")
class LeavesTrainMode(SimCLR):
    def extract_features(self, x):
        features = self.eval().encoder(self.augment.normalize_only(x))
        self.train()
        return features


@breaks("evaluating_changes_nothing", "changed 'generator'")
class DrawsWhileEvaluating(SimCLR):
    def extract_features(self, x):
        torch.rand(1, generator=self.generator)
        return super().extract_features(x)


@pytest.mark.contract
@pytest.mark.parametrize("cls, rule, found", BROKEN)
def test_broken_methods_are_caught_by_name(cls, rule, found):
    assert_caught(cls, rule, found)


def test_every_rule_has_a_broken_method_and_a_docstring():
    assert_complete(BROKEN, features)
