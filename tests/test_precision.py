"""What "auto" becomes is decided by the machine alone, so that a seed gives one result on it."""

import pytest
import torch

from setseq.precision import autocast, resolved

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("capabilities", "expected"),
    [
        ({"amx_tile": True, "amx_bf16": True, "avx512_bf16": True}, "bf16"),
        ({"amx_bf16": False, "avx512_bf16": True}, "bf16"),
        ({"amx_bf16": False, "avx512_bf16": False, "avx512_f": True, "avx2": True}, "fp32"),
        ({"avx2": True}, "fp32"),
        ({}, "fp32"),
    ],
)
def test_auto_is_bf16_where_the_cpu_multiplies_it_natively(monkeypatch, capabilities, expected):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities)
    assert resolved("auto", CPU) == expected


def test_a_precision_that_is_asked_for_is_kept(monkeypatch):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"amx_bf16": True})
    assert resolved("fp32", CPU) == "fp32"
    monkeypatch.setattr(torch.cpu, "get_capabilities", dict)
    assert resolved("bf16", CPU) == "bf16"


@pytest.mark.parametrize(
    ("precision", "dtype"), [("bf16", torch.bfloat16), ("fp32", torch.float32)]
)
def test_products_are_computed_in_the_precision(precision, dtype):
    with autocast(precision, CPU):
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == dtype
