"""Which number format the networks compute in; learned values stay float32 always."""

from contextlib import AbstractContextManager
from typing import Literal

import torch

Precision = Literal["auto", "bf16", "fp32"]
# Where a CPU has none of these, PyTorch emulates bf16 products, slower than float32 ones.
_BF16_PRODUCTS = ("amx_bf16", "avx512_bf16")


def resolved(precision: Precision, device: torch.device) -> Precision:
    """Turn "auto" into "bf16" or "fp32", by what the device can do.

    The same machine always gives the same answer, however busy it is: the answer decides the
    result.
    """
    if precision != "auto":
        return precision
    if device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported() else "fp32"
    if device.type != "cpu":
        return "fp32"
    capabilities = torch.cpu.get_capabilities()
    return "bf16" if any(capabilities.get(name) for name in _BF16_PRODUCTS) else "fp32"


def autocast(precision: Precision, device: torch.device) -> AbstractContextManager[object]:
    """Compute matrix products in this format; "fp32" leaves everything as it is."""
    return torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16")
