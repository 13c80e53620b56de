"""Small videos that the video tests make for themselves."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

CODECS = {
    ".mp4": ("libx264", "yuv420p"),
    ".mov": ("libx264", "yuv420p"),
    ".mkv": ("libx264", "yuv420p"),
    ".webm": ("libvpx-vp9", "yuv420p"),
    ".gif": ("gif", "rgb8"),
}


def counting_frames(num_frames: int, *, height: int = 48, width: int = 64) -> np.ndarray:
    """Frame i has brightness 10 i, and a white mark at the top left."""
    frames = np.zeros((num_frames, height, width, 3), np.uint8)
    frames += (10 * np.arange(num_frames, dtype=np.uint8))[:, None, None, None]
    frames[:, : height // 4, : width // 4] = 255
    return frames


def numbers_of(frames: np.ndarray) -> list[int]:
    """Which of the counting frames these are, read off the middle."""
    height, width = frames.shape[1:3]
    return [round(float(frame[height // 2, width // 2].mean()) / 10) for frame in frames]


def record(
    path: Path,
    frames: np.ndarray,
    *,
    times_ms: list[int] | None = None,
    rotation: int | None = None,
    audio_s: float = 0.0,
    options: dict[str, str] | None = None,
    container_options: dict[str, str] | None = None,
    aspect: Fraction | None = None,
) -> Path:
    """Records a video at 8 fps, or at the given times, as a camera would."""
    codec, pix_fmt = CODECS[path.suffix]
    times_ms = times_ms or [125 * i for i in range(len(frames))]
    with av.open(path, "w", options=container_options or {}) as container:
        stream = container.add_stream(codec, rate=8, options=options or {})
        assert isinstance(stream, VideoStream)
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = pix_fmt
        stream.codec_context.time_base = Fraction(1, 1000)
        if rotation is not None:
            stream.set_display_rotation(rotation)
        if aspect is not None:
            stream.sample_aspect_ratio = aspect
        sound = container.add_stream("aac", rate=8000) if audio_s else None
        for pixels, time_ms in zip(frames, times_ms, strict=True):
            frame = VideoFrame.from_ndarray(pixels, format="rgb24")
            frame.pts, frame.time_base = time_ms, Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
        if sound is not None:
            assert isinstance(sound, AudioStream)
            silence = np.zeros((1, int(8000 * audio_s)), np.float32)
            frame = AudioFrame.from_ndarray(silence, format="fltp", layout="mono")
            frame.sample_rate = 8000
            container.mux(sound.encode(frame))
            container.mux(sound.encode())
    return path
