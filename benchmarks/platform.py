"""A platform of any size in the source's own shape, as Parquet: `python -m benchmarks.platform --out DIR`.

The same arguments give the same rows (with one version of DuckDB, whose hash deals them out). A platform is
known up to the midnight at which its last day ends: what runs over it is still open, and `benchmarks.new_day`
goes on from there.
"""

import argparse
import json
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import platform_sql as sql

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

TAPE = Path(__file__).parents[1] / "demo" / "platform-tape"
MANIFEST = "platform.json"

# A new night rewrites the files of its last days only.
DAYS_PER_PART = 7

# The day after it is a Sunday: a night that adds it also has a week to review.
LAST_DAY = date(2026, 11, 21)
CALLS_PER_DAY = 120_000

# One is made while another is written, which keeps two cores busy.
PARTS_AT_ONCE = 2

SESSION = "set TimeZone = 'UTC'; set preserve_insertion_order = false"

# As the tape has it; what a team pays a week depends on it.
RECORDED_JOBS_PER_CALL = 4072 / 17781

# Few columns repeat enough that a larger dictionary pays for its making.
AS_PARQUET = "format parquet, compression snappy, dictionary_size_limit 2000"

PART_NAMES = {"llm_calls": "calls", "job_cost_summaries": "summaries"}


def days_of(calls: int) -> int:
    """Days of about 120,000 calls."""
    return max(1, round(calls / CALLS_PER_DAY))


@dataclass(frozen=True, slots=True)
class Part:
    """The jobs whose first calls are numbered [first_call, end_call), made within whole days."""

    number: int
    first_call: int
    end_call: int
    first_day: date
    days: int

    @property
    def end_day(self) -> date:
        return self.first_day + timedelta(days=self.days)


@dataclass(frozen=True, slots=True)
class Plan:
    """What a platform is made of; `last_day` is its last whole UTC day."""

    calls: int
    days: int
    last_day: date
    seed: int = 1
    teams: int = 200
    organizations: int = 20
    largest_share: float = 0.6

    @property
    def first_day(self) -> date:
        return self.last_day - timedelta(days=self.days - 1)

    def parts(self) -> list[Part]:
        parts: list[Part] = []
        for start in range(0, self.days, DAYS_PER_PART):
            end = min(start + DAYS_PER_PART, self.days)
            parts.append(
                Part(
                    number=len(parts),
                    first_call=self.calls * start // self.days,
                    end_call=self.calls * end // self.days,
                    first_day=self.first_day + timedelta(days=start),
                    days=end - start,
                )
            )
        return parts


@dataclass(frozen=True, slots=True)
class Platform:
    """A platform that is written: its folder, plan, parts and the midnight up to which it is known."""

    folder: Path
    plan: Plan
    parts: tuple[Part, ...]

    @property
    def known_until(self) -> datetime:
        return datetime.combine(self.parts[-1].end_day, datetime.min.time())


def write_platform(plan: Plan, folder: Path) -> Platform:
    """Write all tables, one folder for each, into a folder that must not exist yet."""
    folder.mkdir(parents=True)
    platform = Platform(folder, plan, tuple(plan.parts()))
    with opened(plan) as connection:
        connection.execute(sql.FIRST_BALANCES)
        connection.execute(sql.NOTHING_PENDING)
        with ThreadPoolExecutor(PARTS_AT_ONCE) as executor:
            written: list[Future[None]] = []
            for part in platform.parts:
                before = written[-1] if written else None
                written.append(executor.submit(_write_whole_part, connection, platform, part, before))
            try:
                for one in written:
                    one.result()
            except BaseException:
                # those that wait would only find that the part before them is missing
                executor.shutdown(wait=False, cancel_futures=True)
                raise
        write_small_tables(connection, platform)
    write_manifest(platform)
    return platform


def _write_whole_part(
    connection: "DuckDBPyConnection", platform: Platform, part: Part, before: "Future[None] | None"
) -> None:
    """Make and write one part in a schema of its own; its ledger goes on from that of the part before."""
    with connection.cursor() as own:
        own.execute(f"create schema part_{part.number}; set search_path = 'part_{part.number},main'")
        own.execute(SESSION)
        make_part(own, part)
        write_part(own, platform, part)
        if before is not None:
            before.result()
        write_ledger(own, platform.folder, part)
        own.execute(f"set search_path = 'main'; drop schema part_{part.number} cascade")


def opened(plan: Plan) -> "DuckDBPyConnection":
    """A connection that holds the shapes of the tape and the plan's teams."""
    import duckdb

    connection = duckdb.connect()
    connection.execute(SESSION)
    connection.execute(sql.macros(plan.seed))
    connection.execute(sql.shapes(str(TAPE).replace("'", "''")))
    weekly_calls = plan.calls / plan.days * 7
    connection.execute(
        sql.teams(
            teams=plan.teams,
            organizations=plan.organizations,
            largest_share=plan.largest_share,
            weekly_jobs=weekly_calls * RECORDED_JOBS_PER_CALL,
            start=plan.first_day.isoformat(),
        )
    )
    return connection


