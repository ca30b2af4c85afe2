"""Show a page of documentation on this machine only, until it is stopped."""

from __future__ import annotations

from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from flows.errors import AlmanacError

HOST = "127.0.0.1"
# Seconds that a client may stay silent.
SILENCE_SECONDS = 30
# What a browser on this machine calls it; another name is a stranger's page that resolves to here.
_NAMES = frozenset({"127.0.0.1", "localhost"})


class DocsServer(ThreadingHTTPServer):
    """One page at `/`, on the loopback; `port` 0 takes a free one."""

    daemon_threads = True

    def __init__(self, page_path: Path, port: int) -> None:
        self.page_path = page_path
        try:
            super().__init__((HOST, port), _Handler)
        except (OSError, OverflowError) as error:
            raise AlmanacError(
                f"Port {port} of {HOST} cannot be used: {getattr(error, 'strerror', None) or error}. "
                "Name another with --port."
            ) from error

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.server_port}/"


class _Handler(BaseHTTPRequestHandler):
    server: DocsServer
    timeout = SILENCE_SECONDS
    server_version = "almanac"
    sys_version = ""

    def do_GET(self) -> None:
        self._answer(with_body=True)

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def _answer(self, *, with_body: bool) -> None:
        name = self.headers.get("Host", "").rpartition(":")[0] or self.headers.get("Host", "")
        if name not in _NAMES:
            self.send_error(HTTPStatus.MISDIRECTED_REQUEST)
            return
        if self.path.partition("?")[0] not in ("/", "/index.html"):
            self.send_error(HTTPStatus.NOT_FOUND)
            return
        try:
            page = self.server.page_path.read_bytes()
        except OSError:
            self.send_error(HTTPStatus.NOT_FOUND)
            return
        self.send_response(HTTPStatus.OK)
        for header, value in (
            ("Content-Type", "text/html; charset=utf-8"),
            ("Content-Length", str(len(page))),
            ("Cache-Control", "no-cache"),
            ("X-Content-Type-Options", "nosniff"),
            ("X-Frame-Options", "DENY"),
            ("Referrer-Policy", "no-referrer"),
        ):
            self.send_header(header, value)
        self.end_headers()
        if with_body:
            self.wfile.write(page)

    def log_message(self, format: str, *args: object) -> None:
        """Keep quiet: stderr is the command's story."""
