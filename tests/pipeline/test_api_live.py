"""Live figures out of a real service: what viewers are told, when, in which order, and what they cost."""

from __future__ import annotations

import json
import shutil
import socket
import sqlite3
import struct
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import httpx
import pytest
from starlette.requests import HTTPConnection
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect
from websockets.sync.connection import Connection

from api.app import create_app
from api.live import MOST_OF_TENANT, MOST_VIEWERS
from api.problems import NotNow
from flows.api_keys import FRESH_SECONDS, KeyRing, create_key, revoke_key
from flows.coverage import Coverage
from flows.headlines import read_headlines
from flows.health import Round
from flows.ops_store import OpsStore, open_ops_store
from flows.probe_records import record
from flows.probe_results import ProbeResult, ProbeVerdict
from flows.publish import publish
from flows.publish_postgres import publish_generation
from flows.review_scopes import PLATFORM, Scope
from flows.settings import Settings
from flows.warehouse import open_published
from flows.warehouse_postgres import connect as connect_postgres
from flows.warehouse_postgres import prepare_generation, write_coverage
from tests.api_server import ApiServer, serving
from tests.api_service import ask_rules_once
from tests.engines import build_on_postgres
from tests.oracle.platforms import Platform
from tests.oracle.tape import read_tape
from tests.postgres_server import PostgresServer
from tests.published import TAPE, TAPE_AS_OF, Published

# Seconds: the machine may be busy. What is promised is two.
SOON = 10.0
# Seconds until a look that hangs is told, and some.
PATIENCE = 20.0
TEAM, ORGANIZATION = Scope("team", "acme-batch"), Scope("organization", "org_acme")


def now() -> datetime:
    return datetime.now(UTC).replace(tzinfo=None)


@dataclass(frozen=True)
class Service:
    """A served copy of the demo's night, and its ops store."""

    server: ApiServer
    settings: Settings
    store: OpsStore

    def key(self, scope: Scope = PLATFORM) -> str:
        return self.keys(scope)[scope]

    def keys(self, *scopes: Scope) -> dict[Scope, str]:
        """A key of each scope, as old as the service's own copy of the keys may be."""
        made = {
            scope: create_key(self.store, scope=scope, name="t", created_by="t", expires_at=None, now=now())
            for scope in scopes
        }
        time.sleep(2 * FRESH_SECONDS)
        return made

    def probe(self, verdict: ProbeVerdict, *components: str) -> datetime:
        """A probe of now; when it was recorded."""
        names = components or ("saas_api",)
        results = tuple(ProbeResult(name, True, verdict, 12.5) for name in names)
        record(self.settings, Round(now(), 3600, results))
        return now()


@contextmanager
def served(published: Published, folder: Path, **variables: str) -> Iterator[Service]:
    settings = Settings(data_dir=folder / "data", source=None, target="duckdb")
    settings.data_dir.mkdir()
    shutil.copyfile(published.settings.warehouse_path, settings.warehouse_path)
    store = open_ops_store(settings)
    ask_rules_once(store)
    with serving(settings.data_dir, folder / "story", **variables) as server:
        yield Service(server, settings, store)


@pytest.fixture
def service(published: Published, tmp_path: Path) -> Iterator[Service]:
    with served(published, tmp_path, ALMANAC_API_REQUESTS_PER_MINUTE="100000") as service:
        yield service


class Events:
    """A browser's EventSource, in small."""

    def __init__(self, service: Service, **headers: str) -> None:
        self._client = httpx.Client(base_url=service.server.url, timeout=PATIENCE)
        self._stream = self._client.stream("GET", "/api/live", headers=headers)
        self.response = self._stream.__enter__()
        self._lines = self.response.iter_lines() if self.response.status_code == 200 else iter(())

    def next(self) -> dict[str, Any]:
        """The next event's data; StopIteration when the stream has ended as it should."""
        fields: dict[str, str] = {}
        for line in self._lines:
            name, _, value = line.partition(": ")
            if line:
                fields[name] = value
            elif "data" in fields:
                assert fields["event"] == "update"
                assert int(fields["retry"]) > 0
                found: dict[str, Any] = json.loads(fields["data"], parse_float=Decimal)
                return found
        raise StopIteration

    def until(self, what: str, *path: str | int) -> dict[str, Any]:
        """The first event in which the value at a path is this one."""
        while True:
            event = self.next()
            value: Any = event
            for step in path:
                value = value[step] if value else None
            if value == what:
                return event

    def close(self) -> None:
        self._stream.__exit__(None, None, None)
        self._client.close()


