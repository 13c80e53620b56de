"""Checks where a result is to go, before the work for it starts."""

import tempfile
from collections.abc import Sequence
from pathlib import Path

from setseq.errors import OutputError


def check_output(path: Path, suffixes: Sequence[str]) -> Path:
    """Make sure that a file can be written at a place.

    Args:
        path: Where the result is to go.
        suffixes: The endings that are allowed, as (".mp4", ".gif").

    Returns:
        The path.

    Raises:
        OutputError: The ending is another, or the folder is missing or cannot be written to.
    """
    if path.suffix.lower() not in suffixes:
        raise OutputError(
            f"{path}: cannot write a file that ends in {path.suffix!r}; use {' or '.join(suffixes)}"
        )
    if path.is_dir():
        raise OutputError(f"{path}: is a folder; give the name of a file")
    if not path.parent.is_dir():
        raise OutputError(f"{path}: there is no folder {path.parent}; make it, or use another")
    try:
        with tempfile.TemporaryFile(dir=path.parent):
            return path
    except OSError as error:
        raise OutputError(
            f"{path}: cannot write into {path.parent} ({error.strerror}); use another folder"
        ) from error


def numbered(path: Path, count: int) -> list[Path]:
    """The paths of several results: out.mp4 itself for one, out-1.mp4, out-2.mp4 ... for more."""
    if count == 1:
        return [path]
    return [path.with_stem(f"{path.stem}-{number}") for number in range(1, count + 1)]
