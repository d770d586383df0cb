"""Classifiers fitted on frozen features, and the named protocols that use them."""

from avalanche_ssl.probes.knn import KNN
from avalanche_ssl.probes.logistic import LogisticRegression
from avalanche_ssl.probes.nearest_mean import NearestClassMean
from avalanche_ssl.probes.protocols import PROTOCOLS, ProbeProtocol, get_protocol
from avalanche_ssl.probes.ridge import Ridge
from avalanche_ssl.probes.scopes import SCOPES, consolidation, fit_probes, probe_accuracies
from avalanche_ssl.probes.sgd import SGDClassifier

__all__ = [
    "KNN",
    "LogisticRegression",
    "NearestClassMean",
    "PROTOCOLS",
    "ProbeProtocol",
    "Ridge",
    "SCOPES",
    "SGDClassifier",
    "consolidation",
    "fit_probes",
    "get_protocol",
    "probe_accuracies",
]
