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
        self._connection: smtplib.SMTP | None = None
        self._sent_here = 0

    def send(self, parcel: Parcel, handing_over: Callable[[], None]) -> None:
        """One SMTP transaction; raises what `Channel` says."""
        if self._sent_here >= MESSAGES_PER_CONNECTION:
            self.close()
        smtp = self._connection or self._connect()
        try:
            with self._deadline(smtp, self._patience.message):
                self._transact(smtp, parcel, handing_over)
        except NobodyKnows:
            self._drop()
            raise
        except (TryLater, Refused):
            self._reset()
            raise
        except (smtplib.SMTPServerDisconnected, OSError) as error:
            # before the dot: the server cannot have taken what it did not have
            self._drop()
            raise TryLater(f"{self._server} broke off: {_text(error)}") from None
        self._sent_here += 1

    def was_taken(self, parcel: Parcel) -> None:
        """SMTP cannot be asked."""
        return None

    def close(self) -> None:
        """Take leave of the server."""
        if self._connection is not None:
            with contextlib.suppress(smtplib.SMTPException, OSError):
                self._connection.quit()
        self._drop()

    def _transact(self, smtp: smtplib.SMTP, parcel: Parcel, handing_over: Callable[[], None]) -> None:
        if not (parcel.recipient.isascii() or smtp.has_extn("smtputf8")):
            raise Refused(f"{self._server} takes no address outside ASCII")
        options = ["SMTPUTF8"] if not parcel.recipient.isascii() else []
        if smtp.has_extn("size"):
            options.append(f"size={len(parcel.content)}")
        self._require(smtp.mail(self._envelope_sender, options), "the sender", is_sender=True)
        self._require(smtp.rcpt(parcel.recipient), "the recipient")
        self._require(smtp.docmd("data"), "the message", wanted=354)
        assert smtp.sock is not None
        content = _dotted(parcel.content)
        for start in range(0, len(content), _CHUNK):
            smtp.send(content[start : start + _CHUNK])
        smtp.sock.settimeout(self._patience.answer)
        handing_over()
        try:
            smtp.send(b".\r\n")
            answer = smtp.getreply()
        except (smtplib.SMTPException, OSError) as error:
            raise NobodyKnows(f"{self._server} did not confirm the message: {_text(error)}") from None
        smtp.sock.settimeout(self._patience.step)
        self._require(answer, "the message")

    def _require(
        self, answer: tuple[int, bytes], what: str, *, is_sender: bool = False, wanted: int = 250
    ) -> None:
        code, text = answer
        if code == wanted or (wanted == 250 and code == 251):
            return
        story = f"{self._server} answered {code} to {what}: {_text(text)}"
        if code == 421:
            self._drop()
            raise TryLater(story)
        if is_sender and code >= 500 and code != 552:
            # not this message's fault: no message would be taken
            self._drop()
            raise ChannelDown(f"{story}. Check the sender's addresses in the recipients file.")
        if code >= 500:
            raise Refused(story)
        raise TryLater(story)

    def _connect(self) -> smtplib.SMTP:
        server, patience = self._server, self._patience
        context = ssl.create_default_context(cafile=str(self._ca_file) if self._ca_file else None)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        try:
            if server.scheme == "smtps":
                smtp: smtplib.SMTP = smtplib.SMTP_SSL(
                    server.host, server.port, timeout=patience.step, context=context
                )
            else:
                smtp = smtplib.SMTP(server.host, server.port, timeout=patience.step)
            with self._deadline(smtp, patience.message):
                smtp.ehlo_or_helo_if_needed()
                if server.scheme == "smtp":
                    if not smtp.has_extn("starttls"):
                        raise ChannelDown(f"{server} offers no STARTTLS, so nothing is sent through it.")
                    smtp.starttls(context=context)
                    smtp.ehlo()
                if server.user is not None:
                    smtp.login(server.user, server.password or "")
        except ssl.SSLError as error:
            raise ChannelDown(
                f"{server} cannot be trusted: {_text(error)}. Correct its certificate, or name the "
                "authority that signed it in ALMANAC_SMTP_CA_FILE."
            ) from None
        except smtplib.SMTPAuthenticationError as error:
            raise ChannelDown(
                f"{server} refused the login ({error.smtp_code}). Correct the user and password in "
                "ALMANAC_SMTP_URL."
            ) from None
        except (smtplib.SMTPException, OSError) as error:
            raise ChannelDown(f"{server} does not take mails now: {_text(error)}") from None
        self._connection, self._sent_here = smtp, 0
        return smtp

    def _reset(self) -> None:
        if self._connection is None:
            return
        try:
            self._connection.rset()
        except (smtplib.SMTPException, OSError):
            self._drop()

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    @contextmanager
    def _deadline(self, smtp: smtplib.SMTP, seconds: float) -> Iterator[None]:
        """Cut the connection after so long: timeouts count from one byte to the next."""

        def cut() -> None:
            with contextlib.suppress(OSError, AttributeError):
                assert smtp.sock is not None
                smtp.sock.shutdown(socket.SHUT_RDWR)

        timer = threading.Timer(seconds, cut)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()


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
