"""What a night costs, side by side with its peers: `make benchmark` or `python -m benchmarks.nightly`.

For each size: a platform is generated and loaded into a PostgreSQL of the benchmark's own; then, one after
the other on the same data, the first night, the night with one new day and late changes, the same night as a
full refresh, the page's own queries on PostgreSQL, and the same usage by hand in DuckDB.
Everything is written below a work folder that is removed at the end.
"""

import argparse
import os
import platform as machine
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from pathlib import Path
from string import Template

import duckdb
import psycopg

from benchmarks.load_postgres import apply_day, load
from benchmarks.new_day import LATE_CHANGES, add_day
from benchmarks.platform import CALLS_PER_DAY, LAST_DAY, Plan, Platform, days_of, quoted, write_platform
from benchmarks.watch import Watched, watch
from tests.postgres_server import PostgresServer, find_binaries

ROOT = Path(__file__).parents[1]
PAGE_QUERIES = ROOT / "docs" / "page-queries.sql"
BY_HAND = Path(__file__).with_name("by_hand.sql")

# A night runs this long after the day ended.
NIGHT = timedelta(hours=2)
STEPS = ("start", "land", "build", "audit", "publish", "review")

# A platform's own server keeps its pages in memory as far as they go, and sorts in memory.
SERVER = {"shared_buffers": "1GB", "work_mem": "64MB", "maintenance_work_mem": "512MB", "max_wal_size": "8GB"}

# Two of the page's queries need it, and PostgreSQL does not have it.
ROUND = """
create function round(value double precision, digits integer) returns numeric
language sql immutable as 'select round(value::numeric, digits)'
"""


FIRST, ONE_DAY, REFRESH = "first night", "night with one new day", "full refresh"
PAGE, HAND = "the page's queries on PostgreSQL", "usage by hand in DuckDB"


@dataclass(frozen=True, slots=True)
class Measured:
    """One size's results."""

    calls: int
    nights: dict[str, Watched]
    # Seconds.
    peers: dict[str, float]
    # Bytes of pages that the source's server read from memory or disk for the night.
    read_bytes: dict[str, int]


def measure(calls: int, work: Path, source: str) -> Measured:
    """Generate, load and measure one size; `source` is 'postgresql' or 'folder'."""
    plan = Plan(calls, days_of(calls), LAST_DAY)
    _say(f"{calls:,} calls: generating")
    before = write_platform(plan, work / "before")
    after = add_day(before, work / "after")
    nights: dict[str, Watched] = {}
    read_bytes: dict[str, int] = {}
    server = PostgresServer(**SERVER).start()
    try:
        url = server.create_database("platform")

        def night(name: str, platform: Platform, *options: str) -> None:
            _say(f"{calls:,} calls: {name}")
            location = url if source == "postgresql" else str(platform.folder)
            read_before = _bytes_read(url)
            nights[name] = _night(work, platform, location, *options)
            read_bytes[name] = _bytes_read(url) - read_before
            _say(f"{calls:,} calls: {nights[name].seconds:.1f} s")

        _say(f"{calls:,} calls: loading PostgreSQL")
        load(url, before.folder)
        night(FIRST, before)
        apply_day(url, after.folder)
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("analyze")
        night(ONE_DAY, after)
        night(REFRESH, after, "--full-refresh")
        _say(f"{calls:,} calls: {PAGE}")
        page = _page_queries(url, after)
    finally:
        server.stop()
    _say(f"{calls:,} calls: {HAND}")
    return Measured(calls, nights, {PAGE: page, HAND: _by_hand(work, after)}, read_bytes)


def _night(work: Path, platform: Platform, location: str, *options: str) -> Watched:
    as_of = (platform.known_until + NIGHT).isoformat()
    return watch(
        ["nightly", "--as-of", as_of, *options],
        data_dir=work / "data",
        environment={"ALMANAC_SOURCE": location},
    )


# --- the peers ---------------------------------------------------------------------------------------------


def _page_queries(url: str, platform: Platform) -> float:
    """Seconds for all the page's queries, once each, as of the night: today is the day after the last."""
    text = PAGE_QUERIES.read_text(encoding="utf-8")
    today = f"date '{platform.known_until:%Y-%m-%d}'"
    # An installed platform holds upper-case labels, for which the page's own text is an error.
    text = text.replace("CURRENT_DATE", today).replace("'failed'", "'FAILED'")
    text = text.replace("'completed'", "'COMPLETED'")
    started = time.perf_counter()
    with psycopg.connect(url) as connection:
        connection.execute(ROUND)
        for query in filter(str.strip, text.split(";")):
            cursor = connection.execute(query.encode())
            if cursor.description:
                cursor.fetchall()
        connection.execute("select * from monitoring_dashboard").fetchall()
        seconds = time.perf_counter() - started
        connection.rollback()
    return seconds


