"""Where a bench computes: number formats that hold for all of it, and the device of each part.

A bench may go on on another device, with other rounding, as every record says. It never goes on in
another number format: that would show in the comparison.
"""

from __future__ import annotations

import math
import platform
from collections.abc import Iterable

import torch

from setseq.bench.settings import BenchSettings
from setseq.config import GenerateSettings, HardwareSettings
from setseq.evaluation.encoders import TOYBOX
from setseq.models.base import VideoModel
from setseq.models.registry import load_model
from setseq.precision import Precision, resolved

_PLACES_AT_ONCE = 2**13  # of latents in a GPU's pass: with few it does little but start kernels


def load_base(settings: BenchSettings) -> VideoModel:
    """The base, where the settings want it.

    The toybox's "auto" weights are fp32 on every device (our choice: they are small, and what a
    GPU has not finished a CPU can).

    Raises:
        BaseModelError: It cannot be loaded.
        SettingsError: The device is not there, or a package that the hardware's settings need.
    """
    hardware = HardwareSettings.resolve(settings.hardware)
    model = load_model(settings.base, hardware=hardware)
    if hardware.weights == "auto" and model.id == TOYBOX:
        hardware = hardware.model_copy(update={"weights": "fp32"})
        return load_model(settings.base, hardware=hardware)
    return model


def formats_of(model: VideoModel, precisions: Iterable[Precision]) -> dict[str, str]:
    """The number formats of the weights and, of all these settings, of products."""
    products = {resolved(precision, model.device) for precision in precisions}
    return {"weights": model.hardware.weights, "precision": " and ".join(sorted(products))}


def device_name(device: torch.device) -> str:
    """A device as people know it."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    if device.type != "cpu":
        return device.type
    name = torch.cpu.get_capabilities().get("cpu_name") or platform.machine()
    return f"CPU ({name})"


def shown_at_once(model: VideoModel, settings: GenerateSettings) -> int:
    """How many videos of these settings are sampled together.

    One on a CPU, where more are no faster; on a GPU as many as keep it at work.
    """
    if model.device.type == "cpu":
        return 1
    shape = model.geometry.latent_shape(settings.num_frames, settings.height, settings.width)
    return max(1, _PLACES_AT_ONCE // math.prod(shape[1:]))
