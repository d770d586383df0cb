"""Sizes in bytes as text."""

import pytest

from avalanche_ssl.errors import UsageError
from avalanche_ssl.memory import format_bytes, parse_bytes


@pytest.mark.parametrize(
    "text, number",
    [
        ("6MB", 6_000_000),
        ("1.5 GB", 1_500_000_000),
        ("100 kB", 100_000),
        ("512 KiB", 524_288),
        ("2mib", 2_097_152),
        ("750", 750),
        ("1,000 B", 1000),
        (6_000_000, 6_000_000),
        (2.5e6, 2_500_000),
    ],
)
def test_sizes_are_read(text, number):
    assert parse_bytes(text) == number


@pytest.mark.parametrize("text", ["", "MB", "6XB", "-6MB", "6MB6", True, "1e400", "nan", "1,5 GB", "10,00"])
def test_what_is_no_size_is_refused(text):
    with pytest.raises(UsageError, match=f"'{text}' is no size: give a number of bytes, such as 6000000, '6MB'"):
        parse_bytes(text)


@pytest.mark.parametrize("text", ["0", "0.5 B", 0])
def test_less_than_a_byte_is_refused(text):
    with pytest.raises(UsageError, match="is no byte: give a number of bytes above 0"):
        parse_bytes(text)


@pytest.mark.parametrize(
    "number, text",
    [(6_000_000, "6 MB"), (100_000, "100 kB"), (1_500_000_000, "1.5 GB"), (1234, "1,234 B"), (152_592, "152,592 B")],
)
def test_sizes_are_written_exactly(number, text):
    assert format_bytes(number) == text
    assert parse_bytes(text) == number
