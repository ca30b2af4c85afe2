"""One POST to a receiver that an operator named: guarded, pinned, and over within its deadline.

The name is resolved once, every address that it has is judged, and the connection goes to one of those very
addresses, while TLS and `Host` keep the name: what the name means a moment later does not matter. Redirects
are not followed, proxies of the environment are not asked, an answer's body is read up to LARGEST_ANSWER.
What went wrong is told with host and status alone: a webhook's URL is a secret, and so may be an answer.
"""

from __future__ import annotations

import contextlib
import http.client
import ipaddress
import re
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path
from urllib.parse import urlsplit

from flows.channels import ChannelDown, NobodyKnows, Refused, TryLater
from flows.errors import UsageError

DEADLINE_SECONDS = 10.0  # of all of it: name, connection, request, answer
LARGEST_ANSWER = 65_536  # bytes
LONGEST_WAIT = timedelta(hours=6)  # that a receiver may ask for
# 429 without a wait that can be read
USUAL_WAIT = timedelta(minutes=1)
USER_AGENT = "llm-almanac"

_URL = re.compile(r"[!-~]{1,4000}")
_LABEL = r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_NAME = re.compile(rf"(?=.{{1,253}}$){_LABEL}(\.{_LABEL})*\.?")
# The last label of what a resolver reads as an address: 2130706433, 0x7f000001, 127.1
_NUMBER = re.compile(r"(\d+|0[xX][0-9A-Fa-f]*)\.?")
_PORTS = {"https": 443, "http": 80}
# Words in which Slack says why (docs.slack.dev, incoming webhooks): the only part of an answer that is told.
_REASONS = frozenset(
    {
        *("invalid_payload", "user_not_found", "channel_not_found", "channel_is_archived", "no_service"),
        *("action_prohibited", "posting_to_general_channel_denied", "too_many_attachments", "no_text"),
        *("no_service_id", "no_team", "team_disabled", "invalid_token", "rollup_error"),
    }
)
_TRY_LATER = frozenset({408, 425})
# These speak of URL or secret, not of the message: none would be taken.
_CHANNEL_AT_FAULT = frozenset({401, 403, 404, 410})

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
# Addresses of a host and port, as texts; raises OSError when there are none.
Resolver = Callable[[str, int], Sequence[str]]

