"""Pictures and clips of the toybox for people to look at."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from torch import Tensor

from setseq.models.registry import load_model
from setseq.toybox.evaluate import GUIDANCE, NUM_STEPS, PROMPT_SEED, generate_clips, prompts_of
from setseq.toybox.unseen import UNSEEN, draw_mask, draw_unseen
from setseq.toybox.world import FPS
from setseq.video.encode import write_video
from setseq.video.sheet import write_sheet
from setseq.video.views import to_frames


def frames_of(drawn: Tensor) -> np.ndarray:
    """Drawn pixels (f, 3, h, w) in [0, 1] as uint8 (f, h, w, 3)."""
    return to_frames(drawn.movedim(1, 0) * 2 - 1)


def write_clips(clips: Tensor, prompts: list[str], path: Path) -> None:
    """Writes clips (n, 3, f, h, w) in [-1, 1] with their prompts as one contact sheet."""
    rows = [(words, to_frames(clip)) for words, clip in zip(prompts, clips, strict=True)]
    write_sheet(path, rows)


def write_preview(base: Path, path: Path, *, count: int = 8) -> None:
    """Generates the first few evaluation prompts with a base and writes a contact sheet."""
    _, prompts = prompts_of(PROMPT_SEED, count)
    model = load_model(str(base))
    seeds = range(PROMPT_SEED, PROMPT_SEED + count)
    clips = generate_clips(model, prompts, seeds=seeds, guidance=GUIDANCE, num_steps=NUM_STEPS)
    write_clips(clips, prompts, path)


def write_unseen(folder: Path, *, masks: bool = False) -> list[Path]:
    """Renders every unseen concept's clip as NAME.mp4.

    Args:
        folder: Where to write; it is made.
        masks: Whether to add NAME-mask.mp4, white where the concept is.

    Returns:
        The files, in the order of UNSEEN.
    """
    folder.mkdir(parents=True, exist_ok=True)
    drawn = {f"{name}.mp4": draw_unseen(name) for name in UNSEEN}
    if masks:
        drawn |= {f"{name}-mask.mp4": draw_mask(name).expand(-1, 3, -1, -1) for name in UNSEEN}
    for name, pixels in drawn.items():
        write_video(folder / name, frames_of(pixels), fps=FPS, lossless=True)
    return [folder / name for name in drawn]