@contextmanager
def events(service: Service, key: str) -> Iterator[Events]:
    with closing(Events(service, authorization=f"Bearer {key}")) as found:
        assert found.response.status_code == 200, found.response.read()
        yield found


def web_socket(service: Service, **options: Any) -> Connection:
    return connect(service.server.web_socket_url + "/ws/monitoring", open_timeout=SOON, proxy=None, **options)


def with_key(key: str) -> dict[str, Any]:
    return {"additional_headers": {"Authorization": f"Bearer {key}"}}


def message(line: Connection, timeout: float = PATIENCE) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(line.recv(timeout), parse_float=Decimal)
    return found


def publish_another(service: Service, jobs: int) -> None:
    """Another night: the same tables with other jobs of today, published as a night does it."""
    side_file = service.settings.build_dir / f"side-{jobs}" / "warehouse.duckdb"
    side_file.parent.mkdir(parents=True)
    shutil.copyfile(service.settings.warehouse_path, side_file)
    with duckdb.connect(str(side_file)) as connection:
        connection.execute("update kept.coverage set landing_number = landing_number + 1")
        connection.execute("update marts.monitoring_dashboard set job_count = ?", [jobs])
    publish(side_file, service.settings)


def headlines_of(service: Service, scope: Scope) -> list[tuple[str, Any]]:
    with closing(open_published(service.settings.warehouse_path)) as reader:
        return [(one.key, one.value) for one in read_headlines(reader, scope)]


def told(event: dict[str, Any]) -> list[tuple[str, Any]]:
    return [(one["key"], one["value"]) for one in event["headlines"]]


def test_a_probe_and_a_publication_reach_both_kinds_of_viewers(service: Service) -> None:
    key = service.key()
    with events(service, key) as stream, web_socket(service, **with_key(key)) as line:
        assert stream.response.headers["cache-control"] == "no-store"
        assert stream.response.headers["content-type"].startswith("text/event-stream")
        first = stream.next()
        assert message(line) == first
        assert told(first) == headlines_of(service, PLATFORM)
        assert first["health"] == {"overall": "unknown", "components": []}
        assert first["open_alerts"] == {"critical": 0, "error": 0, "warning": 0, "info": 0}

        at = service.probe(ProbeVerdict.up)
        second = stream.next()
        delay = (now() - at).total_seconds()
        print(f"a probe was told after {delay:.2f} s")
        assert delay < SOON
        assert message(line) == second
        (component,) = second["health"]["components"]
        assert second["health"]["overall"] == "healthy"
        assert (component["name"], component["status"]) == ("saas_api", "up")
        assert component["latency_ms"] == 12.5
        assert {**second, "health": None} == {**first, "health": None}

        publish_another(service, jobs=4711)
        at = now()
        third = stream.next()
        delay = (now() - at).total_seconds()
        print(f"a publication was told after {delay:.2f} s")
        assert delay < SOON
        assert message(line) == third
        assert third["night"] != second["night"]
        assert dict(told(third))["job_count"] == 4711
        assert told(third) == headlines_of(service, PLATFORM)
        assert third["health"] == second["health"]


def test_changes_come_in_order_and_the_last_one_stays(service: Service) -> None:
    with events(service, service.key()) as stream:
        stream.next()
        for verdict, word in (
            (ProbeVerdict.down, "unhealthy"),
            (ProbeVerdict.degraded, "degraded"),
            (ProbeVerdict.up, "healthy"),
        ):
            service.probe(verdict)
            assert stream.next()["health"]["overall"] == word


