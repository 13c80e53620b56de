"""OpenCV, loaded when it is needed, and pictures as its trackers like them."""

from __future__ import annotations

from types import ModuleType

import numpy as np

from setseq.errors import EncoderError

WORKING_SIDE = 256  # pixels of the shorter side that points are tracked at


def opencv() -> ModuleType:
    """The cv2 module.

    Raises:
        EncoderError: It is not installed.
    """
    try:
        import cv2
    except ImportError:
        raise EncoderError(
            "motion and faces are measured with OpenCV, which is not installed; "
            "pip install 'setseq[metrics]'"
        ) from None
    return cv2


def grey_frames(frames: np.ndarray) -> np.ndarray:
    """Frames in grey with a shorter side of WORKING_SIDE pixels.

    One size for all, so that a window means the same part of the picture in every video.

    Args:
        frames: uint8 (f, h, w, 3).

    Returns:
        uint8 (f, H, W).
    """
    cv2 = opencv()
    scale = WORKING_SIDE / min(frames.shape[1:3])
    size = (round(frames.shape[2] * scale), round(frames.shape[1] * scale))
    way = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    return np.stack(
        [
            cv2.resize(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY), size, interpolation=way)
            for frame in frames
        ]
    )
