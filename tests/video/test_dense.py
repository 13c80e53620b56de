"""Frame-dense sampling: what lies between the frames of the base's rate is seen too."""

import re
from pathlib import Path

import numpy as np
import pytest

from setseq.errors import ClipError
from setseq.learning import fitted_clip
from setseq.models.registry import load_model
from setseq.video.dense import load_dense_clip
from setseq.video.views import FittedClip, load_clip
from tests.video.clips import counting_frames, numbers_of, record


def _recorded(path: Path, *, fps: float, num_frames: int) -> Path:
    times_ms = [round(1000 * k / fps) for k in range(num_frames)]
    frames = counting_frames(min(num_frames, 26), height=16, width=16)
    return record(path, np.resize(frames, (num_frames, 16, 16, 3)), times_ms=times_ms)


def _dense(path: Path, **given) -> FittedClip:
    options = {"num_frames": 5, "width": 16, "height": 16, "fps": 8.0, **given}
    return load_dense_clip(path, **options)


def _shown(clip: FittedClip) -> list[list[int]]:
    return [each.source_indices.tolist() for each in (clip, *clip.between)]


def test_three_times_the_rate_gives_three_clips_that_hold_every_frame_once(tmp_path: Path):
    path = _recorded(tmp_path / "clip.mp4", fps=24, num_frames=16)
    clip = _dense(path)
    assert [numbers_of(each.frames) for each in (clip, *clip.between)] == [
        [0, 3, 6, 9, 12],
        [1, 4, 7, 10, 13],
        [2, 5, 8, 11, 14],
    ]
    assert clip.notes[-1] == (
        "frame-dense sampling: resampled 3 times, each beginning 0.0417 s later; 15 of the 15"
        " frames of that time are seen, instead of 5"
    )
    pixels = clip.between_pixels
    assert pixels is not None
    assert pixels.shape == (2, 3, 5, 16, 16)
    assert np.array_equal(
        clip.frames, load_clip(path, num_frames=5, width=16, height=16, fps=8).frames
    )


@pytest.mark.parametrize("fps", [9, 12, 15, 16, 20, 23.976, 25, 29.97, 30, 50])
def test_no_frame_of_a_steady_clip_is_missed_and_the_speed_stays_true(tmp_path: Path, fps: float):
    clip = _dense(_recorded(tmp_path / "clip.mp4", fps=fps, num_frames=40 + int(fps)), start_s=0.3)
    seen = sorted({index for indices in _shown(clip) for index in indices})
    assert seen == list(range(seen[0], seen[-1] + 1))
    for indices in _shown(clip):
        assert np.abs(np.diff(indices) - fps / 8).max() <= 1


def test_a_clip_at_the_bases_rate_or_below_has_nothing_between(tmp_path: Path):
    for fps in (8, 4):
        clip = _dense(_recorded(tmp_path / f"{fps}.mp4", fps=fps, num_frames=8))
        assert clip.between == ()
        assert clip.between_pixels is None
        assert clip.notes[-1] == (
            "frame-dense sampling adds nothing to this clip:"
            f" it has {fps} frames a second, the base 8"
        )


def test_resamplings_for_which_the_clip_ends_too_early_are_left_out_and_it_is_said(tmp_path: Path):
    clip = _dense(_recorded(tmp_path / "clip.mp4", fps=24, num_frames=14))
    assert _shown(clip) == [[0, 3, 6, 9, 12], [1, 4, 7, 10, 13]]
    assert clip.notes[-1].endswith("(1 more left out: the clip ends too early)")
    clip = _dense(_recorded(tmp_path / "short.mp4", fps=24, num_frames=13))
    assert _shown(clip) == [[0, 3, 6, 9, 12]]
    assert clip.notes[-1].endswith(
        "adds nothing to this clip: it ends too early for a later beginning"
    )
    with pytest.raises(ClipError, match="too short"):
        _dense(_recorded(tmp_path / "too-short.mp4", fps=24, num_frames=12))


def test_a_varying_rate_is_counted_honestly(tmp_path: Path):
    times_ms = [0, 10, 20, 30, 500, 510, 520, 1000]
    frames = counting_frames(len(times_ms), height=16, width=16)
    clip = _dense(record(tmp_path / "clip.mp4", frames, times_ms=times_ms))
    assert clip.notes[-1].startswith("frame-dense sampling adds nothing")
    clip = _dense(record(tmp_path / "b.mp4", frames, times_ms=times_ms), fps=4.0, num_frames=3)
    assert "4 of the 7 frames of that time are seen" in clip.notes[-1]


def test_the_example_of_the_page_is_a_clip_that_is_resampled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    page = (Path(__file__).parents[2] / "docs" / "erratic.md").read_text(encoding="utf-8")
    [program] = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    monkeypatch.chdir(tmp_path)
    exec(program, {})
    clip = fitted_clip(load_model("toybox"), "crab.mp4", dense=True)
    assert len(clip.between) == 2
    assert any("51 of the 51 frames of that time are seen, instead of 17" in n for n in clip.notes)
