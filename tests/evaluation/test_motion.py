import sys
from types import ModuleType

import numpy as np
import pytest
import torch

from setseq.errors import EncoderError
from setseq.evaluation.footage import Footage
from setseq.evaluation.motion import MotionFidelity, motion_fidelity
from setseq.evaluation.tracks import Tracks, cotracker, follow_points
from tests.evaluation.films import drawn, frozen, shuffled

NAMES = ("robot", "bird")


def _paths(*paths: np.ndarray) -> Tracks:
    """Three points on each path: fewer are not compared."""
    points = np.repeat(np.stack(paths), 3, 0)
    return Tracks(points=points, seen=np.ones(points.shape[:2], bool))


def _fidelity(first: Tracks, second: Tracks) -> MotionFidelity | None:
    frames = np.zeros((first.points.shape[1], 8, 8, 3), np.uint8)
    answers = iter((first, second))
    footage = Footage(frames=frames, fps=8.0)
    return motion_fidelity(footage, footage, tracker=lambda video: next(answers))


def _compare(first: Tracks, second: Tracks) -> MotionFidelity:
    fidelity = _fidelity(first, second)
    assert fidelity is not None
    return fidelity


def _measured(reference: Footage, generated: Footage) -> MotionFidelity:
    fidelity = motion_fidelity(reference, generated)
    assert fidelity is not None
    return fidelity


_TIME = np.linspace(0, 1, 17)
_RIGHT = np.stack([_TIME, 0 * _TIME], 1) * 0.3 + 0.2
_DOWN = np.stack([0 * _TIME, _TIME], 1) * 0.3 + 0.2
_CIRCLE = np.stack([np.cos(6.283 * _TIME), np.sin(6.283 * _TIME)], 1) * 0.1 + 0.5


@pytest.mark.parametrize("path", [_RIGHT, _CIRCLE])
def test_the_same_path_elsewhere_and_in_another_size_moves_alike(path):
    moved = _compare(_paths(path), _paths(path + 0.3))
    assert moved.local == pytest.approx(1.0)
    assert moved.overall == pytest.approx(1.0)
    assert _compare(_paths(path), _paths(2 * path)).local == pytest.approx(1.0)


def test_a_path_at_right_angles_shares_no_movement_and_one_that_runs_back_the_opposite():
    assert _compare(_paths(_RIGHT), _paths(_DOWN)).local == pytest.approx(0.0)
    assert _compare(_paths(_RIGHT), _paths(_RIGHT[::-1])).local == pytest.approx(-1.0)


def test_the_global_part_forgives_another_tempo_which_the_local_part_sees():
    slower_first = np.interp(_TIME**2, _TIME, _RIGHT[:, 0])
    other = np.stack([slower_first, _RIGHT[:, 1]], 1)
    fidelity = _compare(_paths(_RIGHT), _paths(other))
    assert fidelity.local < 0.95
    assert fidelity.overall > 0.85  # 0.76 about the mean of each path, which lingers at the start


def test_points_that_were_lost_count_against_the_likeness():
    lost = Tracks(points=_RIGHT[None].copy(), seen=np.ones((1, 17), bool))
    lost.seen[0, 9:] = False
    assert _compare(_paths(_RIGHT), lost).local == pytest.approx(np.sqrt(0.5))


def test_points_that_are_seen_for_a_moment_do_not_count():
    tracks = _paths(*[_RIGHT] * 5)
    tracks.seen[:, 2:] = False
    assert _compare(_paths(_RIGHT, _DOWN, _CIRCLE), tracks).mean == 0.0
    assert _fidelity(tracks, _paths(_RIGHT)) is None


def test_what_many_points_share_by_chance_does_not_count():
    walks = np.random.default_rng(0).normal(size=(2, 100, 17, 2)).cumsum(2) / 50
    first, second = (Tracks(points=each, seen=np.ones((100, 17), bool)) for each in walks)
    first.seen[:, 5:], second.seen[:, 5:] = False, False
    fidelity = _compare(first, second)
    assert fidelity.local == pytest.approx(0, abs=0.1)
    assert fidelity.overall == pytest.approx(0, abs=0.1)
    assert _compare(first, first).mean == pytest.approx(1.0)


def test_of_a_zoom_in_which_every_direction_is_alike_nothing_can_be_said():
    turns = [np.array([[c, -s], [s, c]]) for c, s in ((1, 0), (0, 1), (-1, 0), (0, -1))]
    zoom = _paths(*[_RIGHT @ turn.T for turn in turns])
    assert _fidelity(zoom, zoom) is None


