"""Options that name a stream other than that of a run."""

from __future__ import annotations

import argparse
import os

from avalanche_ssl.cli.stream_choice import add_stream, chosen_stream
from avalanche_ssl.runs.labeled_data import StreamChoice


def chosen(*words: str) -> StreamChoice:
    parser = argparse.ArgumentParser()
    add_stream(parser, "labeled data")
    return chosen_stream(parser.parse_args(words))


def test_the_stream_is_that_of_the_run_or_another() -> None:
    assert chosen() == StreamChoice() and chosen().is_own
    assert chosen("--benchmark-option", "seed=3") == StreamChoice(None, None, {"seed": 3})
    assert chosen("--benchmark", "rotated-digits") == StreamChoice("rotated-digits", None, {})
    assert chosen("--data", "a", "--data", "b") == StreamChoice(None, f"a{os.pathsep}b", {})
    assert chosen("--benchmark-option", "data=a") == StreamChoice(None, "a", {})
