"""`almanac recalculate` on both engines: what it says it would change, it changes, and then nothing more."""

from __future__ import annotations

import subprocess
from datetime import date
from pathlib import Path

import duckdb
import pytest

from tests.almanac_command import ALMANAC, environment
from tests.crash_harness import MOMENTS, Night, run, write_platform
from tests.crash_targets import DuckDbTarget, PostgresTarget, Target
from tests.postgres_server import PostgresServer

DAY = date(2026, 11, 12)
TEAM = "acme-docs"


@pytest.fixture(params=["duckdb", "postgres"])
def target(request: pytest.FixtureRequest, postgres_server: PostgresServer, tmp_path: Path) -> Target:
    data_dir = tmp_path / "data"
    data_dir.mkdir()
    if request.param == "duckdb":
        return DuckDbTarget(data_dir)
    return PostgresTarget.empty(data_dir, postgres_server)


@pytest.fixture
def night(tmp_path: Path) -> Night:
    return write_platform(tmp_path / "source", MOMENTS[0])


def recalculate(target: Target, night: Night, *arguments: str) -> list[str]:
    """Its answer, line by line."""
    done = subprocess.run(
        [str(ALMANAC), "--quiet", "recalculate", "--source", str(night.source), *arguments],
        env=environment(**target.environment),
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def calls_of_the_day(night: Night) -> list[str]:
    """Ids of the team's calls on the day, from the source's own rows."""
    with duckdb.connect() as connection:
        rows = connection.execute(
            f"select call_id from read_csv('{night.source}/llm_calls.csv', all_varchar = true) as calls "
            f"join read_csv('{night.source}/jobs.csv', all_varchar = true) as jobs using (job_id) "
            "where team_id = $team and cast(calls.created_at as date) = $day order by call_id",
            {"team": TEAM, "day": DAY},
        ).fetchall()
    return [call_id for (call_id,) in rows]


def delete_call(night: Night, call_id: str) -> None:
    file = night.source / "llm_calls.csv"
    with duckdb.connect() as connection:
        connection.execute(f"create table kept as from read_csv('{file}', all_varchar = true, header = true)")
        connection.execute("delete from kept where call_id = ?", [call_id])
        connection.execute(f"copy kept to '{file}' (header)")


def test_a_dry_run_says_what_a_recalculation_then_changes_once(target: Target, night: Night) -> None:
    exit_code, said = run(target, night)
    assert exit_code == 0, said
    calls = calls_of_the_day(night)
    delete_call(night, calls[0])
    published, files = target.canonical(), target.leftovers()

    tried = recalculate(target, night, str(DAY), "--dry-run")
    assert tried[0].startswith(f"{DAY}: ")
    assert "would change" in tried[0]
    assert f"  {DAY}  {TEAM}  call_count: {len(calls)} -> {len(calls) - 1} (rows_removed)" in tried
    assert target.canonical() == published
    assert target.leftovers() == files == []

    done = recalculate(target, night, str(DAY))
    assert done[0] == tried[0].replace("would change", "changed")
    assert done[1:] == tried[1:]

    # the night that is repeated has restatements of its own now; they are told once
    assert recalculate(target, night, "2026-11", "--team", TEAM) == [
        f"2026-11-01 to 2026-11-30 of team {TEAM}: every value is as it was published."
    ]
    assert [one["outcome"] for one in target.runs()] == ["done"] * 4