def _by_hand(work: Path, platform: Platform) -> float:
    """Seconds for the hand-written SQL, from the Parquet files into a new file."""
    text = Template(BY_HAND.read_text(encoding="utf-8")).substitute(source=quoted(platform.folder))
    started = time.perf_counter()
    with closing(duckdb.connect(str(work / "by_hand.duckdb"))) as connection:
        connection.execute(text)
    return time.perf_counter() - started


def _bytes_read(url: str) -> int:
    """Bytes of pages that the server has read so far for anyone, from its memory or from disk."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("select pg_stat_force_next_flush()")
        row = connection.execute(
            "select (blks_hit + blks_read) * current_setting('block_size')::bigint "
            "from pg_stat_database where datname = current_database()"
        ).fetchone()
    assert row is not None
    return int(row[0])


# --- what is said ------------------------------------------------------------------------------------------


def report(results: Sequence[Measured], source: str) -> str:
    """The results as Markdown: the machine, the ratios, the raw figures; a column for each size."""
    smallest = results[0].nights[ONE_DAY].seconds
    night = [result.nights[ONE_DAY].seconds for result in results]
    first = [result.nights[FIRST].seconds for result in results]
    refresh = [result.nights[REFRESH].seconds for result in results]
    page, hand = ([result.peers[name] for result in results] for name in (PAGE, HAND))
    ratios = [
        ["night / night with the smallest history", *_ratios(night, [smallest] * len(night))],
        ["full refresh / night", *_ratios(refresh, night)],
        ["first night (everything landed and built) / night", *_ratios(first, night)],
        [f"{PAGE} / night", *_ratios(page, night)],
        [f"full refresh / {HAND}", *_ratios(refresh, hand)],
    ]
    raw: list[list[str]] = []
    for name in (FIRST, ONE_DAY, REFRESH):
        watched = [result.nights[name] for result in results]
        raw.append([f"{name}, s", *(f"{one.seconds:.1f}" for one in watched)])
        raw.extend([f"- {step}, s", *(f"{one.steps.get(step, 0):.1f}" for one in watched)] for step in STEPS)
        raw.append(["- of the processors, s", *(f"{one.cpu_seconds:.1f}" for one in watched)])
        raw.append(
            [
                "- peak memory of all its processes, MB",
                *(mega(max(one.peak_bytes.values())) for one in watched),
            ]
        )
        raw.append(
            ["- the same while landing, MB", *(mega(one.peak_bytes.get("land", 0)) for one in watched)]
        )
        if source == "postgresql":
            read = [mega(result.read_bytes[name]) for result in results]
            raw.append(["- pages read by the source's server, MB", *read])
    raw.append([f"{PAGE}, s", *(f"{seconds:.1f}" for seconds in page)])
    raw.append([f"{HAND}, s", *(f"{seconds:.1f}" for seconds in hand)])
    sizes = [f"{result.calls:,} calls" for result in results]
    measured = f"source: {source}; {LATE_CHANGES:,} late changes and {CALLS_PER_DAY:,} new calls"
    return "\n".join(
        [facts(measured), "", *table(["ratio", *sizes], ratios), "", *table(["figure", *sizes], raw)]
    )


def _ratios(dividends: Sequence[float], divisors: Sequence[float]) -> list[str]:
    return [f"{one / other:.2f}" for one, other in zip(dividends, divisors, strict=True)]


def mega(size: int) -> str:
    """Bytes as megabytes."""
    return f"{size / 1e6:,.0f}"


def table(header: list[str], rows: list[list[str]]) -> list[str]:
    """Lines of a Markdown table whose columns but the first are numbers."""
    lines = [header, ["---", *("---:" for _ in header[1:])], *rows]
    return [f"| {' | '.join(cells)} |" for cells in lines]


def facts(measured: str) -> str:
    """The day, the machine, the versions and what was measured, as one line."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    versions = ", ".join(f"{name} {version(name)}" for name in ("duckdb", "dbt-core", "dbt-duckdb"))
    return (
        f"{datetime.now(UTC):%Y-%m-%d}, {os.cpu_count()} cores, {memory:.0f} GiB, {machine.machine()}, "
        f"{machine.system()} {machine.release()}, Python {machine.python_version()}, {versions}, "
        f"{find_binaries()}; {measured}; "
        f"load before the start {os.getloadavg()[0]:.1f}."
    )


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.nightly", description=__doc__)
    parser.add_argument("--sizes", default="1,5", help="millions of calls, such as 1,5,20 [1,5]")
    parser.add_argument("--source", choices=["postgresql", "folder"], default="postgresql")
    parser.add_argument("--work", type=Path, help="where to write [a temporary folder]")
    given = parser.parse_args(arguments)
    results: list[Measured] = []
    with tempfile.TemporaryDirectory(prefix="almanac-benchmark-", dir=given.work) as folder:
        for size in given.sizes.split(","):
            work = Path(folder) / size
            work.mkdir()
            results.append(measure(round(float(size) * 1_000_000), work, given.source))
            shutil.rmtree(work)
            print(report(results[-1:], given.source), file=sys.stderr, flush=True)
    print(report(results, given.source))


if __name__ == "__main__":
    main()
