"""The platforms that benchmarks are made of: reproducible, in the source's shape, and whole."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime
from itertools import groupby
from pathlib import Path
from typing import Any

import duckdb
import psycopg
import pytest

from benchmarks.load_postgres import apply_day, load
from benchmarks.new_day import CHANGING_TABLES, KINDS, add_day, changes_path
from benchmarks.platform import Plan, Platform, read_platform, write_platform
from benchmarks.platform_sql import source_type
from flows.land import land_folder
from flows.progress import SilentProgress
from flows.source_schema import TABLES, Table
from tests.postgres_server import PostgresServer

PLAN = Plan(calls=2_000, days=9, last_day=date(2026, 11, 21), seed=7, teams=30, organizations=4)
NEW_CALLS = 400
CHANGES = 20


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Platform:
    return write_platform(PLAN, tmp_path_factory.mktemp("generated") / "platform")


@pytest.fixture(scope="module")
def day_after(platform: Platform) -> Platform:
    return add_day(platform, platform.folder.with_name("after"), calls=NEW_CALLS, changes=CHANGES)


@pytest.fixture(scope="module")
def second_day(day_after: Platform) -> Platform:
    return add_day(day_after, day_after.folder.with_name("second"), calls=NEW_CALLS, changes=CHANGES)


def rows_of(platform: Platform, table: str) -> str:
    return f"(from '{platform.folder}/{table}/*.parquet')"


def query(text: str) -> list[tuple[Any, ...]]:
    with duckdb.connect() as connection:
        return connection.execute(text).fetchall()


def count(relation: str) -> int:
    return int(query(f"select count(*) from {relation}")[0][0])


def difference(left: str, right: str) -> str:
    return f"((from {left} except all from {right}) union all (from {right} except all from {left}))"


# --- a platform --------------------------------------------------------------------------------------------


def test_a_seed_gives_the_same_rows_and_another_seed_others(platform: Platform, tmp_path: Path) -> None:
    again = write_platform(PLAN, tmp_path / "again")
    other = write_platform(replace(PLAN, seed=8), tmp_path / "other")
    for table in TABLES:
        assert count(difference(rows_of(platform, table.name), rows_of(again, table.name))) == 0, table.name
    for name in CHANGING_TABLES:
        assert count(difference(rows_of(platform, name), rows_of(other, name))) > 0, name


def test_what_was_written_is_read_again(platform: Platform) -> None:
    assert read_platform(platform.folder) == platform


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_a_table_has_the_landed_columns_in_the_sources_types(platform: Platform, table: Table) -> None:
    found = query(f"describe {rows_of(platform, table.name)[1:-1]}")
    expected = [(column.name, source_type(table, column)) for column in table.columns]
    assert [(name, kind.lower().replace(",", ", ")) for name, kind, *_ in found] == expected


def test_it_lands_without_findings(platform: Platform, tmp_path: Path) -> None:
    report = land_folder(
        platform.folder,
        tmp_path / "landing.duckdb",
        as_of=datetime(2026, 11, 22, 2),
        progress=SilentProgress(),
    )
    landed = {table.table_name: table.rows_landed for table in report.tables}
    assert landed["llm_calls"] == pytest.approx(PLAN.calls, rel=0.02)
    assert report.unusable_numbers == report.exact_duplicate_rows == report.conflicting_duplicate_rows == 0


def test_nothing_is_known_of_the_time_after_the_last_day(platform: Platform) -> None:
    later = f"> timestamp '{platform.known_until}'"
    clocks = {
        "jobs": "greatest(created_at, started_at, completed_at)",
        "llm_calls": "created_at",
        "job_cost_summaries": "calculated_at",
        "credit_transactions": "created_at",
    }
    for table, clock in clocks.items():
        assert count(f"{rows_of(platform, table)} where {clock} {later}") == 0


def test_every_row_finds_its_job(second_day: Platform) -> None:
    jobs = rows_of(second_day, "jobs")
    for table in ("llm_calls", "job_cost_summaries", "credit_transactions"):
        orphans = f"{rows_of(second_day, table)} as child anti join {jobs} as jobs using (job_id)"
        assert count(f"{orphans} where child.job_id is not null") == 0, table


# --- the ledger --------------------------------------------------------------------------------------------


def test_the_ledger_is_a_chain_but_for_the_rows_that_were_overwritten(second_day: Platform) -> None:
    """From what a team was given at first to what it holds: payments write what is allocated."""
    ledger = query(f"""
        select team_id, transaction_type, credits_amount, credits_before, credits_after
        from {rows_of(second_day, "credit_transactions")}
        order by team_id, created_at, transaction_id
        """)
    teams = query(f"""
        select team_id, credits_allocated, credits_remaining from {rows_of(second_day, "team_credits")}
        """)
    by_team = {team: [row[1:] for row in rows] for team, rows in groupby(ledger, key=lambda row: row[0])}
    forks = sum(_forks(by_team.get(team, []), allocated, left) for team, allocated, left in teams)
    deductions = sum(row[1] == "deduction" for row in ledger)
    assert 0 < forks < deductions / 50


def _forks(rows: list[tuple[Any, ...]], allocated_at_end: int, remaining_at_end: int) -> int:
    """Follow one team's ledger; how many rows start where the row before them started."""
    paid = sum(amount for kind, amount, *_ in rows if kind != "deduction")
    allocated = balance = allocated_at_end - paid
    forks, started = 0, None
    for kind, amount, before, after in rows:
        if kind == "deduction":
            if before != balance:
                assert before == started
                forks += 1
            assert after == before - amount
            balance, started = after, before
        else:
            assert (before, after) == (allocated, allocated + amount)
            allocated, balance, started = allocated + amount, balance + amount, None
    assert balance == remaining_at_end
    return forks


