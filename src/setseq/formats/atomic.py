"""Files appear whole or not at all."""

import contextlib
import os
from pathlib import Path

from setseq.errors import OutputError


def write_whole(path: Path, content: bytes) -> None:
    """Write a file beside its place and rename it, so that no half-written file is ever there.

    Raises:
        OutputError: it cannot be written; what was at ``path`` before is untouched.
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        with partial.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)
        raise OutputError(
            f"cannot write {path} ({len(content) / 1e6:.1f} MB): {error.strerror or error};"
            " free some space or choose another place"
        ) from error
