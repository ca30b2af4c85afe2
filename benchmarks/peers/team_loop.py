"""The way of the platform's own documentation: for each team and period ask, then merge a summary row.

Its `recalculate_all_usage(period)` goes through the teams of one period. Here ranges of time find a team's
rows through the index on (team_id, created_at); the platform's own filter on `to_char(created_at, ...)` finds
them by reading all its rows, so this is the faster reading of it. One connection, a commit for each period.
"""

import time
from collections.abc import Iterator
from contextlib import closing
from datetime import date, timedelta
from itertools import zip_longest
from typing import Any

import duckdb
import psycopg

from benchmarks.outputs import PERIODS, USAGE_MEASURES
from benchmarks.peers.order import Order
from benchmarks.peers.team_sql import team_period
from benchmarks.platform import quoted

TABLE = "own_team_usage_summaries"
CREATE = f"""
create table if not exists {TABLE} (
    team_id varchar(255), period_start_date date, period_type varchar(20),
    {", ".join(f"{name} double precision" for name in USAGE_MEASURES)},
    primary key (team_id, period_start_date, period_type)
)
"""
MERGE = f"""
insert into {TABLE} values (%s, %s, %s, {", ".join("%s" for _ in USAGE_MEASURES)})
on conflict (team_id, period_start_date, period_type) do update set
{", ".join(f"{name} = excluded.{name}" for name in USAGE_MEASURES)}
"""


def build(order: Order) -> dict[str, Any]:
    """Every period of the history; `note` and `extrapolated` seconds when the bound came first."""
    with psycopg.connect(order.url) as connection:
        connection.execute(f"drop table if exists {TABLE}".encode())
        connection.execute(CREATE.encode())
        row = connection.execute("select min(created_at)::date from jobs").fetchone()
        assert row is not None
        return _recalculate(connection, order, row[0])


def night(order: Order) -> dict[str, Any]:
    """The periods that the days since the first that may have changed touch."""
    with psycopg.connect(order.url) as connection:
        return _recalculate(connection, order, order.since)


def export(order: Order) -> None:
    """The rows as Parquet, to be compared: no part of what the platform would do."""
    folder = order.out / "tables"
    folder.mkdir(parents=True, exist_ok=True)
    columns = f"team_id, period_start_date, {', '.join(USAGE_MEASURES)}"
    with psycopg.connect(order.url) as connection, closing(duckdb.connect()) as writer:
        for suffix, period in PERIODS.items():
            csv, parquet = (folder / f"team_usage_{suffix}.{ending}" for ending in ("csv", "parquet"))
            query = (
                f"copy (select {columns} from {TABLE} where period_type = '{period}') to stdout csv header"
            )
            with csv.open("wb") as file, connection.cursor().copy(query.encode()) as copy:
                for block in copy:
                    file.write(block)
            writer.execute(
                f"copy (from read_csv(?, types = {{'team_id': 'varchar', 'period_start_date': 'date'}})) "
                f"to '{quoted(parquet)}' (format parquet)",
                [str(csv)],
            )
            csv.unlink()


def summary(order: Order) -> list[tuple[Any, ...]]:
    with psycopg.connect(order.url) as connection:
        return connection.execute(
            f"select {', '.join(USAGE_MEASURES)} from {TABLE} "
            "where team_id = %s and period_start_date = %s and period_type = 'month'".encode(),
            [order.team, order.month],
        ).fetchall()


def _recalculate(connection: psycopg.Connection[Any], order: Order, first: date) -> dict[str, Any]:
    teams = [row[0] for row in connection.execute("select team_id from team_credits").fetchall()]
    last = order.known_until.date() - timedelta(days=1)
    wanted = {period: list(_starts(period, first, last)) for period in PERIODS.values()}
    spent = dict.fromkeys(wanted, 0.0)
    done = dict.fromkeys(wanted, 0)
    started = time.perf_counter()
    # Months, weeks and days in turn, newest first: of each kind enough are done to tell what all take.
    for starts in zip_longest(*(reversed(each) for each in wanted.values())):
        for period, start in zip(wanted, starts, strict=True):
            if start is None or (time.perf_counter() - started > order.bound and done[period]):
                continue
            before = time.perf_counter()
            for team in teams:
                numbers = team_period(connection, team, start, period)
                connection.execute(MERGE.encode(), [team, start, period, *numbers])
            connection.commit()
            spent[period] += time.perf_counter() - before
            done[period] += 1
    if all(done[period] == len(starts) for period, starts in wanted.items()):
        return {}
    seconds = sum(spent[period] / done[period] * len(starts) for period, starts in wanted.items())
    told = ", ".join(f"{done[period]} of {len(starts)} {period}s" for period, starts in wanted.items())
    return {"extrapolated": seconds, "note": f"extrapolated from {told}"}


def _starts(period: str, first: date, last: date) -> Iterator[date]:
    """The first days of the periods from one day to another."""
    day = first
    while day <= last:
        start = {"day": day, "week": day - timedelta(days=day.weekday()), "month": day.replace(day=1)}[period]
        if start == day or day == first:
            yield start
        day += timedelta(days=1)
