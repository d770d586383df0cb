"""The benchmark of several processes: its tables, and mistakes in one line."""

import pytest
import scaling

SMALL = ["--encoder", "smallconv", "--batch-size", "8", "--steps", "1", "--rounds", "1"]


@pytest.mark.slow
def test_the_table_has_a_row_for_each_number_of_processes(capsys):
    assert scaling.main(["--processes", "1,2", "--weak", *SMALL]) == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines() if line.split()[:1] in (["1"], ["2"])]
    assert [row[0] for row in rows] == ["1", "2"]
    assert [row[1] for row in rows] == ["8", "16"]
    assert rows[0][5:7] == ["100%", "(100%-100%)"]
    assert float(rows[0][-2]) == 0 and float(rows[1][-2]) > 4, "collectives"
    assert float(rows[0][-1]) == 0 and float(rows[1][-1]) > 0, "MB"


@pytest.mark.parametrize("numbers", ["2,4", "1,x", "0", ""])
def test_numbers_begin_with_one(numbers, capsys):
    assert scaling.main(["--processes", numbers]) == 2
    assert f"--processes is '{numbers}': give numbers that begin with 1" in capsys.readouterr().err


@pytest.mark.slow
def test_what_fails_in_a_process_is_one_line(capsys):
    assert scaling.main(["--processes", "1", "--strategy", "simclrr", *SMALL]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and "did you mean 'simclr'" in error
