"""What the matrix of tests needs to know of each family."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from setseq.models.base import Geometry


def _load_one(pipeline: Any, folder: Path) -> None:
    pipeline.load_lora_weights(str(folder), weight_name="lora.safetensors")


@dataclass(frozen=True, kw_only=True)
class Family:
    """One family's tiny pipeline of the true classes.

    Attributes:
        name: of the family or its version.
        save: writes the pipeline folder and returns it.
        pipeline: class of the real pipeline.
        layers: that carry a concept.
        frames: of the tests' clips; ``size`` are their pixels.
        steps: of the comparison of samplers; ``guidance`` likewise.
        call: what its call takes beside prompt, size, steps and noise.
        idle: layers whose output the network never uses.
        load_lora: loads lora.safetensors of a folder.
        packed: puts latents (b, c, f, h, w) into the pipeline's form; ``unpacked`` back.
    """

    name: str
    save: Callable[[Path], Path]
    pipeline: Callable[[], Any]
    layers: int
    frames: int = 5
    size: int = 32
    steps: int = 4
    call: Mapping[str, Any] = field(default_factory=dict)
    guidance: float = 4.0
    idle: tuple[str, ...] = ()
    load_lora: Callable[[Any, Path], None] = _load_one
    packed: Callable[[torch.Tensor], torch.Tensor] = lambda x: x
    unpacked: Callable[[torch.Tensor, Geometry], torch.Tensor] = lambda x, geometry: x

    def __str__(self) -> str:
        return self.name
