"""Which number format the networks compute in; learned values stay float32 always."""

import time
from contextlib import AbstractContextManager
from typing import Literal

import torch

Precision = Literal["auto", "bf16", "fp32"]
_PROBE_SIZE = 384
_WORTH_IT = 1.5  # how many times faster bf16 products must be


def resolved(precision: Precision, device: torch.device) -> Precision:
    """Turn "auto" into "bf16" or "fp32", by a measurement of some milliseconds on a CPU."""
    if precision != "auto":
        return precision
    if device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported() else "fp32"
    if device.type != "cpu":
        return "fp32"
    full, half = _product_s(torch.float32), _product_s(torch.bfloat16)
    return "bf16" if full > _WORTH_IT * half else "fp32"


def autocast(precision: Precision, device: torch.device) -> AbstractContextManager[object]:
    """Compute matrix products in this format; "fp32" leaves everything as it is."""
    return torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16")


def _product_s(dtype: torch.dtype) -> float:
    """Seconds of the fastest of some matrix products."""
    matrix = torch.ones(_PROBE_SIZE, _PROBE_SIZE, dtype=dtype)
    durations_s = []
    for _ in range(5):
        start = time.perf_counter()
        torch.mm(matrix, matrix)
        durations_s.append(time.perf_counter() - start)
    return min(durations_s)
