"""What analysts get on PostgreSQL: a role that only reads, and a dashboard whose every query runs."""

from __future__ import annotations

import itertools
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import insert

from flows.audit import audit
from flows.build import build
from flows.docs_site import write_docs
from flows.land import land
from flows.ops_store import open_ops_store, probing
from flows.progress import SilentProgress
from flows.publish import publish
from flows.settings import Settings
from flows.warehouse_postgres import connect
from tests.almanac_command import environment
from tests.analysts import Block, blocks
from tests.postgres_server import PostgresServer
from tests.published import ROOT, TAPE, TAPE_AS_OF, Published

DATABASE = "analysts"
BUILDER = "almanac_builder"
READER = "almanac_bi"
PASSWORD = "p%w:d/1"
GRANTS = (ROOT / "docs" / "sql" / "bi_reader.sql").read_text(encoding="utf-8")
DASHBOARD = ROOT / "docs" / "grafana" / "llm-almanac.json"
DAY = timedelta(days=1)


def night(settings: Settings, as_of: datetime) -> None:
    progress = SilentProgress()
    land(
        TAPE,
        settings.landing_path,
        as_of=as_of,
        progress=progress,
        ops_store=open_ops_store(settings),
    )
    built = build(settings, as_of=as_of, progress=progress)
    audit(built, settings, as_of)
    publish(built, settings)


def note_probes(settings: Settings) -> None:
    """A week of probes of two components, one of which was down for an hour."""
    start = TAPE_AS_OF - 7 * DAY
    down = (start + 2 * DAY, start + 2 * DAY + timedelta(hours=1))
    rows = [
        {
            "component": component,
            "checked_at": at,
            "verdict": "down" if component == "saas_api" and down[0] <= at < down[1] else "up",
            "latency_ms": 12.5,
            "reason": None,
            "is_required": True,
            "interval_seconds": 600,
        }
        for component in ("saas_api", "database")
        for at in (start + number * timedelta(minutes=10) for number in range(7 * 144))
    ]
    with open_ops_store(settings).transaction() as connection:
        connection.execute(insert(probing.probes), rows)


