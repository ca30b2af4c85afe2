"""Before and around the rows: layout, role, one read-only snapshot, and what is said when it fails."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb
import psycopg
import pytest

from flows import landing_sql, source_postgres
from flows.errors import LandError
from flows.source_postgres import SourceUnavailable, open_postgres_source
from flows.source_schema import (
    CREDIT_TRANSACTIONS,
    DAY_TABLES,
    JOB_COST_SUMMARIES,
    JOBS,
    LLM_CALLS,
    ORGANIZATIONS,
    TABLES,
    TEAM_USAGE_SUMMARIES,
)
from tests.platform_ddl import FORBIDDEN, FORBIDDEN_TABLES, ORM, PLANTED, load_rows
from tests.postgres_server import PostgresServer
from tests.small_platform import DAY, Platform, call, id_of, small_rows, staged

OPERATIONS = Path(__file__).parents[2] / "docs" / "operations.md"
UNTIL = DAY + timedelta(days=9)

# --- the layout --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            "alter table llm_calls rename cost_usd to cost",
            ["llm_calls.cost_usd is missing", "new there: 'cost'"],
        ),
        ("alter table jobs drop completed_at", ["jobs.completed_at is missing: dropped or renamed"]),
        (
            "alter table jobs alter created_at type text",
            ["jobs.created_at is of type text, which cannot be read as a timestamp"],
        ),
        (
            "alter table llm_calls alter provider_cost_usd type varchar(20)",
            ["llm_calls.provider_cost_usd is of type character varying(20)", "a number"],
        ),
        (
            "alter table llm_calls alter error type json using to_json(error)",
            ["llm_calls.error is of type json, which cannot be read as text"],
        ),
        (
            "alter table jobs alter credit_applied type int using credit_applied::int",
            ["jobs.credit_applied is of type integer", "true or false"],
        ),
        ("drop table job_cost_summaries", ["table job_cost_summaries is missing"]),
        (
            "create schema elsewhere; alter table organizations set schema elsewhere",
            ["table organizations is missing"],
        ),
    ],
)
def test_a_column_dropped_renamed_or_retyped_stops_the_landing(
    platform: Platform, change: str, said: list[str]
) -> None:
    platform.run(change)
    with pytest.raises(LandError) as refused, open_postgres_source(platform.url):
        pass
    assert [words for words in said if words not in str(refused.value)] == []


def test_all_that_drifted_is_said_at_once(platform: Platform) -> None:
    platform.run("alter table jobs drop completed_at; alter table llm_calls drop error, drop latency_ms")
    with pytest.raises(LandError) as refused, open_postgres_source(platform.url):
        pass
    for column in ("jobs.completed_at", "llm_calls.error", "llm_calls.latency_ms"):
        assert f"{column} is missing" in str(refused.value)


def test_a_new_column_is_noted_and_never_read(platform: Platform) -> None:
    platform.run(f'alter table llm_calls add session_transcript jsonb default \'{{"x": "{PLANTED}"}}\'')
    with open_postgres_source(platform.url) as source:
        assert source.notes == (
            "llm_calls has a column that LLM Almanac does not know, 'session_transcript' (jsonb): "
            "it is not landed.",
        )
        assert all("session_transcript" not in row for row in staged(source, LLM_CALLS))


@pytest.mark.parametrize(
    "change",
    [
        "alter table jobs drop organization_id, drop credit_applied",
        "drop table team_usage_summaries",
        "alter table jobs alter job_id type text",
        "alter table llm_calls alter prompt_tokens type bigint, alter cost_usd type double precision",
        "create domain word as varchar(100); alter table jobs alter job_type type word",
        "alter table llm_calls rename to calls_kept; create view llm_calls as select * from calls_kept",
    ],
)
def test_a_layout_that_reads_the_same_lands_the_same(platform: Platform, change: str) -> None:
    with open_postgres_source(platform.url) as source:
        expected = {table: staged(source, table) for table in (JOBS, LLM_CALLS, JOB_COST_SUMMARIES)}
    # Summaries and their jobs need not have one type.
    for child in ("llm_calls", "job_cost_summaries", "credit_transactions"):
        platform.run(f"alter table {child} drop constraint {child}_job_id_fkey")
    platform.run(change)
    with open_postgres_source(platform.url) as source:
        for table, rows in expected.items():
            for row in rows:
                for name in (
                    {"organization_id", "credit_applied"} & row.keys() if "drop org" in change else ()
                ):
                    row[name] = None
            assert staged(source, table) == rows


def test_a_new_status_lands_as_it_is(platform: Platform) -> None:
    platform.run("alter type jobstatus add value 'TIMED_OUT'")
    platform.run("update jobs set status = 'TIMED_OUT' where status = 'PENDING'")
    with open_postgres_source(platform.url) as source:
        assert [row["status"] for row in staged(source, JOBS)] == [
            "COMPLETED",
            "FAILED",
            "TIMED_OUT",
            "IN_PROGRESS",
        ]


def test_another_database_is_named_as_such(postgres_server: PostgresServer) -> None:
    with (
        pytest.raises(LandError, match="none of the platform's tables"),
        open_postgres_source(postgres_server.url("postgres")),
    ):
        pass


# --- one snapshot, nothing touched -------------------------------------------------------------------------


def test_everything_is_read_as_of_one_moment(platform: Platform) -> None:
    with open_postgres_source(platform.url) as source:
        jobs, prints = staged(source, JOBS), {table: source.fingerprints(table) for table in DAY_TABLES}
        load_rows(platform.url, "jobs", [small_rows(ORM)["jobs"][0] | {"job_id": id_of(1, 99)}])
        load_rows(platform.url, "llm_calls", [call(99, job_id=id_of(1, 99))])
        platform.run("update job_cost_summaries set total_cost_usd = 9; update jobs set status = 'COMPLETED'")
        platform.run("delete from credit_transactions; update organizations set name = 'Renamed'")
        assert staged(source, JOBS) == jobs
        assert {row["call_id"] for row in staged(source, LLM_CALLS)} == {
            str(id_of(2, n)) for n in range(1, 5)
        }
        assert len(staged(source, CREDIT_TRANSACTIONS)) == 4
        assert staged(source, ORGANIZATIONS)[0]["name"] == "Acme"
        assert {table: source.fingerprints(table) for table in DAY_TABLES} == prints
    with open_postgres_source(platform.url) as source:
        assert len(staged(source, LLM_CALLS)) == 5
        assert staged(source, CREDIT_TRANSACTIONS) == []


def test_the_platform_sees_one_read_only_transaction(platform: Platform) -> None:
    platform.run(f"alter database {platform.name} set log_statement = 'all'")
    with open_postgres_source(platform.url) as source:
        for table in TABLES:
            staged(source, table)
        source.open_jobs(UNTIL)
        seen = platform.run(
            "select application_name, state, xact_start is not null from pg_stat_activity "
            f"where datname = '{platform.name}' and pid <> pg_backend_pid()"
        )
        assert seen == [("almanac land", "idle in transaction", True)]
        # No lock but that of a reader, and no transaction id, which only a writer gets.
        locks = platform.run(
            "select distinct mode from pg_locks inner join pg_stat_activity as a using (pid) "
            f"where a.datname = '{platform.name}' and a.application_name = 'almanac land'"
        )
        assert sorted(locks) == [("AccessShareLock",), ("ExclusiveLock",)]
        assert platform.run(
            f"select backend_xid from pg_stat_activity where datname = '{platform.name}' "
            "and application_name = 'almanac land'"
        ) == [(None,)]
    pattern = rf"@{platform.name}/almanac land LOG: +(?:statement|execute [^:]*): (\S+)(.*)"
    statements = re.findall(pattern, platform.server.log())
    assert statements[0] == ("BEGIN", " ISOLATION LEVEL REPEATABLE READ READ ONLY")
    words = {word.lower() for word, _ in statements[1:]}
    assert words == {"select", "copy", "(select"}
    # Neither a column outside the allow-list nor all of them.
    text = " ".join(rest for _, rest in statements)
    assert [
        name for names in FORBIDDEN.values() for name in names if f'"{name}"' in text and name != "id"
    ] == []
    assert not re.search(r"\bt\.\*|select \*", text)


# --- the role ----------------------------------------------------------------------------------------------

ROLE, PASSWORD = "almanac_land", "choose-a-password"


def documented_sql() -> list[str]:
    """The SQL blocks of the section: the role, and what may be taken back from everybody."""
    section = OPERATIONS.read_text(encoding="utf-8").split("## A role for landing\n")[1].split("\n## ")[0]
    return re.findall(r"```sql\n(.*?)```", section, re.DOTALL)


@pytest.fixture
def role_url(platform: Platform) -> Iterator[str]:
    """The platform with exactly the role that the documentation makes."""
    role, _ = documented_sql()
    platform.run(role.replace("DATABASE litellm", f"DATABASE {platform.name}"))
    yield platform.server.url(platform.name, user=ROLE, password=PASSWORD)
    platform.run(f"drop owned by {ROLE}; drop role {ROLE}")


def test_the_documented_grants_are_the_allow_list() -> None:
    grants = re.findall(r"GRANT SELECT \(([^)]*)\) ON public\.(\w+) TO almanac_land;", documented_sql()[0])
    documented = {table: tuple(re.split(r",\s*", columns.strip())) for columns, table in grants}
    assert documented == {table.name: tuple(c.name for c in table.columns) for table in TABLES}
    assert documented_sql()[0].count("GRANT") == len(TABLES) + 2


def test_the_documented_role_lands_everything(platform: Platform, role_url: str) -> None:
    with open_postgres_source(role_url) as source, open_postgres_source(platform.url) as owner:
        for table in TABLES:
            assert staged(source, table) == staged(owner, table)
        assert len(source.open_jobs(date(2026, 12, 1))) == 2


WRITES = (
    "insert into organizations select * from organizations",
    "update jobs set status = 'FAILED'",
    "delete from llm_calls",
    "truncate llm_calls",
    "create table mine (x int)",
    "create view mine as select job_id from jobs",
    "create schema mine",
    "alter table jobs add mine int",
    "create index mine on jobs (created_at)",
    "comment on table jobs is 'mine'",
)


@pytest.mark.parametrize("statement", [*WRITES, "create temp table mine (x int)"])
def test_the_documented_role_cannot_write(platform: Platform, role_url: str, statement: str) -> None:
    with psycopg.connect(role_url, autocommit=True) as connection:
        with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
            connection.execute(statement.encode())
        # Nor when it undoes its own setting: then the grants refuse.
        platform.run(documented_sql()[1].replace("DATABASE litellm", f"DATABASE {platform.name}"))
        connection.execute("set default_transaction_read_only = off")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute(statement.encode())


def test_the_documented_role_reads_no_forbidden_column(platform: Platform, role_url: str) -> None:
    with psycopg.connect(role_url, autocommit=True) as connection:
        for table, columns in FORBIDDEN.items():
            for column in ("*", *columns):
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    connection.execute(f"select {column} from {table}".encode())
        for table in FORBIDDEN_TABLES:
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(f"select 1 from {table}".encode())
        settings = {
            name: connection.execute(f"show {name}".encode()).fetchone()
            for name in ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout")
        }
    assert settings == {
        "statement_timeout": ("1h",),
        "lock_timeout": ("10s",),
        "idle_in_transaction_session_timeout": ("1h",),
    }


def test_missing_grants_are_said_as_the_statements_to_run(platform: Platform, role_url: str) -> None:
    organization = "organization_id, name, status, created_at, updated_at"
    platform.run(f"revoke select (cost_usd, error) on llm_calls from {ROLE}")
    platform.run(
        f"revoke select on organizations from {ROLE}; revoke usage on schema public from public, {ROLE}"
    )
    platform.run(f"revoke select ({organization}) on organizations from {ROLE}")
    with pytest.raises(LandError) as refused, open_postgres_source(role_url):
        pass
    grants = [line.strip() for line in str(refused.value).splitlines() if "GRANT" in line]
    assert grants == [
        'GRANT USAGE ON SCHEMA public TO "almanac_land";',
        'GRANT SELECT (cost_usd, error) ON public.llm_calls TO "almanac_land";',
        f'GRANT SELECT ({organization}) ON public.organizations TO "almanac_land";',
    ]
    platform.run("".join(grants))
    with open_postgres_source(role_url) as source:
        assert len(staged(source, LLM_CALLS)) == 4


def test_a_policy_that_hides_rows_is_an_error_not_a_shorter_table(platform: Platform, role_url: str) -> None:
    platform.run("alter table jobs enable row level security")
    with (
        pytest.raises(LandError, match="row-level security policy for table"),
        open_postgres_source(role_url) as source,
    ):
        staged(source, JOBS)


# --- what is said when it fails ----------------------------------------------------------------------------

SECRET = "pa55-w0rd"


@pytest.mark.parametrize(
    "url",
    [
        f"postgresql://me:{SECRET}@127.0.0.1:1/litellm",
        f"postgresql://me:{SECRET}@no-such-host.invalid/litellm",
        f"postgresql://me:x@{SECRET}@127.0.0.1/litellm",
        f"postgresql://me:x/{SECRET}@127.0.0.1/litellm",
        f"postgresql://me:12/{SECRET}@127.0.0.1/litellm",
        f"postgresql://me:x?{SECRET}@127.0.0.1/litellm",
        f"postgresql://me:12?{SECRET}@127.0.0.1/litellm",
        f"postgresql://me:x#{SECRET}@127.0.0.1/litellm",
        f"postgresql://me:%zz{SECRET}@127.0.0.1/litellm",
        f"postgresql://me:{SECRET}@127.0.0.1:port/litellm",
        f"host=127.0.0.1 port=1 password={SECRET} nonsense",
    ],
)
def test_an_address_that_does_not_answer_is_said_without_its_password(url: str) -> None:
    with pytest.raises(LandError) as refused, open_postgres_source(url, connect_timeout=2):
        pass
    assert SECRET not in str(refused.value)
    assert refused.value.__cause__ is None
    assert "ALMANAC_SOURCE" in str(refused.value)


def test_a_refused_password_is_said_without_it(platform: Platform) -> None:
    url = platform.server.url(platform.name, password=SECRET)
    with (
        pytest.raises(SourceUnavailable, match="password authentication failed") as refused,
        open_postgres_source(url),
    ):
        pass
    assert SECRET not in str(refused.value)


def test_a_migration_that_holds_a_table_is_waited_for_so_long(platform: Platform) -> None:
    with psycopg.connect(platform.url) as migration:
        migration.execute("lock table llm_calls in access exclusive mode")
        with (
            pytest.raises(SourceUnavailable, match="too long for a lock"),
            open_postgres_source(platform.url, lock_timeout=1),
        ):
            pass
        with (
            pytest.raises(SourceUnavailable, match="statement_timeout"),
            open_postgres_source(platform.url, lock_timeout=60, statement_timeout=1),
        ):
            pass


def test_a_landed_table_is_not_altered_under_the_reader(platform: Platform) -> None:
    with open_postgres_source(platform.url) as source:
        with pytest.raises(psycopg.errors.LockNotAvailable):
            platform.run("set lock_timeout = '200ms'; truncate team_usage_summaries")
        assert staged(source, TEAM_USAGE_SUMMARIES) == []


@pytest.mark.parametrize("end", ["pg_terminate_backend", "pg_cancel_backend"])
def test_a_connection_that_is_ended_is_said(
    platform: Platform, monkeypatch: pytest.MonkeyPatch, end: str
) -> None:
    # More than the sockets of both sides hold.
    monkeypatch.setattr(source_postgres, "BATCH_BYTES", 100_000)
    platform.run(
        "insert into organizations select 'org' || i, repeat('x', 400), 'active', null, now(), now() "
        "from generate_series(1, 60000) as i"
    )
    platform.run("vacuum organizations")
    ended: list[Any] = []

    def advance(n: int = 1, detail: str = "") -> None:
        if n and not ended:
            query = f"select {end}(pid) from pg_stat_activity where application_name = 'almanac land'"
            ended.extend(platform.run(query))

    with open_postgres_source(platform.url) as source, duckdb.connect() as connection:
        connection.execute(landing_sql.create_staged(ORGANIZATIONS))
        with pytest.raises(SourceUnavailable, match="Nothing was landed"):
            source.copy_whole(connection, ORGANIZATIONS, advance)
    assert ended == [(True,)]


def test_a_server_that_stands_still_is_left_after_the_timeout(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source_postgres, "GRACE_SECONDS", 0.2)
    with open_postgres_source(platform.url, statement_timeout=1) as source:
        ((backend,),) = platform.run(
            "select pid from pg_stat_activity where application_name = 'almanac land'"
        )
        os.kill(backend, signal.SIGSTOP)
        try:
            with pytest.raises(SourceUnavailable, match="was lost while reading jobs"):
                source.fingerprints(JOBS)
        finally:
            os.kill(backend, signal.SIGCONT)


def test_a_read_after_the_server_crashed_is_said(postgres_server: PostgresServer, platform: Platform) -> None:
    with open_postgres_source(platform.url) as source:
        postgres_server.restart("immediate")
        with pytest.raises(SourceUnavailable):
            source.fingerprints(JOBS)
    with open_postgres_source(platform.url) as source:
        assert len(source.fingerprints(JOBS)) == 3


def test_a_replica_serves_as_the_source_does(postgres_server: PostgresServer, platform: Platform) -> None:
    replica = postgres_server.replica()
    try:
        url = replica.url(platform.name)
        with open_postgres_source(url) as source, open_postgres_source(platform.url) as primary:
            assert replica.execute("select pg_is_in_recovery()") == [(True,)]
            for table in TABLES:
                assert staged(source, table) == staged(primary, table)
            assert source.open_jobs(UNTIL) == primary.open_jobs(UNTIL)
    finally:
        replica.stop()
