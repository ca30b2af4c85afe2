"""The channel that mails: one message, one recipient, one SMTP transaction, over a trusted connection.

TLS is required, with the certificate and the host name verified; only a server on this machine may be spoken
to in the clear, and only when the URL says so. The one moment in which nobody knows whether a message was
taken lies between the dot that ends it and the server's answer (RFC 1047), and is as short as it can be.
"""

from __future__ import annotations

import contextlib
import ipaddress
import re
import smtplib
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote, urlsplit

from flows.channels import ChannelDown, NobodyKnows, Parcel, Refused, TryLater
from flows.errors import UsageError
from flows.redaction import redact

MESSAGES_PER_CONNECTION = 50
# Messages over which the server ended the connection, one after the other, before it counts as away.
BREAKS_IN_A_ROW = 3
# The login is missing, wrong or no longer enough (RFC 4954), at whatever command the server says so.
_LOGIN_CODES = frozenset({530, 534, 535, 538})
_SENDER = "the sender"
_PORTS = {"smtp": 587, "smtps": 465, "smtp+plain": 25}
_EXAMPLE = "Write smtp://user:password@host:587 (STARTTLS) or smtps://user:password@host:465 (TLS)."
_CHUNK = 16_384  # bytes; between two of them the deadline is looked at


@dataclass(frozen=True, slots=True)
class SmtpServer:
    """A server as ALMANAC_SMTP_URL names it."""

    scheme: str
    host: str
    port: int
    user: str | None = None
    password: str | None = field(default=None, repr=False)

    def __str__(self) -> str:
        return f"{self.scheme}://{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds: for one answer of the server, for that to a whole message, for all of one message."""

    step: float = 30
    answer: float = 120
    message: float = 300


