"""Folded text padding equals the plain 512 rows."""

from typing import Any

import pytest
import torch

from setseq.models.attention import WanProcessor
from setseq.models.folding import FoldedPadding, fold_padding, install_folded_padding
from tests.tiny import tiny_transformer

LENGTHS = [0, 3, 7]


def _inputs(total: int = 512):
    generator = torch.Generator().manual_seed(1)
    latents = torch.randn(3, 4, 2, 4, 4, generator=generator)
    padded = torch.zeros(3, total, 16)
    for row, length in zip(padded, LENGTHS, strict=True):
        row[:length] = torch.randn(length, 16, generator=generator)
    return latents, torch.tensor([10.0, 500.0, 990.0]), padded


@torch.no_grad()
def test_folded_rows_equal_the_plain_512_rows():
    model = tiny_transformer()
    latents, time, padded = _inputs()
    plain = model(latents, time, padded, return_dict=False)[0]
    folding = install_folded_padding(model)
    rows, folding.bias = fold_padding(padded, LENGTHS)
    assert rows.shape == (3, 8, 16)
    torch.testing.assert_close(
        model(latents, time, rows, return_dict=False)[0], plain, atol=1e-5, rtol=0
    )


@torch.no_grad()
def test_without_bias_the_plain_rows_give_the_plain_result():
    model = tiny_transformer()
    latents, time, padded = _inputs(20)
    plain = model(latents, time, padded, return_dict=False)[0]
    install_folded_padding(model)
    torch.testing.assert_close(model(latents, time, padded, return_dict=False)[0], plain)


@torch.no_grad()
def test_one_prompt_serves_a_whole_batch():
    model = tiny_transformer()
    latents, time, padded = _inputs()
    folding = install_folded_padding(model)
    rows, bias = fold_padding(padded[2:], LENGTHS[2:])
    folding.bias = bias.expand(3, -1)
    expected = model(latents, time, rows.expand(3, -1, -1), return_dict=False)[0]
    folding.bias = bias
    torch.testing.assert_close(model(latents, time, rows, return_dict=False)[0], expected)


@torch.no_grad()
def test_long_sequences_take_the_fused_kernel_with_the_same_result(
    monkeypatch: pytest.MonkeyPatch,
):
    model = tiny_transformer()
    latents, time, padded = _inputs()
    folding = install_folded_padding(model)
    rows, folding.bias = fold_padding(padded, LENGTHS)
    short = model(latents, time, rows, return_dict=False)[0]
    monkeypatch.setattr("setseq.models.attention._MATMUL_LIMIT", 0)
    torch.testing.assert_close(model(latents, time, rows, return_dict=False)[0], short)


@pytest.mark.parametrize(("device", "dtype"), [("cpu", torch.float32), ("meta", torch.bfloat16)])
@torch.no_grad()
def test_attention_is_in_float32_on_a_cpu_alone(
    monkeypatch: pytest.MonkeyPatch, device: str, dtype: torch.dtype
):
    attention: Any = tiny_transformer().blocks[0].attn1.to(device)
    for projection in (attention.to_q, attention.to_k, attention.to_v, attention.to_out):
        projection.to(torch.bfloat16)
    if device != "cpu":
        attention.to(torch.bfloat16)
    seen = set()

    def attend(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, bias: None):
        seen.update((query.dtype, key.dtype, value.dtype))
        return value

    monkeypatch.setattr("setseq.models.attention._attend", attend)
    WanProcessor(FoldedPadding())(attention, torch.ones(1, 4, 24, device=device).bfloat16())
    assert seen == {dtype}


@torch.no_grad()
def test_removal_leaves_the_model_bit_equal():
    model = tiny_transformer()
    latents, time, padded = _inputs(20)
    keys = set(model.state_dict())
    plain = model(latents, time, padded, return_dict=False)[0]
    install_folded_padding(model).remove()
    assert torch.equal(model(latents, time, padded, return_dict=False)[0], plain)
    assert set(model.state_dict()) == keys


def test_a_prompt_that_fills_all_rows_needs_no_padding_row():
    rows, bias = fold_padding(torch.ones(1, 5, 2), [5], total=5)
    assert rows.shape == (1, 5, 2)
    assert not bias.any()


def test_a_prompt_longer_than_the_padding_is_refused():
    with pytest.raises(ValueError, match="more than the 4"):
        fold_padding(torch.ones(1, 5, 2), [5], total=4)
