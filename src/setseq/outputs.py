"""Where results go: checked before the work starts, and written whole or not at all."""

import contextlib
import errno
import os
import tempfile
from collections.abc import Iterator, Sequence
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


def check_folder(path: Path) -> Path:
    """Make sure that files can be written into a folder, which is made where it is missing.

    Raises:
        OutputError: It is a file, or cannot be made or written to.
    """
    if path.exists() and not path.is_dir():
        raise OutputError(f"{path}: is a file; give the name of a folder")
    try:
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            return path
    except OSError as error:
        raise OutputError(
            f"{path}: cannot be a folder of results ({error.strerror}); use another name"
        ) from error


@contextlib.contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """A folder of results as by ``check_folder``; not left behind empty where the work fails.

    Raises:
        OutputError: As ``check_folder``.
    """
    was_there = path.exists()
    check_folder(path)
    try:
        yield path
    except BaseException:
        if not was_there:
            with contextlib.suppress(OSError):  # it is not empty
                path.rmdir()
        raise


def numbered(path: Path, count: int) -> list[Path]:
    """The paths of several results: out.mp4 itself for one, out-1.mp4, out-2.mp4 ... for more."""
    if count == 1:
        return [path]
    return [path.with_stem(f"{path.stem}-{number}") for number in range(1, count + 1)]


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file beside its place and rename it, so that no half-written file is ever there.

    Args:
        path: Where to; missing folders are made.
        content: All of the file.

    Raises:
        OutputError: It cannot be written; what was at ``path`` before is untouched.
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with partial.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)
        is_full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        raise OutputError(
            f"{path}: cannot be written ({error.strerror or error}, {len(content) / 1e6:.1f} MB);"
            f" {'free some space' if is_full else 'check the path and its rights'}, or choose"
            " another place"
        ) from error