# --- one day later -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [1, 2])
def test_a_new_day_is_the_platform_with_what_came_changed_and_went(
    platform: Platform, day_after: Platform, second_day: Platform, number: int
) -> None:
    before, after = (platform, day_after, second_day)[number - 1 : number + 1]
    for table, key in CHANGING_TABLES.items():
        added, changed, removed = (f"'{changes_path(after.folder, table, kind)}'" for kind in KINDS)
        kept = (
            f"(from {rows_of(before, table)} where {key} not in "
            f"(select {key} from {changed} union all select {key} from {removed}))"
        )
        brought = f"({kept[1:-1]} union all from {changed} union all from {added})"
        assert count(difference(brought, rows_of(after, table))) == 0, table
        assert count(rows_of(after, table)) == count(f"(select distinct {key} from {rows_of(after, table)})")
    assert count(f"'{changes_path(after.folder, 'llm_calls', 'added')}'") == pytest.approx(NEW_CALLS, rel=0.1)


def test_the_late_changes_lie_in_the_last_week_and_are_as_many_as_asked(
    platform: Platform, day_after: Platform
) -> None:
    # without the one call that is deleted alone
    changed = [
        f"(from '{changes_path(day_after.folder, table, kind)}')"
        for table, kind in (("jobs", "changed"), ("jobs", "removed"), ("llm_calls", "changed"))
    ]
    old = f"created_at < timestamp '{platform.known_until}' - interval 6 hour"
    week = f"created_at >= timestamp '{platform.known_until}' - interval 7 day"
    assert sum(count(f"{relation} where {old}") for relation in changed) == CHANGES - 1
    assert all(count(f"{relation} where not {week}") == 0 for relation in changed)


def test_a_database_is_brought_to_the_day_after(
    platform: Platform, day_after: Platform, postgres_server: PostgresServer
) -> None:
    url = postgres_server.create_database("benchmark_platform")
    load(url, platform.folder)
    apply_day(url, day_after.folder)
    with psycopg.connect(url) as connection:
        for table in TABLES:
            names = [column.name for column in table.columns]
            held = set(connection.execute(f"select {', '.join(names)} from {table.name}".encode()).fetchall())
            expected = f"select {', '.join(names)} from {rows_of(day_after, table.name)}"
            assert held == set(query(expected)), table.name
    postgres_server.drop_database("benchmark_platform")
