"""Faces as vectors: found by YuNet, turned upright, read by an ArcFace network in ONNX."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from setseq.errors import EncoderError
from setseq.evaluation.vision import opencv

_SIDE = 112
# Where ArcFace networks expect the eyes, the tip of the nose and the corners of the mouth.
_PLACES = np.array(
    [
        [38.2946, 51.6963],
        [73.5318, 51.5014],
        [56.0252, 71.7366],
        [41.5493, 92.3655],
        [70.7299, 92.2041],
    ]
)
_HOW = (
    "give a folder with detector.onnx (YuNet, face_detection_yunet_2023mar.onnx of opencv_zoo) and"
    " recognizer.onnx (ArcFace, as w600k_r50.onnx of InsightFace's buffalo_l)"
)


@dataclass(frozen=True)
class FaceEncoder:
    """Finds and reads the largest face of each frame.

    Attributes:
        detect: Gives the five points of the largest face in a frame, uint8 (h, w, 3), as (5, 2) in
            pixels (the eye on the picture's left first), or None where there is no face.
        recognize: Reads upright faces, float32 RGB (n, 3, 112, 112) in [-1, 1], as (n, d).
    """

    detect: Callable[[np.ndarray], np.ndarray | None]
    recognize: Callable[[np.ndarray], np.ndarray]

    def faces(self, frames: np.ndarray) -> Tensor:
        """Unit vectors (n, d) of the frames that show a face, n <= f; uint8 (f, h, w, 3)."""
        found = [(frame, self.detect(frame)) for frame in frames]
        upright = [upright_face(frame, points) for frame, points in found if points is not None]
        if not upright:
            return torch.zeros(0, 1)
        pixels = np.stack(upright).transpose(0, 3, 1, 2).astype(np.float32) / 127.5 - 1
        return F.normalize(torch.from_numpy(self.recognize(pixels)).float(), dim=1)


def upright_face(frame: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Turns, scales and moves a face to where ArcFace networks expect it.

    Args:
        frame: uint8 (h, w, 3).
        points: Eyes, nose and corners of the mouth, (5, 2) in pixels.

    Returns:
        uint8 (112, 112, 3), by the similarity that fits the points best.
    """
    here, there = ((p[:, 0] + 1j * p[:, 1]) for p in (points, _PLACES))
    centred = here - here.mean()
    turn = (centred.conj() * (there - there.mean())).sum() / (np.abs(centred) ** 2).sum()
    move = there.mean() - turn * here.mean()
    matrix = np.array([[turn.real, -turn.imag, move.real], [turn.imag, turn.real, move.imag]])
    return opencv().warpAffine(frame, matrix, (_SIDE, _SIDE))


def load_face_encoder(folder: str | Path) -> FaceEncoder:
    """Loads a face encoder.

    Args:
        folder: With ``detector.onnx`` and ``recognizer.onnx``; neither ships with this package.

    Raises:
        EncoderError: A file or a package is missing, or a file is damaged.
    """
    files = [Path(folder).expanduser() / f"{part}.onnx" for part in ("detector", "recognizer")]
    for path in files:
        if not path.is_file():
            raise EncoderError(f"{path} is missing; {_HOW}")
    return FaceEncoder(detect=find_faces(files[0]), recognize=load_recognizer(files[1]))


def find_faces(path: Path) -> Callable[[np.ndarray], np.ndarray | None]:
    """Loads YuNet: what gives the five points of the largest face, see ``FaceEncoder``.

    Raises:
        EncoderError: OpenCV cannot read the file, or is not installed.
    """
    cv2 = opencv()
    try:
        detector = cv2.FaceDetectorYN.create(str(path), "", (320, 320))
    except cv2.error as error:
        raise EncoderError(f"{path} is no face detector that OpenCV can read; {_HOW}") from error

    def detect(frame: np.ndarray) -> np.ndarray | None:
        detector.setInputSize((frame.shape[1], frame.shape[0]))
        _, faces = detector.detect(np.ascontiguousarray(frame[..., ::-1]))
        if faces is None:
            return None
        largest = faces[np.argmax(faces[:, 2] * faces[:, 3])]
        return largest[4:14].reshape(5, 2).astype(np.float64)

    return detect


def load_recognizer(path: Path) -> Callable[[np.ndarray], np.ndarray]:
    """Loads an ArcFace network in ONNX, run on the processor.

    Raises:
        EncoderError: onnxruntime is not installed, or the file is damaged.
    """
    try:
        import onnxruntime
    except ImportError:
        raise EncoderError(
            "faces are read with onnxruntime, which is not installed; pip install 'setseq[metrics]'"
        ) from None
    try:
        session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime has a family of its own, one for each way to fail
        raise EncoderError(f"{path} is no network that onnxruntime can read; {_HOW}") from error
    name = session.get_inputs()[0].name

    def recognize(faces: np.ndarray) -> np.ndarray:
        # One at a time: many published files have a fixed batch of one.
        return np.concatenate(
            [np.asarray(session.run(None, {name: face[None]})[0]) for face in faces]
        )

    return recognize
