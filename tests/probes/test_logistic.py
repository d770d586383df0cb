"""Logistic regression against scikit-learn."""

import warnings

import numpy as np
import pytest
from helpers.features import TRAIN, fitted, overlapping
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression as SklearnLogistic
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from avalanche_ssl.errors import UsageError
from avalanche_ssl.probes.logistic import LogisticRegression


@pytest.mark.parametrize("classes", [2, 5])
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_logistic_regression_equals_scikit_learns(classes):
    train, x = overlapping(400, 0, classes), overlapping(300, 1, classes)[0]
    theirs = make_pipeline(StandardScaler(), SklearnLogistic(C=0.1, max_iter=500)).fit(train[0].double(), train[1])
    ours = fitted(LogisticRegression(c=0.1, max_iter=500), train, classes)(x)
    np.testing.assert_allclose(ours.softmax(1), theirs.predict_proba(x.double()), atol=2e-3)
    assert (ours.argmax(1).numpy() == theirs.predict(x.double())).mean() > 0.995


def test_warnings_of_scikit_learn_stay_inside():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fitted(LogisticRegression(max_iter=1))
    with pytest.warns(ConvergenceWarning):
        SklearnLogistic(max_iter=1).fit(*TRAIN)


def test_a_penalty_below_zero_is_refused():
    with pytest.raises(UsageError, match="give a number above 0"):
        LogisticRegression(c=-1)
