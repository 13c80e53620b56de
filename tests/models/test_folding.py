"""Folded text padding equals the plain 512 rows."""

import pytest
import torch

from setseq.models.folding import fold_padding, install_folded_padding
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
def test_without_bias_and_after_removal_the_model_is_bit_equal():
    model = tiny_transformer()
    latents, time, padded = _inputs(20)
    keys = set(model.state_dict())
    plain = model(latents, time, padded, return_dict=False)[0]
    folding = install_folded_padding(model)
    assert torch.equal(model(latents, time, padded, return_dict=False)[0], plain)
    folding.remove()
    assert torch.equal(model(latents, time, padded, return_dict=False)[0], plain)
    assert set(model.state_dict()) == keys


def test_a_prompt_that_fills_all_rows_needs_no_padding_row():
    rows, bias = fold_padding(torch.ones(1, 5, 2), [5], total=5)
    assert rows.shape == (1, 5, 2)
    assert not bias.any()


def test_a_prompt_longer_than_the_padding_is_refused():
    with pytest.raises(ValueError, match="more than the 4"):
        fold_padding(torch.ones(1, 5, 2), [5], total=4)
