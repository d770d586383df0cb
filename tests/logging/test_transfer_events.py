"""Events of the log of `avalanche-ssl probe` are written and read back."""

import json
from pathlib import Path

from avalanche_ssl.logging import JSONLinesLogger, TransferAccuracyEvent, TransferEndEvent, TransferEvent, parse


def test_the_log_of_a_transfer_is_read_back(tmp_path: Path) -> None:
    events = [
        TransferEvent(run="runs/a", settings={"benchmark": "split-digits", "probes": ["ridge"]}),
        TransferAccuracyEvent(encoder="untrained", probe="ridge", accuracy=0.5),
        TransferEndEvent(chance=0.1, images=50, images_tested=200, seconds=1.5),
    ]
    write = JSONLinesLogger(tmp_path / "log.jsonl")
    for event in events:
        write(event)
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [line["event"] for line in lines] == ["transfer", "transfer_accuracy", "transfer_end"]
    assert [parse(line) for line in lines] == events
