"""Live figures: server-sent events and the page's WebSocket, both from one watch over night and ops store.

A viewer holds no queue: it sends the newest figures of its scope whenever they are others than those it sent.
So any number of slow viewers costs a few objects each, and none waits for another.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from fastapi import APIRouter, Request, Response, WebSocket, WebSocketDisconnect
from fastapi.sse import format_sse_event
from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse, StreamingResponse

from api.access import SignedIn, caller_of_socket, known_by, session_token
from api.live_figures import LiveFigures
from api.problems import OF_ANY, ApiError, NotNow
from flows.errors import AlmanacError
from flows.review_scopes import PLATFORM, Scope

if TYPE_CHECKING:
    from collections.abc import Iterator

    from starlette.requests import HTTPConnection
    from starlette.types import Receive, Send
    from starlette.types import Scope as Connection

router = APIRouter(tags=["live"])
T = TypeVar("T")

PATH = "/api/live"

# Seconds between two looks: what changed is sent within two.
LOOK_SECONDS = 0.75
# Seconds between two looks when somebody new waits for the first figures.
HASTE_SECONDS = 0.05
# Seconds after which a look that has not ended is told as not known.
PATIENCE_SECONDS = 4.0
# Seconds between two looks at the viewers' keys.
KEY_SECONDS = 2.0
# Seconds after which a silent line shows that it is alive.
KEEPALIVE_SECONDS = 15.0
# Milliseconds after which a browser that lost the line asks again; our page waits longer each time.
RETRY_MILLISECONDS = 2000
MOST_VIEWERS = 1000
# Places that tenants never take.
OF_OPERATORS = 100
# Of one organization or team.
MOST_OF_TENANT = 100


@dataclass(slots=True, eq=False)
class _Viewer:
    """Somebody who looks, until the key is no longer good or the service ends."""

    connection: HTTPConnection
    scope: Scope
    news: asyncio.Event = field(default_factory=asyncio.Event)
    is_over: bool = False

    @property
    def credential(self) -> tuple[str | None, str | None]:
        return self.connection.headers.get("authorization"), session_token(self.connection)

    def end(self) -> None:
        self.is_over = True
        self.news.set()


@dataclass(slots=True)
class _Channel:
    """The newest figures of one scope, and who looks at them."""

    payload: bytes | None = None
    viewers: set[_Viewer] = field(default_factory=set)

    def put(self, payload: bytes) -> None:
        if payload != self.payload:
            self.payload = payload
            for viewer in self.viewers:
                viewer.news.set()


class LiveHub:
    """Watches as long as the service runs; knows the figures of every scope that somebody looks at."""

    def __init__(self, state: Any) -> None:
        self._state = state
        self._figures = LiveFigures(state)
        self._channels: dict[Scope, _Channel] = {}
        self._arrival = asyncio.Event()
        self.is_over = False

    @property
    def viewer_count(self) -> int:
        return sum(len(channel.viewers) for channel in self._channels.values())

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self._watch())
        try:
            yield
        finally:
            self.end()
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    def end(self) -> None:
        """Let every viewer go, and no more in: a server that ends waits for open answers."""
        self.is_over = True
        for channel in self._channels.values():
            for viewer in channel.viewers:
                viewer.end()

    @contextmanager
    def seat(self, connection: HTTPConnection, scope: Scope) -> Iterator[_Viewer]:
        """A place to look from. Raises NotNow when there is none."""
        self.require_room(scope)
        viewer = _Viewer(connection, scope)
        self._channels.setdefault(scope, _Channel()).viewers.add(viewer)
        self._arrival.set()
        try:
            yield viewer
        finally:
            channel = self._channels[scope]
            channel.viewers.discard(viewer)
            if not channel.viewers:
                del self._channels[scope]

    def require_room(self, scope: Scope) -> None:
        """NotNow when a scope has too many viewers, or all together."""
        there = self._channels.get(scope)
        is_tenant = scope != PLATFORM
        is_full = there is not None and is_tenant and len(there.viewers) >= MOST_OF_TENANT
        most = MOST_VIEWERS - OF_OPERATORS if is_tenant else MOST_VIEWERS
        if self.is_over or is_full or self.viewer_count >= most:
            raise NotNow("Too many live connections are open.", {"Retry-After": "30"})

    async def updates(self, viewer: _Viewer) -> AsyncIterator[bytes | None]:
        """The figures now and whenever they change; None when nothing did for KEEPALIVE_SECONDS.

        Ends when the key is no longer good, and when the service ends.
        """
        channel = self._channels[viewer.scope]
        sent: bytes | None = None
        while not viewer.is_over:
            if channel.payload is not sent:
                sent = channel.payload
                yield sent
                continue
            viewer.news.clear()
            try:
                await asyncio.wait_for(viewer.news.wait(), KEEPALIVE_SECONDS)
            except TimeoutError:
                yield None

    # --- the watch

    async def _watch(self) -> None:
        clock = asyncio.get_running_loop().time
        keys_at = clock()
        while True:
            self._arrival.clear()
            try:
                # a line of its own: requests that wait for a store that is stuck do not hold it up
                if not self._channels:
                    await _in_thread(self._state.nights.follow)
                else:
                    self._put(await self._patiently(partial(self._figures.look, tuple(self._channels))))
                    if clock() - keys_at > KEY_SECONDS:
                        keys_at = clock()
                        await self._end_those_without_key()
            except Exception as error:  # such as no room for another thread: the watch outlives it
                self._figures.tell(error)
                self._put(self._figures.unknown(tuple(self._channels)))
            await asyncio.sleep(HASTE_SECONDS)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._arrival.wait(), LOOK_SECONDS - HASTE_SECONDS)

    async def _patiently(self, work: Callable[[], T]) -> T:
        """What `work` returns; while it takes too long, everybody is told that nothing is known."""
        working = asyncio.ensure_future(_in_thread(work))
        while not (await asyncio.wait({working}, timeout=PATIENCE_SECONDS))[0]:
            self._put(self._figures.unknown(tuple(self._channels)))
        return working.result()

    def _put(self, payloads: dict[Scope, bytes]) -> None:
        for scope, payload in payloads.items():
            if scope in self._channels:
                self._channels[scope].put(payload)

    async def _end_those_without_key(self) -> None:
        viewers: dict[tuple[str | None, str | None], list[_Viewer]] = {}
        for channel in self._channels.values():
            for viewer in channel.viewers:
                viewers.setdefault(viewer.credential, []).append(viewer)
        groups = list(viewers.values())
        for group in await self._patiently(lambda: [one for one in groups if not _is_known(one[0])]):
            for viewer in group:
                viewer.end()


def _is_known(viewer: _Viewer) -> bool:
    """Whether the key is good, and still opens what is looked at; not when that cannot be known."""
    try:
        caller = known_by(viewer.connection)
    except AlmanacError:
        return False
    return caller is not None and caller.scope == viewer.scope


async def _in_thread(work: Callable[[], T]) -> T:
    """What `work` returns, out of a thread that nothing waits for when the service ends."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[T] = loop.create_future()

    def settle(result: T | None, error: Exception | None) -> None:
        if done.done():
            return
        if error is None:
            done.set_result(result)  # type: ignore[arg-type]
        else:
            done.set_exception(error)

    def run() -> None:
        result, failure = None, None
        try:
            result = work()
        except Exception as error:
            failure = error
        with suppress(RuntimeError):  # the loop has ended
            loop.call_soon_threadsafe(settle, result, failure)

    threading.Thread(target=run, name="almanac live", daemon=True).start()
    return await done


