"""The one door for video files: decodes here, encodes in `encode`; nothing else uses PyAV."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.container import InputContainer
from av.error import FFmpegError
from av.stream import Disposition
from av.video.frame import VideoFrame
from av.video.reformatter import Colorspace
from av.video.stream import VideoStream

from setseq.errors import ClipError
from setseq.video.clip import (
    ALLOWED,
    ON_WHITE,
    VIDEO_SUFFIXES,
    Clip,
    ClipSource,
    Window,
    check_memory,
    nearest_indices,
    select_window,
)
from setseq.video.encode import EXACT_SCALING, OUTPUT_SUFFIXES, encode_video, write_video
from setseq.video.images import read_image_folder

__all__ = ["OUTPUT_SUFFIXES", "encode_video", "read_clip", "write_video"]

_UNSPECIFIED = 2  # libav's AVCOL_SPC_UNSPECIFIED, which PyAV does not name

# A playlist or a list of files renamed to .mp4 must not make us open what it names.
_LOCAL_ONLY = {"format_whitelist": "mov,matroska,gif", "protocol_whitelist": "file"}


def read_clip(
    path: str | Path,
    *,
    start_s: float = 0.0,
    fps: float | None = None,
    num_frames: int | None = None,
    image_fps: float = 8.0,
) -> Clip:
    """Reads a video file or a folder of images, keeping in memory only the frames asked for.

    Frames are chosen by their timestamps, so a variable frame rate keeps its true speed.

    Args:
        path: A .mp4, .mov, .webm, .mkv or .gif file, or a folder of images.
        start_s: Where to start, in seconds after the first frame, at least 0.
        fps: Frames a second to sample at, above 0; None keeps the source's own frames.
        num_frames: Most frames to keep, at least 1; None keeps all.
        image_fps: Images a second for a folder, which has no time of its own; above 0.

    Returns:
        The frames as shown: rotated as the file asks, square pixels, RGB.

    Raises:
        ClipError: If there is nothing to read, or not all that was asked for can be decoded.
    """
    path = Path(path)
    window = Window(start_s=start_s, fps=fps, num_frames=num_frames)
    if path.is_dir():
        return read_image_folder(path, window, image_fps=image_fps)
    if not path.exists():
        raise ClipError(f"{path}: no such file or folder; check the path")
    if path.suffix.lower() not in VIDEO_SUFFIXES:
        raise ClipError(f"{path}: not a supported kind of file ('{path.suffix}'); {ALLOWED}")
    try:
        with path.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ClipError(f"{path}: cannot be opened ({error.strerror}); check it") from error
    return _read_video(path, window, sha256)


@dataclass(frozen=True, kw_only=True)
class _Index:
    """What the packets say without decoding: when each frame is shown, and what else is there."""

    times_s: np.ndarray
    fps: float
    has_variable_fps: bool
    has_audio: bool
    num_streams: int


def _read_video(path: Path, window: Window, sha256: str) -> Clip:
    with _open(path) as (container, stream):
        index = _read_index(path, container, stream)
    times_s = index.times_s - index.times_s[0]
    wanted_s = select_window(path, times_s, window)
    indices = nearest_indices(times_s, wanted_s)
    with _open(path) as (container, stream):
        frames, rotation, notes = _decode(path, container, stream, index, indices)
    if index.num_streams > 1:
        notes.append(f"the first of {index.num_streams} video streams is used, no other")
    if index.has_audio:
        notes.append("the sound is ignored")
    if index.has_variable_fps:
        notes.append("the frame rate varies: frames are taken by their timestamps")
    source = ClipSource(
        path=path,
        width=frames.shape[2],
        height=frames.shape[1],
        num_frames=len(times_s),
        duration_s=float(times_s[-1]) + 1 / index.fps,
        fps=index.fps,
        has_variable_fps=index.has_variable_fps,
        has_audio=index.has_audio,
        rotation=rotation,
        sha256=sha256,
    )
    return Clip(
        frames=frames,
        times_s=wanted_s,
        source_indices=indices,
        fps=window.fps or index.fps,
        source=source,
        notes=tuple(notes),
    )


@contextmanager
def _open(path: Path) -> Iterator[tuple[InputContainer, VideoStream]]:
    if path.stat().st_size == 0:
        raise ClipError(f"{path}: the file is empty; record or copy it again")
    try:
        with av.open(f"file:{path}", options=_LOCAL_ONLY) as container:
            streams = _moving(container)
            if not streams:
                raise ClipError(f"{path}: has no video in it; {ALLOWED}")
            yield container, streams[0]
    except (FFmpegError, OSError) as error:
        raise ClipError(
            f"{path}: not a readable video, or a damaged one; "
            "see whether it plays, and convert it to .mp4 again"
        ) from error


def _moving(container: InputContainer) -> list[VideoStream]:
    """Returns the streams that are videos, not a cover picture."""
    return [
        stream
        for stream in container.streams.video
        if not stream.disposition & Disposition.attached_pic
    ]


def _read_index(path: Path, container: InputContainer, stream: VideoStream) -> _Index:
    times: set[Fraction] = set()
    end_s = 0.0
    for packet in container.demux():
        if packet.pts is None or packet.size == 0 or packet.is_discard:
            continue
        end_s = max(end_s, float(packet.pts * packet.time_base))
        if packet.stream_index == stream.index:
            times.add(packet.pts * packet.time_base)
    times_s = np.array(sorted(times), dtype=np.float64)
    _check_complete(path, container, stream, num_frames=len(times_s), end_s=end_s)
    if len(times_s) > 1:
        gaps_s = np.diff(times_s)
        fps = float(1 / gaps_s.mean())
        # Containers round times to a hundredth of a second or finer.
        varies = bool(gaps_s.max() > 1.5 * gaps_s.min() + 0.02)
    else:
        fps, varies = float(stream.average_rate or 1), False
    return _Index(
        times_s=times_s,
        fps=fps,
        has_variable_fps=varies,
        has_audio=len(container.streams.audio) > 0,
        num_streams=len(_moving(container)),
    )


def _check_complete(
    path: Path, container: InputContainer, stream: VideoStream, *, num_frames: int, end_s: float
) -> None:
    if num_frames == 0:
        raise ClipError(f"{path}: has no frames in it; record or copy it again")
    if path.suffix.lower() == ".gif" and not path.read_bytes().rstrip(b"\0\r\n").endswith(b";"):
        raise ClipError(f"{path}: is cut off after {num_frames} frames; copy it again")
    # The last packet starts one frame or sound block before the end, so allow for a long one.
    header_s = (container.duration or 0) / av.time_base
    start_s = (container.start_time or 0) / av.time_base
    if stream.frames > num_frames + 1 or header_s + start_s - end_s > 1 + 0.05 * header_s:
        raise ClipError(
            f"{path}: is cut off after {num_frames} frames, {end_s - start_s:.2f} of "
            f"{header_s:.2f} s; copy it again or convert what is left to .mp4"
        )


def _decode(
    path: Path, container: InputContainer, stream: VideoStream, index: _Index, indices: np.ndarray
) -> tuple[np.ndarray, int, list[str]]:
    """Decodes up to the last wanted frame, and keeps only the wanted ones."""
    wanted_s = index.times_s[indices]
    if wanted_s[0] > index.times_s[0] and path.suffix.lower() != ".gif" and stream.time_base:
        container.seek(int(wanted_s[0] / stream.time_base), stream=stream)
    frames = np.empty(0, np.uint8)
    rotation, has_alpha, aspect = 0, False, stream.sample_aspect_ratio or Fraction(1)
    for position, frame in enumerate(_pick_nearest(container.decode(stream), wanted_s)):
        late_s = abs(float(frame.time) - wanted_s[position])
        if frame.is_corrupt or late_s > 1.5 / index.fps:
            break
        pixels, is_transparent = _to_rgb(frame, aspect)
        has_alpha = has_alpha or is_transparent
        if position == 0:
            rotation = frame.rotation
            height, width = pixels.shape[:2]
            check_memory(path, num_frames=len(wanted_s), width=width, height=height)
            frames = np.empty((len(wanted_s), height, width, 3), np.uint8)
        elif pixels.shape != frames.shape[1:]:
            raise ClipError(f"{path}: the picture changes its size midway; convert it to .mp4")
        frames[position] = pixels
    else:
        if len(frames):
            return frames, rotation, _describe(rotation, has_alpha, aspect)
    raise ClipError(
        f"{path}: is damaged, its frame at {wanted_s[0]:.2f} s or later cannot be decoded; "
        "copy or convert it again"
    )


def _pick_nearest(frames: Iterator[VideoFrame], wanted_s: np.ndarray) -> Iterator[VideoFrame]:
    """Yields for each wanted time the decoded frame nearest to it, holding one frame at a time."""
    position = 0
    previous: VideoFrame | None = None
    for frame in frames:
        while previous is not None and position < len(wanted_s):
            if wanted_s[position] - previous.time > frame.time - wanted_s[position]:
                break
            yield previous
            position += 1
        if position == len(wanted_s):
            return
        previous = frame
    if previous is not None:
        yield from [previous] * (len(wanted_s) - position)


def _describe(rotation: int, has_alpha: bool, aspect: Fraction) -> list[str]:
    notes = [f"rotated by {rotation} degrees as the file asks"] if rotation else []
    if aspect != 1:
        notes.append(f"pixels {aspect} as wide as high made square")
    return notes + [ON_WHITE] * has_alpha


def _to_rgb(frame: VideoFrame, aspect: Fraction) -> tuple[np.ndarray, bool]:
    """Returns uint8 (h, w, 3), upright with square pixels, and whether parts were transparent."""
    is_transparent = False
    width = round(frame.width * aspect)
    if any(component.is_alpha for component in frame.format.components):
        rgba = frame.to_ndarray(format="rgba", width=width)
        alpha = rgba[..., 3:].astype(np.uint16)
        is_transparent = bool(alpha.min() < 255)
        blended = rgba[..., :3] * alpha + 255 * (255 - alpha)
        pixels = (blended // 255).astype(np.uint8)
    else:
        # Untagged video is in BT.709 from 720 lines on, by convention.
        is_untagged_hd = frame.colorspace == _UNSPECIFIED and frame.height >= 720
        pixels = frame.to_ndarray(
            format="rgb24",
            width=width,
            interpolation=EXACT_SCALING,
            src_colorspace=Colorspace.ITU709 if is_untagged_hd else None,
        )
    return np.rot90(pixels, k=frame.rotation // 90), is_transparent