def test_a_tenant_sees_its_own_figures_and_no_more(service: Service) -> None:
    for scope in (TEAM, ORGANIZATION):
        with events(service, service.key(scope)) as stream:
            event = stream.next()
        assert told(event) == headlines_of(service, scope)
        assert told(event) != headlines_of(service, PLATFORM)
        assert scope.id not in json.dumps(event, default=str)


def test_a_first_night_appears(tmp_path: Path, published: Published) -> None:
    settings = Settings(data_dir=tmp_path / "data", source=None, target="duckdb")
    settings.data_dir.mkdir()
    store = open_ops_store(settings)
    with serving(settings.data_dir, tmp_path / "story") as server:
        service = Service(server, settings, store)
        with events(service, service.key()) as stream:
            first = stream.next()
            assert (first["night"], first["as_of"], first["is_stale"]) == (None, None, True)
            assert (first["headlines"], first["freshness"]) == ([], "Nothing is published.")
            shutil.copyfile(published.settings.warehouse_path, tmp_path / "night")
            (tmp_path / "night").rename(settings.warehouse_path)
            second = stream.next()
            assert second["as_of"] == "2026-11-23T00:00:00Z"
            assert told(second) == headlines_of(service, PLATFORM)


# --- who may look, and until when ---------------------------------------------------------------------------


def test_a_revoked_key_ends_both_kinds_and_lets_nobody_in_again(service: Service) -> None:
    key, other = service.key(), service.key()
    prefix = key.split("_")[1]
    with (
        events(service, key) as stream,
        web_socket(service, **with_key(key)) as line,
        events(service, other) as bystander,
    ):
        stream.next(), message(line), bystander.next()
        revoke_key(service.store, prefix, "t", now())
        began = time.monotonic()
        with pytest.raises(StopIteration):
            stream.next()
        with pytest.raises(ConnectionClosed) as closed:
            message(line)
        print(f"a revoked key was let go after {time.monotonic() - began:.2f} s")
        assert time.monotonic() - began < SOON
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1008
        again = Events(service, authorization=f"Bearer {key}")
        assert again.response.status_code == 401
        with pytest.raises(InvalidStatus) as refused:
            web_socket(service, **with_key(key))
        assert refused.value.response.status_code == 401
        service.probe(ProbeVerdict.up)
        assert bystander.next()["health"]["overall"] == "healthy"


def test_signing_out_ends_what_the_session_opened(service: Service) -> None:
    with closing(KeyRing(lambda: service.store, now=now)) as ring:
        known = ring.find(service.key())
        assert known is not None
        token = ring.start_session(known)
        cookie = f"almanac_session={token}"
        with (
            closing(Events(service, cookie=cookie)) as stream,
            web_socket(service, additional_headers={"Cookie": cookie}, origin=service.server.url) as line,
        ):
            stream.next(), message(line)
            ring.end_session(token)
            with pytest.raises(StopIteration):
                stream.next()
            with pytest.raises(ConnectionClosed):
                message(line)


def test_a_page_of_another_origin_cannot_use_a_session(service: Service) -> None:
    with closing(KeyRing(lambda: service.store, now=now)) as ring:
        known = ring.find(service.key())
        assert known is not None
        cookie = {"Cookie": f"almanac_session={ring.start_session(known)}"}
        for origin in ("https://evil.example", service.server.url + ".evil.example", "null", None):
            with pytest.raises(InvalidStatus) as refused:
                web_socket(service, additional_headers=cookie, origin=origin)
            assert refused.value.response.status_code == 401
            assert b"origin" in (refused.value.response.body or b"")
        with web_socket(service, additional_headers=cookie, origin=service.server.url) as line:
            assert message(line)["night"]


def test_what_a_viewer_says_changes_nothing(service: Service) -> None:
    with web_socket(service, **with_key(service.key())) as line:
        message(line)
        for said in ("anything", b"\x00\xff", "x" * 4000):
            line.send(said)
        service.probe(ProbeVerdict.up)
        assert message(line)["health"]["overall"] == "healthy"
        line.send("x" * 5000)
        with pytest.raises(ConnectionClosed) as closed:
            message(line)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1009  # too large


