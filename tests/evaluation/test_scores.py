"""MSE, C-T, edits, TC, dynamic degree and likeness: what they rank and what changes nothing."""

import numpy as np
import pytest
import torch

from setseq.errors import ClipError, PromptError
from setseq.evaluation.adherence import edit_margin, judged_edit, text_agreement
from setseq.evaluation.consistency import dynamic_degree, temporal_consistency
from setseq.evaluation.footage import Footage
from setseq.evaluation.identity import likeness
from setseq.evaluation.reconstruction import mse
from setseq.prompts import without_tokens
from setseq.toybox.judge import Judge
from tests.evaluation.films import drawn, frozen, noise


def _rows(seed: int, count: int = 5) -> torch.Tensor:
    return torch.randn(count, 16, generator=torch.Generator().manual_seed(seed))


def test_mse_of_pixels_between_black_and_white():
    black = Footage(frames=np.zeros((2, 4, 4, 3), np.uint8), fps=8.0)
    white = Footage(frames=np.full((2, 4, 4, 3), 255, np.uint8), fps=8.0)
    grey = Footage(frames=np.full((2, 4, 4, 3), 51, np.uint8), fps=8.0)
    assert mse(black, black) == 0
    assert mse(black, white) == 1
    assert mse(grey, black) == pytest.approx(0.04)


def test_mse_ranks_itself_before_a_shifted_one_before_another_creature_elsewhere():
    robot = drawn("robot")
    aside = Footage(frames=np.roll(robot.frames, 1, 2), fps=robot.fps)
    assert mse(robot, robot) < mse(robot, aside) < mse(robot, drawn("bee"))


def test_ct_is_the_cosine_of_the_words_and_the_mean_of_the_frames():
    frames, words = _rows(0), _rows(1)[0]
    mean = torch.stack([row / row.norm() for row in frames]).mean(0)
    expected = mean @ words / (mean.norm() * words.norm())
    assert text_agreement(frames, words) == pytest.approx(float(expected), abs=1e-6)


def test_ct_does_not_depend_on_the_order_of_frames_or_on_lengths():
    frames, words = _rows(0), _rows(1)[0]
    score = text_agreement(frames, words)
    assert text_agreement(frames.flip(0), words) == pytest.approx(score, abs=1e-6)
    assert text_agreement(3 * frames, 0.5 * words) == pytest.approx(score, abs=1e-6)


def test_an_edit_that_is_there_has_a_margin_above_nought_and_swaps_sign_with_its_prompts():
    source, edited = _rows(1)[:2]
    frames = edited + 0.1 * _rows(0)
    assert edit_margin(frames, edited, source) > 0
    assert edit_margin(frames, source, edited) == pytest.approx(
        -edit_margin(frames, edited, source), abs=1e-6
    )


def test_tc_is_highest_when_nothing_changes_and_lower_when_frames_are_out_of_order():
    steps = torch.linspace(0, 1, 8)[:, None]
    turning = torch.cat([torch.cos(steps), torch.sin(steps)], 1)
    smooth = temporal_consistency(turning)
    broken = temporal_consistency(turning[[0, 5, 2, 7, 1, 6, 3, 4]])
    assert smooth is not None
    assert broken is not None
    assert temporal_consistency(turning[:1].expand(8, 2)) == pytest.approx(1.0)
    assert smooth == pytest.approx(float(np.cos(1 / 7)), abs=1e-6)
    assert broken < smooth < 1


def test_one_frame_has_no_consistency_and_no_motion():
    one = noise(frames=1)
    assert temporal_consistency(_rows(0, 1)) is None
    assert dynamic_degree(one) is None


def test_a_frozen_video_has_dynamic_degree_nought_and_a_faster_one_more():
    dancer = drawn("dancer")
    faster = Footage(frames=dancer.frames, fps=2 * dancer.fps)
    degree = dynamic_degree(dancer)
    assert degree is not None
    assert dynamic_degree(frozen(dancer)) == 0
    assert degree > 0.05
    assert dynamic_degree(faster) == pytest.approx(2 * degree)


def test_dynamic_degree_measures_speed_in_diagonals_a_second():
    still = noise(3, frames=1, height=64, width=96).frames[0]
    smooth = np.asarray(still, np.float32)
    for _ in range(6):
        smooth = (np.roll(smooth, 1, 0) + smooth + np.roll(smooth, 1, 1)) / 3
    wide = ((smooth - smooth.min()) / np.ptp(smooth) * 255).astype(np.uint8)
    moved = np.stack([wide[:, k : k + 64] for k in range(5)])  # a pixel a frame
    degree = dynamic_degree(Footage(frames=moved, fps=8.0))
    assert degree == pytest.approx(8 / np.hypot(64, 64), rel=0.2)


def test_a_video_is_like_itself_in_any_order_of_its_frames():
    rows = _rows(0)
    assert likeness(rows, rows.flip(0)) == pytest.approx(1.0, abs=1e-6)
    assert likeness(rows, rows.repeat(3, 1)) == pytest.approx(1.0, abs=1e-6)


def test_likeness_is_the_same_both_ways_and_ranks_a_near_one_before_another():
    one, near, other = _rows(0), _rows(0) + 0.3 * _rows(5), _rows(9)
    assert likeness(one, near) == pytest.approx(likeness(near, one), abs=1e-6)
    assert likeness(one, near) > likeness(one, other)


@pytest.mark.parametrize(
    ("prompt", "said"),
    [
        (
            "a [v] creature in the snow. it is [u] walking.",
            "a creature in the snow. it is walking.",
        ),
        ("[v1] on the left and [v2], [u2]", "on the left and,"),
        ("a man [v].", "a man."),
    ],
)
def test_concept_tokens_are_left_out_of_what_clip_reads(prompt, said):
    assert without_tokens(prompt) == said


def test_a_prompt_of_nothing_but_tokens_is_refused():
    with pytest.raises(PromptError, match="nothing besides"):
        without_tokens("[v] [u]")


class _Fixed(Judge):
    def read(self, pixels):
        return [{"light": "night", "left_accessory": "none"}]


def test_a_judged_edit_is_the_share_of_answers_that_are_right():
    wanted = {"light": "night", "left_accessory": "hat"}
    assert judged_edit(_Fixed(), drawn("robot"), wanted) == 0.5
    assert judged_edit(_Fixed(), drawn("robot"), {"light": "night"}) == 1


def test_questions_that_the_judge_does_not_know_are_refused_with_those_it_knows():
    with pytest.raises(PromptError, match="dusk"):
        judged_edit(_Fixed(), drawn("robot"), {"light": "noon"})
    with pytest.raises(PromptError, match="left_shape"):
        judged_edit(_Fixed(), drawn("robot"), {"mood": "happy"})
    with pytest.raises(ClipError, match="17 frames of 64x64, not 4 of 8x8"):
        judged_edit(_Fixed(), noise(), {"light": "night"})
