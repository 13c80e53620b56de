import numpy as np
import pytest

from setseq.errors import ClipError
from setseq.evaluation.footage import Footage, align, alignment, on_side
from tests.evaluation.films import noise


def test_videos_of_one_length_size_and_rate_are_left_as_they_are():
    first, second = noise(0), noise(1)
    a, b = align(first, second)
    assert np.array_equal(a.frames, first.frames)
    assert np.array_equal(b.frames, second.frames)


def test_the_longer_video_is_cut_at_its_end():
    long, short = noise(0, frames=7), noise(1, frames=4)
    for a, b in (align(long, short), align(short, long)):
        assert len(a.frames) == len(b.frames) == 4
    assert np.array_equal(align(long, short)[0].frames, long.frames[:4])


def test_the_faster_video_gives_the_frames_of_the_same_seconds():
    slow = noise(0, frames=4)
    fast = Footage(frames=np.repeat(slow.frames, 3, 0), fps=24.0)
    a, b = align(fast, slow)
    assert a.fps == b.fps == 8.0
    assert np.array_equal(a.frames, slow.frames)


def test_the_reference_is_cropped_around_its_centre_and_the_larger_one_scaled_down():
    wide, tall = noise(0, height=8, width=24), noise(1, height=16, width=16)
    a, b = align(wide, tall)
    assert np.array_equal(a.frames, wide.frames[:, :, 8:16])
    assert b.frames.shape == a.frames.shape == (4, 8, 8, 3)


def test_it_is_said_how_two_videos_are_brought_together():
    clip = Footage(frames=noise(0, frames=9, height=8, width=24).frames, fps=24.0)
    video = noise(1, frames=4, height=16, width=16)
    said = alignment(clip, video)
    assert "the clip has 9 frames of 24x8 at 24 fps" in said
    assert "the generated video has 4 frames of 16x16 at 8 fps" in said
    first, _ = align(clip, video)
    frames, high, wide = first.frames.shape[:3]
    assert f"compared as {frames} of {wide}x{high} at {first.fps:g} fps" in said
    assert (frames, high, wide, first.fps) == (3, 8, 8, 8.0)
    assert "\n" not in said


def test_nothing_is_said_of_videos_that_are_alike():
    assert alignment(noise(0), noise(1)) == ""


def test_a_half_stands_in_the_middle_with_its_edges_drawn_out():
    video = noise(height=4, width=9)
    left, right = on_side(video, "left"), on_side(video, "right")
    assert left.frames.shape == right.frames.shape == video.frames.shape
    assert np.array_equal(left.frames[:, :, 2:6], video.frames[:, :, :4])
    assert np.array_equal(right.frames[:, :, 2:6], video.frames[:, :, 5:])
    assert (left.frames[:, :, 6:] == video.frames[:, :, 3:4]).all()


@pytest.mark.parametrize(
    ("frames", "fps", "said"),
    [
        (np.zeros((0, 4, 4, 3), np.uint8), 8.0, "at least one"),
        (np.zeros((2, 4, 4, 3), np.float32), 8.0, "float32"),
        (np.zeros((2, 4, 4, 3), np.uint8), 0.0, "more than 0"),
    ],
)
def test_what_is_no_video_is_refused_in_one_line(frames, fps, said):
    with pytest.raises(ClipError, match=said) as caught:
        Footage(frames=frames, fps=fps)
    assert "\n" not in str(caught.value)
