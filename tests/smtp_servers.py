"""Mail servers for tests: a real one (aiosmtpd), and one that misbehaves on cue."""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from typing import Any, cast

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, Session


@dataclass(slots=True)
class Arrived:
    """A message as the server took it."""

    sender: str
    recipients: tuple[str, ...]
    content: bytes

    @property
    def parsed(self) -> EmailMessage:
        return message_from_bytes(self.content, policy=default)


@dataclass(slots=True)
class Inbox:
    """What a server took, and how it answers: `rcpt` by recipient, `data` by message."""

    arrived: list[Arrived] = field(default_factory=list)
    rcpt: Callable[[str], str | None] = lambda _: None
    data: Callable[[bytes], str | None] = lambda _: None
    lock: threading.Lock = field(default_factory=threading.Lock)

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if answer := self.rcpt(address):
            return answer
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        content = cast(bytes, envelope.content)
        if answer := self.data(content):
            return answer
        with self.lock:
            self.arrived.append(Arrived(str(envelope.mail_from), tuple(envelope.rcpt_tos), content))
        return "250 OK"


@contextmanager
def smtp_server(
    inbox: Inbox,
    *,
    starttls: ssl.SSLContext | None = None,
    tls: ssl.SSLContext | None = None,
    password: str | None = None,
) -> Iterator[int]:
    """The port of a running server; with a password it wants user `almanac` to log in."""

    def authenticate(_: Any, __: Any, ___: Any, mechanism: str, data: Any) -> AuthResult:
        # handled False: the server answers a refusal itself
        return AuthResult(
            handled=False, success=data.login == b"almanac" and data.password == (password or "").encode()
        )

    options: dict[str, Any] = {}
    if password is not None:
        options = {"authenticator": authenticate, "auth_required": True, "auth_require_tls": True}
    controller = Controller(
        inbox,
        hostname="127.0.0.1",
        port=0,
        ssl_context=tls,
        tls_context=starttls,
        require_starttls=starttls is not None,
        **options,
    )

    def knock() -> None:
        # the kernel chose the port; the controller would knock at port 0
        socket.create_connection(("127.0.0.1", port_of(controller))).close()

    controller._trigger_server = knock  # type: ignore[method-assign]
    controller.start()
    try:
        yield port_of(controller)
    finally:
        controller.stop()


def port_of(controller: Controller) -> int:
    """The port that the kernel chose."""
    return int(cast(asyncio.Server, controller.server).sockets[0].getsockname()[1])


# What a server does at one point of the dialogue: an answer, or the name of a misbehaviour.
Script = dict[str, str]


@contextmanager
def scripted_server(script: Script, *, sessions: int = 50) -> Iterator[int]:
    """The port of a server that follows `script`.

    For `banner`, `ehlo`, `mail`, `rcpt`, `data` and `dot` it names an answer, `drop` (close), `hang` (say
    nothing), `drip` (a byte now and then, for ever); for `data` also `content drop` (close in the middle of
    the content). `again` is what becomes of a connection's second MAIL.
    """
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(0.2)
    stop = threading.Event()
    open_sockets: list[socket.socket] = []

    def serve(connection: socket.socket) -> None:
        with connection:
            reader = connection.makefile("rb")
            mails = 0

            def act(point: str, answer: str) -> bool:
                wanted = script.get(point, answer)
                if wanted == "drop":
                    return False
                if wanted == "hang":
                    stop.wait(30)
                    return False
                if wanted == "drip":
                    # also how a TLS handshake could begin
                    connection.sendall(b"\x16\x03\x03\x3f\xff")
                    while not stop.wait(0.1):
                        connection.sendall(b"2")
                    return False
                connection.sendall(wanted.encode() + b"\r\n")
                return True

            try:
                if not act("banner", "220 scripted"):
                    return
                while line := reader.readline():
                    verb = line.split()[0].lower().decode() if line.split() else ""
                    if verb == "quit":
                        connection.sendall(b"221 bye\r\n")
                        return
                    if verb != "data":
                        point = {"ehlo": "ehlo", "helo": "ehlo", "mail": "mail", "rcpt": "rcpt"}.get(verb, "")
                        mails += verb == "mail"
                        if verb == "mail" and mails > 1 and "again" in script:
                            point = "again"
                        if not act(point, "250 ok"):
                            return
                        continue
                    if script.get("data") == "content drop":
                        connection.sendall(b"354 go\r\n")
                        reader.readline()
                        return
                    if not act("data", "354 go"):
                        return
                    if not script.get("data", "354").startswith("354"):
                        continue
                    while (text := reader.readline()) and text != b".\r\n":
                        pass
                    if not act("dot", "250 taken"):
                        return
            except OSError:
                return

    def accept() -> None:
        for _ in range(sessions):
            while not stop.is_set():
                try:
                    connection, _address = listener.accept()
                    break
                except TimeoutError:
                    continue
            else:
                return
            open_sockets.append(connection)
            threading.Thread(target=serve, args=(connection,), daemon=True).start()

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield int(listener.getsockname()[1])
    finally:
        stop.set()
        thread.join(5)
        listener.close()
        for connection in open_sockets:
            connection.close()


def closed_port() -> int:
    """A port at which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = int(probe.getsockname()[1])
    time.sleep(0)
    return port