@pytest.fixture(scope="module")
def settings(postgres_server: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Two nights published by a role that is no superuser; the grants were given after the first."""
    postgres_server.execute(f"create role {BUILDER} login password '{PASSWORD}'")
    postgres_server.execute(f"create database {DATABASE} template template0 owner {BUILDER}")
    settings = Settings(
        data_dir=tmp_path_factory.mktemp("analysts"),
        source=None,
        target="postgres",
        warehouse_url=postgres_server.url(DATABASE, user=BUILDER, password=PASSWORD),
        reporting_timezone="UTC",
    )
    note_probes(settings)
    night(settings, TAPE_AS_OF - DAY)
    postgres_server.execute(GRANTS, DATABASE)
    postgres_server.execute(GRANTS, DATABASE)  # again does no harm
    postgres_server.execute(f"alter role {READER} password '{PASSWORD}'")
    night(settings, TAPE_AS_OF)
    return settings


@pytest.fixture
def reader(settings: Settings, postgres_server: PostgresServer) -> Iterator[psycopg.Connection[Any]]:
    url = postgres_server.url(DATABASE, user=READER, password=PASSWORD)
    with psycopg.connect(url, autocommit=True) as connection:
        yield connection


# --- the role


def test_the_role_reads_what_is_published_after_another_night(reader: psycopg.Connection[Any]) -> None:
    views = reader.execute(
        "select table_schema, table_name from information_schema.views "
        "where table_schema in ('marts', 'reviews', 'compat')"
    ).fetchall()
    assert len(views) > 75
    assert {schema for schema, _ in views} == {"marts", "reviews", "compat"}
    for schema, name in views:
        reader.execute(f'select * from {schema}."{name}" limit 1'.encode())
    assert reader.execute("select max(built_at_as_of) from monitoring_dashboard").fetchone() == (TAPE_AS_OF,)


def test_it_reads_views_that_a_night_adds_or_makes_anew(
    settings: Settings, reader: psycopg.Connection[Any]
) -> None:
    with closing(connect(settings)) as builder:
        builder.execute("create view marts.added as select 1 as one")
        try:
            assert reader.execute("select one from added").fetchone() == (1,)
        finally:
            builder.execute("drop view marts.added")


def test_the_role_sees_nothing_else(reader: psycopg.Connection[Any]) -> None:
    rows = reader.execute(
        "select nspname || '.' || relname from pg_class join pg_namespace on pg_namespace.oid = relnamespace "
        "where nspname !~ '^(pg_|information_schema$)' and relkind in ('r', 'v', 'm', 'p', 'S') "
        "and nspname not in ('marts', 'reviews', 'compat') and (has_schema_privilege(nspname, 'usage') or "
        "case when relkind = 'S' then has_sequence_privilege(pg_class.oid, 'usage, select, update') "
        "else has_table_privilege(pg_class.oid, "
        "'select, insert, update, delete, truncate, references, trigger') "
        "or has_any_column_privilege(pg_class.oid, 'select, insert, update, references') end)"
    ).fetchall()
    assert rows == []


@pytest.mark.parametrize(
    "sql",
    [
        "select * from raw.jobs",
        "select * from ops.generations",
        "select * from ops.health_probes",
        "select * from alerts.alert_rules",
        "select * from gen_a_marts.dim_dates",
        "select * from gen_b_marts.dim_dates",
        "select * from gen_a_kept.int_ledger_breaks",
        "insert into marts.dim_dates default values",
        "update marts.dim_dates set iso_year = 1",
        "delete from compat.jobs",
        "drop view marts.dim_dates",
        "alter view marts.dim_dates rename to mine",
        "create table public.mine (id int)",
        "create table marts.mine (id int)",
        "create temporary table mine (id int)",
        "create schema mine",
        "create view reviews.mine as select 1 as one",
        "select lo_create(0)",
        "select lo_from_bytea(0, 'x')",
        "copy marts.dim_dates to '/tmp/dates'",
        "copy (select 1) to program 'true'",
        "select pg_read_file('/etc/passwd')",
        f"set role {BUILDER}",
        f"set session authorization {BUILDER}",
        "create role mine",
    ],
)
def test_the_role_can_do_nothing_else_even_when_it_switches_read_only_off(
    reader: psycopg.Connection[Any], sql: str
) -> None:
    reader.execute("set default_transaction_read_only = off")
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        reader.execute(sql.encode())


def test_the_role_has_its_limits(reader: psycopg.Connection[Any], postgres_server: PostgresServer) -> None:
    limits = {
        "default_transaction_read_only": "on",
        "search_path": "marts, compat",
        "statement_timeout": "2min",
        "idle_in_transaction_session_timeout": "1min",
        "lock_timeout": "10s",
        "TimeZone": "UTC",
    }
    for name, value in limits.items():
        assert reader.execute(f"show {name}".encode()).fetchone() == (value,)
    (row,) = postgres_server.execute(
        "select rolconnlimit, rolsuper, rolcreaterole, rolcreatedb, rolbypassrls, rolreplication "
        f"from pg_roles where rolname = '{READER}'"
    )
    assert row == (20, False, False, False, False, False)


def test_before_the_first_night_the_grants_say_so(postgres_server: PostgresServer) -> None:
    postgres_server.create_database("empty_warehouse")
    with pytest.raises(psycopg.errors.RaiseException, match="almanac nightly"):
        postgres_server.execute(GRANTS, "empty_warehouse")


# --- the page of documentation


def test_the_documentation_describes_the_published_views(settings: Settings, tmp_path: Path) -> None:
    report = write_docs(settings, tmp_path, progress=SilentProgress())
    assert report.unpublished == ()
    with closing(connect(settings)) as warehouse:
        expected = warehouse.execute(
            "select count(*), count(distinct (table_schema, table_name)) from information_schema.columns "
            "where table_schema in ('marts', 'reviews', 'alerts', 'compat') and col_description("
            "(quote_ident(table_schema) || '.' || quote_ident(table_name))::regclass, ordinal_position) "
            "is not null"
        ).fetchone()
        left = warehouse.execute(
            "select nspname from pg_namespace where nspname in ('staging', 'intermediate', 'kept')"
        ).fetchall()
    assert (report.column_count, report.table_count) == expected
    assert left == []
    page = report.path.read_text(encoding="utf-8")
    assert PASSWORD not in page
    assert json.dumps(PASSWORD)[1:-1] not in page


# --- the blocks of docs/analysts.md


@pytest.mark.parametrize("block", blocks("sql"), ids=str)
def test_sql_gives_the_rows_that_duckdb_gives(
    reader: psycopg.Connection[Any], published: Published, block: Block
) -> None:
    actual = [comparable(row) for row in reader.execute(block.text.encode()).fetchall()]
    assert actual == [comparable(row) for row in published.rows(block.text)]


def comparable(row: tuple[Any, ...]) -> tuple[Any, ...]:
    """A row whose numbers are as both engines have them: a mean and a quotient to nine digits."""
    return tuple(
        f"{float(value):.9g}" if isinstance(value, int | float | Decimal) else value for value in row
    )


@pytest.mark.parametrize("block", [one for one in blocks("python") if one.is_for_postgres], ids=str)
def test_python_runs(settings: Settings, postgres_server: PostgresServer, block: Block) -> None:
    url = postgres_server.url(DATABASE, user=READER, password=PASSWORD)
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", block.text],
        env=environment(ALMANAC_BI_URL=url),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert "wonka-bot" in done.stdout


# --- the dashboard of Grafana


def dashboard() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(DASHBOARD.read_text(encoding="utf-8"))
    return found


def panels() -> list[dict[str, Any]]:
    return [panel for panel in dashboard()["panels"] if panel["type"] != "row"]


def expanded(sql: str, chosen: dict[str, list[str]]) -> str:
    """What Grafana makes of a query: macros for the last 30 days of the tape, variables as SQL strings."""
    until = TAPE_AS_OF
    span = f"'{until - 30 * DAY:%Y-%m-%dT%H:%M:%SZ}' and '{until:%Y-%m-%dT%H:%M:%SZ}'"
    sql = re.sub(r"\$__timeFilter\(([\w.]+)\)", rf"\1 between {span}", sql)
    for name, values in chosen.items():
        quoted = ",".join("'" + value.replace("'", "''") + "'" for value in values)
        sql = sql.replace(f"${{{name}:sqlstring}}", quoted)
    assert "$" not in sql, sql
    return sql


@pytest.fixture
def chosen(reader: psycopg.Connection[Any]) -> dict[str, list[str]]:
    """All values of the variables, asked as Grafana asks them: one after the other."""
    values: dict[str, list[str]] = {}
    for variable in dashboard()["templating"]["list"]:
        cursor = reader.execute(expanded(variable["query"], values).encode())
        names = [column.name for column in cursor.description or ()]
        place = names.index("__value") if "__value" in names else 0
        values[variable["name"]] = [row[place] for row in cursor.fetchall()]
    assert len(values["organization"]) > 5
    assert len(values["team"]) > 20
    return values


@pytest.mark.parametrize("panel", panels(), ids=lambda panel: panel["title"])
def test_every_panel_has_rows_for_the_role(
    reader: psycopg.Connection[Any], chosen: dict[str, list[str]], panel: dict[str, Any]
) -> None:
    (target,) = panel["targets"]
    cursor = reader.execute(expanded(target["rawSql"], chosen).encode())
    names = [column.name for column in cursor.description or ()]
    rows = cursor.fetchall()
    assert rows
    assert len(set(names)) == len(names)
    if target["format"] == "time_series":
        assert names[0] == "time"
        assert all(isinstance(row[0], datetime) for row in rows)
        assert [row[0] for row in rows] == sorted(row[0] for row in rows)
        assert names[1:] == ["metric", "value"] or "metric" not in names
    shown = {one["matcher"]["options"] for one in panel["fieldConfig"]["overrides"]}
    assert shown <= set(names)


@pytest.mark.parametrize("panel", panels(), ids=lambda panel: panel["title"])
def test_ids_are_text_whatever_they_hold(reader: psycopg.Connection[Any], panel: dict[str, Any]) -> None:
    for teams in (["a'b", "'); drop view marts.dim_dates; --", '% 日本/"x', "x" * 190], []):
        sql = expanded(panel["targets"][0]["rawSql"], {"organization": teams, "team": teams})
        # the extended protocol takes one statement only
        reader.execute(sql.encode(), prepare=True)


def test_sums_of_the_team_table_are_the_marts(
    reader: psycopg.Connection[Any], chosen: dict[str, list[str]]
) -> None:
    (sql,) = (panel["targets"][0]["rawSql"] for panel in panels() if panel["title"] == "Teams")
    cursor = reader.execute(expanded(sql, chosen).encode())
    names = [column.name for column in cursor.description or ()]
    rows = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
    expected = reader.execute(
        "select sum(job_count), sum(call_count), sum(client_cost_usd), sum(credits_used) "
        "from marts.platform_usage_daily where period_start_date between %s and %s",
        [(TAPE_AS_OF - 30 * DAY).date(), TAPE_AS_OF.date()],
    ).fetchone()
    measures = ("Jobs", "Calls", "Client cost", "Credits used")
    assert tuple(sum(row[name] or 0 for row in rows) for name in measures) == expected


def test_queries_read_the_marts_and_nothing_else() -> None:
    texts = [panel["targets"][0]["rawSql"] for panel in panels()]
    texts += [variable["query"] for variable in dashboard()["templating"]["list"]]
    for sql in texts:
        sql = re.sub(r"extract\(\w+ from", "", sql)
        read = re.findall(r"\b(?:from|join)\s+(?!lateral)([\w.]+)", sql)
        assert read
        assert all(name.startswith("marts.") for name in read), sql


def test_the_file_has_the_shape_that_grafana_imports() -> None:
    board = dashboard()
    (given,) = board["__inputs"]
    assert (given["name"], given["type"]) == ("DS_ALMANAC", "datasource")
    assert given["pluginId"] == "grafana-postgresql-datasource"
    assert board["id"] is None
    assert board["schemaVersion"] >= 39
    assert board["time"] == {"from": "now-30d", "to": "now"}
    ids = [panel["id"] for panel in board["panels"]]
    assert len(set(ids)) == len(ids)
    required = {(one["type"], one["id"]) for one in board["__requires"]}
    assert {("panel", panel["type"]) for panel in panels()} <= required
    assert ("datasource", given["pluginId"]) in required
    source = {"type": given["pluginId"], "uid": "${DS_ALMANAC}"}
    asked = [*panels(), *(target for panel in panels() for target in panel["targets"])]
    asked += board["templating"]["list"]
    assert all(one["datasource"] == source for one in asked)
    assert DASHBOARD.read_text(encoding="utf-8").count('"uid"') == len(asked) + 1


def test_no_panel_covers_another() -> None:
    places = [panel["gridPos"] for panel in dashboard()["panels"]]
    for place in places:
        assert place["x"] + place["w"] <= 24
        assert min(place["w"], place["h"], place["x"] + 1) >= 1
    for one, other in itertools.combinations(places, 2):
        apart = (
            one["x"] + one["w"] <= other["x"]
            or other["x"] + other["w"] <= one["x"]
            or one["y"] + one["h"] <= other["y"]
            or other["y"] + other["h"] <= one["y"]
        )
        assert apart, (one, other)
