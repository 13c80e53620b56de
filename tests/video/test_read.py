"""Reading: every container, every oddity of real files, and one line for what cannot be read."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from setseq.errors import ClipError
from setseq.video import clip as clip_module
from setseq.video.clip import nearest_indices
from setseq.video.io import read_clip
from tests.video.clips import CODECS, counting_frames, numbers_of, record


@pytest.mark.parametrize("suffix", CODECS)
def test_every_container_is_read_with_its_facts(tmp_path: Path, suffix: str) -> None:
    clip = read_clip(record(tmp_path / f"clip{suffix}", counting_frames(10)))
    assert clip.frames.shape == (10, 48, 64, 3)
    assert clip.frames.dtype == np.uint8
    assert (clip.source.width, clip.source.height, clip.source.num_frames) == (64, 48, 10)
    assert clip.source.fps == pytest.approx(8, rel=0.01)
    assert clip.source.duration_s == pytest.approx(1.25, rel=0.02)
    assert not clip.source.has_audio
    assert not clip.source.has_variable_fps
    assert len(clip.source.sha256) == 64
    assert clip.notes == ()


def test_an_upper_case_ending_is_read(tmp_path: Path) -> None:
    path = record(tmp_path / "clip.mp4", counting_frames(3))
    assert len(read_clip(path.rename(tmp_path / "CLIP.MP4")).frames) == 3


def test_frames_come_in_their_order(tmp_path: Path) -> None:
    clip = read_clip(record(tmp_path / "clip.mp4", counting_frames(20)))
    assert numbers_of(clip.frames) == list(range(20))


@pytest.mark.parametrize("rotation", [90, 180, -90])
def test_rotation_is_applied_and_said(tmp_path: Path, rotation: int) -> None:
    frames = counting_frames(2)
    upright = read_clip(record(tmp_path / "upright.mp4", frames))
    turned = read_clip(record(tmp_path / "turned.mp4", frames, rotation=rotation))
    expected = np.rot90(upright.frames, k=rotation // 90, axes=(1, 2))
    np.testing.assert_array_equal(turned.frames, expected)
    assert (turned.source.height, turned.source.width) == expected.shape[1:3]
    assert any("rotated" in note for note in turned.notes)


def test_a_variable_frame_rate_is_sampled_by_timestamps(tmp_path: Path) -> None:
    times_ms = [0, 100, 200, 800, 900, 1000]
    path = record(tmp_path / "clip.mkv", counting_frames(6), times_ms=times_ms)
    clip = read_clip(path, fps=5)
    assert numbers_of(clip.frames) == [0, 2, 2, 3, 3, 5]
    assert clip.source.has_variable_fps
    assert any("varies" in note for note in clip.notes)


def test_sound_is_ignored_and_said(tmp_path: Path) -> None:
    clip = read_clip(record(tmp_path / "clip.mp4", counting_frames(8), audio_s=1.0))
    assert len(clip.frames) == 8
    assert clip.source.has_audio
    assert "the sound is ignored" in clip.notes


def test_pixels_that_are_not_square_are_made_square(tmp_path: Path) -> None:
    clip = read_clip(record(tmp_path / "clip.mp4", counting_frames(2), aspect=Fraction(2)))
    assert clip.frames.shape[1:3] == (48, 128)
    assert any("square" in note for note in clip.notes)


def test_odd_sizes_are_read(tmp_path: Path) -> None:
    frames = counting_frames(3, height=47, width=63)
    clip = read_clip(record(tmp_path / "clip.gif", frames))
    assert clip.frames.shape == (3, 47, 63, 3)


@pytest.mark.parametrize("suffix", [".mp4", ".webm", ".gif"])
def test_a_window_is_read_without_the_rest(tmp_path: Path, suffix: str) -> None:
    path = record(tmp_path / f"clip{suffix}", counting_frames(24), options={"g": "6"})
    clip = read_clip(path, start_s=1.0, num_frames=5)
    np.testing.assert_array_equal(clip.source_indices, [8, 9, 10, 11, 12])
    np.testing.assert_array_equal(clip.frames, read_clip(path).frames[8:13])
    assert clip.source.num_frames == 24


def test_sampling_at_half_the_rate_takes_every_second_frame(tmp_path: Path) -> None:
    clip = read_clip(record(tmp_path / "clip.mp4", counting_frames(10)), fps=4)
    assert numbers_of(clip.frames) == [0, 2, 4, 6, 8]


def test_a_folder_is_read_in_natural_order_and_said(tmp_path: Path) -> None:
    frames = counting_frames(12)
    for number, frame in enumerate(frames):
        Image.fromarray(frame).save(tmp_path / f"frame{number}.png")
    (tmp_path / "notes.txt").write_text("made on a Monday")
    clip = read_clip(tmp_path, image_fps=4)
    np.testing.assert_array_equal(clip.frames, frames)
    assert clip.fps == 4
    assert any("12 images" in note for note in clip.notes)
    assert any("1 files" in note for note in clip.notes)


def test_transparent_images_are_shown_on_white(tmp_path: Path) -> None:
    Image.new("RGBA", (8, 8), (255, 0, 0, 0)).save(tmp_path / "frame.webp")
    clip = read_clip(tmp_path)
    assert (clip.frames == 255).all()
    assert "transparent parts shown on white" in clip.notes


def test_images_of_two_sizes_are_refused(tmp_path: Path) -> None:
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    Image.new("RGB", (9, 8)).save(tmp_path / "b.png")
    _assert_one_line(tmp_path, "one size")


def test_a_damaged_image_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\nnothing")
    _assert_one_line(tmp_path, "not a readable image")


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    _assert_one_line(tmp_path / "clip.mp4", "no such file")


def test_an_empty_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "clip.mp4").touch()
    _assert_one_line(tmp_path / "clip.mp4", "empty")


def test_a_folder_without_images_is_refused(tmp_path: Path) -> None:
    (tmp_path / "clip.mp4").touch()
    _assert_one_line(tmp_path, "without images")


def test_another_kind_of_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "clip.avi").write_bytes(b"RIFF")
    _assert_one_line(tmp_path / "clip.avi", r"allowed: \.mp4")


@pytest.mark.parametrize("content", ["hello", "ffconcat version 1.0\nfile other.mp4\n"])
def test_a_renamed_text_file_is_refused(tmp_path: Path, content: str) -> None:
    record(tmp_path / "other.mp4", counting_frames(3))
    (tmp_path / "clip.mp4").write_text(content)
    _assert_one_line(tmp_path / "clip.mp4", "not a readable video")


def test_of_several_video_streams_the_first_is_used_and_that_is_said(tmp_path: Path) -> None:
    import av
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

    with av.open(tmp_path / "clip.mkv", "w") as container:
        streams = [container.add_stream("libx264", rate=8) for _ in range(2)]
        for stream in streams:
            assert isinstance(stream, VideoStream)
            stream.height, stream.width, stream.pix_fmt = 48, 64, "yuv420p"
        for stream, brightness in zip(streams, (40, 200), strict=True):
            for _ in range(4):
                pixels = np.full((48, 64, 3), brightness, np.uint8)
                container.mux(stream.encode(VideoFrame.from_ndarray(pixels, format="rgb24")))
            container.mux(stream.encode())
    clip = read_clip(tmp_path / "clip.mkv")
    assert len(clip.frames) == 4
    assert abs(clip.frames.mean() - 40) < 3
    assert "the first of 2 video streams is used, no other" in clip.notes


def test_a_file_with_sound_only_is_refused(tmp_path: Path) -> None:
    import av
    from av.audio.frame import AudioFrame

    with av.open(tmp_path / "clip.mp4", "w") as container:
        stream = container.add_stream("aac", rate=8000)
        silence = np.zeros((1, 8000), np.float32)
        frame = AudioFrame.from_ndarray(silence, format="fltp", layout="mono")
        frame.sample_rate = 8000
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    _assert_one_line(tmp_path / "clip.mp4", "has no video")


@pytest.mark.parametrize("suffix", [".mp4", ".webm", ".mkv", ".gif"])
@pytest.mark.parametrize("movflags", ["", "faststart"])
def test_a_truncated_file_is_refused(tmp_path: Path, suffix: str, movflags: str) -> None:
    frames = np.random.default_rng(0).integers(0, 255, (24, 48, 64, 3), np.uint8)
    container_options = {"movflags": movflags} if movflags else {}
    path = record(tmp_path / f"clip{suffix}", frames, container_options=container_options)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    _assert_one_line(path, "readable|cut off|damaged")


def test_a_file_with_a_damaged_middle_is_refused(tmp_path: Path) -> None:
    frames = np.random.default_rng(0).integers(0, 255, (24, 48, 64, 3), np.uint8)
    path = record(tmp_path / "clip.mp4", frames)
    data = bytearray(path.read_bytes())
    data[len(data) // 4 : len(data) // 2] = bytes(len(data) // 2 - len(data) // 4)
    path.write_bytes(data)
    _assert_one_line(path, "damaged")


def test_a_start_behind_the_end_is_refused(tmp_path: Path) -> None:
    path = record(tmp_path / "clip.mp4", counting_frames(8))
    with pytest.raises(ClipError, match="earlier start"):
        read_clip(path, start_s=5.0)


def test_a_clip_that_does_not_fit_into_memory_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clip_module, "MAX_CLIP_BYTES", 10_000)
    _assert_one_line(record(tmp_path / "clip.mp4", counting_frames(8)), "fewer frames")


@settings(deadline=None)
@given(
    times=st.lists(st.integers(0, 1000), min_size=1, max_size=20, unique=True),
    wanted=st.lists(st.integers(0, 1000), max_size=20),
)
def test_the_nearest_frame_is_never_further_than_another(
    times: list[int], wanted: list[int]
) -> None:
    times_s, wanted_s = np.array(sorted(times)) / 10, np.array(wanted) / 10
    picked_s = times_s[nearest_indices(times_s, wanted_s)]
    distances = np.abs(times_s[None] - wanted_s[:, None])
    np.testing.assert_allclose(np.abs(picked_s - wanted_s), distances.min(axis=1, initial=1e9))


def _assert_one_line(path: Path, reason: str) -> None:
    with pytest.raises(ClipError, match=reason) as caught:
        read_clip(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
