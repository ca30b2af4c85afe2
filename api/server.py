"""Run the service: uvicorn, one process, loopback unless told."""

from __future__ import annotations

import asyncio
import logging
import resource
import socket
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING

import uvicorn
from uvicorn.protocols.http.auto import AutoHTTPProtocol

from api.app import create_app
from flows.errors import AlmanacError

if TYPE_CHECKING:
    from flows.settings import Settings

# Seconds that open answers have when the service is told to end; live lines are cut.
GRACE_SECONDS = 5
# Bytes of a message that a viewer of the WebSocket may send; none is read.
_LARGEST_MESSAGE = 4096
# Open connections, live ones included.
_MOST_CONNECTIONS = 2000
# Open files besides: the night, stores, logs.
_OTHER_FILES = 100
# Seconds for the first request of a connection to come whole.
_FIRST_REQUEST_SECONDS = 10
_OF_STRANGERS = (
    "ASGI callable returned without completing handshake",
    "Invalid HTTP request received",
)
# Seconds for which the other end may take nothing of what was sent to it.
_DEAF_SECONDS = 30


def run_service(
    settings: Settings,
    *,
    host: str,
    port: int,
    now: Callable[[], datetime],
    say: Callable[[str], None],
) -> None:
    """Serve until the process is told to end. `say` gets the address once it is listened to.

    Raises AlmanacError when the address cannot be had.
    """
    try:
        listening = _listen(host, port)
    except OSError as error:
        raise AlmanacError(
            f"{host}:{port} cannot be listened to: {error.strerror}. Give another --port, or --host."
        ) from None
    _allow_open_files()
    with listening:
        bound = listening.getsockname()
        say(f"http://{f'[{bound[0]}]' if ':' in bound[0] else bound[0]}:{bound[1]}")
        app = create_app(settings, now=now)
        server = _Server(
            uvicorn.Config(
                app,
                http=_Impatient,
                log_level="warning",
                access_log=False,
                server_header=False,
                ws_max_size=_LARGEST_MESSAGE,
                # messages are small, and its memory is a viewer's largest part
                ws_per_message_deflate=False,
                limit_concurrency=_MOST_CONNECTIONS,
                timeout_graceful_shutdown=GRACE_SECONDS,
                # of a proxy on this machine: who asks, and whether by HTTPS
                proxy_headers=True,
                forwarded_allow_ips="127.0.0.1,::1",
            ),
            before_end=app.state.live.end,
        )
        logging.getLogger("uvicorn.error").addFilter(_Quiet())
        server.run(sockets=[listening])


class _Impatient(AutoHTTPProtocol):  # type: ignore[valid-type,misc]
    """Closes a connection whose first request does not come: it would hold the place of another one."""

    def connection_made(self, transport: asyncio.Transport) -> None:
        super().connection_made(transport)
        self._patience = self.loop.call_later(_FIRST_REQUEST_SECONDS, self._close_unless_asked)

    def connection_lost(self, exc: Exception | None) -> None:
        self._patience.cancel()
        super().connection_lost(exc)

    def _close_unless_asked(self) -> None:
        if self.cycle is None and not self.transport.is_closing():
            self.transport.close()


class _Quiet(logging.Filter):
    """Keeps out of the log what any stranger can make the server say."""

    def filter(self, record: logging.LogRecord) -> bool:
        return not record.getMessage().startswith(_OF_STRANGERS)


class _Server(uvicorn.Server):
    """Lets go of live viewers when it is told to end: it waits for open answers before it tells the app."""

    def __init__(self, config: uvicorn.Config, *, before_end: Callable[[], None]) -> None:
        super().__init__(config)
        self._before_end = before_end

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._before_end()
        await super().shutdown(sockets)


def _listen(host: str, port: int) -> socket.socket:
    listening = socket.create_server((host, port), family=_family(host), backlog=512)
    # accepted connections inherit both. An answer is two packets: the second must not wait for a delayed ACK
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        # whoever reads nothing, or vanished, gives up the place
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _DEAF_SECONDS * 1000)
    return listening


def _allow_open_files() -> None:
    """As many as there may be connections, where the system's usual 1024 are fewer."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _MOST_CONNECTIONS + _OTHER_FILES
    if soft != resource.RLIM_INFINITY and soft < wanted:
        most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET
