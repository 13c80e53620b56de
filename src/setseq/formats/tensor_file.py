"""Safetensors files from anywhere: type, shape and every number are checked before any is used."""

from collections.abc import Sequence
from pathlib import Path

import safetensors
import torch
from torch import Tensor

PICKLED = (".pt", ".pth", ".ckpt", ".bin", ".pkl", ".pickle")
_FLOATS = ("F32", "F16", "BF16")
_MOST_AXES = 5  # a kernel over time, height and width


class TensorFileError(ValueError):
    """Why a file cannot be used, in a few words.

    Attributes:
        way_out: what to do about it; "" where only the file's reader knows.
    """

    def __init__(self, reason: str, way_out: str = "") -> None:
        super().__init__(reason)
        self.way_out = way_out


def read_tensors(path: Path) -> tuple[dict[str, str], dict[str, Tensor]]:
    """The metadata and the tensors of a .safetensors file that exists.

    No code of the file is run, and its header, which says how long the file must be, is checked
    before a tensor is read.

    Returns:
        Metadata, and float32, float16 or bfloat16 tensors that are all finite and not empty.

    Raises:
        TensorFileError: it is a pickle, cut off, or no safetensors file, or has a tensor of
            another type, without numbers, or with some that are not finite.
    """
    _refuse_pickle(path)
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            metadata: dict[str, str] = file.metadata() or {}
            names: list[str] = sorted(file.keys())
            for name in names:
                header = file.get_slice(name)
                _check_header(name, header.get_dtype(), header.get_shape())
            tensors = {name: file.get_tensor(name) for name in names}
    except (OSError, safetensors.SafetensorError) as error:
        raise TensorFileError(" ".join(str(error).split())[:160]) from error
    for name, value in tensors.items():
        if not torch.isfinite(value).all():
            raise TensorFileError(f"{name} has numbers that are not finite")
    return metadata, tensors


def _check_header(name: str, kind: str, shape: Sequence[int]) -> None:
    if kind not in _FLOATS:
        raise TensorFileError(f"{name} has type {kind}, which is none of {', '.join(_FLOATS)}")
    if len(shape) > _MOST_AXES or 0 in shape:
        raise TensorFileError(f"{name} has the shape {tuple(shape)}")


def _refuse_pickle(path: Path) -> None:
    """By its name, and by its first bytes: a zip as torch writes, or a pickle's protocol."""
    try:
        with path.open("rb") as file:
            start = file.read(9)
    except OSError as error:
        raise TensorFileError(str(error.strerror)) from error
    zipped = start.startswith(b"PK\x03\x04")
    pickled = start[:1] == b"\x80" and start[1:2] in b"\x02\x03\x04\x05" and start[8:] != b"{"
    if path.suffix.lower() in PICKLED or zipped or pickled:
        raise TensorFileError(
            "it is a pickle, which can run code when it is opened, and is never opened here",
            "save it as .safetensors in the program that made it",
        )
