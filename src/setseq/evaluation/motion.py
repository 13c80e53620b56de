"""Motion fidelity: do the points of the generated video move as those of the reference do?

Points are followed in both videos, after both were aligned in time. Those that hardly move are left
out, since a still background would agree with any other. Where in the picture something moves does
not matter, nor what it looks like.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from setseq.evaluation.footage import Footage, align
from setseq.evaluation.tracks import Tracker, Tracks, follow_points

_MOVING = 0.02  # least reach of a moving point, in picture diagonals
_SEEN = 3  # frames in which a point is seen at least, to be compared: one step has no course
_POINTS = 3  # least number of such points in the reference
_MOST = 150  # points of a video that are compared: every further one costs as much as all of these
_SURE = 0.9  # likeness by chance from which on nothing can be said
_TINY = 1e-12


@dataclass(frozen=True, kw_only=True)
class MotionFidelity:
    """Both parts of motion fidelity.

    Attributes:
        overall: Global part: shapes of whole paths, [-1, 1], 0 by chance.
        local: Local part: movements from frame to frame, likewise.
    """

    overall: float
    local: float

    @property
    def mean(self) -> float:
        """Both parts alike."""
        return (self.overall + self.local) / 2


def motion_fidelity(
    reference: Footage, generated: Footage, *, tracker: Tracker = follow_points
) -> MotionFidelity | None:
    """Compares how two videos move.

    Definition: every moving point of either video looks for the point of the other video that moves
    most like it; the mean over the points of each video, then over both videos. "Like it" is,
    for the *local* part, the cosine of their velocities over all frames (where one is not
    seen, its velocity counts as 0); for the *global* part, 1 less the discrete Fréchet distance of
    their paths about the middles of their extents, over the larger path's reach, at least 0.
    Of many points one always moves a little like any other, so the likeness s is corrected for
    chance: (s - c) / (1 - c), where c is the mean likeness to the generated movement turned by 90,
    180 and 270 degrees, at least 0. Points that are seen in 3 frames are compared, at most 150 of
    each video, evenly picked.
    Two videos in which nothing moves agree (1). A moving reference shares nothing (0) with a video
    in which nothing moves, or not long enough to be followed.
    Source: local after Yatim et al., "Space-Time Diffusion Features", CVPR 2024 (our choice: the
    cosine over the whole track instead of frame by frame, so that trembling at rest does not
    weigh like a stride); the global part after the hybrid motion fidelity of Shi et al., "Decouple
    and Track", arXiv:2503.17350; the correction is ours, in the manner of Cohen's kappa.
    Range: [-1, 1], 1 for the very video, about 0 for an unrelated one, below where it runs back.
    Blind to: who moves and where; the global part also, nearly, to tempo. Scenery that moves, as
    rain or a panning camera, counts as motion. Lucas-Kanade sees no textureless bodies and loses
    very fast or turning ones.

    Returns:
        Both parts; None where the reference moves and nothing can be said: hardly a point of it can
        be followed, or it moves in all directions alike (a zoom), so that chance reaches 0.9.
    """
    moving = [_moving(tracker(video)) for video in align(reference, generated)]
    first, second = (_followed(tracks) for tracks in moving)
    if not len(moving[0].points):
        still = float(not len(moving[1].points))
        return MotionFidelity(overall=still, local=still)
    if len(first.points) < _POINTS:
        return None
    if not len(second.points):
        return MotionFidelity(overall=0.0, local=0.0)
    found = _likeness(first, second)
    chance = np.mean([_likeness(first, turned) for turned in _turned(second)], axis=0).clip(0)
    if chance.max() >= _SURE:
        return None
    overall, local = ((found - chance) / (1 - chance)).clip(-1)
    return MotionFidelity(overall=float(overall), local=float(local))


def _likeness(first: Tracks, second: Tracks) -> np.ndarray:
    """Global and local likeness before the correction for chance, (2,)."""
    overall = _path_likeness(_paths(first), _paths(second))
    local = _velocities(first) @ _velocities(second).T
    return np.array([_best_matches(overall), _best_matches(local)])


def _turned(tracks: Tracks) -> list[Tracks]:
    """The same movement by 90, 180 and 270 degrees."""
    x, y = tracks.points[..., 0], tracks.points[..., 1]
    ways = [(-y, x), (-x, -y), (y, -x)]
    return [Tracks(points=np.stack(way, -1), seen=tracks.seen) for way in ways]


def _best_matches(likeness: np.ndarray) -> float:
    """Mean of the best match of each row and of each column, both counting the same."""
    return float((likeness.max(0).mean() + likeness.max(1).mean()) / 2)


def _moving(tracks: Tracks) -> Tracks:
    reach = np.ptp(tracks.points, axis=1)  # lost points stay where they were seen last
    moving = np.hypot(reach[:, 0], reach[:, 1]) > _MOVING
    return Tracks(points=tracks.points[moving], seen=tracks.seen[moving])


def _followed(tracks: Tracks) -> Tracks:
    """Those of the tracks that are seen for long enough, evenly picked where there are many."""
    long = np.flatnonzero(tracks.seen.sum(1) >= _SEEN)
    picked = long[np.linspace(0, len(long) - 1, min(_MOST, len(long))).round().astype(int)]
    return Tracks(points=tracks.points[picked], seen=tracks.seen[picked])


def _velocities(tracks: Tracks) -> np.ndarray:
    """Unit vectors of all velocities of a track, 0 where it is not seen, (n, 2 (f - 1))."""
    both = tracks.seen[:, 1:] & tracks.seen[:, :-1]
    flat = (np.diff(tracks.points, axis=1) * both[..., None]).reshape(len(tracks.points), -1)
    return flat / np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), _TINY)


def _paths(tracks: Tracks) -> np.ndarray:
    """Paths about the middles of their extents, which no tempo moves, (n, f, 2)."""
    ends = tracks.points.min(1, keepdims=True), tracks.points.max(1, keepdims=True)
    return tracks.points - (ends[0] + ends[1]) / 2


def _path_likeness(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """1 less the Fréchet distance of each pair of paths over the larger reach, (n, m)."""
    reaches = [np.linalg.norm(paths, axis=-1).max(1) for paths in (first, second)]
    larger = np.maximum.outer(*reaches)
    return np.maximum(0.0, 1 - _frechet(first, second) / np.maximum(larger, _TINY))


def _frechet(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Discrete Fréchet distances of paths (n, f, 2) and (m, f, 2), (n, m).

    Source: Eiter and Mannila, "Computing discrete Fréchet distance", 1994.
    """
    row: list[np.ndarray] = []
    for i in range(first.shape[1]):
        above, row = row, []
        for j in range(second.shape[1]):
            apart = np.linalg.norm(first[:, None, i] - second[None, :, j], axis=-1)
            ways = [above[j]] if above else []
            ways += [row[j - 1]] if j else []
            ways += [above[j - 1]] if above and j else []
            row.append(np.maximum(apart, np.minimum.reduce(ways)) if ways else apart)
    return row[-1]
