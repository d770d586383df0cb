"""Events of the log of a detector are written and read back, with precisions that are shares."""

import json
from pathlib import Path

from avalanche_ssl.logging import DetectionEndEvent, DetectionEpochEvent, DetectionEvent, JSONLinesLogger, parse


def test_the_log_of_a_detector_is_read_back(tmp_path: Path) -> None:
    events = [
        DetectionEvent(protocol="full", run="runs/a", settings={"detector": "fcos", "scales": [0.75, 1.0]}),
        DetectionEpochEvent(epoch=1, loss=0.5),
        DetectionEndEvent(ap=0.2, ap50=0.4, ap75=0.1, images=50, images_tested=200, epochs=160, seconds=1.5),
    ]
    write = JSONLinesLogger(tmp_path / "log.jsonl")
    for event in events:
        write(event)
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [line["event"] for line in lines] == ["detection", "detection_epoch", "detection_end"]
    assert [parse(line) for line in lines] == events
