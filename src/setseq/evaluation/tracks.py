"""Points followed through a video: by OpenCV without weights, by CoTracker where installed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from setseq.errors import EncoderError
from setseq.evaluation.footage import Footage
from setseq.evaluation.vision import grey_frames, opencv

_STARTS = 4  # frames that points are picked in, so that what appears later is followed too
_POINTS = 150
_SPACING = 8  # least distance of picked points in pixels of the working size
_WINDOW = (21, 21)
_LEVELS = 4
_RETURN = 1.0  # pixels that a point may miss itself by when it is followed back


@dataclass(frozen=True, kw_only=True)
class Tracks:
    """Points and where they are in each frame.

    Attributes:
        points: (n, f, 2), x and y in picture diagonals.
        seen: Whether a point is seen in a frame, (n, f).
    """

    points: np.ndarray
    seen: np.ndarray


Tracker = Callable[[Footage], Tracks]


def follow_points(video: Footage) -> Tracks:
    """Follows corners with OpenCV's pyramidal Lucas-Kanade, forwards and backwards.

    Corners are picked in four frames spread over the video. A point is lost for good, in a
    direction of time, once following it back does not return to where it came from.

    Source: Bouguet, "Pyramidal implementation of the Lucas Kanade feature tracker", 1999; Shi and
    Tomasi, "Good features to track", CVPR 1994.

    Raises:
        EncoderError: OpenCV is not installed.
    """
    frames = grey_frames(video.frames)
    starts = sorted({round(k * (len(frames) - 1) / (_STARTS - 1)) for k in range(_STARTS)})
    points: list[np.ndarray] = [np.zeros((0, len(frames), 2))]
    seen: list[np.ndarray] = [np.zeros((0, len(frames)), bool)]
    for start in starts:
        corners = _corners(frames[start])
        if not len(corners):
            continue
        places = np.repeat(corners[:, None], len(frames), 1)
        found = np.zeros(places.shape[:2], bool)
        found[:, start] = True
        for step in (1, -1):
            end = len(frames) if step > 0 else -1
            for frame in range(start + step, end, step):
                _follow(frames, frame - step, frame, places, found)
        points.append(places)
        seen.append(found)
    diagonal = np.hypot(*frames.shape[1:])
    return Tracks(points=np.concatenate(points) / diagonal, seen=np.concatenate(seen))


def _corners(frame: np.ndarray) -> np.ndarray:
    found = opencv().goodFeaturesToTrack(
        frame, maxCorners=_POINTS, qualityLevel=0.01, minDistance=_SPACING
    )
    return np.zeros((0, 2)) if found is None else found.reshape(-1, 2).astype(np.float64)


def _follow(
    frames: np.ndarray, before: int, after: int, places: np.ndarray, found: np.ndarray
) -> None:
    """Follows all points by one frame, in place; lost ones stay where they were seen last."""
    flow = opencv().calcOpticalFlowPyrLK
    options = {"winSize": _WINDOW, "maxLevel": _LEVELS}
    start = places[:, before].astype(np.float32).reshape(-1, 1, 2)
    there, ok_there, _ = flow(frames[before], frames[after], start, None, **options)
    back, ok_back, _ = flow(frames[after], frames[before], there, None, **options)
    miss = np.linalg.norm((back - start).reshape(-1, 2), axis=1)
    good = found[:, before] & (ok_there.ravel() > 0) & (ok_back.ravel() > 0) & (miss < _RETURN)
    found[:, after] = good
    places[:, after] = np.where(good[:, None], there.reshape(-1, 2), places[:, before])


def cotracker(checkpoint: str | Path, *, grid: int = 20) -> Tracker:
    """A tracker that follows a grid of points with CoTracker 3, if that is installed.

    Args:
        checkpoint: Its offline weights, as scaled_offline.pth of facebook/cotracker3.
        grid: Points along each side of the grid.

    Raises:
        EncoderError: The package or the weights are missing.

    Source: Karaev et al., "CoTracker3", arXiv:2410.11831.
    """
    import torch

    if not Path(checkpoint).is_file():
        raise EncoderError(
            f"no CoTracker weights at {checkpoint}; "
            "`hf download facebook/cotracker3 scaled_offline.pth --local-dir FOLDER`, give the file"
        )
    try:
        from cotracker.predictor import CoTrackerPredictor  # pyright: ignore[reportMissingImports]
    except ImportError:
        raise EncoderError(
            "CoTracker is not installed; pip install"
            " git+https://github.com/facebookresearch/co-tracker, or track with OpenCV"
        ) from None
    network = CoTrackerPredictor(checkpoint=str(checkpoint))

    def follow(video: Footage) -> Tracks:
        frames = torch.from_numpy(np.ascontiguousarray(video.frames)).movedim(-1, 1).float()
        middle = len(frames) // 2
        points, seen = network(
            frames[None], grid_size=grid, grid_query_frame=middle, backward_tracking=True
        )
        diagonal = np.hypot(*video.frames.shape[1:3])
        return Tracks(
            points=points[0].transpose(0, 1).numpy() / diagonal,
            seen=seen[0].transpose(0, 1).numpy().astype(bool),
        )

    return follow
