"""Small films that the metrics' tests share."""

import numpy as np
import torch

from setseq.evaluation.footage import Footage
from setseq.toybox.unseen import draw_unseen
from setseq.toybox.world import FPS


def drawn(name: str, **scene: str) -> Footage:
    """A shipped concept, in its own scene or another one."""
    pixels = draw_unseen(name, **scene).movedim(1, -1)  # pyright: ignore[reportArgumentType]
    return Footage(frames=(pixels * 255).round().byte().numpy(), fps=FPS)


def frozen(video: Footage) -> Footage:
    """Its first frame, as often as it has frames."""
    return Footage(frames=np.repeat(video.frames[:1], len(video.frames), 0), fps=video.fps)


def shuffled(video: Footage) -> Footage:
    """Its frames in another order."""
    order = torch.randperm(len(video.frames), generator=torch.Generator().manual_seed(0))
    return Footage(frames=video.frames[order.numpy()], fps=video.fps)


def noise(seed: int = 0, *, frames: int = 4, height: int = 8, width: int = 8) -> Footage:
    """Random pixels at 8 frames a second."""
    pixels = np.random.default_rng(seed).integers(0, 256, (frames, height, width, 3), np.uint8)
    return Footage(frames=pixels, fps=8.0)
