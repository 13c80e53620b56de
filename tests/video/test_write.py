"""Writing: what is written plays, is whole or not there, and reads back as what it was."""

from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from setseq.errors import OutputError, SettingsError
from setseq.video.encode import check_scale
from setseq.video.io import OUTPUT_SUFFIXES, encode_video, read_clip, write_video
from setseq.video.sheet import write_sheet
from tests.video.clips import counting_frames, numbers_of


@pytest.mark.parametrize("suffix", OUTPUT_SUFFIXES)
def test_a_written_video_reads_back(tmp_path: Path, suffix: str) -> None:
    frames = counting_frames(17, height=64)
    clip = read_clip(write_video(tmp_path / f"new/clip{suffix}", frames, fps=8))
    assert clip.frames.shape == frames.shape
    assert clip.fps == pytest.approx(8, rel=0.01)
    assert numbers_of(clip.frames) == list(range(17))
    assert np.abs(clip.frames.astype(int) - frames).mean() < 2


def test_colours_survive_mp4_without_a_shift(tmp_path: Path) -> None:
    colours = np.random.default_rng(0).integers(0, 255, (4, 8, 8, 3), np.uint8)
    frames = colours.repeat(16, axis=1).repeat(16, axis=2)
    clip = read_clip(write_video(tmp_path / "clip.mp4", frames, fps=8))
    shift = (clip.frames.astype(int) - frames)[:, 8::16, 8::16].mean(axis=(0, 1, 2))
    assert np.abs(shift).max() < 0.5


def test_a_lossless_video_keeps_every_pixel(tmp_path: Path) -> None:
    frames = np.random.default_rng(0).integers(0, 255, (5, 32, 48, 3), np.uint8)
    clip = read_clip(write_video(tmp_path / "clip.mp4", frames, fps=8, lossless=True))
    np.testing.assert_array_equal(clip.frames, frames)


@pytest.mark.parametrize("suffix", OUTPUT_SUFFIXES)
def test_enlarging_repeats_pixels(tmp_path: Path, suffix: str) -> None:
    frames = counting_frames(3)
    clip = read_clip(write_video(tmp_path / f"clip{suffix}", frames, fps=8, scale=4))
    assert clip.frames.shape == (3, 192, 256, 3)


def test_odd_sizes_are_continued_by_one_pixel(tmp_path: Path) -> None:
    frames = counting_frames(3, height=47, width=63)
    clip = read_clip(write_video(tmp_path / "clip.mp4", frames, fps=8))
    assert clip.frames.shape == (3, 48, 64, 3)


def test_mp4_is_what_browsers_play(tmp_path: Path) -> None:
    path = write_video(tmp_path / "clip.mp4", counting_frames(3), fps=8)
    with av.open(path) as container:
        stream = container.streams.video[0]
        assert (stream.codec.name, stream.codec_context.pix_fmt) == ("h264", "yuv420p")


@pytest.mark.parametrize("fps", [8.0, 12.5, 23.976, 29.97])
def test_uneven_rates_are_kept(tmp_path: Path, fps: float) -> None:
    clip = read_clip(write_video(tmp_path / "clip.mp4", counting_frames(20), fps=fps))
    assert clip.fps == pytest.approx(fps, rel=1e-3)


def test_an_unknown_ending_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"allowed: \.mp4 \.webm \.gif"):
        write_video(tmp_path / "clip.avi", counting_frames(3), fps=8)


def test_no_frames_are_refused() -> None:
    with pytest.raises(OutputError, match="at least one frame"):
        encode_video(counting_frames(0), fps=8)


def test_a_folder_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "taken").touch()
    with pytest.raises(OutputError, match="cannot be written"):
        write_video(tmp_path / "taken/clip.mp4", counting_frames(3), fps=8)


def test_a_sheet_shows_each_clip_in_a_labelled_row(tmp_path: Path) -> None:
    rows = [("the clip", counting_frames(17)), ("a long prompt " * 20, counting_frames(2))]
    with Image.open(write_sheet(tmp_path / "sheet.png", rows, columns=4)) as sheet:
        # Four cells of 64x48 enlarged threefold, three gaps and two margins.
        assert sheet.width == 4 * 192 + 3 * 4 + 2 * 8
        assert sheet.height > 2 * 144
        dark = np.asarray(sheet.convert("L"))[8:24] < 100
    assert dark.any()


def test_a_sheet_of_another_kind_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"allowed: \.png"):
        write_sheet(tmp_path / "sheet.bmp", [("clip", counting_frames(2))])


def test_a_sheet_without_rows_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="at least one clip"):
        write_sheet(tmp_path / "sheet.png", [])


@pytest.mark.parametrize("scale", [0, -1, 129, 100_000])
def test_a_video_is_not_enlarged_beyond_what_players_show(scale: int):
    frames = np.zeros((1, 16, 32, 3), np.uint8)
    with pytest.raises(SettingsError, match="allowed for videos of 32x16 pixels is 1 to 128"):
        encode_video(frames, fps=8, scale=scale)


def test_a_video_that_is_larger_is_written_as_it_is():
    check_scale(1, height=16, width=8000)
    with pytest.raises(SettingsError, match=r"is 1 to 1$"):
        check_scale(2, height=16, width=8000)
