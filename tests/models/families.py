"""What the matrix of tests needs to know of each family."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from setseq.formats.peft_keys import Program
from setseq.models.base import Geometry


def _load_one(pipeline: Any, folder: Path) -> None:
    pipeline.load_lora_weights(str(folder), weight_name="lora.safetensors")


def _guided(pipeline: Any, guidance: float) -> dict[str, Any]:
    return {"guidance_scale": guidance}


@dataclass(frozen=True, kw_only=True)
class Family:
    """One family's tiny pipeline of the true classes.

    Attributes:
        name: of the family or its version.
        save: writes the pipeline folder and returns it.
        pipeline: class of the real pipeline.
        layers: that carry a concept.
        frames: of the tests' clips; ``size`` are their pixels.
        batch: samples a step, enough for every layer to learn in one.
        steps: of the comparison of samplers; ``guidance`` likewise.
        call: what its call takes beside prompt, size, steps and noise.
        idle: layers whose output the network never uses.
        load_lora: loads lora.safetensors of a folder; ``unload_lora`` takes it out.
        programs: whose files the pipeline reads.
        backends: of attention, of those that are tried, that it can use.
        guided: what the call takes for guidance.
        packed: puts latents (b, c, f, h, w) into the pipeline's form; ``unpacked`` back.
    """

    name: str
    save: Callable[[Path], Path]
    pipeline: Callable[[], Any]
    layers: int
    frames: int = 5
    size: int = 32
    batch: int = 2
    steps: int = 4
    call: Mapping[str, Any] = field(default_factory=dict)
    guidance: float = 4.0
    idle: tuple[str, ...] = ()
    programs: tuple[Program, ...] = ("diffusers",)
    backends: tuple[str, ...] = ("_native_math",)
    load_lora: Callable[[Any, Path], None] = _load_one
    unload_lora: Callable[[Any], None] = lambda pipeline: pipeline.unload_lora_weights()
    guided: Callable[[Any, float], dict[str, Any]] = _guided
    packed: Callable[[torch.Tensor], torch.Tensor] = lambda x: x
    unpacked: Callable[[torch.Tensor, Geometry], torch.Tensor] = lambda x, geometry: x

    def __str__(self) -> str:
        return self.name
