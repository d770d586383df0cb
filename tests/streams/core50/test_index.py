"""The frames that are there are compared with those of the complete data set."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers.core50 import ours

pytestmark = pytest.mark.filterwarnings(r"ignore:.*of CORe50's 164,866 frames:UserWarning")


def test_other_counts_are_told(plain: Path) -> None:
    with pytest.warns(
        UserWarning,
        match=r"has 1,100 of CORe50's 164,866 frames \(s1 100 of 14,989, s2 .*, s3 100 of 14,992, \.\.\.\): results",
    ) as caught:
        ours(plain, "ni")
    assert len(caught) == 1 and "\n" not in str(caught[0].message)
