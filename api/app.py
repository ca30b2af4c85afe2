"""The service as one ASGI application: its parts put together, and what every answer has in common."""

from __future__ import annotations

import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from threading import Lock
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse, Response

from api import alerts, analytics, credits, health, live, openmetrics, pages, usage
from api.access import RateLimits
from api.answers import KeptAnswers
from api.nights import Unavailable, open_nights
from api.openmetrics import ServiceMetrics
from api.problems import ApiError, NotNow, Wrong
from flows.api_keys import KeyRing
from flows.crash_log import keep_traceback
from flows.errors import AlmanacError
from flows.ops_store import OpsStore, open_ops_store
from flows.redaction import redact

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from flows.settings import Settings

# No page of another origin may frame, sniff or learn anything; pages add what they need.
_HEADERS = {
    b"x-content-type-options": b"nosniff",
    b"referrer-policy": b"no-referrer",
    b"cross-origin-resource-policy": b"same-origin",
    b"cross-origin-opener-policy": b"same-origin",
    b"x-frame-options": b"DENY",
    b"content-security-policy": b"default-src 'none'; frame-ancestors 'none'",
}
_ABOUT = """\
The published marts of LLM Almanac, read-only. Every answer names the night it came from; decimals are exact,
and null is not known. A key is sent as `Authorization: Bearer alm_…`; whose it is decides what it may see.
"""


def create_app(settings: Settings, *, now: Callable[[], datetime]) -> FastAPI:
    """The application; `now` is the moment as naive UTC.

    Its state has what requests share: settings, now, nights, keys, limits, answers, store(), probes, live,
    metrics.
    """
    store = _Store(settings)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with app.state.live.running():
            yield
        app.state.keys.close()
        app.state.nights.close()

    app = FastAPI(
        title="LLM Almanac",
        version="1",
        description=_ABOUT,
        lifespan=lifespan,
        # their pages fetch scripts from elsewhere
        docs_url=None,
        redoc_url=None,
        # a redirect would name whatever host the request names
        redirect_slashes=False,
        generate_unique_id_function=lambda route: route.name,
    )
    state = app.state
    state.settings = settings
    state.now = now
    state.store = store
    state.probes = _probes(settings)
    state.nights = open_nights(settings)
    state.keys = KeyRing(store, now=now)
    state.limits = RateLimits(settings.api_requests_per_minute)
    state.answers = KeptAnswers()
    state.metrics = ServiceMetrics()
    state.live = live.LiveHub(state)
    for part in (health, usage, credits, analytics, alerts, openmetrics, live, pages):
        app.include_router(part.router)
    app.add_middleware(_Common)
    app.add_exception_handler(ApiError, _say_problem)
    app.add_exception_handler(HTTPException, _say_http)
    app.add_exception_handler(RequestValidationError, _say_wrong)
    app.add_exception_handler(AlmanacError, _say_unavailable)
    return app


class _Store:
    """The ops store, opened when it is first asked for."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._lock = Lock()
        self._store: OpsStore | None = None

    def __call__(self) -> OpsStore:
        with self._lock:
            if self._store is None:
                self._store = open_ops_store(self._settings)
            return self._store


def _probes(settings: Settings) -> Any:
    from flows.probe_config import load_probes

    return None if settings.probes is None else load_probes(settings.probes)


# Bytes of a query: a name of a tenant and a search, percent-encoded; and its parameters, of which the
# framework looks up each one by going through all of them, while everybody else waits.
_LONGEST_QUERY, _MOST_PARAMETERS = 16_384, 50
# As nginx counts them: the client closed the request.
_GONE = 499
# Of metrics: whoever asks may make up any other.
_METHODS = ("GET", "HEAD", "POST")


class _Common:
    """What every answer has in common: headers, even of a crash; HEAD is GET without a body; its time."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, status, is_begun, method = time.perf_counter(), 500, False, scope["method"]
        query = scope["query_string"]
        is_head = method == "HEAD" and scope["path"] != live.PATH
        if is_head:
            scope = {**scope, "method": "GET"}

        async def send_with_headers(message: Message) -> None:
            nonlocal status, is_begun
            if message["type"] == "http.response.start":
                status, is_begun = message["status"], True
                there = {name.lower() for name, _ in message["headers"]}
                added = [(name, value) for name, value in _HEADERS.items() if name not in there]
                message = {**message, "headers": [*message["headers"], *added]}
            elif is_head:
                message = {**message, "body": b""}
            await send(message)

        try:
            if len(query) > _LONGEST_QUERY or query.count(b"&") >= _MOST_PARAMETERS:
                too_long = _problem(Request(scope), Wrong("The question is too long."))
                await too_long(scope, receive, send_with_headers)
            else:
                await self._app(scope, receive, send_with_headers)
        except ClientDisconnect:
            # whoever asked has gone in the middle of it
            status = _GONE
        except Exception as error:
            if is_begun:
                raise
            await _say_crash(Request(scope), error)(scope, receive, send_with_headers)
        finally:
            route = getattr(scope.get("route"), "path", "none")
            scope["app"].state.metrics.observe(
                method if method in _METHODS else "other", route, status, time.perf_counter() - began
            )


# --- problems -----------------------------------------------------------------------------------------------


class _Other(ApiError):
    """A problem that is not ours to name, as of the framework."""

    def __init__(self, status: int, detail: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(detail, headers)
        self.status = status


def _problem(request: Request, error: ApiError) -> Response:
    """The same problem as a page for people, as JSON for programs."""
    if pages.is_page(request.url.path):
        return pages.problem_page(request, error)
    return JSONResponse(
        {"detail": error.detail},
        status_code=error.status,
        headers={"Cache-Control": "no-store", **error.headers},
    )


def _say_problem(request: Request, error: Exception) -> Response:
    assert isinstance(error, ApiError)
    return _problem(request, error)


def _say_http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return _problem(request, _Other(error.status_code, str(error.detail), dict(error.headers or {})))


def _say_wrong(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    said = "; ".join(f"{one['loc'][-1]}: {one['msg']}" for one in error.errors())
    return _problem(request, Wrong(said))


def _say_unavailable(request: Request, error: Exception) -> Response:
    """What only an operator can mend is told on stderr; a caller learns that it is so."""
    cause = f" ({error.__cause__})" if error.__cause__ else ""
    print(f"almanac serve: {redact(f'{error}{cause}')}", file=sys.stderr, flush=True)
    said = str(error) if isinstance(error, Unavailable) else "It cannot be read now."
    return _problem(request, NotNow(said, {"Retry-After": "5"}))


def _say_crash(request: Request, error: Exception) -> Response:
    state = request.app.state
    print(f"almanac serve: {keep_traceback(error, state.settings.logs_dir, at=state.now())}", file=sys.stderr)
    return _problem(request, _Other(500, "Something went wrong here; the log has it."))
