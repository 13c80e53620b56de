"""What a base model sees of a clip: fitted to its size and rate, with everything said."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from setseq.errors import ClipError
from setseq.video.clip import Clip, ClipSource, Window, nearest_indices
from setseq.video.io import read_clip


@dataclass(frozen=True, kw_only=True)
class FittedClip:
    """A clip at a base model's size and frame rate.

    Attributes:
        frames: Pixels, uint8 of shape (f, h, w, 3).
        fps: Frames a second.
        start_s: Where it begins, seconds after the source's first frame.
        source_indices: Which frame of the source each one is, shape (f,).
        source: Facts about the file that it is from.
        notes: Everything that happened to the clip on the way, in plain words.
        between: The same clip again and again, each beginning a fraction of a frame later; see
            `dense.load_dense_clip`.
    """

    frames: np.ndarray
    fps: float
    start_s: float
    source_indices: np.ndarray
    source: ClipSource
    notes: tuple[str, ...]
    between: tuple[FittedClip, ...] = ()

    @property
    def pixels(self) -> Tensor:
        """The frames as float in [-1, 1], shape (1, 3, f, h, w)."""
        return to_pixels(self.frames).unsqueeze(0)

    @property
    def between_pixels(self) -> Tensor | None:
        """Those of `between`, shape (n, 3, f, h, w); None where there are none."""
        return torch.cat([each.pixels for each in self.between]) if self.between else None


def load_clip(
    path: str | Path,
    *,
    num_frames: int,
    width: int,
    height: int,
    fps: float,
    frame_step: int = 1,
    start_s: float = 0.0,
) -> FittedClip:
    """Reads a clip and fits it, decoding no more than is used; see `read_clip` and `fit_clip`.

    Raises:
        ClipError: If it cannot be read, or is too short.
    """
    clip = read_clip(path, start_s=start_s, fps=fps, num_frames=num_frames, image_fps=fps)
    return fit_clip(
        clip, num_frames=num_frames, width=width, height=height, fps=fps, frame_step=frame_step
    )


def fit_clip(
    clip: Clip, *, num_frames: int, width: int, height: int, fps: float, frame_step: int = 1
) -> FittedClip:
    """Fits a clip to a base model: retimes by timestamps, crops around the centre, resizes.

    The movement keeps its true speed: frames are repeated or left out, never slowed down.

    Args:
        clip: What was read; its first `num_frames / fps` seconds are used.
        num_frames: Number of frames wanted, at least 1.
        width: Width wanted in pixels.
        height: Height wanted in pixels.
        fps: Frames a second wanted.
        frame_step: The base's temporal factor: it takes 1, 1 + step, 1 + 2 step ... frames.

    Raises:
        ClipError: If `num_frames` breaks the base's rule, or the clip is too short for it.
    """
    if (num_frames - 1) % frame_step:
        lower = (num_frames - 1) // frame_step * frame_step + 1
        raise ClipError(
            f"{num_frames} frames do not fit the base model, which takes a multiple of "
            f"{frame_step} plus 1; ask for {lower} or {lower + frame_step}"
        )
    wanted_s = Window(start_s=float(clip.times_s[0]), fps=fps, num_frames=num_frames).sample_times(
        clip.times_s
    )
    if len(wanted_s) < num_frames:
        raise ClipError(_too_short(clip, len(wanted_s), num_frames, fps, frame_step))
    picks = nearest_indices(clip.times_s, wanted_s)
    notes = [*clip.notes, *_time_notes(clip, picks, fps), *_size_notes(clip, width, height)]
    frames = np.stack([crop_and_resize(clip.frames[i], width, height) for i in picks])
    return FittedClip(
        frames=frames,
        fps=fps,
        start_s=float(clip.times_s[0]),
        source_indices=clip.source_indices[picks],
        source=clip.source,
        notes=tuple(notes),
    )


def to_pixels(frames: np.ndarray) -> Tensor:
    """Returns float32 in [-1, 1] of shape (..., c, f, h, w) from uint8 (..., f, h, w, c)."""
    return torch.from_numpy(np.ascontiguousarray(frames)).movedim(-1, -4).float() / 127.5 - 1


def to_frames(pixels: Tensor) -> np.ndarray:
    """Returns uint8 of shape (..., f, h, w, c) from float (..., c, f, h, w), clamped to [-1, 1]."""
    scaled = (pixels.detach().float().clamp(-1, 1) + 1) * 127.5
    return scaled.round().to(torch.uint8).movedim(-4, -1).cpu().contiguous().numpy()


def _too_short(clip: Clip, available: int, num_frames: int, fps: float, frame_step: int) -> str:
    usable = max(available - 1, 0) // frame_step * frame_step + 1
    start_s = float(clip.times_s[0])
    return (
        f"{clip.source.path}: too short, {available} frames at {fps:g} fps from {start_s:g} s on, "
        f"{num_frames} are needed ({num_frames / fps:.1f} s); take a longer clip, "
        f"an earlier start, or at most {usable} frames"
    )


def _time_notes(clip: Clip, picks: np.ndarray, fps: float) -> list[str]:
    source = clip.source
    distinct = len(np.unique(clip.source_indices[picks]))
    start_s = float(clip.times_s[0])
    used = f"{distinct} of {source.num_frames} frames used"
    if source.duration_s > len(picks) / fps + 0.5 / fps or start_s > 0:
        end_s = start_s + len(picks) / fps
        used += f", {start_s:.1f} to {min(end_s, source.duration_s):.1f} of "
        used += f"{source.duration_s:.1f} s"
    notes = [used]
    if abs(source.fps / fps - 1) > 0.02:
        notes.append(f"retimed from {source.fps:.4g} to {fps:g} fps at the same speed")
    if distinct < len(picks):
        notes.append(f"{len(picks) - distinct} frames are repeats, the source has no others")
    return notes


def _size_notes(clip: Clip, width: int, height: int) -> list[str]:
    source_height, source_width = clip.frames.shape[1:3]
    crop_width, crop_height = _crop_size(source_width, source_height, width, height)
    notes = []
    if (crop_width, crop_height) != (source_width, source_height):
        notes.append(
            f"cropped around the centre from {source_width}x{source_height} "
            f"to {crop_width}x{crop_height}"
        )
    if (crop_width, crop_height) != (width, height):
        notes.append(f"resized from {crop_width}x{crop_height} to {width}x{height}")
    return notes


def _crop_size(source_width: int, source_height: int, width: int, height: int) -> tuple[int, int]:
    """Returns the largest width and height in the source with the wanted aspect."""
    scale = min(source_width / width, source_height / height)
    crop_width = min(round(width * scale), source_width)
    crop_height = min(round(height * scale), source_height)
    return max(crop_width, 1), max(crop_height, 1)


def crop_and_resize(frame: np.ndarray, width: int, height: int) -> np.ndarray:
    """Crops a frame around its centre to an aspect, then resizes it.

    Args:
        frame: uint8 (h, w, 3).
        width: Width wanted in pixels.
        height: Height wanted in pixels.

    Returns:
        uint8 (height, width, 3), antialiased, or bit-equal where the size fits already.
    """
    source_height, source_width = frame.shape[:2]
    crop_width, crop_height = _crop_size(source_width, source_height, width, height)
    top, left = (source_height - crop_height) // 2, (source_width - crop_width) // 2
    frame = frame[top : top + crop_height, left : left + crop_width]
    if (crop_width, crop_height) == (width, height):
        return frame
    pixels = torch.from_numpy(np.ascontiguousarray(frame)).permute(2, 0, 1)[None].float()
    resized = F.interpolate(pixels, size=(height, width), mode="bicubic", antialias=True)
    return resized[0].clamp(0, 255).round().to(torch.uint8).permute(1, 2, 0).numpy()