# Not reached by whoever is allowed their own network: where no receiver is; where clouds answer their own
# machines with credentials (AWS, Google, Alibaba, Oracle and Azure do outside 169.254.0.0/16, too); and IPv4
# addresses in disguise (NAT64, 6to4, Teredo), which may be any of these.
_NEVER = tuple(
    ipaddress.ip_network(text)
    for text in (
        *("0.0.0.0/8", "169.254.0.0/16", "224.0.0.0/3", "::/128", "fe80::/10", "ff00::/8"),
        *("fd00:ec2::254/128", "fd20:ce::254/128"),
        *("100.100.100.200/32", "192.0.0.192/32", "168.63.129.16/32"),
        *("64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "2001::/32"),
    )
)
# What is_global lets pass.
_NOT_PUBLIC = tuple(
    ipaddress.ip_network(text)
    for text in (
        *("192.0.0.0/24", "192.88.99.0/24", "100.64.0.0/10", "198.18.0.0/15"),
        *("2001::/23", "2001:db8::/32", "3fff::/20"),
    )
)
_GLOBAL_UNICAST = ipaddress.IPv6Network("2000::/3")


@dataclass(frozen=True, slots=True)
class Target:
    """Where something is posted to; printed without its path, which may be a secret."""

    scheme: str
    host: str
    port: int
    path: str = field(repr=False)

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Guard:
    """What may be reached: the public Internet over HTTPS, and more only where a channel says so."""

    allow_private: bool = False
    allow_http: bool = False
    ca_file: Path | None = None
    deadline_seconds: float = DEADLINE_SECONDS
    resolve: Resolver | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """What a receiver said, as far as it is of use."""

    status: int
    retry_after: str | None = None
    reason: str | None = None


def parse_target(url: str, guard: Guard, *, source: str) -> Target:
    """The target that a URL names. Raises UsageError, which names `source` and never the URL."""
    schemes = ("https", "http") if guard.allow_http else ("https",)
    example = f"It must be a URL such as {schemes[-1]}://host/path."
    if not _URL.fullmatch(url):
        raise UsageError(f"{source} holds no URL, or one with characters that must be %-encoded. {example}")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise UsageError(f"{source} holds no URL. {example}") from None
    if parts.scheme not in schemes:
        hint = " `allow_http` is for http." if parts.scheme == "http" else ""
        raise UsageError(f"{source} does not begin with {' or '.join(schemes)}.{hint} {example}")
    if parts.username is not None or parts.password is not None or parts.fragment:
        raise UsageError(f"{source} holds a user, a password or a #part, which are not sent. {example}")
    host = parts.hostname or ""
    if not _is_address(host) and (
        not _NAME.fullmatch(host) or _NUMBER.fullmatch(host.rstrip(".").rpartition(".")[2])
    ):
        raise UsageError(
            f"{source} names no host: a name outside ASCII is written xn--…, an address 192.0.2.1 or "
            f"[2001:db8::1]. {example}"
        )
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Target(parts.scheme, host, port or _PORTS[parts.scheme], path)


def why_not_reached(text: str, guard: Guard) -> str | None:
    """Why an address is not connected to; None when it is."""
    try:
        address: Address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return "an address that cannot be read"
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    if any(address in network for network in _NEVER if network.version == address.version):
        return "a link-local, multicast or reserved address, or one of a cloud's own"
    if not guard.allow_private and not _is_public(address):
        return "an address of a private network; `allow_private` is for a receiver of your own"
    return None


def post(
    target: Target, body: bytes, headers: Mapping[str, str], guard: Guard, handing_over: Callable[[], None]
) -> Answer:
    """Post, and return what was answered, whatever the status.

    `handing_over` is called right before the last byte leaves. Raises ChannelDown when the receiver must not
    be reached or cannot be trusted, TryLater when there was no connection, NobodyKnows when it ended or stood
    still after the last byte.
    """
    ends_at = time.monotonic() + guard.deadline_seconds
    try:
        context = _tls(guard) if target.scheme == "https" else None
    except OSError:
        raise ChannelDown(
            f"{guard.ca_file} holds no certificate of an authority: correct `ca_file`."
        ) from None
    addresses = _addresses(target, guard, ends_at)
    wire = _connect(target, addresses, ends_at)
    connection = http.client.HTTPConnection(target.host, target.port)
    connection.auto_open = 0
    with _cut_off(wire, ends_at), contextlib.closing(connection):
        try:
            if context is not None:
                wire = context.wrap_socket(wire, server_hostname=target.host.rstrip("."))
            connection.sock = wire
            connection.putrequest("POST", target.path, skip_host=True, skip_accept_encoding=True)
            fixed = {"Host": str(target), "User-Agent": USER_AGENT, "Accept": "*/*", "Connection": "close"}
            for name, value in {**fixed, **headers, "Content-Length": str(len(body))}.items():
                connection.putheader(name, value)
            connection.endheaders(body[:-1])
        except ssl.SSLCertVerificationError as error:
            raise ChannelDown(
                f"{target} cannot be trusted: {error.verify_message}. Correct its certificate, or name the "
                "authority in `ca_file`."
            ) from None
        except (OSError, http.client.HTTPException) as error:
            raise _broke(target, error, ends_at) from None
        handing_over()
        try:
            connection.send(body[-1:])
            return _answer(connection, ends_at)
        except (OSError, http.client.HTTPException) as error:
            how = (
                "did not answer in time" if _is_late(ends_at) else f"ended without an answer: {_kind(error)}"
            )
            raise NobodyKnows(f"{target} {how}", is_outage=True) from None


def require_taken(
    answer: Answer, target: Target, *, advice: Mapping[int, str], now: datetime | None = None
) -> None:
    """Raise what an answer other than 2xx means. `advice`: what to do, by status."""
    status = answer.status
    if 200 <= status < 300:
        return
    reason = f" ({answer.reason})" if answer.reason else ""
    story = f"{target} answered {status}{reason}"
    wait = retry_after(answer.retry_after, now or datetime.now(UTC))
    if status == 429:
        raise TryLater(story, wait=wait or USUAL_WAIT)
    if status >= 500 or status in _TRY_LATER:
        raise TryLater(story, wait=wait, is_outage=True)
    if status < 200:
        raise NobodyKnows(f"{story}, which is no last word", is_outage=True)
    if status < 400:
        raise ChannelDown(f"{story}: redirects are not followed, name the URL that it leads to")
    if status in advice:
        story += f": {advice[status]}"
    if status in _CHANNEL_AT_FAULT:
        raise ChannelDown(story)
    raise Refused(story)


def retry_after(text: str | None, now: datetime) -> timedelta | None:
    """How long `Retry-After` asks to wait, at most LONGEST_WAIT; None when it says nothing of use."""
    text = (text or "").strip()[:100]
    if re.fullmatch(r"[0-9]{1,50}", text):
        seconds = float(text)
    else:
        try:
            moment = parsedate_to_datetime(text)
            seconds = (moment.replace(tzinfo=moment.tzinfo or UTC) - now).total_seconds()
        except (ValueError, TypeError, IndexError, OverflowError):
            return None
    if seconds <= 0:
        return None
    return timedelta(seconds=min(seconds, LONGEST_WAIT.total_seconds()))


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return "%" not in host


def _is_public(address: Address) -> bool:
    if any(address in network for network in _NOT_PUBLIC if network.version == address.version):
        return False
    if isinstance(address, ipaddress.IPv6Address) and address not in _GLOBAL_UNICAST:
        return False
    return address.is_global and not address.is_multicast and not address.is_reserved


def _resolve(host: str, port: int) -> Sequence[str]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def _addresses(target: Target, guard: Guard, ends_at: float) -> Sequence[str]:
    """The addresses of the name, all of which may be reached."""
    found: list[Sequence[str]] = []
    resolve = guard.resolve or _resolve

    def ask() -> None:
        with contextlib.suppress(OSError, UnicodeError):
            found.append(resolve(target.host, target.port))

    # the system's resolver knows no deadline
    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(max(0.0, ends_at - time.monotonic()))
    if not found or not found[0]:
        how = "was not found in time" if thread.is_alive() else "has no address"
        raise TryLater(f"{target} {how}", is_outage=True)
    for address in found[0]:
        if (why := why_not_reached(address, guard)) is not None:
            raise ChannelDown(f"{target} is at {why}. Nothing was sent.")
    return found[0]


def _connect(target: Target, addresses: Sequence[str], ends_at: float) -> socket.socket:
    """A connection to one of the addresses, none of which is looked up again."""
    failure: OSError | None = None
    for number, address in enumerate(addresses):
        left = ends_at - time.monotonic()
        if left <= 0:
            break
        try:
            # an address that swallows everything leaves time for the others
            wire = socket.create_connection(
                (address, target.port), timeout=max(0.05, left / (len(addresses) - number))
            )
            wire.settimeout(left)
            return wire
        except OSError as error:
            failure = error
    raise TryLater(
        f"{target} cannot be connected to: {_kind(failure) if failure else 'not in time'}", is_outage=True
    )


@contextmanager
def _cut_off(wire: socket.socket, ends_at: float) -> Iterator[None]:
    """Cut the connection at its deadline, whatever it does: timeouts of sockets count from byte to byte."""
    # the connection itself, whichever object speaks over it: TLS takes the first one's place
    line = wire.dup()

    def cut() -> None:
        with contextlib.suppress(OSError):
            line.shutdown(socket.SHUT_RDWR)

    timer = threading.Timer(max(0.0, ends_at - time.monotonic()), cut)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()
        with contextlib.suppress(OSError):
            line.shutdown(socket.SHUT_RDWR)
        line.close()
        wire.close()


def _answer(connection: http.client.HTTPConnection, ends_at: float) -> Answer:
    with connection.getresponse() as response:
        if _is_late(ends_at):
            # headers that were cut off look like headers that ended
            raise TimeoutError
        reason = None
        if response.status >= 300:
            # the status is the answer, whatever becomes of the rest
            with contextlib.suppress(OSError, http.client.HTTPException, ValueError):
                said = response.read(LARGEST_ANSWER).decode("ascii", "replace").strip()
                reason = said if said in _REASONS else None
        return Answer(response.status, response.headers.get("Retry-After"), reason)


def _broke(target: Target, error: BaseException, ends_at: float) -> TryLater:
    how = "did not take the request in time" if _is_late(ends_at) else f"broke off: {_kind(error)}"
    return TryLater(f"{target} {how}", is_outage=True)


def _is_late(ends_at: float) -> bool:
    return time.monotonic() >= ends_at


def _kind(error: BaseException) -> str:
    """What sort of error it was, in the system's words; never what the other side said."""
    if isinstance(error, ssl.SSLError):
        return f"TLS failed ({error.reason or 'it ended'})"
    if isinstance(error, http.client.HTTPException):
        return "no HTTP" if not isinstance(error, http.client.RemoteDisconnected) else "it hung up"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return type(error).__name__


def _tls(guard: Guard) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(guard.ca_file) if guard.ca_file else None)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context
