"""Nearest class mean against scikit-learn."""

from helpers.features import TEST, TRAIN, fitted
from sklearn.neighbors import NearestCentroid

from avalanche_ssl.probes.nearest_mean import NearestClassMean


def test_class_means_equal_scikit_learns():
    theirs = NearestCentroid().fit(TRAIN[0].double(), TRAIN[1])
    assert fitted(NearestClassMean())(TEST[0]).argmax(1).tolist() == theirs.predict(TEST[0].double()).tolist()
