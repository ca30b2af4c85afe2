"""Schema raw of the warehouse in PostgreSQL is what has landed, and a night copies only what changed."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime
from pathlib import Path
from typing import Any

import duckdb
import psycopg
import pytest

from flows import landing_store
from flows.failpoints import FailpointReached
from flows.mirror import MirrorError, mirror
from tests.canonical import canonical_rows
from tests.mirrored import mirrored_differences
from tests.postgres_server import PostgresServer

DAYS = (date(2026, 11, 20), date(2026, 11, 21), date(2026, 11, 22))


@pytest.fixture
def warehouse(postgres_server: PostgresServer, tmp_path: Path) -> Iterator[psycopg.Connection[Any]]:
    name = tmp_path.name
    url = postgres_server.create_database(name)
    with psycopg.connect(url, autocommit=True) as connection:
        yield connection
    postgres_server.drop_database(name)


@pytest.fixture
def landing_path(tmp_path: Path) -> Path:
    """Three days, a job with a call, a ledger row and a summary on each."""
    path = tmp_path / "landing.duckdb"
    with landing_store.transaction(path) as landing:
        landing_store.prepare(landing)
        landing_store.create_days(landing)
        for day in DAYS:
            add_job(landing, f"job {day.day}", day)
        land(landing, *DAYS)
    return path


def add_job(landing: duckdb.DuckDBPyConnection, job_id: str, day: date) -> None:
    at = datetime(day.year, day.month, day.day, 12)
    landing.execute(
        "insert into raw.jobs (job_id, team_id, job_type, status, created_at) "
        "values (?, 't', 'chat', 'COMPLETED', ?)",
        [job_id, at],
    )
    landing.execute(
        "insert into raw.llm_calls (call_id, job_id, created_at, cost_usd) values (?, ?, ?, 0.00000001)",
        [f"call of {job_id}", job_id, at],
    )
    landing.execute(
        "insert into raw.credit_transactions (transaction_id, team_id, transaction_type, credits_amount, "
        "credits_before, credits_after, created_at) values (?, 't', 'deduction', 1, 9, 8, ?)",
        [f"row of {job_id}", at],
    )
    # summed up the day after: the day of a summary is its job's all the same
    landing.execute(
        "insert into raw.job_cost_summaries (job_id, total_calls, calculated_at) values (?, 1, ?)",
        [job_id, datetime(2026, 11, 23)],
    )


def land(landing: duckdb.DuckDBPyConnection, *days: date) -> None:
    """Note a landing that replaced these days."""
    number = landing_store.scalar(landing, "select coalesce(max(landing_number), 0) + 1 from raw.landings")
    landing.execute(
        "insert into raw.landings values (?, ?, 'folder', true)", [number, datetime(2026, 11, 23)]
    )
    for day in days:
        landing.execute("delete from raw.landed_days where day = ?", [day])
        landing.execute("insert into raw.landed_days values ('jobs', ?, 1, null, ?)", [day, number])


def test_the_first_time_everything_is_copied(landing_path: Path, warehouse: psycopg.Connection[Any]) -> None:
    report = mirror(landing_path, warehouse)
    assert (report.landing_number, report.days) == (1, None)
    assert mirrored_differences(landing_path, warehouse) == []
    assert report.rows > len(DAYS) * 4


def test_a_landing_that_changed_nothing_copies_no_day(
    landing_path: Path, warehouse: psycopg.Connection[Any]
) -> None:
    mirror(landing_path, warehouse)
    with duckdb.connect(str(landing_path)) as landing:
        land(landing)
    report = mirror(landing_path, warehouse)
    assert (report.landing_number, report.days) == (2, 0)
    assert mirrored_differences(landing_path, warehouse) == []


def test_only_the_days_landed_since_are_copied(
    landing_path: Path, warehouse: psycopg.Connection[Any]
) -> None:
    mirror(landing_path, warehouse)
    # whatever stands in the mirror on an unchanged day stays, on a changed one it is replaced
    warehouse.execute("update raw.jobs set status = 'MARK'")
    with duckdb.connect(str(landing_path)) as landing:
        landing.execute("update raw.llm_calls set cost_usd = 7 where job_id = 'job 21'")
        land(landing, DAYS[1])
    assert mirror(landing_path, warehouse).days == 1
    assert warehouse.execute("select job_id, status from raw.jobs order by job_id").fetchall() == [
        ("job 20", "MARK"),
        ("job 21", "COMPLETED"),
        ("job 22", "MARK"),
    ]
    assert warehouse.execute("select cost_usd from raw.llm_calls where job_id = 'job 21'").fetchone() == (7,)


def test_rows_that_went_or_moved_to_another_day_are_not_left_behind(
    landing_path: Path, warehouse: psycopg.Connection[Any]
) -> None:
    mirror(landing_path, warehouse)
    with duckdb.connect(str(landing_path)) as landing:
        # a job deleted with all its rows, one deleted whose summary stays, one that moves to a new day
        for table in ("jobs", "llm_calls", "job_cost_summaries"):
            landing.execute(f"delete from raw.{table} where job_id = 'job 20'")
        landing.execute("delete from raw.credit_transactions where transaction_id = 'row of job 20'")
        landing.execute("delete from raw.jobs where job_id = 'job 21'")
        landing.execute(
            "update raw.jobs set created_at = timestamp '2026-11-25 01:00' where job_id = 'job 22'"
        )
        land(landing, *DAYS, date(2026, 11, 23), date(2026, 11, 25))
    assert mirror(landing_path, warehouse).days == 5
    assert mirrored_differences(landing_path, warehouse) == []


def test_a_mirror_that_missed_landings_catches_up(
    landing_path: Path, warehouse: psycopg.Connection[Any]
) -> None:
    mirror(landing_path, warehouse)
    with duckdb.connect(str(landing_path)) as landing:
        for number in range(3):
            add_job(landing, f"late {number}", DAYS[number])
            land(landing, DAYS[number])
    assert mirror(landing_path, warehouse).days == 3
    assert mirrored_differences(landing_path, warehouse) == []


def test_a_landing_database_made_anew_is_copied_whole(
    landing_path: Path, warehouse: psycopg.Connection[Any]
) -> None:
    mirror(landing_path, warehouse)
    with duckdb.connect(str(landing_path)) as landing:
        landing.execute("update raw.landings set as_of = timestamp '2026-12-01'")
        landing.execute("delete from raw.jobs where job_id = 'job 20'")
    assert mirror(landing_path, warehouse).days is None
    assert mirrored_differences(landing_path, warehouse) == []


def test_a_new_column_is_added_and_filled_and_what_people_built_stays(
    landing_path: Path, warehouse: psycopg.Connection[Any]
) -> None:
    mirror(landing_path, warehouse)
    warehouse.execute("create view public.theirs as select job_id, status from raw.jobs")
    with duckdb.connect(str(landing_path)) as landing:
        landing.execute("alter table raw.jobs add column priority bigint")
        landing.execute("update raw.jobs set priority = 3")
        land(landing)
    assert mirror(landing_path, warehouse).days is None
    assert mirrored_differences(landing_path, warehouse) == []
    assert warehouse.execute("select count(*) from public.theirs").fetchone() == (3,)


TEXTS = (
    *(
        None,
        "",
        " ",
        "null",
        "\\.",
        "\n\\.\n",
        "\\N",
        '"quoted", "twice"',
        "a,b;c\td",
        "it's",
        "\r\n",
        "a\rb",
    ),
    "caf\u00e9\u2014\u56e2\u961f \U0001f600",
)


def test_any_text_arrives_as_it_is(landing_path: Path, warehouse: psycopg.Connection[Any]) -> None:
    with duckdb.connect(str(landing_path)) as landing:
        for number, text in enumerate(TEXTS):
            add_job(landing, f"text {number:02}", DAYS[0])
            landing.execute("update raw.jobs set user_id = ? where job_id = ?", [text, f"text {number:02}"])
    mirror(landing_path, warehouse)
    found = warehouse.execute("select user_id from raw.jobs where job_id like 'text%' order by job_id")
    assert tuple(text for (text,) in found.fetchall()) == TEXTS


def test_numbers_and_instants_arrive_exactly(landing_path: Path, warehouse: psycopg.Connection[Any]) -> None:
    with duckdb.connect(str(landing_path)) as landing:
        landing.execute(
            "update raw.llm_calls set cost_usd = -12345678901234567890.12345678, "
            "total_tokens = -9223372036854775808"
        )
        landing.execute("update raw.jobs set started_at = timestamp '0001-01-01 00:00:00'")
        landing.execute("update raw.jobs set completed_at = timestamp '9999-12-31 23:59:59.999999'")
        landing.execute("update raw.jobs set credit_applied = job_id = 'job 21'")
    mirror(landing_path, warehouse)
    assert mirrored_differences(landing_path, warehouse) == []


def test_the_last_day_that_there_is_can_change(
    landing_path: Path, warehouse: psycopg.Connection[Any]
) -> None:
    last = date(9999, 12, 31)
    mirror(landing_path, warehouse)
    with duckdb.connect(str(landing_path)) as landing:
        add_job(landing, "in the far future", last)
        land(landing, last)
    assert mirror(landing_path, warehouse).days == 1
    assert mirrored_differences(landing_path, warehouse) == []


def test_a_copy_that_dies_changes_nothing(
    landing_path: Path, warehouse: psycopg.Connection[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    mirror(landing_path, warehouse)
    before = canonical_rows(warehouse, schemas=("raw",))
    with duckdb.connect(str(landing_path)) as landing:
        add_job(landing, "new", DAYS[0])
        land(landing, DAYS[0])

    def dies(name: str) -> None:
        if name == "mirror.before_commit":
            raise FailpointReached(name)

    monkeypatch.setattr("flows.mirror.failpoint", dies)
    with pytest.raises(FailpointReached):
        mirror(landing_path, warehouse)
    assert canonical_rows(warehouse, schemas=("raw",)) == before
    monkeypatch.undo()
    assert mirror(landing_path, warehouse).days == 1
    assert mirrored_differences(landing_path, warehouse) == []


def test_what_the_build_keeps_in_raw_is_not_the_mirrors(
    landing_path: Path, warehouse: psycopg.Connection[Any]
) -> None:
    with duckdb.connect(str(landing_path)) as landing:
        landing.execute("create table raw.published_usage (team_id varchar)")
    warehouse.execute("create schema raw; create table raw.published_usage (team_id text)")
    warehouse.execute("insert into raw.published_usage values ('kept')")
    mirror(landing_path, warehouse)
    assert warehouse.execute("select team_id from raw.published_usage").fetchall() == [("kept",)]


def test_without_a_landing_it_says_what_to_run(tmp_path: Path, warehouse: psycopg.Connection[Any]) -> None:
    with pytest.raises(MirrorError, match="almanac land"):
        mirror(tmp_path / "landing.duckdb", warehouse)


def test_ties_are_broken_bytewise_in_a_database_of_any_language(
    landing_path: Path, warehouse: psycopg.Connection[Any]
) -> None:
    mirror(landing_path, warehouse)
    collations = warehouse.execute(
        "select distinct collation_name from information_schema.columns "
        "where table_schema = 'raw' and data_type = 'text'"
    ).fetchall()
    assert collations == [("C",)]
