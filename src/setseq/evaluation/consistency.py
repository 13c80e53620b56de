"""TC and dynamic degree: is the video steady, and does it move at all? Read the two together."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from setseq.evaluation.footage import Footage
from setseq.evaluation.vision import grey_frames, opencv

_FASTEST = 0.05  # share of pixels, VBench's


def temporal_consistency(frames: Tensor) -> float | None:
    """TC: does the picture stay the same thing from frame to frame?

    Definition: mean cosine of consecutive frames' CLIP embeddings.
    Source: the paper's TC (Tables 1 and 2), arXiv:2502.14844.
    Range: [-1, 1], higher is better; good videos lie within 0.99 to 1, so digits behind count.
    Blind to: motion. A frozen video scores 1, the best there is: read it beside dynamic degree.
    Also blind to slow drifts, and to flicker that CLIP does not see.

    Args:
        frames: CLIP embeddings (f, d).

    Returns:
        None of a single frame.
    """
    if len(frames) < 2:
        return None
    return float(torch.cosine_similarity(frames[:-1], frames[1:], dim=1).mean())


def dynamic_degree(video: Footage) -> float | None:
    """How fast the fastest parts of the picture move.

    Definition: dense optical flow between consecutive frames (DIS); the mean over frames of the
    mean length of the fastest 5 % of vectors, in picture diagonals a second.
    Source: VBench's dynamic degree (Huang et al., CVPR 2024) without its threshold and with a flow
    that needs no weights.
    Range: [0, inf), 0 is a frozen video. Neither high nor low is good: compare with the
    reference's.
    Blind to: what moves (camera, rain and noise count) and how. Flicker counts as motion.

    Returns:
        None of a single frame.
    """
    if len(video.frames) < 2:
        return None
    frames = grey_frames(video.frames)
    flow = opencv().DISOpticalFlow.create(opencv().DISOPTICAL_FLOW_PRESET_MEDIUM)
    speeds = []
    for before, after in pairwise(frames):
        if np.array_equal(before, after):
            speeds.append(0.0)
            continue
        lengths = np.linalg.norm(flow.calc(before, after, None), axis=-1).ravel()
        fastest = max(1, int(_FASTEST * lengths.size))
        speeds.append(float(np.partition(lengths, -fastest)[-fastest:].mean()))
    return float(np.mean(speeds)) / float(np.hypot(*frames.shape[1:])) * video.fps
