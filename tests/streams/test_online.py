"""Online streams: every image comes once, in mini-batches."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from helpers.streams import images

from avalanche_ssl import streams
from avalanche_ssl.errors import UsageError


@pytest.mark.parametrize("size", [10, 7])
def test_online_sees_every_image_once(on_photographs: Any, size: int) -> None:
    stream = streams.online_stream(on_photographs.train_stream, size, seed=3)
    for experience in on_photographs.train_stream:
        parts = [e for e in stream if e.origin_experience is experience]
        assert sum(len(e.dataset) for e in parts) == len(experience.dataset)
        assert [e.is_first_subexp for e in parts] == [True] + [False] * (len(parts) - 1)
        assert [e.is_last_subexp for e in parts] == [False] * (len(parts) - 1) + [True]
        assert {e.sub_stream_length for e in parts} == {len(parts)}
        assert all(len(e.dataset) == size for e in parts[:-1])
    cut = torch.cat([images(e.dataset) for e in streams.online_stream(on_photographs.train_stream[1], size, seed=3)])
    whole = images(on_photographs.train_stream[1].dataset)
    assert not torch.equal(cut, whole)
    assert torch.equal(cut.flatten(1).unique(dim=0), whole.flatten(1).unique(dim=0))


def test_online_of_one_experience_equals_its_part_of_the_stream(on_photographs: Any) -> None:
    stream = streams.online_stream(on_photographs.train_stream, 200, seed=3)
    part = [e for e in stream if e.origin_experience.current_experience == 2]
    alone = list(streams.online_stream(on_photographs.train_stream[2], 200, seed=3))
    assert all(torch.equal(images(a.dataset), images(b.dataset)) for a, b in zip(part, alone, strict=True))
    other = next(iter(streams.online_stream(on_photographs.train_stream[2], 200, seed=4)))
    assert not torch.equal(images(other.dataset), images(alone[0].dataset))
    with pytest.raises(UsageError, match="experiences of 0 images"):
        streams.online_stream(on_photographs.train_stream, 0)
