"""Live figures: server-sent events and the page's WebSocket, fed by one watch over night and ops store.

A viewer holds no queue: it sends the newest figures of its scope whenever they are others than those it sent,
so that any number of slow viewers costs a few objects each.
"""

from __future__ import annotations

import asyncio
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Request, Response, WebSocket, WebSocketDisconnect
from fastapi.sse import format_sse_event
from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse, StreamingResponse

from api.access import Caller, SignedIn, caller_of_socket, known_by
from api.alerts import read_rules
from api.answers import encoded
from api.health import health_now
from api.problems import OF_ANY, ApiError, NotNow
from flows.alert_recap import RuleName
from flows.errors import AlmanacError
from flows.headlines import Headline, read_headlines
from flows.incidents import incidents_of
from flows.probe_results import Overall
from flows.review_scopes import Scope
from flows.status import STALE_AFTER
from reports.dashboard import freshness
from reports.formats import figure

if TYPE_CHECKING:
    from collections.abc import Iterator

    from starlette.requests import HTTPConnection

router = APIRouter(tags=["live"])

# Seconds between two looks: what changed is sent within two.
LOOK_SECONDS = 0.75
# Seconds after which a silent line shows that it is alive, and its key is looked at again.
KEEPALIVE_SECONDS = 15.0
# Milliseconds after which a browser that lost the line asks again; our page waits longer each time.
RETRY_MILLISECONDS = 2000
# Seconds after which trouble that goes on is told again.
TROUBLE_SECONDS = 60
MOST_VIEWERS = 1000
SEVERITIES = ("critical", "error", "warning", "info")
_MOST_INCIDENTS = 10_000


@dataclass(slots=True)
class _Channel:
    """The newest figures of one scope, and who waits for newer ones."""

    viewers: int = 0
    version: int = 0
    payload: bytes = b""
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def put(self, payload: bytes) -> None:
        if payload != self.payload:
            self.payload, self.version = payload, self.version + 1
            waiting, self.changed = self.changed, asyncio.Event()
            waiting.set()


class LiveHub:
    """Watches as long as the service runs; knows the figures of every scope that somebody looks at."""

    def __init__(self, state: Any) -> None:
        self._state = state
        self._channels: dict[Scope, _Channel] = {}
        # headlines and the rules' names change with the night alone
        self._of_night: dict[Scope, _NightFigures] = {}
        self._told_at = float("-inf")

    @property
    def viewer_count(self) -> int:
        return sum(channel.viewers for channel in self._channels.values())

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self._watch())
        try:
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def updates(self, connection: HTTPConnection, scope: Scope) -> AsyncIterator[bytes | None]:
        """The figures now and whenever they change; None when nothing did for KEEPALIVE_SECONDS.

        Ends when the key is no longer good. Raises NotNow when there are too many viewers.
        """
        with self._seat(scope) as channel:
            if not channel.payload:
                channel.put(await run_in_threadpool(self._look, scope))
            sent = 0
            while True:
                if channel.version != sent:
                    sent = channel.version
                    yield channel.payload
                    continue
                try:
                    await asyncio.wait_for(channel.changed.wait(), KEEPALIVE_SECONDS)
                except TimeoutError:
                    yield None
                if await run_in_threadpool(known_by, connection) is None:
                    return

    @contextmanager
    def _seat(self, scope: Scope) -> Iterator[_Channel]:
        self.require_room()
        channel = self._channels.setdefault(scope, _Channel())
        channel.viewers += 1
        try:
            yield channel
        finally:
            channel.viewers -= 1
            if channel.viewers == 0:
                self._channels.pop(scope, None)

    def require_room(self) -> None:
        """NotNow when there are too many viewers already."""
        if self.viewer_count >= MOST_VIEWERS:
            raise NotNow("Too many live connections are open.", {"Retry-After": "30"})

    async def _watch(self) -> None:
        while True:
            for scope, channel in list(self._channels.items()):
                try:
                    channel.put(await run_in_threadpool(self._look, scope))
                except Exception as error:  # the watch outlives whatever happens to the stores
                    self._tell(error)
            await asyncio.sleep(LOOK_SECONDS)

    def _tell(self, error: Exception) -> None:
        at = asyncio.get_running_loop().time()
        if at - self._told_at > TROUBLE_SECONDS:
            self._told_at = at
            print(
                f"almanac serve: live figures: {type(error).__name__}: {error}", file=sys.stderr, flush=True
            )

    def _look(self, scope: Scope) -> bytes:
        """The figures of a scope at this moment."""
        return encoded(live_figures(self._state, scope, self._night_of(scope)))

    def _night_of(self, scope: Scope) -> _NightFigures:
        """What the newest night says of a scope: read once for each night."""
        night_id = self._state.nights.current_id()
        if night_id is None:
            return _NightFigures(None, None, (), {})
        kept = self._of_night.get(scope)
        if kept is not None and kept.night_id == night_id:
            return kept
        with self._state.nights.reading() as night:
            found = _NightFigures(night.id, night.as_of, read_headlines(night, scope), read_rules(night))
        # as many as there are scopes that somebody looks at
        self._of_night = {one: self._of_night[one] for one in self._of_night if one in self._channels}
        self._of_night[scope] = found
        return found