# --- the two ways to look -----------------------------------------------------------------------------------


class _EventStream(StreamingResponse):
    """Server-sent events; the seat is taken here and not before, so that none is lost."""

    def __init__(self, hub: LiveHub, request: Request, scope: Scope) -> None:
        self._hub, self._request, self._scope = hub, request, scope
        super().__init__(
            (),
            media_type="text/event-stream",
            headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
        )

    async def __call__(self, scope: Connection, receive: Receive, send: Send) -> None:
        try:
            with self._hub.seat(self._request, self._scope) as viewer:
                self.body_iterator = _events(self._hub, viewer)
                await super().__call__(scope, receive, send)
        except NotNow as error:
            await _refusal(error)(scope, receive, send)


async def _events(hub: LiveHub, viewer: _Viewer) -> AsyncIterator[bytes]:
    async for payload in hub.updates(viewer):
        if payload is None:
            yield b": still here\n\n"
        else:
            yield format_sse_event(data_str=payload.decode(), event="update", retry=RETRY_MILLISECONDS)


def _refusal(error: ApiError) -> Response:
    headers = {"Cache-Control": "no-store", **(error.headers or {})}
    return JSONResponse({"detail": error.detail}, status_code=error.status, headers=headers)


@router.get(PATH, response_class=StreamingResponse, responses=OF_ANY)
async def live(request: Request, caller: SignedIn) -> Response:
    """The live figures as server-sent events: one at once, then one for every change."""
    return _EventStream(request.app.state.live, request, caller.scope)


@router.websocket("/ws/monitoring")
async def monitoring(socket: WebSocket) -> None:
    """The same figures as messages of a WebSocket, as the page has it; nothing is read from the viewer."""
    hub: LiveHub = socket.app.state.live
    try:
        caller = await run_in_threadpool(caller_of_socket, socket)
        with hub.seat(socket, caller.scope) as viewer:
            await socket.accept()
            await _talk(hub, socket, viewer)
    except ApiError as error:
        await socket.send_denial_response(_refusal(error))


async def _talk(hub: LiveHub, socket: WebSocket, viewer: _Viewer) -> None:
    """Until the viewer goes, or may not look any more."""
    tasks = [asyncio.create_task(_send_all(hub, socket, viewer)), asyncio.create_task(_hear(socket))]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    with suppress(RuntimeError, WebSocketDisconnect):
        # the key is no longer good, or the service ends; a viewer that went is not told
        await socket.close(code=1008 if not hub.is_over else 1012)


async def _send_all(hub: LiveHub, socket: WebSocket, viewer: _Viewer) -> None:
    with suppress(WebSocketDisconnect):
        async for payload in hub.updates(viewer):
            # uvicorn's own pings keep a silent line alive
            if payload is not None:
                await socket.send_text(payload.decode())


async def _hear(socket: WebSocket) -> None:
    """Until the viewer goes; what it says is let fall."""
    while (await socket.receive())["type"] != "websocket.disconnect":
        pass
