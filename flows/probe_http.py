"""Probes over HTTP: one GET, its answer read as the kind of component means it.

No redirect is followed, no proxy of the environment used, certificates are checked, at most 64 KiB of an
answer are read and none of it is repeated to anybody. The caller's deadline ends a probe wherever it stands.
"""

from __future__ import annotations

import errno
import json
import socket
import ssl
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import httpx

from flows.errors import AlmanacError
from flows.probe_results import Finding, ProbeVerdict

if TYPE_CHECKING:
    from flows.probe_config import Component

LARGEST_ANSWER = 64 * 1024  # bytes

# What this machine could not do, which says nothing about the other one.
_OURS = frozenset(
    {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.ENETDOWN, errno.ENETUNREACH}
    | {errno.EADDRNOTAVAIL, errno.EACCES, errno.EPERM}
)
_REASONS = {
    errno.ECONNREFUSED: "it refuses connections",
    errno.ECONNRESET: "it broke the connection off",
    errno.EHOSTUNREACH: "its host cannot be reached",
    errno.ETIMEDOUT: "its host does not answer",
}
# Of a database that LiteLLM knows; "Not connected" is also what it says when it is to have none.
_DATABASE_CONNECTED = "connected"


def trust(component: Component) -> ssl.SSLContext:
    """Whom a probe trusts. Raises AlmanacError when its ca_file cannot be used."""
    context = ssl.create_default_context()
    if component.ca_file is not None:
        try:
            context.load_verify_locations(component.ca_file)
        except OSError as error:
            raise AlmanacError(f"ca_file cannot be used: {_word(error)}") from None
    return context


async def probe_http(component: Component, context: ssl.SSLContext) -> Finding:
    """Ask once. Raises nothing of the network's; how long it may take is the caller's affair."""
    assert component.url is not None
    try:
        return await _ask(component, component.url, context)
    except (httpx.HTTPError, httpx.InvalidURL, OSError, UnicodeError) as error:
        return _failure(error)


async def _ask(component: Component, url: str, context: ssl.SSLContext) -> Finding:
    async with (
        httpx.AsyncClient(
            verify=context,
            timeout=None,  # the caller's deadline is for everything together
            follow_redirects=False,
            trust_env=False,
            headers={"User-Agent": "llm-almanac-probe", "Accept-Encoding": "identity"},
        ) as client,
        client.stream("GET", url) as response,
    ):
        if response.status_code != httpx.codes.OK:
            return _refusal(component, response)
        content = b""
        async for part in response.aiter_raw(LARGEST_ANSWER):
            content += part
            if len(content) > LARGEST_ANSWER:
                break
    if component.kind in ("http", "litellm_liveliness"):
        return Finding(ProbeVerdict.up)
    if len(content) > LARGEST_ANSWER:
        return Finding(ProbeVerdict.down, f"it answers with more than {LARGEST_ANSWER // 1024} KiB")
    return _meaning(component, content)


def _refusal(component: Component, response: httpx.Response) -> Finding:
    code = response.status_code
    if code in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN, httpx.codes.PROXY_AUTHENTICATION_REQUIRED):
        return Finding(
            ProbeVerdict.unknown, f"HTTP {code}: it asks who we are; probe a path that asks nobody"
        )
    if code == httpx.codes.TOO_MANY_REQUESTS:
        return Finding(ProbeVerdict.degraded, f"HTTP {code}: it is asked too often")
    if response.is_redirect:
        return Finding(ProbeVerdict.down, f"HTTP {code}: it sends us elsewhere, where no probe follows")
    if component.kind == "litellm_readiness" and code == httpx.codes.SERVICE_UNAVAILABLE:
        return Finding(ProbeVerdict.down, "HTTP 503: it is not ready, perhaps without its database")
    return Finding(ProbeVerdict.down, f"HTTP {code}")


def _meaning(component: Component, content: bytes) -> Finding:
    """What an answer of 200 says in its body."""
    try:
        answer: Any = json.loads(content)
    except (ValueError, RecursionError):
        answer = None
    if not isinstance(answer, dict):
        return Finding(ProbeVerdict.down, "HTTP 200 with something else than a health page")
    if component.kind == "litellm_readiness":
        database = answer.get("db")
        if database == _DATABASE_CONNECTED:
            return Finding(ProbeVerdict.up)
        if database is None:
            return Finding(ProbeVerdict.down, "it does not say whether its database is connected")
        return Finding(ProbeVerdict.down, "HTTP 200, and its database is not connected")
    status = answer.get("status")
    if status == "healthy":
        return Finding(ProbeVerdict.up)
    if status == "degraded":
        return Finding(ProbeVerdict.degraded, "it says that it is degraded")
    return Finding(ProbeVerdict.down, "HTTP 200, and it does not say that it is healthy")


def _failure(error: BaseException) -> Finding:
    """What an exception of the network means.

    A name may have several addresses, of which this machine can reach only some: what one of them says of the
    other side counts before what this machine could not do.
    """
    causes = list(_causes(error))
    ours: Finding | None = None
    for cause in causes:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return Finding(ProbeVerdict.down, f"its certificate is not to be trusted: {cause.verify_message}")
        if isinstance(cause, ssl.SSLError):
            return Finding(ProbeVerdict.down, f"no TLS connection: {_word(cause)}")
        if isinstance(cause, socket.gaierror):
            if cause.errno == socket.EAI_NONAME:
                return Finding(ProbeVerdict.down, "its name leads nowhere")
            ours = ours or Finding(ProbeVerdict.unknown, "names cannot be resolved here")
        elif isinstance(cause, OSError) and cause.errno in _REASONS:
            return Finding(ProbeVerdict.down, _REASONS[cause.errno])
        elif isinstance(cause, OSError) and cause.errno in _OURS:
            ours = ours or Finding(ProbeVerdict.unknown, f"this machine could not ask: {_word(cause)}")
    if ours is not None:
        return ours
    if any(isinstance(cause, httpx.RemoteProtocolError) for cause in causes):
        return Finding(ProbeVerdict.down, "what it answers is not HTTP, or ends too early")
    return Finding(ProbeVerdict.down, f"no answer: {type(causes[-1]).__name__}")


def _causes(error: BaseException) -> Iterator[BaseException]:
    """An exception and what led to it, the outermost first; bounded, for causes may form a ring."""
    waiting, seen = [error], set[int]()
    while waiting and len(seen) < 50:
        one = waiting.pop(0)
        if id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        waiting += [cause for cause in (one.__cause__, one.__context__) if cause is not None]
        if isinstance(one, BaseExceptionGroup):
            waiting += one.exceptions


def _word(error: OSError) -> str:
    """The system's word for it, which repeats nothing that the other side sent."""
    if isinstance(error, ssl.SSLError):
        return str(error.reason or "error").replace("_", " ").lower()
    return (error.strerror or type(error).__name__).lower()
