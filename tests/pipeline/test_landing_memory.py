"""How much memory the landing from PostgreSQL takes, whatever lies on a day and whatever the machine."""

from __future__ import annotations

import subprocess
import sys
from datetime import date
from pathlib import Path

import duckdb

from benchmarks.load_postgres import load
from benchmarks.platform import Plan, write_platform
from flows.landing_postgres import STAGED_ROWS
from tests.almanac_command import environment
from tests.postgres_server import PostgresServer

# Days of more calls than one portion holds, so that one is landed whole.
PLAN = Plan(calls=600_000, days=2, last_day=date(2026, 11, 21), seed=7)
# What the landing of any platform has to do with, in KiB.
PEAK = 500_000_000 // 1024

# Read by the process itself: the peak that the system tells of a child begins at its parent's.
LAND = """
import sys
from flows.cli import main
sys.argv = ["almanac", "land"]
try:
    main()
finally:
    print(*(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM:")))
"""


def test_days_larger_than_a_portion_land_within_the_memory(
    postgres_server: PostgresServer, tmp_path: Path
) -> None:
    platform = write_platform(PLAN, tmp_path / "platform")
    url = postgres_server.create_database("landing_memory")
    load(url, platform.folder)

    landed = subprocess.run(
        [sys.executable, "-c", LAND],
        env=environment(ALMANAC_SOURCE=url, ALMANAC_DATA_DIR=str(tmp_path / "data")),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )

    assert landed.returncode == 0, landed.stderr
    assert int(landed.stdout.split()[-1]) < PEAK
    with duckdb.connect(str(tmp_path / "data" / "landing.duckdb"), read_only=True) as connection:
        days = connection.execute(
            "select cast(created_at as date), count(*) from raw.llm_calls group by 1 order by 1"
        ).fetchall()
        generated = connection.execute(
            f"select cast(created_at as date), count(*) from '{platform.folder}/llm_calls/*.parquet' "
            "group by 1 order by 1"
        ).fetchall()
    assert days == generated
    assert max(count for _, count in days) > STAGED_ROWS
