"""HTTP servers on loopback that answer well, late, wrongly, without end, or not at all."""

from __future__ import annotations

import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

# What a server does with a connection; it ends early when the event is set.
Behaviour = Callable[[socket.socket, threading.Event], None]

LONGEST = 60.0  # seconds that any behaviour goes on


@contextmanager
def server(
    behave: Behaviour, *, tls: ssl.SSLContext | None = None, met: Callable[[], None] = lambda: None
) -> Iterator[int]:
    """The port of a server that treats every connection so; its threads end with the block.

    `met` is called for each connection, before anything is agreed on it.
    """
    stop = threading.Event()
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(0.1)
    threads: list[threading.Thread] = []

    def serve(wire: socket.socket) -> None:
        # whoever goes away, or does not trust us, is not our failure
        with suppress(OSError):
            wire.settimeout(LONGEST)
            if tls is None:
                with wire:
                    behave(wire, stop)
            else:
                with tls.wrap_socket(wire, server_side=True) as secure:
                    behave(secure, stop)

    def accept() -> None:
        while not stop.is_set():
            with suppress(TimeoutError, OSError):
                wire, _ = listener.accept()
                met()
                threads.append(threading.Thread(target=serve, args=(wire,), daemon=True))
                threads[-1].start()

    accepting = threading.Thread(target=accept, daemon=True)
    accepting.start()
    try:
        yield int(listener.getsockname()[1])
    finally:
        stop.set()
        accepting.join(5)
        listener.close()
        for thread in threads:
            thread.join(5)


def answers(body: bytes, status: str = "200 OK", headers: str = "", after: float = 0.0) -> Behaviour:
    """A whole answer, so many seconds after the question."""

    def behave(wire: socket.socket, stop: threading.Event) -> None:
        _read(wire)
        stop.wait(after)
        head = f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n{headers}Connection: close\r\n\r\n"
        wire.sendall(head.encode() + body)
        # a connection that is closed with something unread is reset, and the answer may be lost with it
        wire.settimeout(2)
        with suppress(OSError):
            while wire.recv(4096):
                pass

    return behave


def hangs(wire: socket.socket, stop: threading.Event) -> None:
    _read(wire)
    stop.wait(LONGEST)


def drips_its_head(wire: socket.socket, stop: threading.Event) -> None:
    _read(wire)
    _drip(wire, b"HTTP/1.1 200 OK\r\nX-Filler: " + b"a" * 10_000, stop)


def drips_its_body(wire: socket.socket, stop: threading.Event) -> None:
    _read(wire)
    wire.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 10000\r\n\r\n")
    _drip(wire, b"{" + b" " * 9_999, stop)


def sends_without_end(wire: socket.socket, stop: threading.Event) -> None:
    """1 GiB, as fast as it is taken."""
    _read(wire)
    wire.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1073741824\r\n\r\n")
    block = b"x" * 2**20
    for _ in range(1024):
        if stop.is_set():
            break
        wire.sendall(block)


def sends_headers_without_end(wire: socket.socket, stop: threading.Event) -> None:
    _read(wire)
    wire.sendall(b"HTTP/1.1 200 OK\r\n")
    block = (b"X-Filler: " + b"a" * 1000 + b"\r\n") * 1000
    for _ in range(1024):
        if stop.is_set():
            break
        wire.sendall(block)


def resets(wire: socket.socket, _: threading.Event) -> None:
    _read(wire)
    wire.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def ends_early(wire: socket.socket, _: threading.Event) -> None:
    _read(wire)
    wire.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{")


def talks_garbage(wire: socket.socket, _: threading.Event) -> None:
    _read(wire)
    wire.sendall(bytes(range(256)) * 10)


def knows_no_tls(wire: socket.socket, _: threading.Event) -> None:
    wire.recv(4096)
    wire.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")


def _read(wire: socket.socket) -> None:
    question = b""
    while b"\r\n\r\n" not in question and len(question) < 65_536:
        part = wire.recv(4096)
        if not part:
            break
        question += part


def _drip(wire: socket.socket, content: bytes, stop: threading.Event) -> None:
    for place in range(len(content)):
        if stop.wait(0.05):
            break
        wire.sendall(content[place : place + 1])
