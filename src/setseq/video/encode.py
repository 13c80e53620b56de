"""Encodes frames as video files."""

from __future__ import annotations

import io
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.container import OutputContainer
from av.error import FFmpegError
from av.filter import Graph
from av.video.frame import VideoFrame
from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc
from av.video.stream import VideoStream

from setseq.errors import OutputError, SettingsError
from setseq.outputs import write_bytes

OUTPUT_SUFFIXES = (".mp4", ".webm", ".gif")
LARGEST_SIDE = 4096  # of an enlarged video: our choice, what players still show

# Bicubic with exact rounding and full chroma (libav's SWS flags): the fast path darkens by 1/255.
EXACT_SCALING = 0x4 | 0x40000 | 0x2000

# Our choice: visually lossless at the sizes that are looked at here. x264's mbtree reads memory
# that nobody wrote, for small pictures: the same frames came out as different files.
_YUV_CODECS = {
    ".mp4": ("libx264", {"crf": "16", "preset": "medium", "x264-params": "mbtree=0"}),
    ".webm": ("libvpx-vp9", {"crf": "20", "b:v": "0", "cpu-used": "4"}),
}


def write_video(
    path: str | Path, frames: np.ndarray, *, fps: float, scale: int = 1, lossless: bool = False
) -> Path:
    """Writes frames as a video file: beside its place first, then renamed.

    Args:
        path: Where to write; the ending, one of `OUTPUT_SUFFIXES`, decides the format. Missing
            folders are made; a file that is there is replaced.
        frames: Pixels, uint8 of shape (f, h, w, 3).
        fps: Frames a second, above 0.
        scale: Whole-number enlargement with hard pixel edges, as ``check_scale`` allows it.
        lossless: Keep every pixel (.mp4 only; few browsers play it).

    Returns:
        The path.

    Raises:
        OutputError: If the kind is unknown, or it cannot be encoded or written.
        SettingsError: If it would be too large.
    """
    path = Path(path)
    kind = path.suffix.lower()
    write_bytes(path, encode_video(frames, fps=fps, kind=kind, scale=scale, lossless=lossless))
    return path


def check_scale(scale: int, *, height: int, width: int) -> None:
    """Makes sure that frames can be enlarged: not at all, or to sides of `LARGEST_SIDE` at most.

    Args:
        scale: The factor.
        height: Of the frames as they are, in pixels.
        width: Likewise.

    Raises:
        SettingsError: If they cannot.
    """
    most = max(1, LARGEST_SIDE // max(height, width))
    if not 1 <= scale <= most:
        raise SettingsError(
            f"scale is {scale}; allowed for videos of {width}x{height} pixels is 1 to {most}"
        )


def encode_video(
    frames: np.ndarray, *, fps: float, kind: str = ".mp4", scale: int = 1, lossless: bool = False
) -> bytes:
    """Encodes frames as the bytes of a video file that plays in browsers.

    Args:
        frames: Pixels, uint8 of shape (f, h, w, 3).
        fps: Frames a second, above 0.
        kind: One of `OUTPUT_SUFFIXES`. .mp4 (H.264) and .webm (VP9) have even sizes: an odd size
            is continued by one row or column.
        scale: Whole-number enlargement with hard pixel edges, for looking at tiny clips; as
            ``check_scale`` allows it.
        lossless: Keep every pixel (.mp4 only; few browsers play it).

    Raises:
        OutputError: If the kind is unknown, or it cannot be encoded.
        SettingsError: If it would be too large.
    """
    if kind not in OUTPUT_SUFFIXES:
        raise OutputError(f"cannot write videos as '{kind}'; allowed: {' '.join(OUTPUT_SUFFIXES)}")
    if frames.ndim != 4 or frames.shape[-1] != 3 or frames.dtype != np.uint8 or not frames.size:
        raise OutputError(
            f"cannot write frames of shape {frames.shape} and type {frames.dtype}; "
            "allowed: uint8 of shape (f, h, w, 3) with at least one frame"
        )
    if lossless and kind != ".mp4":
        raise OutputError(f"cannot write '{kind}' without loss; allowed: .mp4")
    check_scale(scale, height=frames.shape[1], width=frames.shape[2])
    frames = frames.repeat(scale, axis=1).repeat(scale, axis=2)
    if kind != ".gif":
        odd_height, odd_width = frames.shape[1] % 2, frames.shape[2] % 2
        frames = np.pad(frames, ((0, 0), (0, odd_height), (0, odd_width), (0, 0)), mode="edge")
    rate = Fraction(fps).limit_denominator(1001)
    buffer = io.BytesIO()
    try:
        with av.open(buffer, "w", format=kind[1:]) as container:
            if kind == ".gif":
                _encode_gif(container, frames, rate)
            elif lossless:
                _encode_lossless(container, frames, rate)
            else:
                _encode_yuv(container, frames, rate, kind)
    except (FFmpegError, OSError) as error:
        raise OutputError(
            f"a {frames.shape[2]}x{frames.shape[1]} video at {fps:g} fps could not be encoded as "
            f"{kind} ({error}); choose another size or format"
        ) from error
    return buffer.getvalue()


def _add_stream(
    container: OutputContainer,
    codec: str,
    frames: np.ndarray,
    rate: Fraction,
    *,
    pix_fmt: str,
    options: dict[str, str],
) -> VideoStream:
    stream = container.add_stream(codec, rate=rate, options=options)
    assert isinstance(stream, VideoStream)
    stream.height, stream.width = frames.shape[1:3]
    stream.pix_fmt = pix_fmt
    return stream


def _encode_yuv(container: OutputContainer, frames: np.ndarray, rate: Fraction, kind: str) -> None:
    """Writes 4:2:0 with its colours tagged, or players would guess them by size."""
    codec, options = _YUV_CODECS[kind]
    stream = _add_stream(container, codec, frames, rate, pix_fmt="yuv420p", options=options)
    stream.codec_context.colorspace = Colorspace.ITU709
    stream.codec_context.color_primaries = ColorPrimaries.BT709
    stream.codec_context.color_trc = ColorTrc.BT709
    stream.codec_context.color_range = ColorRange.MPEG
    for pixels in frames:
        frame = VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24").reformat(
            format="yuv420p",
            dst_colorspace=Colorspace.ITU709,
            dst_color_range=ColorRange.MPEG,
            dst_color_primaries=ColorPrimaries.BT709,
            dst_color_trc=ColorTrc.BT709,
            interpolation=EXACT_SCALING,
        )
        container.mux(stream.encode(frame))
    container.mux(stream.encode())


def _encode_lossless(container: OutputContainer, frames: np.ndarray, rate: Fraction) -> None:
    options = {"crf": "0"}
    stream = _add_stream(container, "libx264rgb", frames, rate, pix_fmt="rgb24", options=options)
    for pixels in frames:
        frame = VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")
        container.mux(stream.encode(frame))
    container.mux(stream.encode())


def _encode_gif(container: OutputContainer, frames: np.ndarray, rate: Fraction) -> None:
    """Writes a GIF with a palette made for these frames: the fixed one has 8 levels a colour."""
    height, width = frames.shape[1:3]
    stream = _add_stream(container, "gif", frames, rate, pix_fmt="pal8", options={})
    graph = Graph()
    source = graph.add_buffer(
        width=width, height=height, format=av.VideoFormat("rgb24"), time_base=1 / rate
    )
    split, palette = graph.add("split"), graph.add("palettegen", "reserve_transparent=0")
    apply, sink = graph.add("paletteuse", "dither=none"), graph.add("buffersink")
    source.link_to(split)
    split.link_to(palette, 0)
    split.link_to(apply, 1, 0)
    palette.link_to(apply, 0, 1)
    apply.link_to(sink)
    graph.configure()
    for number, pixels in enumerate(frames):
        frame = VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")
        frame.pts, frame.time_base = number, 1 / rate
        graph.vpush(frame)
    graph.vpush(None)
    for _ in frames:
        container.mux(stream.encode(graph.vpull()))
    container.mux(stream.encode())
