"""What comes in and goes out by HTTP: requests that were checked, replies, parts of files."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

_RANGE = re.compile(r"bytes=(\d*)-(\d*)")


class RefusedError(Exception):
    """A request that is not answered as asked: a status, and a sentence for the page."""

    def __init__(self, status: int, message: str) -> None:
        """A refusal."""
        super().__init__(message)
        self.status = status


@dataclass(frozen=True, kw_only=True)
class Request:
    """A request whose host, origin and size were found good.

    Attributes:
        method: "GET", which stands for HEAD too, or "POST".
        path: Without a query.
        form: The fields of a POST.
    """

    method: str
    path: str
    form: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Reply:
    """What is sent back.

    Attributes:
        status: The HTTP status.
        kind: The content's type.
        body: The content, where there is no file.
        file: A file whose content is sent, whole or in part.
        location: Where to go on.
    """

    status: int = 200
    kind: str = "text/html; charset=utf-8"
    body: bytes = b""
    file: Path | None = None
    location: str | None = None


def parse_range(header: str | None, size: int) -> range | None:
    """The part of a file that is asked for.

    Args:
        header: The Range header; one of another unit or with several parts counts as none, which
            RFC 9110 (14.2) leaves to the server.
        size: Bytes of the file.

    Returns:
        The bytes' places, empty where the file has none of them; None for the whole file.
    """
    match = _RANGE.fullmatch((header or "").strip())
    if match is None or match[0] == "bytes=-":
        return None
    first, last = match.groups()
    if not first:
        return range(max(0, size - int(last)), size)
    if last and int(last) < int(first):
        return None
    return range(int(first), min(int(last) + 1, size) if last else size)
