"""The API as tests ask it: a published platform in a data folder of its own, with keys for everybody."""

from __future__ import annotations

import asyncio
import json
import shutil
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

import duckdb
import httpx
from sqlalchemy import insert

from api.app import create_app
from flows.api_keys import create_key
from flows.ops_store import OpsStore, alerting, open_ops_store
from flows.review_scopes import PLATFORM, Scope
from flows.settings import Settings
from tests.published import TAPE_AS_OF

if TYPE_CHECKING:
    from fastapi import FastAPI

    from tests.published import Published

Headers = Sequence[tuple[str, str]]

# An hour after the night: fresh, and the same on every machine.
NOW = TAPE_AS_OF + timedelta(hours=1)
# What no test of anything else may reach.
MANY_REQUESTS = 1_000_000
# Seconds until a server of a test's own answers.
START_SECONDS = 30


def now() -> datetime:
    return NOW


def own_copy(published: Published, data_dir: Path, **changed: Any) -> Settings:
    """What is published of the recorded platform in a data folder that a test may write to."""
    data_dir.mkdir(parents=True, exist_ok=True)
    settings = Settings(
        **{
            **{"data_dir": data_dir, "source": None, "target": "duckdb", "reporting_timezone": "UTC"},
            **{"api_requests_per_minute": MANY_REQUESTS},
            **changed,
        }
    )
    for name in ("warehouse_path", "landing_path"):
        shutil.copy(getattr(published.settings, name), getattr(settings, name))
    ask_rules_once(open_ops_store(settings))
    return settings


def ask_rules_once(store: OpsStore) -> None:
    """Note that the alerts' rules were asked, so that what is open is known."""
    with store.transaction() as connection:
        connection.execute(
            insert(alerting.evaluations).values(
                **{"cadence": "night", "occasion": "night", "as_of": TAPE_AS_OF, "evaluated_at": TAPE_AS_OF},
                **{"candidate_count": 0, "breach_count": 0, "unknown_count": 0},
            )
        )


def make_keys(
    settings: Settings, scopes: Iterable[Scope], expires_at: datetime | None = None
) -> dict[Scope, str]:
    """A key for each scope."""
    store = open_ops_store(settings)
    return {
        scope: create_key(
            store,
            scope=scope,
            name=f"of a test for {scope.kind}",
            created_by="a test",
            expires_at=expires_at,
            now=NOW,
        )
        for scope in scopes
    }


def scopes_of(connection: duckdb.DuckDBPyConnection) -> list[Scope]:
    """The platform, every organization and every team of the published dimensions."""
    found = [PLATFORM]
    for kind in ("organization", "team"):
        rows = connection.execute(f"select {kind}_id from dim_{kind}s order by 1").fetchall()
        found += [Scope(kind, ident) for (ident,) in rows]
    return found


def segment(ident: str) -> str:
    """An id as one segment of a path; clients take `..` for a way up unless it is encoded."""
    return quote(ident, safe="") if ident.strip(".") else ident.replace(".", "%2E")


def path_of(scope: Scope, rest: str) -> str:
    """`/api/teams/<id>/usage` and the like."""
    return f"/api/{scope.kind}s/{segment(scope.id)}/{rest}"


def with_query(path: str, **parameters: Any) -> str:
    """The path with its query; parameters that are None are left out."""
    given = {name: value for name, value in parameters.items() if value is not None}
    return f"{path}?{urlencode(given)}" if given else path


def exact(response: httpx.Response) -> Any:
    """The JSON of an answer, its decimals as they are written."""
    assert response.status_code == 200, (response.request.url, response.status_code, response.text[:500])
    return json.loads(response.content, parse_float=Decimal)


class Service:
    """The application asked in-process, request by request, from any address."""

    def __init__(
        self, settings: Settings, keys: dict[Scope, str] | None = None, *, clock: Callable[[], datetime] = now
    ) -> None:
        self.settings = settings
        self.keys = keys or {}
        self.app: FastAPI = create_app(settings, now=clock)
        self._runner = asyncio.Runner()
        self._clients: dict[str, httpx.AsyncClient] = {}

    def ask(
        self,
        path: str,
        scope: Scope | None = None,
        *,
        key: str | None = None,
        headers: Headers | None = None,
        method: str = "GET",
        address: str = "127.0.0.1",
    ) -> httpx.Response:
        """One request with a scope's key, with `key`, or with neither."""
        text = self.keys[scope] if scope is not None else key
        given = [(name.encode(), value.encode("latin-1")) for name, value in headers or ()]
        if text is not None:
            given.append((b"Authorization", f"Bearer {text}".encode()))
        return self._runner.run(self._client(address).request(method, path, headers=given))

    def post(self, path: str, form: str, headers: dict[str, str] | None = None) -> httpx.Response:
        """A form as a browser sends it."""
        given = {"Content-Type": "application/x-www-form-urlencoded", **(headers or {})}
        return self._runner.run(self._client("127.0.0.1").post(path, content=form, headers=given))

    def exact(self, path: str, scope: Scope = PLATFORM) -> Any:
        """What an answer's JSON says, decimals as they are written."""
        return exact(self.ask(path, scope))

    def _client(self, address: str) -> httpx.AsyncClient:
        if address not in self._clients:
            transport = httpx.ASGITransport(self.app, client=(address, 50_000), raise_app_exceptions=False)
            self._clients[address] = httpx.AsyncClient(transport=transport, base_url="http://almanac.test")
        return self._clients[address]

    def close(self) -> None:
        for client in self._clients.values():
            self._runner.run(client.aclose())
        self._runner.close()
        self.app.state.keys.close()
        self.app.state.nights.close()

    def __enter__(self) -> Service:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@contextmanager
def served(app: FastAPI) -> Iterator[str]:
    """The application behind uvicorn on a port of the loopback, as `almanac serve` runs it; its address."""
    import uvicorn

    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = uvicorn.Server(
            uvicorn.Config(
                app, log_level="warning", access_log=False, server_header=False, timeout_graceful_shutdown=2
            )
        )
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        try:
            deadline = time.monotonic() + START_SECONDS
            while not server.started and thread.is_alive() and time.monotonic() < deadline:
                time.sleep(0.01)
            assert server.started, "the server did not start"
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(START_SECONDS)
