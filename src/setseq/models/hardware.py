"""What the settings of the hardware come to on this computer, and what they do to a network."""

from dataclasses import dataclass
from typing import Any

import torch

from setseq.config import HardwareSettings
from setseq.errors import SettingsError


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
    def weights(self) -> str:
        """The weights' format, as resolved."""
        return "fp32" if self.dtype == torch.float32 else "bf16"


def hardware_of(settings: HardwareSettings) -> Hardware:
    """Resolve what is "auto".

    Raises:
        SettingsError: the device is not there.
    """
    device = _device(settings.device)
    weights = settings.weights
    if weights == "auto":
        has_bf16 = device.type == "cuda" and torch.cuda.is_bf16_supported()
        weights = "bf16" if has_bf16 else "fp32"
    dtype = torch.float32 if weights == "fp32" else torch.bfloat16
    return Hardware(device=device, dtype=dtype, settings=settings)


def prepare_autoencoder(network: Any, hardware: Hardware) -> Any:
    """An autoencoder with or without tiles; one that knows none stays as it is."""
    if hardware.settings.tiled_autoencoder and hasattr(network, "enable_tiling"):
        network.enable_tiling()
    return network


def prepare(network: Any, hardware: Hardware, *, is_placed: bool = False) -> Any:
    """A denoiser as it was read, on the CPU, made ready for its device.

    Args:
        network: frozen, in eval mode.
        hardware: what is asked for.
        is_placed: whether it is on its device already.
    """
    if not is_placed:
        network = network.to(hardware.device)
    if hardware.settings.gradient_checkpointing:
        network.enable_gradient_checkpointing()
    return network


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
