"""Encoders that start from given weights, and weights that do not fit."""

from pathlib import Path

import pytest
import torch

from avalanche_ssl.errors import UsageError
from avalanche_ssl.methods import MoCo
from avalanche_ssl.models import MIN_SHARE, initialized, load_weights, resnet9, resnet18, smallconv


@pytest.fixture(autouse=True)
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_every_tensor_of_a_file_is_loaded() -> None:
    given, own = smallconv(), smallconv()
    torch.save(given.state_dict(), "e.pt")
    match = load_weights(own, "e.pt")
    assert (match.taken, match.total) == (20, 20) and str(
        match
    ) == "20 of 20 tensors of the encoder (names of: this package)"
    assert all(torch.equal(value, given.state_dict()[name]) for name, value in own.state_dict().items())


def test_part_of_it_is_loaded_with_a_word() -> None:
    torch.save(resnet18(width=8, stem="imagenet").state_dict(), "e.pt")
    own = resnet18(width=8)
    stem = own.state_dict()["stages.0.0.weight"].clone()
    with pytest.warns(
        UserWarning, match=r"weights e.pt: 99 of 100 tensors .*stages.0.0.weight \(has 8x3x3x3, in the file 8x3x7x7\)"
    ):
        load_weights(own, "e.pt")
    assert torch.equal(own.state_dict()["stages.0.0.weight"], stem)


def test_weights_that_do_not_fit_are_refused_by_number_and_name() -> None:
    own = resnet9()
    before = {name: value.clone() for name, value in own.state_dict().items()}
    torch.save(resnet18(stem="imagenet").state_dict(), "e.pt")
    with pytest.raises(UsageError) as error:
        load_weights(own, "e.pt")
    text = str(error.value)
    assert text.startswith("the weights e.pt do not fit the encoder: 0 of 60 tensors, and 90% are needed; ")
    assert (
        "stages.0.0.weight (has 32x3x3x3, in the file 64x3x7x7), stages.0.1.weight (has 32, in the file 64), " in text
    )
    assert "stages.0.1.bias (has 32, in the file 64) and 57 more; the file has stages.0.0.weight," in text
    assert "\n" not in text and all(torch.equal(before[n], v) for n, v in own.state_dict().items())


def test_the_share_is_what_is_stated() -> None:
    state = smallconv().state_dict()
    for missing, fits in ((["stages.0.0.weight", "stages.0.1.weight"], True), (list(state)[:3], False)):
        torch.save({name: value for name, value in state.items() if name not in missing}, "e.pt")
        if fits:  # 18 of 20
            assert MIN_SHARE == 0.9
            with pytest.warns(UserWarning, match="18 of 20"):
                load_weights(smallconv(), "e.pt")
            continue
        with pytest.raises(UsageError, match="17 of 20"):
            load_weights(smallconv(), "e.pt")
        with pytest.warns(UserWarning, match="17 of 20"):
            load_weights(smallconv(), "e.pt", min_share=0.5)


def test_a_file_without_tensors_is_refused_at_any_share() -> None:
    torch.save({"epoch": 3}, "e.pt")
    with pytest.raises(UsageError, match=r"0 of 20 tensors.*stages.0.0.weight \(not in the file\)"):
        load_weights(smallconv(), "e.pt", min_share=0)


def test_weights_that_are_not_finite() -> None:
    state = smallconv().state_dict()
    state["stages.1.0.weight"][0, 0, 0, 0] = float("nan")
    torch.save(state, "e.pt")
    with pytest.raises(UsageError, match=r"the weights e.pt are not finite: stages.1.0.weight; give other weights"):
        load_weights(smallconv(), "e.pt")


def test_half_precision_becomes_that_of_the_network() -> None:
    given = smallconv()
    torch.save({name: t.half() if t.is_floating_point() else t for name, t in given.state_dict().items()}, "e.pt")
    own = smallconv()
    load_weights(own, "e.pt")
    assert own.stages[1][0].weight.dtype is torch.float32
    assert torch.equal(own.stages[1][0].weight, given.stages[1][0].weight.half().float())


def test_a_factory_of_initialized_encoders_reaches_the_momentum_encoder() -> None:
    given = smallconv(width=4)
    torch.save(given.state_dict(), "e.pt")
    method = MoCo(initialized(lambda *a, **k: smallconv(*a, width=4, **k), "e.pt"), queue_size=64)
    for name, value in given.state_dict().items():
        assert torch.equal(method.encoder.state_dict()[name], value)
        assert torch.equal(method.momentum_encoder.copy[0].state_dict()[name], value)