@dataclass(frozen=True, slots=True)
class _NightFigures:
    night_id: str | None
    as_of: datetime | None
    headlines: tuple[Headline, ...]
    rules: dict[str, RuleName]


def live_figures(state: Any, scope: Scope, night: _NightFigures) -> dict[str, Any]:
    """What a viewer sees at once: which night, is it fresh, is it up, today so far, what is open."""
    is_stale = night.as_of is None or state.now() - night.as_of > STALE_AFTER
    return {
        "night": night.night_id,
        "as_of": night.as_of,
        "is_stale": is_stale,
        "freshness": freshness(night.as_of, STALE_AFTER // timedelta(hours=1) if is_stale else None),
        "health": _health(state),
        "headlines": [
            {
                "key": one.key,
                "label": one.label,
                "unit": one.unit,
                "value": one.value,
                "text": figure(one.value, one.unit),
            }
            for one in night.headlines
        ],
        "open_alerts": _open_alerts(state, scope, night.rules),
    }


def _health(state: Any) -> dict[str, Any]:
    try:
        found = health_now(state)
    except AlmanacError:
        return {"overall": str(Overall.unknown), "components": []}
    return {
        "overall": str(found.overall),
        "components": [
            {
                "name": one.name,
                "status": str(one.verdict),
                "latency_ms": one.latency_ms,
                "checked_at": one.checked_at,
            }
            for one in found.components
        ],
    }


def _open_alerts(state: Any, scope: Scope, rules: dict[str, RuleName]) -> dict[str, int] | None:
    """Open incidents by severity; None when that cannot be known."""
    try:
        rows = incidents_of(state.store(), scope, rules, also_resolved=False, limit=_MOST_INCIDENTS)
    except AlmanacError:
        return None
    counts = Counter(row.severity for row in rows)
    return {severity: counts[severity] for severity in SEVERITIES}


# --- the two ways to look -----------------------------------------------------------------------------------


@router.get("/api/live", response_class=StreamingResponse, responses=OF_ANY)
async def live(request: Request, caller: SignedIn) -> Response:
    """The live figures as server-sent events: one at once, then one for every change."""
    hub: LiveHub = request.app.state.live
    hub.require_room()
    return StreamingResponse(
        _events(hub, request, caller),
        media_type="text/event-stream",
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
    )


async def _events(hub: LiveHub, request: Request, caller: Caller) -> AsyncIterator[bytes]:
    with suppress(NotNow):
        async for payload in hub.updates(request, caller.scope):
            if payload is None:
                yield b": still here\n\n"
            else:
                yield format_sse_event(data_str=payload.decode(), event="update", retry=RETRY_MILLISECONDS)


@router.websocket("/ws/monitoring")
async def monitoring(socket: WebSocket) -> None:
    """The same figures as messages of a WebSocket, as the page has it; nothing is read from the viewer."""
    hub: LiveHub = socket.app.state.live
    try:
        caller = await run_in_threadpool(caller_of_socket, socket)
        hub.require_room()
    except ApiError as error:
        await socket.send_denial_response(
            JSONResponse({"detail": error.detail}, status_code=error.status, headers=error.headers)
        )
        return
    await socket.accept()
    sending = asyncio.create_task(_send_all(hub, socket, caller))
    hearing = asyncio.create_task(_hear(socket))
    _, rest = await asyncio.wait((sending, hearing), return_when=asyncio.FIRST_COMPLETED)
    for task in rest:
        task.cancel()
    await asyncio.gather(sending, hearing, return_exceptions=True)
    with suppress(RuntimeError):
        await socket.close(code=1008)  # the key is no longer good; a viewer that went is not told


async def _send_all(hub: LiveHub, socket: WebSocket, caller: Caller) -> None:
    with suppress(WebSocketDisconnect, NotNow):
        async for payload in hub.updates(socket, caller.scope):
            # uvicorn's own pings keep a silent line alive
            if payload is not None:
                await socket.send_text(payload.decode())


async def _hear(socket: WebSocket) -> None:
    """Until the viewer goes; what it says is let fall."""
    with suppress(WebSocketDisconnect):
        while True:
            await socket.receive_text()