def test_no_key_and_a_wrong_one_are_turned_away(service: Service) -> None:
    for headers in ({}, {"authorization": "Bearer alm_0123456789_" + "x" * 43}):
        assert httpx.get(service.server.url + "/api/live", headers=headers).status_code == 401
        with pytest.raises(InvalidStatus) as refused:
            web_socket(service, additional_headers=headers)
        assert refused.value.response.status_code == 401


# --- stores that fail ---------------------------------------------------------------------------------------


def test_a_store_that_is_stuck_is_told_as_unknown(service: Service) -> None:
    service.probe(ProbeVerdict.up)
    with events(service, service.key()) as stream:
        assert stream.next()["health"]["overall"] == "healthy"
        with _held(service.settings.ops_path):
            event = stream.until("unknown", "health", "overall")
            assert event["open_alerts"] is None
            assert told(event) == headlines_of(service, PLATFORM)
        assert stream.until("healthy", "health", "overall")["open_alerts"] is not None


@contextmanager
def _held(path: Path) -> Iterator[None]:
    """Nobody else reads or writes the store: whoever tries waits."""
    deadline = time.monotonic() + PATIENCE
    with closing(sqlite3.connect(path, isolation_level=None)) as holder:
        holder.execute("pragma locking_mode = exclusive")
        while True:
            try:
                holder.execute("begin immediate")
                holder.execute("update writers set token = token where name = 'data'")
                holder.execute("commit")
                break
            except sqlite3.OperationalError:
                assert time.monotonic() < deadline
        yield


def test_a_store_that_fails_is_told_as_unknown(service: Service) -> None:
    service.probe(ProbeVerdict.up)
    path = service.settings.ops_path
    with events(service, service.key()) as stream:
        assert stream.next()["health"]["overall"] == "healthy"
        kept = path.with_name("kept")
        path.rename(kept)
        path.write_bytes(b"no database at all" * 1000)
        event = stream.until("unknown", "health", "overall")
        assert (event["health"]["components"], event["open_alerts"]) == ([], None)
        kept.replace(path)
        assert stream.until("healthy", "health", "overall")["open_alerts"] is not None
    assert "live figures" in service.server.said()
    assert service.server.said().count("live figures") == 1, "the same trouble is told once a minute"


def test_a_night_that_cannot_be_read_leaves_the_last_one(service: Service) -> None:
    path = service.settings.warehouse_path
    with events(service, service.key()) as stream:
        first = stream.next()
        kept = path.with_name("kept")
        path.rename(kept)
        path.write_bytes(b"no database at all" * 1000)
        service.probe(ProbeVerdict.up)
        second = stream.next()
        assert second["health"]["overall"] == "healthy"
        assert {**second, "health": None} == {**first, "health": None}
        kept.replace(path)
        publish_another(service, jobs=99)
        assert dict(told(stream.next()))["job_count"] == 99


# --- many viewers -------------------------------------------------------------------------------------------


def raw(service: Service, key: str, *, receive_bytes: int | None = None) -> socket.socket:
    """A viewer of events who reads nothing by itself."""
    line = socket.socket()
    if receive_bytes is not None:
        line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
    line.settimeout(PATIENCE)
    line.connect(service.server.address)
    line.sendall(f"GET /api/live HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\n\r\n".encode())
    return line


def read_until(line: socket.socket, mark: bytes) -> bytes:
    """Everything up to a mark, or to the end."""
    found = b""
    while mark not in found and (part := line.recv(65536)):
        found += part
    return found


def viewers_of(server: ApiServer) -> int:
    """Open connections, the listening socket and the loop's own pair apart."""
    return sum(name.startswith("socket:") for name in server.open_files())