def test_of_very_many_points_an_even_choice_is_compared():
    many = _paths(*[_RIGHT] * 200, *[_DOWN] * 200)
    assert _compare(_paths(_RIGHT, _RIGHT, _DOWN), many).local == pytest.approx(1.0)


def test_noise_moves_like_nothing():
    generator = np.random.default_rng(0)
    noise = Footage(frames=generator.integers(0, 256, (17, 64, 64, 3), np.uint8), fps=8.0)
    assert _measured(drawn("robot"), noise).mean < 0.1


def test_what_turns_too_fast_to_be_followed_says_nothing():
    assert motion_fidelity(drawn("snowman"), drawn("robot")) is None


def test_still_points_are_left_out_and_two_still_videos_agree():
    still = np.full((17, 2), 0.5)
    assert _compare(_paths(_RIGHT, still), _paths(_RIGHT)).local == pytest.approx(1.0)
    assert _compare(_paths(still), _paths(still)).mean == 1.0
    assert _compare(_paths(_RIGHT), _paths(still)).mean == 0.0


@pytest.mark.parametrize("name", NAMES)
def test_a_clip_is_before_the_same_movement_elsewhere_before_another_creature_there(name):
    clip = drawn(name)
    other = "snowman" if name == "bird" else "bird"
    scores = [
        _measured(clip, video)
        for video in (clip, drawn(name, place="meadow", light="day"), drawn(other))
    ]
    assert scores[0].local == pytest.approx(1.0)
    assert scores[0].overall == pytest.approx(1.0)
    assert scores[0].mean > scores[1].mean > scores[2].mean + 0.3


@pytest.mark.parametrize("name", NAMES)
def test_a_shuffled_clip_loses_motion_fidelity_and_a_frozen_one_all_of_it(name):
    clip = drawn(name, light="day", place="desert")
    lost = _measured(clip, shuffled(clip))
    assert lost.local < 0.5
    assert lost.mean < 0.3
    assert _measured(clip, frozen(clip)).mean == 0.0


def test_points_are_followed_to_where_a_picture_is_moved():
    clip = drawn("robot", light="day").frames[0]
    frames = np.stack([np.roll(clip, 2 * k, 1)[:, 16:48] for k in range(5)])
    tracks = follow_points(Footage(frames=frames, fps=8.0))
    whole = tracks.seen.all(1)
    steps = np.diff(tracks.points[whole], axis=1) * np.hypot(64, 32)
    assert whole.sum() > 10
    assert np.median(steps[..., 0]) == pytest.approx(2, abs=0.2)
    assert np.median(steps[..., 1]) == pytest.approx(0, abs=0.2)


def test_a_picture_without_corners_has_no_points():
    plain = Footage(frames=np.full((4, 32, 32, 3), 90, np.uint8), fps=8.0)
    assert follow_points(plain).points.shape == (0, 4, 2)


def test_cotracker_without_weights_says_where_to_get_them(tmp_path):
    with pytest.raises(EncoderError, match="hf download facebook/cotracker3"):
        cotracker(tmp_path / "none.pth")


def test_cotracker_that_is_not_installed_says_so(tmp_path, monkeypatch):
    (tmp_path / "weights.pth").touch()
    monkeypatch.setitem(sys.modules, "cotracker.predictor", None)
    with pytest.raises(EncoderError, match="not installed"):
        cotracker(tmp_path / "weights.pth")


def test_cotrackers_points_come_in_picture_diagonals(tmp_path, monkeypatch):
    (tmp_path / "weights.pth").touch()
    module = ModuleType("cotracker.predictor")

    class Predictor:
        def __init__(self, checkpoint):
            assert checkpoint == str(tmp_path / "weights.pth")

        def __call__(self, video, *, grid_size, grid_query_frame, backward_tracking):
            assert video.shape == (1, 4, 3, 30, 40)
            assert video.max() > 1  # pixels from 0 to 255
            places = torch.tensor([10.0, 20.0]).expand(1, 4, grid_size**2, 2)
            return places, torch.ones(1, 4, grid_size**2, dtype=torch.bool)

    monkeypatch.setattr(module, "CoTrackerPredictor", Predictor, raising=False)
    monkeypatch.setitem(sys.modules, "cotracker.predictor", module)
    video = Footage(frames=np.full((4, 30, 40, 3), 200, np.uint8), fps=8.0)
    tracks = cotracker(tmp_path / "weights.pth", grid=3)(video)
    assert tracks.points.shape == (9, 4, 2)
    assert np.allclose(tracks.points, np.array([10, 20]) / 50)
    assert tracks.seen.all()
