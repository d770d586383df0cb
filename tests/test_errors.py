"""Errors name the value and the remedy."""

import math

import pytest

from avalanche_ssl.errors import UsageError, require_positive, require_range, unknown_name


def test_an_unknown_name_gets_the_nearest_one() -> None:
    assert str(unknown_name("strategy", "cmx", ["cmc", "moco"])) == "no strategy 'cmx': did you mean 'cmc'? (cmc, moco)"
    assert (
        str(unknown_name("strategy", "MoCo", ["cmc", "moco"])) == "no strategy 'MoCo': did you mean 'moco'? (cmc, moco)"
    )
    assert str(unknown_name("strategy", "zzz", ["cmc"])) == "no strategy 'zzz': choose one (cmc)"
    assert str(unknown_name("strategy", "zzz", [])) == "no strategy 'zzz': choose one (none)"


def test_numbers_out_of_their_range_are_refused() -> None:
    require_positive(lr=0.1)
    require_range(0, 1, momentum=1)
    with pytest.raises(UsageError, match="setting 'b' is 0: give a number above 0"):
        require_positive(a=1, b=0)
    for number in (-0.1, 1.1, math.nan):
        with pytest.raises(UsageError, match=r"setting 'momentum' is \S+: give a number from 0 to 1"):
            require_range(0, 1, momentum=number)
    with pytest.raises(UsageError, match="setting 'freeze' is -1: give 0 or more"):
        require_range(0, freeze=-1)


def test_infinite_numbers_are_refused_though_they_are_above_0() -> None:
    with pytest.raises(UsageError, match="setting 'temperature' is inf: give a finite number above 0"):
        require_positive(temperature=math.inf)
    with pytest.raises(UsageError, match="setting 'weight' is inf: give a finite number, 0 or more"):
        require_range(0, weight=math.inf)
    with pytest.raises(UsageError, match="setting 'momentum' is inf: give a number from 0 to 1"):
        require_range(0, 1, momentum=math.inf)
