"""The stages as descriptions: what each sees, what it trains, which prompt it reads."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from setseq.config import LearnSettings
from setseq.models.base import VideoModel
from setseq.prompts import ConceptPrompt

TOKENS = "tokens"
_FRAMES_AT_ONCE = 32  # frames that the autoencoder encodes together


@dataclass(frozen=True, kw_only=True, eq=False)
class Stage:
    """One stage of the one loop.

    Attributes:
        name: "set" or "sequence", in reports and checkpoints.
        latents: all that it can see, (n, c, f, h, w), kept in memory.
        prompts: n prompts with placeholders, one for each of the latents.
        trains: parts that it trains: "basis", "identity", "motion", "tokens".
        motion_strength: of every layer during the stage; at 0 the motion costs nothing.
        steps: optimizer steps.
        batch: latents a step (before accumulation).
    """

    name: str
    latents: Tensor
    prompts: tuple[str, ...]
    trains: frozenset[str]
    motion_strength: float
    steps: int
    batch: int


@dataclass(frozen=True, kw_only=True, eq=False)
class TrainingClip:
    """One clip of a concept, as the stages see it.

    Attributes:
        pixels: (3, f, h, w) in [-1, 1], of a size and length that the model can make.
        prompt: its two parts, with placeholders.
        sha256: hash of the file that it came from.
    """

    pixels: Tensor
    prompt: ConceptPrompt
    sha256: str = ""


def set_stage(model: VideoModel, clips: Sequence[TrainingClip], settings: LearnSettings) -> Stage:
    """Stage 1, Set: single frames in no order, static prompts; trains basis and identity.

    Each frame is encoded as a video of its own, so a step costs 1/T of a clip's step per sample.
    Source: Eq. 3 to 5, arXiv:2502.14844.
    """
    frames = [encode_frames(model, clip.pixels) for clip in clips]
    prompts = [
        clip.prompt.look for clip, own in zip(clips, frames, strict=True) for _ in range(len(own))
    ]
    return Stage(
        name="set",
        latents=torch.cat(frames),
        prompts=tuple(prompts),
        trains=frozenset({"basis", "identity", TOKENS}),
        motion_strength=0.0,
        steps=settings.set_steps,
        batch=settings.set_batch,
    )


def sequence_stage(
    model: VideoModel, clips: Sequence[TrainingClip], settings: LearnSettings
) -> Stage:
    """Stage 2, Sequence: whole clips, static and dynamic prompts; trains the motion alone.

    Source: Eq. 6 to 9, arXiv:2502.14844.
    """
    return Stage(
        name="sequence",
        latents=torch.cat([model.encode_video(clip.pixels[None]) for clip in clips]),
        prompts=tuple(clip.prompt.full for clip in clips),
        trains=frozenset({"motion", TOKENS}),
        motion_strength=1.0,
        steps=settings.sequence_steps,
        batch=settings.sequence_batch,
    )


def encode_frames(model: VideoModel, pixels: Tensor) -> Tensor:
    """Latents (f, c, 1, h', w') of a clip's frames (3, f, h, w), each encoded alone."""
    frames = pixels.transpose(0, 1).unsqueeze(2)
    return torch.cat([model.encode_video(part) for part in frames.split(_FRAMES_AT_ONCE)])
