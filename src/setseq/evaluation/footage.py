"""Videos as the metrics see them, and how two of them are brought together."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from setseq.errors import ClipError
from setseq.video.views import crop_and_resize


@dataclass(frozen=True, kw_only=True)
class Footage:
    """A video that is measured.

    Attributes:
        frames: Pixels, uint8 of shape (f, h, w, 3), at least one frame.
        fps: Frames a second, above 0.
    """

    frames: np.ndarray
    fps: float

    def __post_init__(self) -> None:
        shape = self.frames.shape
        if self.frames.dtype != np.uint8 or len(shape) != 4 or shape[3] != 3 or 0 in shape:
            raise ClipError(
                f"a video of {self.frames.dtype} {shape} cannot be measured; "
                "give uint8 frames of shape (f, h, w, 3), at least one"
            )
        if not self.fps > 0:
            raise ClipError(f"{self.fps} frames a second make no video; give more than 0")


def align(reference: Footage, generated: Footage) -> tuple[Footage, Footage]:
    """Brings two videos to the same frames and the same size; equal ones are left as they are.

    - Time: both start together, the longer one is cut, and frames are taken at the lower of the two
      rates, nearest in time: compared is what is seen at the same second, never a stretched video.
    - Space: the reference is cropped around its centre to the generated video's aspect, as a clip
      is before learning, and the larger of the two is scaled down to the other.

    Args:
        reference: The clip that the concept is from.
        generated: What was made of it.

    Returns:
        Both, with the same number of frames, size and rate.
    """
    fps, count, size = _common(reference, generated)
    first, second = (
        Footage(frames=_resized(_retimed(video, fps, count), *size), fps=fps)
        for video in (reference, generated)
    )
    return first, second


def alignment(reference: Footage, generated: Footage) -> str:
    """How ``align`` brings two videos together, in a line; empty where they are alike.

    Args:
        reference: As for ``align``.
        generated: As for ``align``.
    """
    fps, count, (width, height) = _common(reference, generated)
    parts = []
    for name, video in (("the clip", reference), ("the generated video", generated)):
        frames, high, wide = video.frames.shape[:3]
        if (frames, wide, high, video.fps) != (count, width, height, fps):
            parts.append(f"{name} has {frames} frames of {wide}x{high} at {video.fps:.4g} fps")
    if not parts:
        return ""
    return (
        f"{', '.join(parts)}: frames are compared as {count} of {width}x{height} at {fps:.4g} fps,"
        " from the start of both, the clip cropped around its centre; nothing is stretched in time"
    )


def _common(reference: Footage, generated: Footage) -> tuple[float, int, tuple[int, int]]:
    """The rate, number of frames, and width and height that both videos are brought to."""
    fps = min(reference.fps, generated.fps)
    shown_s = min(len(video.frames) / video.fps for video in (reference, generated))
    count = max(1, int(shown_s * fps + 1e-6))
    height, width = generated.frames.shape[1:3]
    scale = min(1.0, reference.frames.shape[1] / height, reference.frames.shape[2] / width)
    return fps, count, (max(1, round(width * scale)), max(1, round(height * scale)))


def _retimed(video: Footage, fps: float, count: int) -> np.ndarray:
    wanted = np.floor(np.arange(count) * (video.fps / fps) + 0.5).astype(int)
    return video.frames[wanted.clip(max=len(video.frames) - 1)]


def _resized(frames: np.ndarray, width: int, height: int) -> np.ndarray:
    if frames.shape[1:3] == (height, width):
        return frames
    return np.stack([crop_and_resize(frame, width, height) for frame in frames])


def on_side(video: Footage, side: str) -> Footage:
    """One half of a picture that shows two concepts side by side.

    Args:
        video: With two concepts, one on the left and one on the right.
        side: "left" or "right".

    Returns:
        That half in the middle of a picture of the old size, its edges drawn out to both sides, so
        that an encoder sees one concept at its true size and shape.
    """
    width = video.frames.shape[2]
    half = width // 2
    frames = video.frames[:, :, :half] if side == "left" else video.frames[:, :, width - half :]
    before = (width - half) // 2
    padding = ((0, 0), (0, 0), (before, width - half - before), (0, 0))
    return Footage(frames=np.pad(frames, padding, mode="edge"), fps=video.fps)
