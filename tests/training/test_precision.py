"""The precision that suits a machine."""

import pytest
import torch

from avalanche_ssl.training import precision

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("native", "bf16_seconds", "chosen"),
    [(True, 0.5, "bf16"), (True, 0.95, "fp32"), (True, 1.3, "fp32"), (False, 0.5, "fp32")],
)
def test_bf16_is_taken_where_it_is_native_and_clearly_faster(monkeypatch, native, bf16_seconds, chosen):
    for check in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"):
        monkeypatch.setattr(torch.cpu, check, lambda: native, raising=False)
    monkeypatch.setattr(precision, "_convolution", lambda dtype: dtype)
    monkeypatch.setattr(precision, "_seconds", {torch.float32: 1.0, torch.bfloat16: bf16_seconds}.__getitem__)
    assert precision.fastest_precision(CPU) == chosen


def test_a_slow_round_decides_nothing(monkeypatch):
    seconds = {torch.float32: iter([9.0, 1.0, 1.0, 1.0]), torch.bfloat16: iter([0.5, 0.5, 0.5, 9.0])}
    monkeypatch.setattr(precision, "_convolution", lambda dtype: dtype)
    monkeypatch.setattr(precision, "_seconds", lambda dtype: next(seconds[dtype]))
    assert precision._faster_in_bf16()


@pytest.mark.parametrize(
    ("bf16_seconds", "rounds", "faster"),
    [(0.5, 2, True), (0.7, 4, True), (0.95, 4, False), (1.3, 4, False), (2, 2, False)],
)
def test_two_rounds_suffice_where_the_answer_is_clear(monkeypatch, bf16_seconds, rounds, faster):
    """1.5 times the tenth that casts may cost, either way; in between it takes four."""
    measured = []
    monkeypatch.setattr(precision, "_convolution", lambda dtype: dtype)
    monkeypatch.setattr(
        precision, "_seconds", lambda dtype: measured.append(dtype) or {torch.float32: 1.0}.get(dtype, bf16_seconds)
    )
    assert precision._faster_in_bf16() == faster
    assert measured == [torch.float32, torch.bfloat16] * rounds


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_what_is_measured_is_a_step_that_draws_nothing(dtype):
    before = torch.get_rng_state()
    of_images, of_weights = precision._convolution(dtype)()
    assert (of_images.dtype, of_images.shape, of_weights.shape) == (dtype, (32, 128, 16, 16), (128, 128, 3, 3))
    assert torch.equal(torch.get_rng_state(), before)
