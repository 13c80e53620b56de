from pathlib import Path

import numpy as np
import pytest
import torch

from setseq.errors import EncoderError
from setseq.evaluation.encoders import ThingEncoder
from setseq.evaluation.faces import (
    FaceEncoder,
    find_faces,
    load_face_encoder,
    load_recognizer,
    upright_face,
)
from setseq.evaluation.footage import Footage
from setseq.evaluation.identity import face_identity, thing_identity
from setseq.evaluation.leakage import side_leakage, token_leakage
from setseq.evaluation.vision import opencv

_EYES_NOSE_MOUTH = np.array([[20.0, 20], [40, 20], [30, 32], [22, 44], [38, 44]])


class _MeanColor(ThingEncoder):
    """Sees the mean colour of a picture, less grey."""

    def __init__(self):
        super().__init__(None, None)

    def pictures(self, frames):
        colors = torch.from_numpy(frames.astype(np.float32)).mean((1, 2)) - 100
        return colors / colors.norm(dim=1, keepdim=True)


def _plain(*color: int, width: int = 8, height: int = 8) -> Footage:
    return Footage(frames=np.tile(np.array(color, np.uint8), (3, height, width, 1)), fps=8.0)


_RED, _BLUE, _GREEN = _plain(200, 10, 10), _plain(10, 10, 200), _plain(10, 200, 10)


def test_identity_ranks_itself_before_a_paler_one_before_another():
    paler = _plain(180, 40, 40)
    itself, near, other = (thing_identity(_MeanColor(), _RED, v) for v in (_RED, paler, _BLUE))
    assert itself == pytest.approx(1.0)
    assert itself > near > other


def test_a_concept_leaks_only_as_far_as_the_base_would_not_show_it_anyway():
    assert token_leakage(_MeanColor(), _RED, _BLUE, _BLUE) == 0
    assert token_leakage(_MeanColor(), _RED, _RED, _BLUE) > 0.5


def test_concepts_on_their_sides_leak_nothing_and_swapped_ones_do():
    def beside(left: Footage, right: Footage) -> Footage:
        return Footage(frames=np.concatenate([left.frames, right.frames], 2), fps=8.0)

    right_way = side_leakage(_MeanColor(), _RED, _BLUE, beside(_RED, _BLUE))
    swapped = side_leakage(_MeanColor(), _RED, _BLUE, beside(_BLUE, _RED))
    half = side_leakage(_MeanColor(), _RED, _BLUE, beside(_RED, _RED))
    assert max(right_way) < -0.5
    assert min(swapped) > 0.5
    assert half[0] < -0.5
    assert half[1] > 0.5


def _field(number: int, content: int | bytes | str) -> bytes:
    """One field of a protocol buffer: all that a tiny ONNX file needs."""
    if isinstance(content, int):
        return bytes([number << 3, content])
    content = content.encode() if isinstance(content, str) else content
    head = bytes([number << 3 | 2])
    size = len(content)
    return head + (bytes([size]) if size < 128 else bytes([size & 127 | 128, size >> 7])) + content


def _tensor(name: str, *sizes: int) -> bytes:
    dims = b"".join(_field(1, _field(1, size)) for size in sizes)
    return _field(1, name) + _field(2, _field(1, _field(1, 1) + _field(2, dims)))


@pytest.fixture
def mean_color(tmp_path: Path) -> Path:
    """An ONNX network that gives the mean colour of faces: GlobalAveragePool, then Flatten."""
    nodes = [("faces", "pooled", "GlobalAveragePool"), ("pooled", "vector", "Flatten")]
    graph = b"".join(
        _field(1, _field(1, start) + _field(2, end) + _field(4, kind)) for start, end, kind in nodes
    )
    graph += _field(2, "mean") + _field(11, _tensor("faces", 1, 3, 112, 112))
    graph += _field(12, _tensor("vector", 1, 3))
    path = tmp_path / "recognizer.onnx"
    path.write_bytes(_field(1, 8) + _field(8, _field(2, 13)) + _field(7, graph))
    return path


def test_a_recognizer_reads_faces_one_by_one_in_rgb(mean_color):
    faces = np.zeros((2, 3, 112, 112), np.float32)
    faces[0, 0] = 0.5
    faces[1, 2] = -0.25
    assert np.allclose(load_recognizer(mean_color)(faces), [[0.5, 0, 0], [0, 0, -0.25]])