def test_500_idle_viewers_cost_little_and_hear_everything(service: Service) -> None:
    with duckdb.connect(str(service.settings.warehouse_path), read_only=True) as warehouse:
        teams = [team for (team,) in warehouse.execute("select team_id from marts.dim_teams").fetchall()]
    scopes = [Scope("team", teams[n % len(teams)]) if n % 2 else PLATFORM for n in range(500)]
    keys = service.keys(*set(scopes))
    with events(service, keys[PLATFORM]) as one:
        one.next()
        before, sockets = service.server.memory(), viewers_of(service.server)
        with ExitStack() as stack:
            lines = [stack.enter_context(closing(raw(service, keys[scope]))) for scope in scopes]
            for line in lines:
                assert b"data: {" in read_until(line, b"data: {")
            assert viewers_of(service.server) == sockets + 500
            cpu, began = service.server.cpu_seconds(), time.monotonic()
            # nothing changes, and a silent line shows that it is alive
            assert b": still here" in read_until(lines[0], b": still here")
            share = (service.server.cpu_seconds() - cpu) / (time.monotonic() - began)
            grown = service.server.memory() - before
            print(f"500 idle viewers: {grown / 1e6:.1f} MB, {share:.1%} of a processor")
            assert grown < 100e6
            at = service.probe(ProbeVerdict.down)
            for line in lines:
                assert b'"unhealthy"' in read_until(line, b'"unhealthy"')
            print(f"all 500 were told after {(now() - at).total_seconds():.2f} s")
        deadline = time.monotonic() + PATIENCE
        while viewers_of(service.server) > sockets:
            assert time.monotonic() < deadline, "viewers that went keep their places"
            time.sleep(0.1)
        assert one.next()["health"]["overall"] == "unhealthy"


def test_viewers_that_never_read_hold_nobody_up_and_are_let_go(service: Service) -> None:
    key = service.key()
    components = [f"component_{n}_{'x' * 60}" for n in range(400)]
    service.probe(ProbeVerdict.up, *components)
    with events(service, key) as reader, ExitStack() as stack:
        size = len(json.dumps(reader.next(), default=str))
        before, sockets = service.server.memory(), viewers_of(service.server)
        deaf = [stack.enter_context(closing(raw(service, key, receive_bytes=4096))) for _ in range(100)]
        rounds = 12
        for n in range(rounds):
            verdict = ProbeVerdict.down if n % 2 else ProbeVerdict.degraded
            service.probe(verdict, *components)
            assert reader.until(str(verdict), "health", "components", 0, "status")
        grown = service.server.memory() - before
        print(f"100 deaf viewers of {rounds} messages of {size / 1e3:.0f} kB: {grown / 1e6:.1f} MB")
        # queued for them it would be more than this; what the system holds for each is not the service's
        assert grown < 100 * rounds * size / 2
        # what they do not take within half a minute ends them; who reads stays
        deadline = time.monotonic() + 90
        while viewers_of(service.server) > sockets:
            assert time.monotonic() < deadline, "viewers that never read keep their places"
            time.sleep(0.5)
        service.probe(ProbeVerdict.up, *components)
        assert reader.until("up", "health", "components", 0, "status")
        del deaf


def test_a_tenant_cannot_take_every_place(service: Service) -> None:
    key, operator = service.key(TEAM), service.key()
    with ExitStack() as stack:
        for _ in range(MOST_OF_TENANT):
            line = stack.enter_context(closing(raw(service, key)))
            assert b" 200 " in read_until(line, b"data: {")
        refused = httpx.get(service.server.url + "/api/live", headers={"authorization": f"Bearer {key}"})
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "30")
        assert "live" in refused.json()["detail"]
        with pytest.raises(InvalidStatus) as closed:
            web_socket(service, **with_key(key))
        assert closed.value.response.status_code == 503
        assert closed.value.response.headers["Retry-After"] == "30"
        with events(service, operator) as stream:
            assert stream.next()["night"]
    # the places are free again
    deadline = time.monotonic() + PATIENCE
    while True:
        with closing(raw(service, key)) as line:
            if b" 200 " in read_until(line, b"\r\n"):
                break
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_there_are_so_many_places_and_no_more(tmp_path: Path) -> None:
    hub = create_app(Settings(data_dir=tmp_path, source=None, target="duckdb"), now=now).state.live
    connection = HTTPConnection({"type": "http", "headers": []})
    with ExitStack() as stack:
        for _ in range(MOST_VIEWERS):
            stack.enter_context(hub.seat(connection, PLATFORM))
        assert hub.viewer_count == MOST_VIEWERS
        for scope in (PLATFORM, TEAM):
            with pytest.raises(NotNow), hub.seat(connection, scope):
                pass
        assert hub.viewer_count == MOST_VIEWERS
    assert hub.viewer_count == 0
    with hub.seat(connection, TEAM):
        hub.end()
    with pytest.raises(NotNow), hub.seat(connection, TEAM):
        pass


