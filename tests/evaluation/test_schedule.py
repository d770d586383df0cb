"""Numbers of images seen at which to probe."""

import pytest

from avalanche_ssl.errors import UsageError
from avalanche_ssl.evaluation import ProbeSchedule


def test_a_schedule_is_parsed_and_passed() -> None:
    assert ProbeSchedule.parse("10") == ProbeSchedule(every=10)
    assert ProbeSchedule.parse("5,7") == ProbeSchedule(at=(5, 7))
    assert ProbeSchedule.parse("") == ProbeSchedule()
    passed = [now for now in range(4, 41, 4) if ProbeSchedule(every=10).passed(now - 4, now)]
    assert passed == [12, 20, 32, 40]
    assert [now for now in range(4, 41, 4) if ProbeSchedule(at=(1, 8, 9)).passed(now - 4, now)] == [4, 8, 12]
    assert not ProbeSchedule().passed(0, 10**9)


def test_the_numbers_in_a_range_are_counted() -> None:
    assert [ProbeSchedule(every=5).count(*span) for span in ((0, 10), (0, 9), (5, 10), (5, 5))] == [2, 1, 1, 0]
    assert ProbeSchedule(at=(1, 8, 9)).count(1, 8) == 1
    assert ProbeSchedule().count(0, 10**9) == 0


@pytest.mark.parametrize("wrong", ["x", "0", "5,", "-3", "1.5"])
def test_what_is_no_schedule_is_refused(wrong: str) -> None:
    with pytest.raises(UsageError, match="is no probe schedule: give"):
        ProbeSchedule.parse(wrong)


def test_a_number_is_no_schedule() -> None:
    assert ProbeSchedule.check(None) is None
    assert ProbeSchedule.check(ProbeSchedule(every=5)) == ProbeSchedule(every=5)
    with pytest.raises(UsageError, match=r"schedule is 20: give ProbeSchedule\(every=5000\)"):
        ProbeSchedule.check(20)  # type: ignore[arg-type]
