"""Classifiers fitted on frozen features, and the named protocols that use them."""

from avalanche_ssl.probes.class_statistics import ClassStatistics
from avalanche_ssl.probes.classifier import AugmentedFeatures, Classifier, Fit, PooledClassifier
from avalanche_ssl.probes.knn import KNN, KNNVotes
from avalanche_ssl.probes.label_subsets import keep_labels, ranks_in_order
from avalanche_ssl.probes.linear import LinearProbe
from avalanche_ssl.probes.logistic import LogisticRegression
from avalanche_ssl.probes.nearest_mean import NearestClassMean
from avalanche_ssl.probes.online import OnlineProbe
from avalanche_ssl.probes.parallel import parallel_map
from avalanche_ssl.probes.protocols import PROTOCOLS, ProbeProtocol, get_protocol
from avalanche_ssl.probes.ridge import Ridge
from avalanche_ssl.probes.scopes import SCOPES, Probes, accuracy, consolidation, correct, fit_probes, probe_accuracies
from avalanche_ssl.probes.sgd import SGDClassifier

__all__ = [
    "KNN",
    "PROTOCOLS",
    "SCOPES",
    "AugmentedFeatures",
    "ClassStatistics",
    "Classifier",
    "Fit",
    "KNNVotes",
    "LinearProbe",
    "LogisticRegression",
    "NearestClassMean",
    "OnlineProbe",
    "PooledClassifier",
    "ProbeProtocol",
    "Probes",
    "Ridge",
    "SGDClassifier",
    "accuracy",
    "consolidation",
    "correct",
    "fit_probes",
    "get_protocol",
    "keep_labels",
    "parallel_map",
    "probe_accuracies",
    "ranks_in_order",
]
