"""MSE: how exactly a clip is given back, pixel by pixel."""

from __future__ import annotations

import numpy as np

from setseq.evaluation.footage import Footage, align


def mse(reference: Footage, generated: Footage) -> float:
    """Mean squared error between corresponding frames.

    Definition: the mean over frames, pixels and channels of the squared difference, values in
    [0, 1] (our choice: the paper does not name its scale).
    Source: the paper's MSE (Tables 1 and 2), arXiv:2502.14844.
    Range: [0, 1], 0 is equal; lower is better, for reconstructions only.
    Blind to: everything but position and colour. A sharp body one step aside is worse than a grey
    blur, and an edit that does what it was asked for is punished for it.
    """
    first, second = (video.frames.astype(np.float32) / 255 for video in align(reference, generated))
    return float(np.square(first - second).mean())
