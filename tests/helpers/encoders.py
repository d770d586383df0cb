"""The encoder of most tests."""

from functools import partial

from avalanche_ssl.models.smallconv import smallconv

tiny = partial(smallconv, width=4)