def parse_smtp_url(url: str) -> SmtpServer:
    """The server that a URL names; UsageError, which does not repeat the URL, when it names none."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise UsageError(f"ALMANAC_SMTP_URL is not a URL of a mail server. {_EXAMPLE}") from None
    if parts.scheme not in _PORTS or not parts.hostname or parts.path not in ("", "/") or parts.query:
        raise UsageError(f"ALMANAC_SMTP_URL is not a URL of a mail server. {_EXAMPLE}")
    if parts.scheme == "smtp+plain" and not _is_loopback(parts.hostname):
        raise UsageError(
            "ALMANAC_SMTP_URL: smtp+plain sends mails and passwords in the clear, and is only for a server "
            f"at a loopback address such as 127.0.0.1. {_EXAMPLE}"
        )
    return SmtpServer(
        parts.scheme,
        parts.hostname,
        port or _PORTS[parts.scheme],
        unquote(parts.username) if parts.username else None,
        unquote(parts.password) if parts.password else None,
    )


def tls_context(ca_file: Path | None) -> ssl.SSLContext:
    """TLS that verifies certificate and host name, by the system's authorities or those of a file.

    Raises UsageError when the file holds none.
    """
    try:
        context = ssl.create_default_context(cafile=str(ca_file) if ca_file else None)
    except OSError as error:
        raise UsageError(
            f"{ca_file} holds no certificate of an authority: {_text(error)}. Correct ALMANAC_SMTP_CA_FILE."
        ) from None
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class MailChannel:
    """Sends through one SMTP server; one connection carries many messages."""

    name = "mail"

    def __init__(
        self,
        server: SmtpServer,
        *,
        envelope_sender: str,
        ca_file: Path | None = None,
        patience: Patience | None = None,
    ) -> None:
        self._server = server
        self._envelope_sender = envelope_sender
        self._ca_file = ca_file
        self._patience = patience or Patience()
        self._client: _Client | None = None
        self._carried = 0
        self._breaks = 0

    def send(self, parcel: Parcel, handing_over: Callable[[], None]) -> None:
        """One SMTP transaction; raises what `Channel` says."""
        if self._carried >= MESSAGES_PER_CONNECTION:
            self.close()
        # servers end connections that were idle or carried enough: that is no failure of the next message
        for is_last in (self._client is None, True):
            try:
                self._send_over(self._client or self._connect(), parcel, handing_over)
                return
            except _Broken as broken:
                self._breaks += is_last
                if self._breaks >= BREAKS_IN_A_ROW:
                    raise ChannelDown(f"{broken} ({self._breaks} messages in a row)") from None
                if is_last:
                    raise TryLater(str(broken)) from None

    def was_taken(self, parcel: Parcel) -> None:
        """SMTP cannot be asked."""
        return None

    def close(self) -> None:
        """Take leave of the server."""
        if self._client is not None:
            with contextlib.suppress(OSError), self._client.deadline(self._patience.step):
                self._client.quit()
        self._drop()
        self._breaks = 0

    def _send_over(self, client: _Client, parcel: Parcel, handing_over: Callable[[], None]) -> None:
        """One try; raises _Broken when the connection ended while nothing was handed over."""
        try:
            with client.deadline(self._patience.message):
                self._transact(client, parcel, handing_over)
        except (TryLater, Refused):
            self._breaks = 0
            self._reset()
            raise
        except OSError as error:
            # before the dot: the server cannot have taken what it did not have
            self._drop()
            raise _Broken(f"{self._server} broke off: {_text(error)}") from None
        except BaseException:
            # in the middle of whatever was said: nothing more can be said here
            self._drop()
            raise
        self._breaks = 0
        self._carried += 1

    def _transact(self, client: _Client, parcel: Parcel, handing_over: Callable[[], None]) -> None:
        self._require(client.mail(self._envelope_sender, self._options(client, parcel)), _SENDER)
        self._require(client.rcpt(parcel.recipient), "the recipient")
        self._require(client.docmd("data"), "the message", wanted=354)
        assert client.sock is not None
        content = _dotted(parcel.content)
        for start in range(0, len(content), _CHUNK):
            client.send(content[start : start + _CHUNK])
        client.sock.settimeout(self._patience.answer)
        handing_over()
        try:
            client.send(b".\r\n")
            answer = client.getreply()
        except OSError as error:
            raise NobodyKnows(f"{self._server} did not confirm the message: {_text(error)}") from None
        client.sock.settimeout(self._patience.step)
        self._require(answer, "the message", is_handed_over=True)

    def _options(self, client: _Client, parcel: Parcel) -> list[str]:
        """What MAIL says of the message; raises when the server cannot carry it."""
        options = []
        if client.has_extn("size"):
            options.append(f"size={len(parcel.content)}")
        if not parcel.content.isascii() and client.has_extn("8bitmime"):
            options.append("body=8bitmime")
        if not (parcel.recipient.isascii() and self._envelope_sender.isascii()):
            if not client.has_extn("smtputf8"):
                story = f"{self._server} takes no address outside ASCII"
                if not self._envelope_sender.isascii():
                    raise ChannelDown(
                        f"{story}, such as the sender's. Change `bounces` in the recipients file."
                    )
                raise Refused(story)
            options.append("SMTPUTF8")
        return options

    def _require(
        self, answer: tuple[int, bytes], what: str, *, wanted: int = 250, is_handed_over: bool = False
    ) -> None:
        """Raise what an answer other than the wanted one means."""
        code, text = answer
        if code // 100 == wanted // 100:
            return
        story = f"{self._server} answered {code} to {what}: {_text(text)}"
        if is_handed_over and code // 100 not in (4, 5):
            # half an answer, or none that SMTP knows
            raise NobodyKnows(story)
        if code in _LOGIN_CODES:
            raise ChannelDown(f"{story}. Correct the user and password in ALMANAC_SMTP_URL.")
        if code == 421:
            self._drop()
            raise TryLater(story) if is_handed_over else _Broken(story)
        if what == _SENDER and code >= 500 and code != 552:
            # not this message's fault: no message would be taken
            raise ChannelDown(f"{story}. Check the sender's addresses in the recipients file.")
        if code >= 500:
            raise Refused(story)
        raise TryLater(story)

    def _connect(self) -> _Client:
        """A connection that may be trusted, logged in; raises ChannelDown when there is none."""
        server, patience = self._server, self._patience
        try:
            context = tls_context(self._ca_file)
        except UsageError as error:
            raise ChannelDown(str(error)) from None
        try:
            wire = socket.create_connection((server.host, server.port), timeout=patience.step)
        except (OSError, UnicodeError) as error:
            raise ChannelDown(f"{server} does not take mails now: {_text(error)}") from None
        client = _Client(wire, patience.step)
        try:
            with client.deadline(patience.message):
                client.greet(server.host, server.port, context if server.scheme == "smtps" else None)
                client.ehlo_or_helo_if_needed()
                if server.scheme == "smtp":
                    if not client.has_extn("starttls"):
                        raise ChannelDown(f"{server} offers no STARTTLS, so nothing is sent through it.")
                    client.starttls(context=context)
                    client.ehlo()
                if server.user is not None:
                    client.login(server.user, server.password or "")
        except ssl.SSLCertVerificationError as error:
            client.close()
            raise ChannelDown(
                f"{server} cannot be trusted: {_text(error)}. Correct its certificate, or name the "
                "authority that signed it in ALMANAC_SMTP_CA_FILE."
            ) from None
        except smtplib.SMTPAuthenticationError as error:
            client.close()
            # not its text, which may repeat what was sent
            raise ChannelDown(
                f"{server} refused the login ({error.smtp_code}). Correct the user and password in "
                "ALMANAC_SMTP_URL."
            ) from None
        except (OSError, UnicodeError) as error:
            client.close()
            raise ChannelDown(f"{server} does not take mails now: {_text(error)}") from None
        except BaseException:
            client.close()
            raise
        self._client, self._carried = client, 0
        return client

    def _reset(self) -> None:
        if self._client is None:
            return
        try:
            with self._client.deadline(self._patience.step):
                self._client.rset()
        except OSError:
            self._drop()

    def _drop(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            client.close()


class _Broken(Exception):
    """The server ended the connection, and nothing had been handed over."""


class _Client(smtplib.SMTP):
    """smtplib's client, which can be cut off whatever it does: its timeouts count from byte to byte."""

    def __init__(self, wire: socket.socket, timeout: float) -> None:
        # an address instead of the name that smtplib would ask the resolver for, without a limit
        own = str(wire.getsockname()[0]).partition("%")[0]
        super().__init__(local_hostname=f"[IPv6:{own}]" if ":" in own else f"[{own}]", timeout=timeout)
        self._wire = wire
        self._tls: ssl.SSLContext | None = None
        # the connection itself, whichever object speaks over it: TLS takes the first one's place
        self._line = wire.dup()

    def greet(self, host: str, port: int, tls: ssl.SSLContext | None) -> None:
        """Hear the server's greeting, inside TLS when a context is given."""
        self._tls = tls
        self._host = host  # whose certificate STARTTLS wants
        code, text = self.connect(host, port)
        if code != 220:
            raise smtplib.SMTPConnectError(code, text)

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        return self._wire if self._tls is None else self._tls.wrap_socket(self._wire, server_hostname=host)

    @contextmanager
    def deadline(self, seconds: float) -> Iterator[None]:
        """Cut the connection when the block takes longer."""

        def cut() -> None:
            with contextlib.suppress(OSError):
                self._line.shutdown(socket.SHUT_RDWR)

        timer = threading.Timer(seconds, cut)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

    def close(self) -> None:
        """End the connection."""
        super().close()
        self._wire.close()
        self._line.close()


def _dotted(content: bytes) -> bytes:
    """A message as DATA carries it: lines end with CRLF, a dot that begins one is doubled (RFC 5321)."""
    lines = re.sub(rb"\r\n|\r|\n", b"\r\n", content)
    lines = re.sub(rb"(?m)^\.", b"..", lines)
    return lines if lines.endswith(b"\r\n") else lines + b"\r\n"


def _text(error: BaseException | bytes) -> str:
    """What a server or a library said, on one line, without a secret."""
    said = (
        error.decode("utf-8", "replace") if isinstance(error, bytes) else str(error) or type(error).__name__
    )
    return redact(" ".join(said.split()))[:200]
