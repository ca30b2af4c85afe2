"""Reading a platform's PostgreSQL: all comes through exactly, as of one moment, touching nothing."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import duckdb
import psycopg
import pyarrow as pa
import pytest

from flows import landing_sql, source_postgres, source_postgres_sql
from flows.errors import LandError
from flows.land import land_folder
from flows.progress import SilentProgress
from flows.source_postgres import (
    OPEN_JOBS_CHECKSUM,
    open_postgres_source,
)
from flows.source_schema import (
    CREDIT_TRANSACTIONS,
    DAY_TABLES,
    JOB_COST_SUMMARIES,
    JOBS,
    LLM_CALLS,
    NO_DAY,
    ORGANIZATIONS,
    TABLES,
    TEAM_CREDITS,
    TEAM_USAGE_SUMMARIES,
    Table,
)
from tests.platform_ddl import (
    FORBIDDEN,
    LINEAGES,
    MIGRATED,
    OLD,
    PLANTED,
    Lineage,
    create_platform,
    load_rows,
    load_tape,
)
from tests.postgres_server import PostgresServer
from tests.published import TAPE, TAPE_AS_OF
from tests.small_platform import DAY, NOON, Platform, Row, call, id_of, nowhere, staged

# --- rows come through exactly -----------------------------------------------------------------------------


@pytest.fixture(scope="session")
def landed_from_files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Row]]:
    """The recorded platform as `land` takes it from its files."""
    path = tmp_path_factory.mktemp("files") / "landing.duckdb"
    land_folder(TAPE, path, as_of=TAPE_AS_OF, progress=SilentProgress())
    found = {}
    with duckdb.connect(str(path), read_only=True) as connection:
        for table in TABLES:
            columns = [column.name for column in table.columns]
            rows = connection.execute(
                f"select {', '.join(columns)} from raw.{table.name} order by {table.key}"
            ).fetchall()
            found[table.name] = [dict(zip(columns, row, strict=True)) for row in rows]
    return found


@pytest.mark.parametrize("lineage", LINEAGES, ids=lambda lineage: lineage.name)
def test_a_database_lands_as_its_exported_files_do(
    postgres_server: PostgresServer, lineage: Lineage, landed_from_files: dict[str, list[Row]]
) -> None:
    url = postgres_server.create_database(f"tape_{lineage.name}")
    create_platform(url, lineage)
    load_tape(url, TAPE)
    with open_postgres_source(url) as source:
        assert source.notes == ()
        for table in TABLES:
            expected = landed_from_files[table.name]
            if not source.has_table(table):
                assert (lineage, table, expected) == (OLD, TEAM_USAGE_SUMMARIES, [])
                assert staged(source, table) == []
                continue
            absent = {
                column.name: 0 if column.when_absent == "0" else None
                for column in table.columns
                if column.name not in source.layout.tables[table.name].columns
            }
            assert bool(absent) == (lineage is OLD and table in (JOBS, LLM_CALLS, TEAM_CREDITS))
            if lineage is MIGRATED and table is JOBS:
                expected = [row | {"status": row["status"].lower()} for row in expected]
            rows = staged(source, table)
            assert not any(row["is_bad"] for row in rows)
            names = [column.name for column in table.columns]
            assert [{name: row[name] for name in names} for row in rows] == [row | absent for row in expected]
    postgres_server.drop_database(f"tape_{lineage.name}")


HOSTILE = (
    "",
    " leading and trailing ",
    'a "quoted" word, and a comma',
    '"',
    '""',
    "two\nlines",
    "carriage\rreturn",
    "both\r\n",
    "\\",
    "\\.",
    "\\N",
    "NULL",
    "null",
    "tab\there",
    "<script>alert('x')</script>",
    "客戶、団体、고객",
    "🦆 é e\u0301",
    "\ufeffmark",
    "%s %(x)s {} $1",
    "'; drop table jobs; --",
    "a\u2028b\u0085c",
    "x" * 250,
)


@pytest.mark.parametrize("batch_bytes", [1, 300, source_postgres.BATCH_BYTES])
def test_every_byte_of_text_comes_through_however_the_rows_are_cut(
    platform: Platform, monkeypatch: pytest.MonkeyPatch, batch_bytes: int
) -> None:
    monkeypatch.setattr(source_postgres, "BATCH_BYTES", batch_bytes)
    texts = [*HOSTILE, None]
    stamps = {"created_at": NOON, "updated_at": NOON}
    load_rows(
        platform.url,
        "team_credits",
        [
            # As the key too, which is the first field of its row.
            {"team_id": f"{text}-{n}", "organization_id": None, "refill_period": None, "status": "active"}
            | {"budget_mode": (text or "")[:50] if text is not None else None, **stamps}
            for n, text in enumerate(texts)
        ],
    )
    load_rows(platform.url, "llm_calls", [call(100 + n, model_used=t) for n, t in enumerate(texts[:-2])])
    load_rows(platform.url, "llm_calls", [call(200, model_used=None)])
    with open_postgres_source(platform.url) as source:
        teams = {row["team_id"]: row["budget_mode"] for row in staged(source, TEAM_CREDITS)}
        calls = {row["call_id"]: row["model_used"] for row in staged(source, LLM_CALLS)}
    for n, text in enumerate(texts):
        assert teams[f"{text}-{n}"] == (None if text is None else text[:50])
    for n, text in enumerate(texts[:-2]):
        assert calls[str(id_of(2, 100 + n))] == text
    assert calls[str(id_of(2, 200))] is None


def test_numbers_that_no_decimal_holds_keep_their_text(platform: Platform) -> None:
    platform.run(
        "alter table llm_calls alter cost_usd type numeric, alter provider_cost_usd type double precision"
    )
    platform.run("update llm_calls set cost_usd = 'NaN', provider_cost_usd = '-Infinity'")
    load_rows(platform.url, "llm_calls", [call(9, cost_usd="1e30", provider_cost_usd=1e-7)])
    with open_postgres_source(platform.url) as source:
        *others, odd = staged(source, LLM_CALLS)
    assert {(row["cost_usd"], row["u_cost_usd"]) for row in others} == {(None, "NaN")}
    assert {(row["provider_cost_usd"], row["u_provider_cost_usd"]) for row in others} == {(None, "-Infinity")}
    assert (odd["cost_usd"], odd["u_cost_usd"][:5]) == (None, "10000")
    assert odd["provider_cost_usd"] == Decimal("0.00000010")


def test_times_are_utc_whatever_the_server_s_own_zone_and_formats(platform: Platform) -> None:
    platform.run("alter table jobs alter completed_at type timestamptz using completed_at at time zone 'UTC'")
    before = platform.fingerprints(JOBS)
    for setting in ("TimeZone = 'America/New_York'", "DateStyle = 'German'", "extra_float_digits = 0"):
        platform.run(f"alter database {platform.name} set {setting}")
    with open_postgres_source(platform.url) as source:
        job = staged(source, JOBS)[0]
    assert job["created_at"] == NOON + timedelta(minutes=1)
    assert job["completed_at"] == NOON + timedelta(minutes=1, seconds=9)
    assert platform.fingerprints(JOBS) == before


def test_free_text_is_redacted_and_nothing_forbidden_reaches_the_disk(
    platform: Platform, tmp_path: Path
) -> None:
    key = "AIza" + "Sy0123456789abcdefghijklmnopqrstuv"
    platform.run(f"update llm_calls set error = 'Client error for https://x/y?key={key}'")
    path = tmp_path / "landing.duckdb"
    with open_postgres_source(platform.url) as source:
        for table in TABLES:
            with duckdb.connect(str(path)) as connection:
                connection.execute("set TimeZone = 'UTC'")
                connection.execute(landing_sql.create_staged(table))
                if table in DAY_TABLES:
                    source.copy_days(connection, table, [DAY, DAY + timedelta(days=1)], nowhere)
                else:
                    source.copy_whole(connection, table, nowhere)
                connection.execute(f"create table {table.name} as from staged")
    written = b"".join(file.read_bytes() for file in tmp_path.iterdir())
    assert b"team-a" in written
    assert key.encode() not in written
    assert PLANTED.encode() not in written
    # The plants are there to be found: the platform itself holds them.
    assert platform.run(f"select count(*) from llm_calls where request_data::text like '%{PLANTED}%'") == [
        (4,)
    ]


def test_only_one_piece_of_a_table_is_in_memory(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source_postgres, "BATCH_BYTES", 100_000)
    platform.run(
        "insert into organizations select 'org' || i, repeat('x', 400), 'active', null, now(), now() "
        "from generate_series(1, 20000) as i"
    )
    held = []
    with open_postgres_source(platform.url) as source, duckdb.connect() as connection:
        connection.execute("begin")
        connection.execute(landing_sql.create_staged(ORGANIZATIONS))
        before = pa.total_allocated_bytes()
        source.copy_whole(
            connection, ORGANIZATIONS, lambda n=1, detail="": held.append(pa.total_allocated_bytes() - before)
        )
        assert pa.total_allocated_bytes() - before < 100_000
    assert len(held) > 80
    assert max(held) < 400_000


def test_bytes_read_and_progress_count_what_the_platform_sent(platform: Platform) -> None:
    advanced = []
    with open_postgres_source(platform.url) as source, duckdb.connect() as connection:
        connection.execute(landing_sql.create_staged(JOBS))
        source.copy_days(connection, JOBS, [DAY], lambda n=1, detail="": advanced.append((n, detail)))
        (size,) = platform.run(
            "select length(concat_ws(',', '\"' || job_id || '\"', team_id, user_id, job_type, status, "
            "created_at, started_at, completed_at, '', '', 't')) + 1 "
            "from jobs where created_at < '2026-11-02'"
        )[0]
        assert source.bytes_read == size
    assert sum(n for n, _ in advanced) == size
    assert {detail for _, detail in advanced} == {"jobs"}


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (
            "update jobs set started_at = 'infinity' where status = 'PENDING'",
            ["jobs holds a value", str(id_of(1, 3)), "started_at", "'infinity' is not a timestamp"],
        ),
        (
            "alter table jobs alter team_id drop not null; update jobs set team_id = null",
            ["jobs holds values", str(id_of(1, 1)), "column team_id: the field is empty but must not be"],
        ),
        (
            "alter table jobs alter created_at drop not null; update jobs set created_at = 'infinity'",
            ["jobs.created_at", "'infinity'", "outside the years"],
        ),
    ],
)
def test_a_value_that_cannot_be_read_is_named_by_its_key(
    platform: Platform, damage: str, said: list[str]
) -> None:
    platform.run(damage)
    with open_postgres_source(platform.url) as source, pytest.raises(LandError) as refused:
        staged(source, JOBS)
    assert [word for word in said if word not in str(refused.value)] == []
    assert "Nothing was landed" in str(refused.value)


# --- days --------------------------------------------------------------------------------------------------


def test_only_the_days_asked_for_are_copied(platform: Platform) -> None:
    days = [DAY + timedelta(days=n) for n in (0, 2)]
    with open_postgres_source(platform.url) as source:
        for table in DAY_TABLES:
            keys = [row[table.key] for row in staged(source, table, days)]
            kind = {JOBS: 1, LLM_CALLS: 2, JOB_COST_SUMMARIES: 1, CREDIT_TRANSACTIONS: 3}[table]
            assert keys == [str(id_of(kind, number)) for number in (1, 4)], table.name
            assert staged(source, table, []) == []


def test_days_that_touch_become_one_range() -> None:
    def days(*numbers: int) -> list[date]:
        return [DAY + timedelta(days=n) for n in numbers]

    assert source_postgres_sql.ranges([]) == []
    assert source_postgres_sql.ranges(days(0)) == [tuple(days(0, 1))]
    assert source_postgres_sql.ranges(days(2, 0, 1, 1, 5)) == [tuple(days(0, 3)), tuple(days(5, 6))]


def test_a_day_begins_at_midnight_utc_and_ends_before_the_next(platform: Platform) -> None:
    midnight = datetime(2026, 11, 7)
    load_rows(
        platform.url,
        "llm_calls",
        [
            call(11, created_at=midnight - timedelta(microseconds=1)),
            call(12, created_at=midnight),
            call(13, created_at=midnight + timedelta(days=1)),
        ],
    )
    day = midnight.date()
    with open_postgres_source(platform.url) as source:
        assert [row["call_id"] for row in staged(source, LLM_CALLS, [day])] == [str(id_of(2, 12))]
        bounded = source.fingerprints(LLM_CALLS, since=day, until=day + timedelta(days=1))
        assert [(found.day, found.row_count) for found in bounded] == [(day, 1)]
        whole = {found.day: found for found in source.fingerprints(LLM_CALLS)}
        assert whole[day] == bounded[0]
        assert [whole[day + timedelta(days=n)].row_count for n in (-1, 0, 1)] == [1, 1, 1]


def test_a_summary_without_a_job_belongs_to_the_day_it_was_calculated(platform: Platform) -> None:
    platform.run(
        "alter table job_cost_summaries drop constraint job_cost_summaries_job_id_fkey,"
        " alter calculated_at drop not null"
    )
    values = "gen_random_uuid(), timestamp '2026-11-05 01:00'), (gen_random_uuid(), null"
    platform.run(f"insert into job_cost_summaries (job_id, calculated_at) values ({values})")
    with open_postgres_source(platform.url) as source:
        found = {f.day: f.row_count for f in source.fingerprints(JOB_COST_SUMMARIES)}
        assert found == {
            NO_DAY: 1,
            DAY: 1,
            DAY + timedelta(days=1): 2,
            DAY + timedelta(days=2): 1,
            date(2026, 11, 5): 1,
        }
        assert len(staged(source, JOB_COST_SUMMARIES)) == 6
        (orphan,) = staged(source, JOB_COST_SUMMARIES, [date(2026, 11, 5)])
    assert orphan["calculated_at"] == datetime(2026, 11, 5, 1)


def test_days_are_found_by_the_platform_s_own_index(platform: Platform) -> None:
    platform.run("analyze")
    with open_postgres_source(platform.url) as source:
        layout = source.layout
    days = (DAY, DAY + timedelta(days=1))
    with psycopg.connect(platform.url) as connection:
        connection.execute("set enable_seqscan = off")
        for table, index in ((LLM_CALLS, "ix_llm_calls_created_at"), (JOBS, "ix_jobs_created_at")):
            query = source_postgres_sql.fingerprints(layout, layout.tables[table.name], days)
            plan = "\n".join(row[0] for row in connection.execute(b"explain " + query.as_bytes(connection)))
            assert index in plan
            assert re.search(r"Index Cond: .*created_at >= .* AND .*created_at < ", plan), plan


def test_the_days_of_rows_are_found_by_their_keys(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source_postgres, "KEYS_AT_A_TIME", 3)
    days = {DAY + timedelta(days=n) for n in range(3)}
    with open_postgres_source(platform.url) as source:
        for table in DAY_TABLES:
            keys = [row[table.key] for row in staged(source, table)]
            assert source.days_of_keys(table, keys) == days
            assert source.days_of_keys(table, [keys[0], "no UUID", str(id_of(9, 1))]) == {DAY}
            assert source.days_of_keys(table, ["no UUID"]) == source.days_of_keys(table, []) == set()


def test_rows_are_found_by_the_platform_s_own_index_of_keys(platform: Platform) -> None:
    with open_postgres_source(platform.url) as source:
        layout = source.layout
    with psycopg.connect(platform.url) as connection:
        connection.execute("set enable_seqscan = off")
        for table in (JOBS, LLM_CALLS, CREDIT_TRANSACTIONS):
            query = source_postgres_sql.days_of_keys(layout, layout.tables[table.name], [str(id_of(1, 1))])
            plan = "\n".join(row[0] for row in connection.execute(b"explain " + query.as_bytes(connection)))
            assert f"Index Cond: ({table.key} = " in plan, plan


def test_keys_that_are_text_are_looked_up_as_they_are(platform: Platform) -> None:
    platform.run("alter table llm_calls alter call_id type varchar(255)")
    odd = 'it\'s {a}, "b" \\ %s NULL'
    load_rows(platform.url, "llm_calls", [call(11, call_id=odd, created_at=NOON - timedelta(days=9))])
    with open_postgres_source(platform.url) as source:
        assert source.days_of_keys(LLM_CALLS, [odd, "NULL", str(id_of(2, 4))]) == {
            DAY - timedelta(days=9),
            DAY + timedelta(days=2),
        }


# --- fingerprints ------------------------------------------------------------------------------------------


def changed_value(table: Table, name: str) -> str:
    """A value that the column does not hold yet."""
    if (table, name) == (JOBS, "status"):
        return "'CANCELLED'"
    if name == table.key or (name == "job_id" and table is CREDIT_TRANSACTIONS):
        return "gen_random_uuid()"
    if name == "job_id":
        return f"'{id_of(1, 1)}'"
    kind = table.column(name).kind
    changed = {"text": "'other'", "integer": "4711", "decimal": "0.5", "boolean": f"{name} is not true"}
    return changed[kind] if kind != "timestamp" else f"{name} + interval '1 microsecond'"


@pytest.mark.parametrize("table", DAY_TABLES, ids=lambda table: table.name)
def test_a_day_s_fingerprint_changes_with_each_of_its_landed_columns_and_with_nothing_else(
    platform: Platform, table: Table
) -> None:
    number = {JOBS: 1, LLM_CALLS: 2, JOB_COST_SUMMARIES: 1, CREDIT_TRANSACTIONS: 3}[table]
    row = f"{table.key} = '{id_of(number, 2)}'"
    day = DAY + timedelta(days=1)
    before = platform.fingerprints(table)
    # The key last: the row is found by it. A summary with another key is another job's.
    names = [column.name for column in table.columns[1:]]
    names += [] if table is JOB_COST_SUMMARIES else [table.key]
    for name in names:
        value = changed_value(table, name)
        # Without foreign keys in the way.
        platform.run(
            f"set session_replication_role = replica; update {table.name} set {name} = {value} where {row}"
        )
        after = platform.fingerprints(table)
        assert [day for day in after if after[day] != before[day]] == [day], name
        before = after
    for name in FORBIDDEN.get(table.name, ()):
        platform.run(f"update {table.name} set {name} = null")
        assert platform.fingerprints(table) == before, name


@pytest.mark.parametrize("table", DAY_TABLES, ids=lambda table: table.name)
def test_a_day_s_fingerprint_changes_with_a_row_more_or_less(platform: Platform, table: Table) -> None:
    before = platform.fingerprints(table)
    assert [found.row_count for found in before.values()] == [1, 2, 1]
    key = id_of({JOBS: 1, LLM_CALLS: 2, JOB_COST_SUMMARIES: 1, CREDIT_TRANSACTIONS: 3}[table], 2)
    quiet = "set session_replication_role = replica;"
    platform.run(f"create table kept as select * from {table.name} where {table.key} = '{key}'")
    platform.run(f"{quiet} delete from {table.name} where {table.key} = '{key}'")
    less = platform.fingerprints(table)
    day = DAY + timedelta(days=1)
    assert less[day].row_count == 1
    assert [day for day in less if less[day] != before[day]] == [day]
    platform.run(f"{quiet} insert into {table.name} select * from kept")
    # Now last in the table, where it was in the middle: order does not count.
    assert platform.fingerprints(table) == before
    platform.run(f"{quiet} delete from {table.name}")
    assert platform.fingerprints(table) == {}


def test_contents_that_read_alike_have_fingerprints_of_their_own(platform: Platform) -> None:
    seen = set()
    for used, group in (
        ("a,b", "c"),
        ("a", "b,c"),
        ("", None),
        (None, ""),
        (None, None),
        ("(a", ")b"),
        ("NULL", None),
    ):
        with psycopg.connect(platform.url) as connection:
            connection.execute("update llm_calls set model_used = %s, model_group_used = %s", [used, group])
        seen.add(platform.fingerprints(LLM_CALLS)[DAY].fingerprint)
    assert len(seen) == 7


def test_a_column_that_arrives_changes_every_fingerprint(
    make_platform: Callable[[Lineage], Platform],
) -> None:
    platform = make_platform(OLD)
    before = platform.fingerprints(LLM_CALLS)
    platform.run("alter table llm_calls add provider_cost_usd numeric(10, 8)")
    after = platform.fingerprints(LLM_CALLS)
    assert before.keys() == after.keys()
    assert not set(before.values()) & set(after.values())


@pytest.mark.parametrize("lineage", LINEAGES, ids=lambda lineage: lineage.name)
def test_open_jobs_have_one_checksum_on_both_engines(
    make_platform: Callable[[Lineage], Platform], lineage: Lineage
) -> None:
    platform = make_platform(lineage)
    values = ", ".join(
        f"('{id_of(1, n)}', 'team-a', 'chat', '{lineage.statuses[n % 2]}', '2026-11-0{n % 7 + 1}')"
        for n in range(100, 160)
    )
    platform.run(f"insert into jobs (job_id, team_id, job_type, status, created_at) values {values}")
    before = date(2026, 11, 6)
    with open_postgres_source(platform.url) as source, duckdb.connect() as connection:
        connection.execute("set TimeZone = 'UTC'")
        connection.execute(landing_sql.create_staged(JOBS))
        source.copy_days(connection, JOBS, [f.day for f in source.fingerprints(JOBS)], nowhere)
        expected = connection.execute(
            f"select cast(created_at as date), count(*), {OPEN_JOBS_CHECKSUM} from staged "
            f"where lower(status) in ('pending', 'in_progress') and created_at < '{before}' "
            "group by 1 order by 1"
        ).fetchall()
        assert [(f.day, f.job_count, f.checksum) for f in source.open_jobs(before)] == expected
        assert len(expected) == 5
        since = [(f.day, f.job_count, f.checksum) for f in source.open_jobs(before, since=date(2026, 11, 4))]
        assert since == expected[3:]
    # Statuses as plain text, of any case.
    platform.run(
        "alter table jobs alter status drop default, alter status type text using initcap(status::text)"
    )
    with open_postgres_source(platform.url) as source:
        assert [(f.day, f.job_count, f.checksum) for f in source.open_jobs(before)] == expected
