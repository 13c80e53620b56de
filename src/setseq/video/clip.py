"""A clip in memory: its frames, when each is shown, and facts about where it is from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from setseq.errors import ClipError

VIDEO_SUFFIXES = (".mp4", ".mov", ".webm", ".mkv", ".gif")
IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")
ALLOWED = f"allowed: {' '.join(VIDEO_SUFFIXES)}, or a folder of {' '.join(IMAGE_SUFFIXES)} images"
ON_WHITE = "transparent parts shown on white"

# Our choice: enough for 300 frames of 1080p, little enough for a laptop.
MAX_CLIP_BYTES = 2 * 2**30


@dataclass(frozen=True, kw_only=True)
class ClipSource:
    """Facts about the file or folder that a clip was read from.

    Attributes:
        path: The file or folder.
        width: Width in pixels as shown, after rotation.
        height: Height in pixels as shown, after rotation.
        num_frames: Number of frames in the whole file.
        duration_s: Time from the first frame's start to the last frame's end, in seconds.
        fps: Mean frames a second over the whole file.
        has_variable_fps: Whether the frames are unevenly spaced in time.
        has_audio: Whether the file also has sound.
        rotation: Counter-clockwise rotation in degrees that the file asked for and that was done.
        sha256: Hash of the file's bytes; of a folder, over the images' names and bytes.
    """

    path: Path
    width: int
    height: int
    num_frames: int
    duration_s: float
    fps: float
    has_variable_fps: bool
    has_audio: bool
    rotation: int
    sha256: str


@dataclass(frozen=True, kw_only=True)
class Clip:
    """Frames of a video in memory.

    Attributes:
        frames: Pixels, uint8 of shape (f, h, w, 3).
        times_s: When each frame is shown, seconds after the source's first frame, shape (f,).
        source_indices: Which frame of the source each one is, shape (f,).
        fps: Frames a second of `frames`.
        source: Facts about the file.
        notes: What happened while reading, in plain words.
    """

    frames: np.ndarray
    times_s: np.ndarray
    source_indices: np.ndarray
    fps: float
    source: ClipSource
    notes: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Window:
    """The part of a source that is wanted.

    Attributes:
        start_s: Where to start, in seconds, at least 0.
        fps: Frames a second to sample at; None keeps the source's own frames.
        num_frames: Most frames to keep; None keeps all.
    """

    start_s: float = 0.0
    fps: float | None = None
    num_frames: int | None = None

    def sample_times(self, source_times_s: np.ndarray) -> np.ndarray:
        """Returns the times to take frames at, (f,), while the source still shows a frame."""
        if self.fps is None:
            times_s = source_times_s[source_times_s >= self.start_s - 1e-6]
        else:
            # A lone frame has no gap: it is shown for one frame at the wanted rate.
            num_gaps = len(source_times_s) - 1
            gap_s = np.ptp(source_times_s) / num_gaps if num_gaps else 1 / self.fps
            shown_s = float(source_times_s[-1] + gap_s - self.start_s)
            count = max(int(np.ceil(shown_s * self.fps - 1e-6)), 0)
            times_s = self.start_s + np.arange(count) / self.fps
        return times_s[: self.num_frames]


def nearest_indices(times_s: np.ndarray, wanted_s: np.ndarray) -> np.ndarray:
    """Returns for each wanted time the index of the nearest of the sorted `times_s`."""
    right = np.searchsorted(times_s, wanted_s).clip(1, max(len(times_s) - 1, 1))
    left = right - 1
    right = right.clip(max=len(times_s) - 1)
    nearer_left = wanted_s - times_s[left] <= times_s[right] - wanted_s
    return np.where(nearer_left, left, right)


def select_window(path: Path, source_times_s: np.ndarray, window: Window) -> np.ndarray:
    """Returns the wanted times of a window that has at least one frame.

    Raises:
        ClipError: If the window starts behind the last frame.
    """
    wanted_s = window.sample_times(source_times_s)
    if len(wanted_s) == 0:
        raise ClipError(
            f"{path}: nothing to read from {window.start_s:g} s on, the last frame is at "
            f"{source_times_s[-1]:.2f} s; choose an earlier start"
        )
    return wanted_s


def check_memory(path: Path, *, num_frames: int, width: int, height: int) -> None:
    """Refuses a clip that would not fit into a laptop's memory.

    Raises:
        ClipError: If the frames would take more than `MAX_CLIP_BYTES`.
    """
    needed = num_frames * width * height * 3
    if needed > MAX_CLIP_BYTES:
        raise ClipError(
            f"{path}: {num_frames} frames of {width}x{height} would take "
            f"{needed / 2**30:.1f} GiB of memory, {MAX_CLIP_BYTES / 2**30:.0f} GiB are allowed; "
            "ask for fewer frames, or scale the video down first"
        )
