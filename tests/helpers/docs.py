"""The code that the documents show."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def block(file: str, text: str) -> str:
    """The first block of Python in a file that holds a text."""
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / file).read_text(encoding="utf-8"), re.DOTALL)
    return next(b for b in blocks if text in b)
