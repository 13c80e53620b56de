"""Frame-dense sampling: what a clip has between the frames that a base model's rate takes of it."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np

from setseq.video.views import FittedClip, load_clip


def load_dense_clip(
    path: str | Path,
    *,
    num_frames: int,
    width: int,
    height: int,
    fps: float,
    frame_step: int = 1,
    start_s: float = 0.0,
) -> FittedClip:
    """Reads a clip as `views.load_clip` does, and again from a fraction of a frame later on.

    A file with n times as many frames a second as the base takes gives n clips of the same time at
    the base's rate (n rounded up), the k-th beginning k/n of a frame later: each keeps the true
    speed, and together they hold every frame. Those for which the file ends too early are left
    out. Where the frame rate varies, a frame may still be missed; the notes count those seen.

    Source: our choice: a retimed clip of a fast movement keeps few of its positions; further
    resamplings show the others without a rate that the base was not trained at.

    Raises:
        ClipError: As for `views.load_clip`.
    """

    def load(from_s: float) -> FittedClip:
        return load_clip(
            path,
            num_frames=num_frames,
            width=width,
            height=height,
            fps=fps,
            frame_step=frame_step,
            start_s=from_s,
        )

    first = load(start_s)
    count = math.ceil(first.source.fps / fps - 0.02)  # rates of files are rounded
    starts = [start_s + k / (count * fps) for k in range(1, count)]
    # Half of the last frame must be there, as the times of files are rounded.
    needed_s = (num_frames - 1 + 0.5 / count) / fps
    between = tuple(load(s) for s in starts if s + needed_s <= first.source.duration_s)
    note = _note(first, between, left_out=len(starts) - len(between))
    return replace(first, notes=(*first.notes, note), between=between)


def _note(first: FittedClip, between: tuple[FittedClip, ...], *, left_out: int) -> str:
    if not between:
        reason = (
            "it ends too early for a later beginning"
            if left_out
            else f"it has {first.source.fps:.4g} frames a second, the base {first.fps:g}"
        )
        return f"frame-dense sampling adds nothing to this clip: {reason}"
    seen = np.unique(np.concatenate([each.source_indices for each in (first, *between)]))
    of_that_time = int(seen[-1] - seen[0]) + 1
    step_s = between[0].start_s - first.start_s
    text = (
        f"frame-dense sampling: resampled {1 + len(between)} times, each beginning {step_s:.3g} s"
        f" later; {len(seen)} of the {of_that_time} frames of that time are seen, instead of"
        f" {len(np.unique(first.source_indices))}"
    )
    return text + (f" ({left_out} more left out: the clip ends too early)" if left_out else "")
