"""The study's server: this machine alone can reach it, and it trusts no request.

The pages of other sites can send requests to it, through a browser on this machine: the Host header
tells those that a foreign name led here (DNS rebinding), the Origin header foreign forms.
"""

from __future__ import annotations

import errno
import sqlite3
import sys
from collections.abc import Mapping
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, BinaryIO, cast
from urllib.parse import parse_qsl, urlsplit

from setseq.errors import SetSeqError, StudyError
from setseq.study import pages
from setseq.study.routes import respond
from setseq.study.session import Study
from setseq.study.wire import RefusedError, Reply, Request, parse_range

HOST = "127.0.0.1"
_MAX_BODY = 4096  # bytes; a form of four answers has about 60
_MAX_FIELDS = 16
_CHUNK = 1 << 18
_FORM = "application/x-www-form-urlencoded"
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; script-src 'self';"
    " media-src 'self'; img-src data:; connect-src 'self'; form-action 'self'; base-uri 'none';"
    " frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


class StudyServer(ThreadingHTTPServer):
    """Serves one study on this machine."""

    daemon_threads = True

    def __init__(self, study: Study, port: int = 0) -> None:
        """Take a port; 0 takes a free one.

        Raises:
            StudyError: The port is in use or not ours to take.
        """
        self.study = study
        try:
            super().__init__((HOST, port), _Handler)
        except OSError as error:
            is_used = error.errno == errno.EADDRINUSE
            raise StudyError(
                f"port {port} {'is in use' if is_used else f'cannot be used ({error.strerror})'};"
                " give --port another, or leave it out for a free one"
            ) from error

    @property
    def url(self) -> str:
        """Where the first page is."""
        return f"http://{HOST}:{self.server_port}/"

    @property
    def hosts(self) -> tuple[str, ...]:
        """The names by which a browser on this machine reaches it."""
        return (f"{HOST}:{self.server_port}", f"localhost:{self.server_port}")

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A browser that closes a connection, as it does with videos, is no error."""
        if not isinstance(sys.exception(), ConnectionError | TimeoutError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 60  # seconds that a silent connection keeps its thread

    @property
    def _owner(self) -> StudyServer:
        return cast(StudyServer, self.server)

    def do_GET(self) -> None:
        self._handle("GET")

    def do_HEAD(self) -> None:
        self._handle("GET")

    def do_POST(self) -> None:
        self._handle("POST")

    def version_string(self) -> str:
        return "setseq"

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: what matters is in the answers."""

    def _handle(self, method: str) -> None:
        try:
            reply = respond(self._owner.study, self._checked(method))
            if reply.file is not None:
                self._send_file(reply, reply.file)
                return
        except RefusedError as error:
            reply = self._refuse(error.status, str(error))
        except (sqlite3.Error, SetSeqError) as error:
            print(f"setseq: {error}", file=sys.stderr)
            reply = self._refuse(503, "Nothing could be saved. Please call whoever runs the study.")
        self._send_head(reply, len(reply.body))
        if self.command != "HEAD":
            self.wfile.write(reply.body)

    def _refuse(self, status: int, message: str) -> Reply:
        self.close_connection = True  # a body that nobody read may still be on its way
        return Reply(status=status, body=pages.refusal(message))

    def _checked(self, method: str) -> Request:
        host = self.headers.get("Host")
        if host not in self._owner.hosts:
            raise RefusedError(421, f"The study is at {self._owner.url}")
        if self.headers.get("Origin", f"http://{host}") != f"http://{host}":
            raise RefusedError(403, "This request came from another site.")
        path = urlsplit(self.path).path
        if method == "GET":
            return Request(method=method, path=path)
        return Request(method=method, path=path, form=self._form())

    def _form(self) -> dict[str, str]:
        if self.headers.get_content_type() != _FORM:
            raise RefusedError(415, "This is no form.")
        length = self.headers.get("Content-Length", "")
        if not length.isascii() or not length.isdecimal():
            raise RefusedError(411, "This form does not say how long it is.")
        if int(length) > _MAX_BODY:
            raise RefusedError(413, "This form is too long.")
        try:
            text = self.rfile.read(int(length)).decode("ascii")
            return dict(parse_qsl(text, keep_blank_values=True, max_num_fields=_MAX_FIELDS))
        except ValueError:
            raise RefusedError(400, "This form cannot be read.") from None

    def _send_head(self, reply: Reply, length: int, extra: Mapping[str, str] | None = None) -> None:
        self.send_response(reply.status)
        headers = {"Cache-Control": "no-store"} | _HEADERS | dict(extra or {})
        if reply.location is not None:
            headers["Location"] = reply.location
        if reply.status != 204:
            headers |= {"Content-Type": reply.kind, "Content-Length": str(length)}
        if self.close_connection:
            headers["Connection"] = "close"
        for name, text in headers.items():
            self.send_header(name, text)
        self.end_headers()

    def _send_file(self, reply: Reply, path: Path) -> None:
        """Send a video, or the part of it that is asked for: browsers seek by parts."""
        try:
            file = path.open("rb")
        except OSError:
            raise RefusedError(404, "This video is gone.") from None
        with file:
            size = path.stat().st_size
            # Without validators of ours, If-Range can only mean a file that we do not know.
            asked = None if "If-Range" in self.headers else self.headers.get("Range")
            part = parse_range(asked, size)
            extra = {"Accept-Ranges": "bytes", "Cache-Control": "private, max-age=3600"}
            if part is not None and not part:
                extra["Content-Range"] = f"bytes */{size}"
                self._send_head(replace(reply, status=416), 0, extra)
                return
            if part is not None:
                extra["Content-Range"] = f"bytes {part.start}-{part.stop - 1}/{size}"
                reply = replace(reply, status=206)
            part = range(size) if part is None else part
            self._send_head(reply, len(part), extra)
            if self.command != "HEAD":
                self._copy(file, part)

    def _copy(self, file: BinaryIO, part: range) -> None:
        file.seek(part.start)
        left = len(part)
        while left and (chunk := file.read(min(left, _CHUNK))):
            self.wfile.write(chunk)
            left -= len(chunk)
        if left:  # the file became shorter: only the end of the connection can say so
            self.close_connection = True
