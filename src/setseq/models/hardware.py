"""What the settings of the hardware come to on this computer, and what they do to a network."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import nn

from setseq.config import HardwareSettings
from setseq.errors import SettingsError
from setseq.models.quantize import (
    PACKAGES,
    Store,
    check_package,
    in_main_memory,
    quantized,
    sketched,
    store_blocks,
)

Attention = Literal["any", "masked", "fixed"]
_FLASH = ("flash", "_flash_3", "_native_flash")  # kernels that take no mask


@dataclass(frozen=True, kw_only=True)
class Hardware:
    """Where networks go, and in which format.

    Attributes:
        device: of all networks.
        dtype: of the weights of denoiser and text encoders. The autoencoder's are float32 always
            (our choice: it is small, and all that is learned stands on its latents).
        settings: the rest.
    """

    device: torch.device
    dtype: torch.dtype
    settings: HardwareSettings

    @property
    def differs(self) -> dict[str, Any]:
        """What of it changes a result beyond rounding: the weights, where they are not float32."""
        return {} if self.dtype == torch.float32 else {"weights": self.weights}

    @property
    def text_device(self) -> torch.device:
        """Where text encoders are."""
        return torch.device("cpu") if self.settings.text_on_cpu else self.device

    @property
    def weights(self) -> str:
        """The weights' format, as resolved."""
        given = self.settings.weights
        if given in PACKAGES:
            return given
        return "fp32" if self.dtype == torch.float32 else "bf16"


def hardware_of(settings: HardwareSettings, *, is_dry: bool = False) -> Hardware:
    """Resolve what is "auto".

    Args:
        settings: as given.
        is_dry: for a dry run, which needs no package.

    Raises:
        SettingsError: the device is not there, or a package.
    """
    device = _device(settings.device)
    weights = settings.weights
    if weights in PACKAGES and not is_dry:
        check_package("weights", weights, PACKAGES[weights])
    if weights == "auto":
        has_bf16 = device.type == "cuda" and torch.cuda.is_bf16_supported()
        weights = "bf16" if has_bf16 else "fp32"
    dtype = torch.float32 if weights == "fp32" else torch.bfloat16
    return Hardware(device=device, dtype=dtype, settings=settings)


def check_attention(chosen: str, allowed: Attention, family: str) -> None:
    """See to it that a family's network can use the chosen backend, before it is read.

    Args:
        chosen: the setting.
        allowed: what the network's attention takes: any backend; those that read a mask, for it
            hides the padding of prompts; or none, for it calls PyTorch's own.
        family: the architecture's name.

    Raises:
        SettingsError: it cannot, or the backend's package is not here.
    """
    if chosen in ("auto", "native"):
        return
    if allowed == "fixed":
        raise SettingsError(
            f"setting attention is {chosen!r}, and the network of {family} takes no other than"
            " PyTorch's; give auto"
        )
    if chosen in _FLASH and allowed == "masked":
        raise SettingsError(
            f"setting attention is {chosen!r}, whose kernel takes no mask, and {family} hides the"
            " padding of prompts by one; give auto, native, flex or xformers"
        )
    from diffusers.models.attention_dispatch import attention_backend

    with _refused(chosen), attention_backend(chosen):
        pass


def prepare_autoencoder(network: Any, hardware: Hardware) -> Any:
    """An autoencoder with or without tiles; one that knows none stays as it is."""
    if hardware.settings.tiled_autoencoder and hasattr(network, "enable_tiling"):
        network.enable_tiling()
    return network


def prepare(network: Any, hardware: Hardware, *, is_dry: bool = False) -> Any:
    """A denoiser as it was read, on the CPU, made ready for its device.

    Args:
        network: frozen, in eval mode.
        hardware: what is asked for.
        is_dry: for a dry run: formats are only sketched.
    """
    if store := _store(hardware, is_dry=is_dry):
        store_blocks(network, store, device=hardware.device, dtype=hardware.dtype)
    return switch(network if is_dry else network.to(hardware.device), hardware)


def switch(network: Any, hardware: Hardware) -> Any:
    """Set how a network on its device computes.

    Raises:
        SettingsError: the attention's backend cannot be used here.
    """
    settings = hardware.settings
    if settings.gradient_checkpointing:
        network.enable_gradient_checkpointing()
    if settings.attention != "auto":
        _set_attention(network, settings.attention)
    if settings.compile:
        for child in network.children():
            for block in child if isinstance(child, nn.ModuleList) else ():
                block.compile()
    return network


def _set_attention(network: Any, chosen: str) -> None:
    from diffusers.models.attention_dispatch import attention_backend

    with _refused(chosen), attention_backend():  # which diffusers would leave set for all networks
        network.set_attention_backend(chosen)


@contextmanager
def _refused(chosen: str) -> Iterator[None]:
    """What diffusers says of a backend that it cannot use, as one line."""
    try:
        yield
    except (ImportError, RuntimeError, ValueError) as error:
        text = " ".join(str(error).split())
        raise SettingsError(
            f"setting attention is {chosen!r}, which cannot be used here: {text}"
        ) from error


def _store(hardware: Hardware, *, is_dry: bool) -> Store | None:
    """How the weights of the blocks are kept, where it is not as they are."""
    if hardware.weights in PACKAGES:
        return (
            sketched(hardware.weights) if is_dry else quantized(hardware.weights, hardware.device)
        )
    if hardware.settings.offload:
        return sketched("offload") if is_dry else in_main_memory(hardware.device)
    return None


def _device(name: str) -> torch.device:
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if name == "auto":
        return torch.device("cuda" if count else "cpu")
    device = torch.device(name)
    if device.type == "cuda" and (device.index or 0) >= count:
        raise SettingsError(
            f"setting device is {name!r}, and PyTorch sees {count} GPUs of CUDA or ROCm here; give"
            " cpu, or install a PyTorch that was built for the GPU"
        )
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise SettingsError("setting device is 'mps', and there is no Apple GPU here; give cpu")
    return device
