"""Sizes in bytes as people write them: "6MB"."""

import re

from avalanche_ssl.errors import UsageError

UNITS = {"B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "KIB": 2**10, "MIB": 2**20, "GIB": 2**30}


def parse_bytes(value: int | str) -> int:
    """A number of bytes from a number or a text: 6000000, "6MB", "1.5 GB", "512 KiB"; a text without unit is in bytes.

    Raises:
        UsageError: the text is no size, or the size is not above 0.
    """
    whole = r"\d{1,3}(?:,\d{3})+|\d[\d_]*"  # a comma stands before three digits, and is no decimal point
    match = re.fullmatch(rf"\s*((?:{whole})(?:\.\d+)?|\.\d+)\s*([a-zA-Z]*)\s*", str(value))
    unit = UNITS.get((match[2] or "B").upper()) if match else None
    if match is None or unit is None or isinstance(value, bool):
        raise UsageError(f"'{value}' is no size: give a number of bytes, such as 6000000, '6MB' or '512 KiB'")
    number = int(float(re.sub("[_,]", "", match[1])) * unit)
    if number < 1:
        raise UsageError(f"'{value}' is no byte: give a number of bytes above 0, such as '6MB'")
    return number


def format_bytes(number: int) -> str:
    """The shortest exact text of a number of bytes: "6 MB", "100 kB", "1,234 B"."""
    for name, unit in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if number >= unit and number % (unit // 10) == 0:
            return f"{number / unit:,.10g} {name}"
    return f"{number:,} B"