def _sizes(connection: "DuckDBPyConnection") -> sql.Sizes:
    tables = ("shape_jobs", "shape_calls", "team_slots")
    counts = ", ".join(f"(select count(*) from {table})" for table in tables)
    row = connection.execute(f"select {counts}").fetchone()
    assert row is not None
    return sql.Sizes(*row)


def make_part(connection: "DuckDBPyConnection", part: Part) -> None:
    """Make the tables part_jobs, part_calls, part_summaries and part_charges, future included."""
    connection.execute(
        sql.part_jobs(
            first_call=part.first_call,
            end_call=part.end_call,
            first_day=part.first_day.isoformat(),
            days=part.days,
            sizes=_sizes(connection),
        )
    )
    for statement in (sql.PART_CALLS, sql.PART_SUMMARIES, sql.PART_CHARGES):
        connection.execute(statement)


def write_part(connection: "DuckDBPyConnection", platform: Platform, part: Part) -> None:
    """Write jobs, calls and summaries of a made part, as they are known at the platform's end."""
    until = platform.known_until
    write(connection, platform.folder, "jobs", part.number, f"({sql.jobs_known(until)})")
    for table, clock in (("llm_calls", "created_at"), ("job_cost_summaries", "calculated_at")):
        rows = f"(from part_{PART_NAMES[table]} where {clock} < timestamp '{until}')"
        write(connection, platform.folder, table, part.number, rows)


def write_ledger(connection: "DuckDBPyConnection", folder: Path, part: Part) -> None:
    """Write the ledger up to the part's end; what comes later waits in `pending` for the next part."""
    end = part.end_day.isoformat()
    connection.execute(sql.window_of_ledger(part.first_day.isoformat(), part.days))
    connection.execute(f"create or replace temp table chained as {sql.chained('ledger_window', end)}")
    connection.execute(
        f"delete from pending; insert into pending from ledger_window where created_at >= '{end}'"
    )
    connection.execute(sql.MOVE_BALANCES)
    write(connection, folder, "credit_transactions", part.number, "chained")


def write_small_tables(connection: "DuckDBPyConnection", platform: Platform) -> None:
    """Write teams, organizations, aliases and the table that no platform ever fills."""
    created = platform.plan.first_day.isoformat()
    for table, rows in sql.small_tables(created).items():
        write(connection, platform.folder, table, 0, f"({rows})")


def write(connection: "DuckDBPyConnection", folder: Path, table: str, number: int, relation: str) -> None:
    """Write a relation as one file of a table, in the source's columns and types."""
    path = part_path(folder, table, number)
    path.parent.mkdir(exist_ok=True)
    query = sql.as_source(table, relation)
    connection.execute(f"copy ({query}) to '{quoted(path)}' ({AS_PARQUET})")


def part_path(folder: Path, table: str, number: int) -> Path:
    return folder / table / f"part-{number:05}.parquet"


def quoted(path: Path) -> str:
    return str(path).replace("'", "''")


def write_manifest(platform: Platform) -> None:
    """Write what `read_platform` reads."""
    text = json.dumps(asdict(platform), default=str, indent=1)
    (platform.folder / MANIFEST).write_text(text + "\n", encoding="utf-8")


def read_platform(folder: Path) -> Platform:
    """The platform that was written into the folder."""
    held = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    plan = Plan(**held["plan"] | {"last_day": date.fromisoformat(held["plan"]["last_day"])})
    parts = (Part(**part | {"first_day": date.fromisoformat(part["first_day"])}) for part in held["parts"])
    return Platform(folder, plan, tuple(parts))


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.platform", description=__doc__)
    parser.add_argument("--calls", type=int, default=1_000_000)
    parser.add_argument("--days", type=int, help="default: 120,000 calls a day")
    parser.add_argument("--last-day", type=date.fromisoformat, default=LAST_DAY)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--teams", type=int, default=200)
    parser.add_argument("--organizations", type=int, default=20)
    parser.add_argument("--largest-share", type=float, default=0.6, help="of the jobs, by the first team")
    parser.add_argument("--out", type=Path, required=True, help="a folder that does not exist yet")
    given = parser.parse_args(arguments)
    days = given.days or days_of(given.calls)
    plan = Plan(
        given.calls, days, given.last_day, given.seed, given.teams, given.organizations, given.largest_share
    )
    started = time.perf_counter()
    write_platform(plan, given.out)
    seconds = time.perf_counter() - started
    print(f"{given.calls:,} calls over {days} days in {seconds:.1f} s ({given.calls / seconds:,.0f} calls/s)")


if __name__ == "__main__":
    main()
