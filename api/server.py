"""Run the service: uvicorn, one process, loopback unless told."""

from __future__ import annotations

import socket
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING

import uvicorn

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
        listening = socket.create_server((host, port), family=_family(host), backlog=512)
    except OSError as error:
        raise AlmanacError(
            f"{host}:{port} cannot be listened to: {error.strerror}. Give another --port, or --host."
        ) from None
    with listening:
        bound = listening.getsockname()
        say(f"http://{f'[{bound[0]}]' if ':' in bound[0] else bound[0]}:{bound[1]}")
        server = uvicorn.Server(
            uvicorn.Config(
                create_app(settings, now=now),
                log_level="warning",
                access_log=False,
                server_header=False,
                ws_max_size=_LARGEST_MESSAGE,
                limit_concurrency=_MOST_CONNECTIONS,
                timeout_graceful_shutdown=GRACE_SECONDS,
                # of a proxy on this machine: who asks, and whether by HTTPS
                proxy_headers=True,
                forwarded_allow_ips="127.0.0.1,::1",
            )
        )
        server.run(sockets=[listening])


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET
