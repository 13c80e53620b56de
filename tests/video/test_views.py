"""Views: fitted to the base, with everything said."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from setseq.errors import ClipError
from setseq.video.io import read_clip, write_video
from setseq.video.views import (
    fit_clip,
    load_clip,
    to_frames,
    to_pixels,
)
from tests.video.clips import counting_frames, numbers_of, record


def test_a_clip_that_fits_already_is_not_touched(tmp_path: Path) -> None:
    frames = np.random.default_rng(0).integers(0, 255, (17, 32, 32, 3), np.uint8)
    path = write_video(tmp_path / "clip.mp4", frames, fps=8, lossless=True)
    fitted = load_clip(path, num_frames=17, width=32, height=32, fps=8, frame_step=2)
    np.testing.assert_array_equal(fitted.frames, frames)
    assert fitted.notes == ("17 of 17 frames used",)


def test_everything_that_happens_is_said(tmp_path: Path) -> None:
    path = record(tmp_path / "clip.mp4", counting_frames(24), rotation=90, audio_s=2.0)
    fitted = load_clip(path, num_frames=5, width=16, height=16, fps=4, start_s=0.5)
    assert numbers_of(fitted.frames) == [4, 6, 8, 10, 12]
    assert fitted.notes == (
        "rotated by 90 degrees as the file asks",
        "the sound is ignored",
        "5 of 24 frames used, 0.5 to 1.8 of 3.0 s",
        "retimed from 8 to 4 fps at the same speed",
        "cropped around the centre from 48x64 to 48x48",
        "resized from 48x48 to 16x16",
    )


def test_repeated_frames_are_said(tmp_path: Path) -> None:
    path = record(tmp_path / "clip.mp4", counting_frames(8))
    fitted = load_clip(path, num_frames=9, width=64, height=48, fps=16)
    assert any("repeats" in note for note in fitted.notes)


def test_reading_all_first_gives_the_same_clip(tmp_path: Path) -> None:
    path = record(tmp_path / "clip.mp4", counting_frames(24), times_ms=[40 * i for i in range(24)])
    loaded = load_clip(path, num_frames=7, width=16, height=16, fps=8)
    fitted = fit_clip(read_clip(path), num_frames=7, width=16, height=16, fps=8)
    np.testing.assert_array_equal(loaded.frames, fitted.frames)
    assert loaded.notes == fitted.notes


def test_a_clip_too_short_is_refused_with_a_number_that_works(tmp_path: Path) -> None:
    path = record(tmp_path / "clip.mp4", counting_frames(12))
    with pytest.raises(ClipError, match="at most 11 frames"):
        load_clip(path, num_frames=17, width=64, height=48, fps=8, frame_step=2)
    load_clip(path, num_frames=11, width=64, height=48, fps=8, frame_step=2)


def test_a_number_of_frames_that_the_base_cannot_take_is_refused(tmp_path: Path) -> None:
    path = record(tmp_path / "clip.mp4", counting_frames(12))
    with pytest.raises(ClipError, match="ask for 9 or 13"):
        load_clip(path, num_frames=10, width=64, height=48, fps=8, frame_step=4)


@settings(deadline=None)
@given(
    source=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    target=st.tuples(st.integers(1, 40), st.integers(1, 40)),
)
def test_any_size_is_fitted_to_any_other(source: tuple[int, int], target: tuple[int, int]) -> None:
    frames = np.full((2, *source, 3), 200, np.uint8)
    fitted = fit_clip(_clip_of(frames), num_frames=2, height=target[0], width=target[1], fps=8)
    assert fitted.frames.shape == (2, *target, 3)
    assert (fitted.frames == 200).all()


def test_resizing_down_is_antialiased() -> None:
    stripes = np.zeros((1, 64, 64, 3), np.uint8)
    stripes[:, :, ::2] = 255
    fitted = fit_clip(_clip_of(stripes), num_frames=1, height=16, width=16, fps=8)
    assert np.abs(fitted.frames.astype(int) - 127).max() <= 32


def test_pixels_and_frames_are_inverses() -> None:
    frames = np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1).repeat(3, axis=-1)
    pixels = to_pixels(frames)
    assert pixels.shape == (3, 1, 16, 16)
    assert (pixels.min(), pixels.max()) == (-1, 1)
    np.testing.assert_array_equal(to_frames(pixels), frames)


def test_frames_keep_leading_dimensions() -> None:
    assert to_frames(torch.zeros(2, 3, 5, 4, 6)).shape == (2, 5, 4, 6, 3)


def test_fitted_pixels_are_one_batch(tmp_path: Path) -> None:
    path = record(tmp_path / "clip.mp4", counting_frames(5))
    fitted = load_clip(path, num_frames=5, width=32, height=24, fps=8)
    assert fitted.pixels.shape == (1, 3, 5, 24, 32)


def _clip_of(frames: np.ndarray):
    from setseq.video.clip import Clip, ClipSource

    times_s = np.arange(len(frames)) / 8
    source = ClipSource(
        path=Path("clip.mp4"),
        width=frames.shape[2],
        height=frames.shape[1],
        num_frames=len(frames),
        duration_s=len(frames) / 8,
        fps=8.0,
        has_variable_fps=False,
        has_audio=False,
        rotation=0,
        sha256="0" * 64,
    )
    return Clip(
        frames=frames,
        times_s=times_s,
        source_indices=np.arange(len(frames)),
        fps=8.0,
        source=source,
        notes=(),
    )
