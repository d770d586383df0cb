"""Statistics that add up over experiences, against numpy; and the check of labeled features."""

import numpy as np
import pytest
import torch
from helpers.features import clusters

from avalanche_ssl.probes.class_statistics import ClassStatistics, gram, labeled_rows


def test_statistics_add_up_whatever_the_cut_and_the_chunk():
    x, y = clusters(301, range(4))
    full = ClassStatistics.from_features(x, y, 4)
    for statistics in (
        ClassStatistics.from_features(x[:100], y[:100], 4) + ClassStatistics.from_features(x[100:], y[100:], 4),
        ClassStatistics.from_features(x, y, 4, chunk=64),
        full + ClassStatistics.from_features(x[:0], y[:0], 4),
    ):
        assert torch.equal(statistics.counts, full.counts)
        torch.testing.assert_close(statistics.sums, full.sums, rtol=1e-12, atol=1e-9)
        torch.testing.assert_close(statistics.scatter, full.scatter, rtol=1e-9, atol=1e-6)
    np.testing.assert_allclose(full.scatter / 301, np.cov(x.numpy().T, ddof=0), rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(full.mean, x.mean(0))


def test_the_gram_matrix_is_that_of_the_rows():
    x, _ = clusters(30, range(3))
    torch.testing.assert_close(gram(x), x.T @ x)


def test_only_rows_with_a_label_are_kept():
    x, y = clusters(30, range(3))
    unknown = torch.arange(30) % 3 == 0
    rows, labels = labeled_rows(x, y.masked_fill(unknown, -1).int(), 3)
    assert torch.equal(rows, x[~unknown]) and torch.equal(labels, y[~unknown])


def test_bad_data_is_refused_with_one_clear_line():
    x, y = clusters(20, range(3))
    with pytest.raises(ValueError, match="label 2 is not among 2 classes"):
        labeled_rows(x, y.clamp(min=2), 2)
    with pytest.raises(ValueError, match=r"\(20, 24\) and \(19,\)"):
        labeled_rows(x, y[:-1], 3)
    with pytest.raises(ValueError, match=r"1 of 20 images have NaN.*diverged"):
        labeled_rows(x.index_fill(0, torch.tensor([4]), torch.nan), y, 3)
