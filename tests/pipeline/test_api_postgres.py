"""The API on the postgres target: the bytes that DuckDB gives, and one night in each answer."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from typing import Any, cast

import pytest

from flows.coverage import Coverage
from flows.errors import AlmanacError
from flows.publish_postgres import publish_generation
from flows.review_scopes import PLATFORM, Scope
from flows.settings import Settings
from flows.warehouse_postgres import (
    connect,
    prepare_generation,
    reset_generation,
    write_coverage,
)
from tests.api_oracle import Row
from tests.api_platform import (
    ALIKE_HOME,
    MOVED,
    ORGANIZATIONS,
    SCOPES,
    TEAMS,
    add_incidents,
    marked_platform,
    publish_platform,
)
from tests.api_service import MANY_REQUESTS, Service, make_keys, path_of, segment, with_query
from tests.engines import build_on_postgres, create_database_of_another_language
from tests.oracle.platforms import Platform
from tests.oracle.tape import frame
from tests.postgres_server import PostgresServer

READERS = "api_readers"
PERIODS = ("2026-10", "2026-11", "2026-W47", "2026-11-19", "2026-10-05", "2026-W43", "2025-10")


def questions() -> Iterator[tuple[Scope, str]]:
    asked = (PLATFORM, *(one.scope for one in (*ORGANIZATIONS[:3], ALIKE_HOME, *TEAMS[:7], MOVED)))
    for scope in asked:
        for period in PERIODS:
            if scope != PLATFORM:
                yield scope, with_query(path_of(scope, "usage"), period=period)
            yield scope, with_query("/api/analytics/usage", period=period)
            yield scope, with_query("/api/analytics/performance", period=period)
        yield scope, "/api/analytics/slow-calls"
        yield scope, "/api/analytics/slow-calls?format=csv&limit=5"
        yield scope, "/api/analytics/performance?period=2026-10&format=csv"
        yield scope, "/api/analytics/usage?period=2026-10&format=csv&table=daily_usage"
        yield scope, "/api/alerts?state=all"
        yield scope, "/api/health-check"
        for team in (*TEAMS, MOVED):
            base = f"/api/credits/teams/{segment(team.scope.id)}"
            yield scope, f"{base}/balance"
            yield scope, f"{base}/transactions"
            yield scope, with_query(f"{base}/transactions", limit=2, cursor=f"tx {team.mark} 11-1")
    for ident in ("nobody", "\x00", "a\x00b", "'", "%", "?", "\ud7ff"):
        missing = Scope("team", ident)
        yield PLATFORM, with_query(path_of(missing, "usage"), period="2026-10")
        yield PLATFORM, with_query("/api/alerts", team_id=ident)
        yield PLATFORM, with_query("/api/analytics/slow-calls", organization_id=ident)
        yield PLATFORM, with_query("/api/credits/teams/TM0Q/transactions", cursor=ident)


@pytest.fixture(scope="module")
def settings(postgres_server: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """The marked platform published in PostgreSQL, to be read by a role that may read and no more."""
    postgres_server.execute(f"create role {READERS}")
    settings = Settings(
        data_dir=tmp_path_factory.mktemp("api-postgres"),
        source=None,
        target="postgres",
        warehouse_url=create_database_of_another_language(postgres_server, "api"),
        warehouse_readers=READERS,
        api_requests_per_minute=MANY_REQUESTS,
    )
    publish(settings, marked_platform(), 1)
    add_incidents(settings)
    return settings


def publish(settings: Settings, platform: Platform, number: int) -> None:
    """Build a platform in the generation whose turn it is, and publish it as a night."""
    with closing(connect(settings)) as warehouse:
        generation = reset_generation(warehouse, prepare_generation(warehouse))
        build_on_postgres(warehouse, platform, prefix=generation.prefix)
        # what was built reads it by its number; the next night lands anew
        warehouse.execute(f"alter schema raw rename to raw_{number}".encode())
        coverage = Coverage(number, platform.as_of, platform.as_of, "UTC", "marked", platform.as_of.date())
        publish_generation(warehouse, settings, write_coverage(warehouse, generation, coverage))


@pytest.fixture(scope="module")
def keys(settings: Settings) -> dict[Scope, str]:
    return make_keys(settings, SCOPES)


def test_both_engines_give_the_same_bytes(
    settings: Settings, keys: dict[Scope, str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    other = on_duckdb(tmp_path_factory)
    publish_platform(marked_platform(), other)
    add_incidents(other)
    statuses: list[int] = []
    with Service(settings, keys) as here, Service(other, make_keys(other, SCOPES)) as there:
        for scope, path in questions():
            ours, theirs = there.ask(path, scope), here.ask(path, scope)
            assert theirs.status_code == ours.status_code, (scope, path, ours.text[:200], theirs.text[:200])
            assert theirs.content == ours.content, (scope, path)
            assert dict(theirs.headers) == dict(ours.headers)
            assert theirs.status_code < 500, (scope, path, theirs.text)
            statuses.append(theirs.status_code)
        metrics = [
            service.ask("/metrics", PLATFORM).text.partition("# TYPE almanac_http")[0]
            for service in (here, there)
        ]
        assert metrics[0] == metrics[1]
    assert statuses.count(200) > 250
    assert statuses.count(404) > 100


def on_duckdb(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return Settings(
        data_dir=tmp_path_factory.mktemp("api-duckdb"),
        source=None,
        target="duckdb",
        api_requests_per_minute=MANY_REQUESTS,
    )


@pytest.mark.parametrize(
    "refused",
    [
        "insert into marts.dim_dates select * from marts.dim_dates",
        "create table mine as select 1 as one",
        "select * from ops.api_keys",
        "select * from gen_a_kept.coverage",
        "select pg_read_file('/etc/passwd')",
        "copy (select 1) to program 'true'",
    ],
)
def test_a_request_may_read_what_is_published_and_no_more(
    settings: Settings, keys: dict[Scope, str], refused: str
) -> None:
    with Service(settings, keys) as service:
        nights = service.app.state.nights
        with nights.reading() as night:
            assert night.row("select current_user as name") == {"name": READERS}
        with pytest.raises(AlmanacError), nights.reading() as night:
            night.rows(refused)


# --- a publish in between


def doubled(platform: Platform) -> Platform:
    """The night after: every job once more, a day later."""
    tables = dict(platform.tables)
    rows = cast(list[Row], tables["jobs"].to_dict("records"))
    again = [row | {"job_id": f"{row['job_id']} again"} for row in rows]
    tables["jobs"] = frame("jobs", [*rows, *again])
    return replace(platform, tables=tables, as_of=platform.as_of + timedelta(days=1))


def test_a_publish_in_between_mixes_no_nights_and_breaks_nothing(
    settings: Settings, keys: dict[Scope, str]
) -> None:
    scope = ORGANIZATIONS[0].scope
    path = with_query(path_of(scope, "usage"), period="2026-10")
    seen: list[tuple[str, int, int, int]] = []
    problems: list[Any] = []
    is_over = threading.Event()

    def read() -> None:
        try:
            with Service(settings, keys) as service:
                number = 0
                while not is_over.is_set():
                    number += 1
                    # another text each time, else the answer would be a kept one
                    response = service.ask(f"{path}&n={number}-{threading.get_ident()}", scope)
                    if response.status_code != 200:
                        problems.append((response.status_code, response.text))
                        continue
                    answer = response.json()
                    parts = sum(team["jobs"] for team in answer["teams"].values())
                    seen.append((answer["as_of"], answer["summary"]["total_jobs"], parts, number))
        except Exception as error:
            problems.append(error)

    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    try:
        publish(settings, doubled(marked_platform()), 2)
        publish(settings, marked_platform(), 3)
    finally:
        is_over.set()
        for reader in readers:
            reader.join(60)
    assert problems == []
    assert {row[:3] for row in seen} == {("2026-11-23T00:00:00Z", 9, 9), ("2026-11-24T00:00:00Z", 18, 18)}
    assert len(seen) > 50


def test_a_request_that_has_begun_ends_on_its_night(settings: Settings, keys: dict[Scope, str]) -> None:
    """A publication waits for it, and goes through when it has ended."""
    counts = "select count(*) as jobs from warehouse.marts.fct_jobs"
    with Service(settings, keys) as service:
        nights = service.app.state.nights
        with nights.reading() as night:
            first = night.row(counts)
            publishing = threading.Thread(target=publish, args=(settings, doubled(marked_platform()), 4))
            publishing.start()
            publishing.join(5)
            assert night.row(counts) == first
            began_on = night.id
        publishing.join(60)
        assert not publishing.is_alive()
        with nights.reading() as night:
            assert night.row(counts) == {"jobs": 2 * first["jobs"]}
            assert night.id != began_on


def test_a_server_that_restarts_is_unavailable_and_then_back(
    postgres_server: PostgresServer, settings: Settings, keys: dict[Scope, str]
) -> None:
    path = "/api/analytics/usage?period=2026-10"
    with Service(settings, keys) as service:
        assert service.ask(path, PLATFORM).status_code == 200
        postgres_server.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'almanac api'"
        )
        assert service.ask(f"{path}&x=1", PLATFORM).status_code in (200, 503)
        assert service.ask(f"{path}&x=2", PLATFORM).status_code == 200
