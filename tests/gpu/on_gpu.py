"""What the tests of the GPU share."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

from setseq.concept import Concept
from setseq.config import HardwareSettings, LearnSettings
from setseq.models.base import VideoModel
from setseq.models.registry import load_model
from setseq.prompts import concept_prompt
from setseq.training.learn import learn_concept
from setseq.training.stages import TrainingClip
from setseq.training.state import StepReport

# SETSEQ_TEST_GPU=cpu runs what can run without a GPU on the CPU: how these tests are written.
DEVICE = torch.device("cpu" if os.environ.get("SETSEQ_TEST_GPU") == "cpu" else "cuda")
_IS_THERE = DEVICE.type == "cpu" or torch.cuda.is_available()
MARKS = [
    pytest.mark.skipif(not _IS_THERE, reason="needs a GPU of CUDA or ROCm, and `make test-gpu`"),
    pytest.mark.filterwarnings("ignore"),  # of libraries, about GPUs
]
ON_GPU = pytest.mark.skipif(DEVICE.type == "cpu", reason="measures the memory of a GPU")
SETTINGS = LearnSettings(
    rank=4,
    set_steps=1,
    sequence_steps=1,
    set_batch=4,
    sequence_batch=2,
    learning_rate=1e-3,
    checkpoint_every=0,
)
PROMPT = "a red zor character in the snow. it is dax"


def clip(size: int = 128, frames: int = 9) -> TrainingClip:
    """A clip of noise."""
    pixels = torch.rand(3, frames, size, size, generator=torch.Generator().manual_seed(5)) * 2 - 1
    return TrainingClip(pixels=pixels, prompt=concept_prompt("a [v] character", "it is [u]"))


def model_of(folder: Path, **hardware: Any) -> VideoModel:
    """The base, on the GPU where nothing else is said."""
    return load_model(folder, hardware=HardwareSettings(**{"device": DEVICE.type, **hardware}))


def learned(
    model: VideoModel,
    changes: Mapping[str, Any] | None = None,
    *,
    checkpoint: Path | None = None,
    on_step: Callable[[StepReport], None] = lambda report: None,
) -> tuple[Concept, list[StepReport]]:
    """A concept of noise, and the report of every step."""
    reports: list[StepReport] = []

    def note(report: StepReport) -> None:
        reports.append(report)
        on_step(report)

    settings = LearnSettings.resolve({**SETTINGS.model_dump(), **(changes or {})})
    return learn_concept(model, [clip()], settings, checkpoint=checkpoint, on_step=note), reports


def figures(reports: list[StepReport]) -> torch.Tensor:
    """Loss and gradient's norm of every step."""
    return torch.tensor([[report.loss, report.gradient_norm] for report in reports])


def difference(one: torch.Tensor, other: torch.Tensor) -> float:
    """How far two tensors are apart, as a share of their size."""
    one, other = one.detach().float().cpu(), other.detach().float().cpu()
    return float((one - other).norm() / other.norm())