def test_the_service_ends_quickly_with_viewers_of_all_kinds(service: Service) -> None:
    key = service.key()
    with ExitStack() as stack:
        streams = [stack.enter_context(events(service, key)) for _ in range(20)]
        lines = [stack.enter_context(web_socket(service, **with_key(key))) for _ in range(20)]
        for stream in streams:
            stream.next()
        for line in lines:
            message(line)
        seconds = service.server.end()
        print(f"the service ended after {seconds:.2f} s")
        assert seconds < SOON
        for stream in streams:
            # a proper end, not a broken line
            with pytest.raises(StopIteration):
                stream.next()
        for line in lines:
            with pytest.raises(ConnectionClosed) as closed:
                message(line)
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == 1012  # it may come again
    assert "Traceback" not in service.server.said()
    assert "Cancel" not in service.server.said()


def test_a_broken_line_is_no_error(service: Service) -> None:
    key = service.key()
    for _ in range(20):
        line = raw(service, key)
        read_until(line, b"data: {")
        # reset instead of a proper end
        line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        line.close()
    with events(service, key) as stream:
        stream.next()
        service.probe(ProbeVerdict.up)
        assert stream.next()["health"]["overall"] == "healthy"
    assert "Traceback" not in service.server.said()


# --- PostgreSQL ---------------------------------------------------------------------------------------------


def test_a_warehouse_in_postgres_is_followed_too(postgres_server: PostgresServer, tmp_path: Path) -> None:
    url = postgres_server.create_database("live")
    settings = Settings(data_dir=tmp_path / "data", target="postgres", warehouse_url=url, source=None)
    with closing(connect_postgres(settings)) as warehouse:
        generation = prepare_generation(warehouse)
        build_on_postgres(warehouse, Platform(read_tape(TAPE), TAPE_AS_OF, "UTC"), generation.prefix)
        write_coverage(warehouse, generation, Coverage(1, TAPE_AS_OF, TAPE_AS_OF, "UTC", "models", None))
        publish_generation(warehouse, settings, generation)
    store = open_ops_store(settings)
    variables = {"ALMANAC_TARGET": "postgres", "ALMANAC_WAREHOUSE_URL": url}
    with serving(settings.data_dir, tmp_path / "story", **variables) as server:
        service = Service(server, settings, store)
        with events(service, service.key()) as stream, events(service, service.key(TEAM)) as of_team:
            first = stream.next()
            assert first["as_of"] == "2026-11-23T00:00:00Z"
            assert dict(told(first))["job_count"] > dict(told(of_team.next()))["job_count"]
            service.probe(ProbeVerdict.up)
            assert stream.next()["health"]["overall"] == "healthy"
            assert of_team.next()["health"]["overall"] == "healthy"
            postgres_server.execute(
                "begin; update ops.generations set landing_number = 2 where is_published; "
                f"update {generation.prefix}marts.monitoring_dashboard set job_count = 4711; commit",
                database="live",
            )
            third = stream.next()
            assert third["night"] != first["night"]
            assert dict(told(third))["job_count"] == 4711
            cpu, began = server.cpu_seconds(), time.monotonic()
            time.sleep(5)
            share = (server.cpu_seconds() - cpu) / (time.monotonic() - began)
            print(f"two viewers of PostgreSQL: {share:.1%} of a processor")
        assert server.end() < SOON
    postgres_server.drop_database("live")
