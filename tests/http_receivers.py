"""A receiver of webhooks for tests: it keeps what it is sent, and answers or misbehaves on cue."""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from tests.hostile_servers import server

GIANT = 2**30  # bytes


@dataclass(slots=True)
class Posted:
    """A request as it arrived."""

    line: str
    headers: dict[str, str]
    body: bytes


@dataclass(slots=True)
class Receiver:
    """What a server got, and what it does next.

    `answers`, used up one by one, the last one for ever: a status with headers and a body
    (`429\\r\\nRetry-After: 2`, `400|invalid_payload`), or `hang`, `drip` (a header that never ends), `reset`,
    `giant:200` (a body of 1 GiB), `slow:6:200` (after 6 s), `early` (close before anything is read),
    `garbage`.
    """

    answers: list[str]
    port: int = 0
    posted: list[Posted] = field(default_factory=list)
    connections: int = 0

    def next_answer(self) -> str:
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


@contextmanager
def http_receiver(*answers: str, tls: ssl.SSLContext | None = None) -> Iterator[Receiver]:
    """A running server on 127.0.0.1."""
    receiver = Receiver(list(answers) or ["200"])

    def behave(wire: socket.socket, stop: threading.Event) -> None:
        answer = receiver.next_answer()
        if answer == "early":
            return
        with contextlib.suppress(ValueError), wire.makefile("rb") as reader:
            line = reader.readline().decode().strip()
            headers = {}
            while (header := reader.readline().decode().strip()) != "":
                name, _, value = header.partition(":")
                headers[name.lower()] = value.strip()
            receiver.posted.append(Posted(line, headers, reader.read(int(headers["content-length"]))))
            _act(wire, answer, stop)

    def met() -> None:
        receiver.connections += 1

    with server(behave, tls=tls, met=met) as receiver.port:
        yield receiver


def _act(connection: socket.socket, answer: str, stop: threading.Event) -> None:
    if answer.startswith("slow:"):
        _, seconds, answer = answer.split(":", 2)
        stop.wait(float(seconds))
    if answer == "hang":
        stop.wait(30)
    elif answer == "drip":
        connection.sendall(b"HTTP/1.1 200 OK\r\nX-Slow: ")
        while not stop.wait(0.05):
            connection.sendall(b"x")
    elif answer == "reset":
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    elif answer == "garbage":
        connection.sendall(b"\x00\xff no HTTP at all\r\n\r\n")
    elif answer.startswith("giant:"):
        connection.sendall(f"HTTP/1.1 {answer[6:]} x\r\nContent-Length: {GIANT}\r\n\r\n".encode())
        piece = bytes(65_536)
        for _ in range(GIANT // len(piece)):
            connection.sendall(piece)
    else:
        head, _, body = answer.partition("|")
        status, _, headers = head.partition("\r\n")
        status = status if " " in status else f"{status} x"
        lines = [f"HTTP/1.1 {status}", *([headers] if headers else []), f"Content-Length: {len(body)}"]
        connection.sendall(("\r\n".join(lines) + "\r\n\r\n" + body).encode())
