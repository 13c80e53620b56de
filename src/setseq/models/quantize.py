"""Frozen weights in fewer bytes, or in main memory: the linear layers of a network's blocks.

They are nearly all of a video transformer; what is around the blocks stays as it is. torchao makes
int8 and fp8 (a scale for each row), bitsandbytes nf4 (a scale for 64 numbers).
"""

import importlib.util
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from setseq.errors import SettingsError
from setseq.lora.fetched import Fetch, FetchedLinear

PACKAGES = {"int8": "torchao", "fp8": "torchao", "nf4": "bitsandbytes"}
_NF4_BLOCK = 64
Store = Callable[[Tensor], tuple[Tensor, Fetch]]


def check_package(setting: str, value: str, package: str) -> None:
    """See to it that an optional package is there.

    Raises:
        SettingsError: it is not; the message says how to install it.
    """
    if importlib.util.find_spec(package) is None:
        raise SettingsError(
            f"setting {setting} is {value!r}, which needs the package {package}; install it with"
            " `pip install 'setseq[quantize]'`"
        )


def store_blocks(
    network: nn.Module, store: Store, *, device: torch.device, dtype: torch.dtype
) -> None:
    """Replace every linear layer in the network's lists of blocks by one that fetches its weight.

    Args:
        network: on the CPU; each weight goes to the device alone.
        store: from a weight (out, in) to what is kept of it, and how the weight comes back.
        device: where the layers compute.
        dtype: that they compute in without autocast.
    """
    for child in network.children():
        if not isinstance(child, nn.ModuleList):
            continue
        for name, layer in list(child.named_modules()):
            if type(layer) is nn.Linear:
                stored, fetch = store(layer.weight.detach())
                kept = FetchedLinear(layer, stored, fetch, device=device, dtype=dtype)
                child.set_submodule(name, kept)


def quantized(weights: str, device: torch.device) -> Store:
    """The way of a format: "int8", "fp8" or "nf4"."""
    return _as_nf4(device) if weights == "nf4" else _by_torchao(weights, device)


def in_main_memory(device: torch.device) -> Store:
    """The way of offloading: weights stay in main memory, and a copy is sent when it is needed."""

    def store(weight: Tensor) -> tuple[Tensor, Fetch]:
        own = weight.pin_memory() if device.type == "cuda" else weight
        return own, lambda kept, dtype: kept.to(device, non_blocking=True).to(dtype)

    return store


def _by_torchao(weights: str, device: torch.device) -> Store:
    from torchao.quantization import (  # pyright: ignore[reportMissingImports]
        Float8WeightOnlyConfig,
        Int8WeightOnlyConfig,
        quantize_,
    )

    config = Int8WeightOnlyConfig() if weights == "int8" else Float8WeightOnlyConfig()

    def store(weight: Tensor) -> tuple[Tensor, Fetch]:
        alone = nn.Linear(weight.shape[1], weight.shape[0], bias=False, device="meta")
        alone.weight = nn.Parameter(weight.to(device), requires_grad=False)
        quantize_(alone, config)
        return alone.weight.detach(), _dequantized

    return store


def _dequantized(kept: Any, dtype: torch.dtype) -> Tensor:
    return kept.dequantize().to(dtype)


def _as_nf4(device: torch.device) -> Store:
    from bitsandbytes.functional import (  # pyright: ignore[reportMissingImports]
        dequantize_4bit,
        quantize_4bit,
    )

    def store(weight: Tensor) -> tuple[Tensor, Fetch]:
        packed, state = quantize_4bit(weight.to(device), blocksize=_NF4_BLOCK, quant_type="nf4")
        return packed, lambda kept, dtype: dequantize_4bit(kept, state).to(dtype)

    return store


def sketched(weights: str) -> Store:
    """What a format takes in a dry run, where no package is needed: bytes without a meaning."""

    def store(weight: Tensor) -> tuple[Tensor, Fetch]:
        out, inputs = weight.shape
        if weights == "nf4":
            size = weight.numel() // 2 + 4 * (weight.numel() // _NF4_BLOCK)
            return _bytes(size), lambda kept, dtype: kept.new_empty(out, inputs, dtype=dtype)
        if weights == "offload":
            return _bytes(0), lambda kept, dtype: kept.new_empty(out, inputs, dtype=dtype)

        def fetch(kept: Tensor, dtype: torch.dtype) -> Tensor:  # as torchao does: by float32
            return kept.new_empty(out, inputs, dtype=torch.float32).mul(1.0).to(dtype)

        return _bytes(weight.numel() + 5 * out), fetch

    return store


def _bytes(count: int) -> Tensor:
    return torch.empty(count, dtype=torch.uint8)