_FACES = ((200, 10, 10), (180, 70, 30), (10, 10, 200))


def _less_grey(path: Path):
    recognize = load_recognizer(path)
    return lambda faces: recognize(faces) - recognize(faces).mean(1, keepdims=True)


def test_frames_without_a_face_do_not_count_and_the_share_says_so(mean_color):
    encoder = FaceEncoder(
        detect=lambda frame: _EYES_NOSE_MOUTH if frame.max() > 0 else None,
        recognize=load_recognizer(mean_color),
    )
    bright = np.random.default_rng(0).integers(100, 255, (4, 64, 64, 3), np.uint8)
    half = bright.copy()
    half[2:] = 0
    clip = Footage(frames=bright, fps=8.0)
    found = face_identity(encoder, clip, Footage(frames=half, fps=8.0))
    assert found.share == 0.5
    assert found.similarity == pytest.approx(1.0, abs=0.01)
    none = face_identity(encoder, clip, Footage(frames=0 * half, fps=8.0))
    assert (none.similarity, none.share) == (None, 0.0)


def test_another_face_is_less_alike_than_the_same_one_in_other_light(mean_color):
    encoder = FaceEncoder(detect=lambda frame: _EYES_NOSE_MOUTH, recognize=_less_grey(mean_color))
    own, paler, other = (_plain(*color, width=64, height=64) for color in _FACES)
    itself, near, far = (
        face_identity(encoder, own, video).similarity or 0.0 for video in (own, paler, other)
    )
    assert itself == pytest.approx(1.0)
    assert itself > near > far + 0.5


def test_the_largest_face_is_taken_and_seen_as_opencv_sees_pictures(monkeypatch):
    seen = []

    class Detector:
        def setInputSize(self, size):
            seen.append(size)

        def detect(self, frame):
            seen.append(tuple(frame[0, 0]))
            small, large = np.zeros((2, 15), np.float32)
            small[:4], large[:4] = (0, 0, 4, 4), (9, 9, 20, 20)
            large[4:14] = _EYES_NOSE_MOUTH.flatten()
            return 1, np.stack([small, large]) if frame.max() > 5 else None

    library = opencv()
    monkeypatch.setattr(library.FaceDetectorYN, "create", lambda *args: Detector())
    detect = find_faces(Path("detector.onnx"))
    frame = np.full((48, 64, 3), (10, 20, 30), np.uint8)
    points = detect(frame)
    assert points is not None
    assert np.array_equal(points, _EYES_NOSE_MOUTH)
    assert seen == [(64, 48), (30, 20, 10)]  # width and height; blue first
    assert detect(0 * frame) is None


def test_a_face_is_turned_scaled_and_moved_to_where_networks_expect_it():
    frame = np.zeros((64, 64, 3), np.uint8)
    for place, color in zip(_EYES_NOSE_MOUTH.astype(int), np.eye(3, dtype=np.uint8), strict=False):
        frame[place[1] - 1 : place[1] + 2, place[0] - 1 : place[0] + 2] = 255 * color
    upright = upright_face(frame, _EYES_NOSE_MOUTH)
    sideways = np.rot90(frame).copy()
    turned = np.stack([_EYES_NOSE_MOUTH[:, 1], 63 - _EYES_NOSE_MOUTH[:, 0]], 1)
    assert upright.shape == (112, 112, 3)
    assert np.abs(upright_face(sideways, turned).astype(int) - upright).mean() < 1
    for channel, x in ((0, 38), (1, 74)):
        columns = upright[45:60, :, channel].sum(0)
        assert abs(int(columns.argmax()) - x) < 6


def test_a_folder_without_face_networks_says_what_to_put_there(tmp_path):
    with pytest.raises(EncoderError, match=r"detector.onnx is missing; give a folder with"):
        load_face_encoder(tmp_path)


def test_files_that_are_no_networks_are_refused(tmp_path):
    for part in ("detector", "recognizer"):
        (tmp_path / f"{part}.onnx").write_bytes(b"nothing")
    with pytest.raises(EncoderError, match="no network that onnxruntime can read"):
        load_recognizer(tmp_path / "recognizer.onnx")
    with pytest.raises(EncoderError, match="no face detector"):
        load_face_encoder(tmp_path)
