"""One run at a time, whatever dies, stalls or sets its clock; on both kinds of ops store."""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, delete, event, func, insert, select, update

from flows import ops_store
from flows.errors import AlmanacError, Busy, Fenced
from flows.ops_store import (
    KEYS,
    VERSION,
    deliveries,
    open_ops_store,
    publications,
    runs,
    schema_version,
    serving,
    writers,
)
from flows.run_ledger import Clock, claimed_run
from flows.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
SECRET = "sk-" + "live0123456789" * 3
_databases = itertools.count(1)

# Claims, says so, and holds the claim until its standard input is closed; told to go by a first line.
CLAIMER = """
import json, sys
from flows.errors import Busy
from flows.run_ledger import claimed_run
from flows.settings import Settings
settings = Settings(**json.loads(sys.argv[1]))
sys.stdin.readline()
try:
    with claimed_run(settings, kind="nightly") as run:
        print(run.token, flush=True)
        sys.stdin.read()
except Busy:
    print("busy", flush=True)
    sys.exit(75)
"""


@pytest.fixture(params=["duckdb", "postgres"])
def settings(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Settings]:
    """A data folder of its own, and on PostgreSQL a database of its own."""
    if request.param == "duckdb":
        yield Settings(data_dir=tmp_path / "data", target="duckdb")
        return
    server = request.getfixturevalue("postgres_server")
    name = f"ledger_{next(_databases)}"
    url = server.create_database(name)
    yield Settings(data_dir=tmp_path / "data", target="postgres", warehouse_url=url)
    server.drop_database(name)


@dataclass
class SetClock:
    """A clock that stands until it is set."""

    wall: datetime = datetime(2026, 11, 23, 2)
    uptime: float = 1000.0

    def as_clock(self) -> Clock:
        return Clock(lambda: self.wall, lambda: self.uptime)

    def pass_seconds(self, seconds: float) -> None:
        self.wall += timedelta(seconds=seconds)
        self.uptime += seconds


def rows(settings: Settings) -> list[Any]:
    with open_ops_store(settings).transaction() as connection:
        return list(connection.execute(select(runs).order_by(runs.c.token)).all())


def change(settings: Settings, **values: Any) -> None:
    """Make every run look as if it were another process's."""
    with open_ops_store(settings).transaction() as connection:
        connection.execute(update(runs).values(values))


def start_claimers(settings: Settings, count: int) -> list[subprocess.Popen[str]]:
    given = json.dumps(
        {
            "data_dir": str(settings.data_dir),
            "target": settings.target,
            "warehouse_url": settings.warehouse_url,
            "lease_seconds": settings.lease_seconds,
        }
    )
    return [
        subprocess.Popen(
            [sys.executable, "-c", CLAIMER, given],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(count)
    ]


def let_go(process: subprocess.Popen[str]) -> str:
    """Tell a claimer to claim; what it said."""
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write("\n")
    process.stdin.flush()
    return process.stdout.readline().strip()


def test_the_embedded_store_is_its_owners_alone_and_survives_a_power_cut(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path / "new" / "data")
    with open_ops_store(settings).transaction() as connection:
        assert connection.exec_driver_sql("pragma journal_mode").scalar() == "wal"
        assert connection.exec_driver_sql("pragma synchronous").scalar() == 2
        assert connection.exec_driver_sql("pragma busy_timeout").scalar() == 10_000
        modes = {path.name: path.stat().st_mode & 0o777 for path in settings.data_dir.iterdir()}
    assert modes["ops.db"] == 0o600
    assert set(modes.values()) == {0o600}


def test_a_store_of_a_newer_version_is_refused(settings: Settings) -> None:
    with open_ops_store(settings).transaction() as connection:
        connection.execute(update(schema_version).values(version=VERSION + 1))
    with (
        pytest.raises(AlmanacError, match=rf"version {VERSION + 1}.* knows {VERSION}"),
        claimed_run(settings, kind="nightly"),
    ):
        pass


def test_a_store_that_was_taken_away_is_not_made_again_by_who_had_it_open(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path / "data #1 100%25?é")
    store = open_ops_store(settings)
    settings.ops_path.rename(tmp_path / "away.db")
    for use in (store.reading, store.transaction):
        with pytest.raises(AlmanacError, match="cannot be used"), use():
            pass
    assert list(settings.data_dir.iterdir()) == []
    (tmp_path / "away.db").rename(settings.ops_path)
    with store.reading() as connection:
        assert connection.scalar(select(func.max(schema_version.c.version))) == VERSION


def test_a_damaged_store_is_named_and_kept(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    settings.ops_path.write_bytes(b"no database" * 1000)
    told = r"ops\.db .*from a backup"
    with pytest.raises(AlmanacError, match=told), claimed_run(settings, kind="nightly"):
        pass
    assert settings.ops_path.read_bytes().startswith(b"no database")


def test_a_store_without_its_url_or_server_is_told_without_the_password(tmp_path: Path) -> None:
    unset = Settings(data_dir=tmp_path, target="postgres", warehouse_url=None)
    away = unset.model_copy(update={"warehouse_url": "postgresql://al:hunter22@127.0.0.1:1/almanac"})
    with pytest.raises(AlmanacError, match="ALMANAC_WAREHOUSE_URL"), claimed_run(unset, kind="nightly"):
        pass
    with (
        pytest.raises(AlmanacError, match=r"127\.0\.0\.1/almanac") as refused,
        claimed_run(away, kind="nightly"),
    ):
        pass
    assert "ALMANAC_WAREHOUSE_URL" in str(refused.value)
    assert "hunter22" not in str(refused.value)


def test_the_second_run_is_told_who_holds_the_lease(settings: Settings) -> None:
    with claimed_run(settings, kind="nightly") as run:
        run.phase("build")
        with pytest.raises(Busy) as busy, claimed_run(settings, kind="land"):
            pass
        told = str(busy.value)
        assert busy.value.exit_code == 75
        assert {run.run_id, str(os.getpid()), "nightly", "(build)"} <= set(told.replace(",", " ").split())
    with claimed_run(settings, kind="land") as after:
        assert after.token == run.token + 1
    assert [(row.kind, row.outcome, row.exit_code, row.phase) for row in rows(settings)] == [
        ("nightly", "done", 0, "build"),
        ("land", "done", 0, "claimed"),
    ]


@pytest.mark.parametrize(
    ("error", "outcome", "exit_code"),
    [
        (AlmanacError("the source is gone"), "failed", 1),
        (Fenced("a newer run took over"), "fenced", 1),
        (ValueError("a bug"), "failed", 1),
        (KeyboardInterrupt(), "cancelled", 130),
        (SystemExit(143), "cancelled", 143),
        (SystemExit(3), "failed", 3),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else str(value),
)
def test_how_a_run_ended_is_noted(tmp_path: Path, error: BaseException, outcome: str, exit_code: int) -> None:
    settings = Settings(data_dir=tmp_path)
    with pytest.raises(type(error)), claimed_run(settings, kind="nightly"):
        raise error
    (row,) = rows(settings)
    assert (row.outcome, row.exit_code) == (outcome, exit_code)
    assert row.ended_at >= row.started_at


def test_no_secret_is_noted(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    with pytest.raises(AlmanacError), claimed_run(settings, kind="nightly"):
        raise AlmanacError(f"no answer from postgresql://reader:hunter22@db/saas with {SECRET} " + "x" * 5000)
    (row,) = rows(settings)
    assert row.message.startswith("no answer from postgresql://")
    assert len(row.message) <= 1000
    for path in tmp_path.iterdir():
        assert b"hunter22" not in path.read_bytes()
        assert SECRET.encode() not in path.read_bytes()


def test_the_reason_is_told_although_the_ledger_can_no_longer_be_written(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)

    def fail() -> None:
        settings.ops_path.write_bytes(b"no database" * 1000)
        raise ValueError("the reason")

    with pytest.raises(ValueError, match="the reason"), claimed_run(settings, kind="nightly"):
        fail()


def test_a_lease_that_ran_out_is_taken_over_and_its_run_is_fenced(settings: Settings) -> None:
    clock = SetClock()
    published = []
    with claimed_run(settings, kind="nightly", clock=clock.as_clock()) as stalled:
        clock.pass_seconds(settings.lease_seconds - 1)
        with pytest.raises(Busy), claimed_run(settings, kind="nightly", clock=clock.as_clock()):
            pass
        clock.pass_seconds(1)
        with claimed_run(settings, kind="nightly", clock=clock.as_clock()) as newer:
            assert newer.token == stalled.token + 1
            with newer.publishing():
                published.append("newer")
        attempts: list[Callable[[], object]] = [
            stalled.require_current,
            lambda: stalled.phase("publish"),
            lambda: stalled.publishing().__enter__(),
        ]
        for attempt in attempts:
            with pytest.raises(Fenced, match=newer.run_id):
                attempt()
        assert not stalled.renew()
    assert [row.outcome for row in rows(settings)] == ["crashed", "done"]
    with open_ops_store(settings).transaction() as connection:
        recorded = connection.execute(select(publications)).all()
    assert [(row.token, row.published_at) for row in recorded] == [(newer.token, clock.wall)]


def test_a_lease_that_ran_out_and_that_nobody_took_goes_on(settings: Settings) -> None:
    clock = SetClock()
    with claimed_run(settings, kind="nightly", clock=clock.as_clock()) as run:
        clock.pass_seconds(10 * settings.lease_seconds)
        run.require_current()
        assert run.renew()
        with pytest.raises(Busy), claimed_run(settings, kind="nightly", clock=clock.as_clock()):
            pass


@pytest.mark.skipif(sys.platform != "linux", reason="the boot is known on Linux only")
@pytest.mark.parametrize("jump", [timedelta(days=400), timedelta(days=-400)], ids=["ahead", "back"])
def test_a_clock_that_jumps_takes_no_lease_on_the_same_machine(settings: Settings, jump: timedelta) -> None:
    clock = SetClock()
    with claimed_run(settings, kind="nightly", clock=clock.as_clock()):
        clock.wall += jump
        with pytest.raises(Busy), claimed_run(settings, kind="nightly", clock=clock.as_clock()):
            pass


def test_a_lease_of_another_machine_holds_by_the_clock_and_no_longer_than_its_length(
    settings: Settings,
) -> None:
    clock = SetClock()

    def is_taken() -> bool:
        with claimed_run(settings, kind="nightly", clock=clock.as_clock()):
            change(settings, host="elsewhere.example")
            clock.pass_seconds(age)
            try:
                with claimed_run(settings, kind="nightly", clock=clock.as_clock()):
                    return True
            except Busy:
                return False
            finally:
                change(settings, ended_at=clock.wall)

    found = {}
    # seconds since its last sign of life; below zero when a clock was set back
    for age in (0, 119, 120, -100, -121, -40_000_000):
        found[age] = is_taken()
    assert found == {0: False, 119: False, 120: True, -100: False, -121: True, -40_000_000: True}


def test_a_killed_run_is_taken_over_at_once(settings: Settings) -> None:
    (holder,) = start_claimers(settings, 1)
    assert let_go(holder) == "1"
    with pytest.raises(Busy), claimed_run(settings, kind="nightly"):
        pass
    holder.send_signal(signal.SIGKILL)
    # not yet waited for: a dead process whose exit code nobody has read is dead
    os.waitid(os.P_PID, holder.pid, os.WEXITED | os.WNOWAIT)
    with claimed_run(settings, kind="nightly") as run:
        assert run.token == 2
        assert len(run.crashed_runs()) == 1
        assert run.run_id not in run.crashed_runs()
    holder.communicate()
    first, second = rows(settings)
    assert (first.outcome, first.exit_code, second.outcome) == ("crashed", None, "done")


@pytest.mark.skipif(sys.platform != "linux", reason="starts are known to the tick on Linux only")
def test_a_process_with_the_number_of_a_dead_one_does_not_hold_its_lease(settings: Settings) -> None:
    with claimed_run(settings, kind="nightly") as run:
        ours = rows(settings)[0].process_started
        change(settings, process_started=ours[:-1] + ("1" if ours[-1] == "0" else "0"))
        with claimed_run(settings, kind="nightly") as newer:
            assert newer.token == run.token + 1


def test_of_many_that_start_at_once_one_claims(settings: Settings) -> None:
    # the store is not there yet: making it is part of the race
    claimers = start_claimers(settings, 5)
    try:
        for process in claimers:
            assert process.stdin is not None
            process.stdin.write("\n")
        for process in claimers:
            assert process.stdin is not None
            process.stdin.flush()
        said = [process.stdout.readline().strip() for process in claimers if process.stdout]
    finally:
        for process in claimers:
            process.communicate(timeout=30)
    assert sorted(said) == ["1"] + ["busy"] * 4
    assert sorted(process.returncode for process in claimers) == [0] + [75] * 4
    assert [row.outcome for row in rows(settings)] == ["done"]


def test_a_live_run_renews_its_lease(settings: Settings) -> None:
    (holder,) = start_claimers(settings.model_copy(update={"lease_seconds": 1.0}), 1)
    assert let_go(holder) == "1"
    first = rows(settings)[0].heartbeat_at
    deadline = 15.0
    with pytest.raises(subprocess.TimeoutExpired):
        holder.wait(3)
    assert rows(settings)[0].heartbeat_at - first > timedelta(seconds=1)
    with pytest.raises(Busy), claimed_run(settings, kind="nightly"):
        pass
    holder.communicate(timeout=deadline)


def test_a_run_that_stands_still_while_it_renews_keeps_its_row_from_nobody(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    if settings.target == "duckdb":
        pytest.skip("SQLite runs in the process that stands still")
    monkeypatch.setattr(ops_store, "WAIT_SECONDS", 1)
    written: list[str] = []

    def while_it_stands_still(_: object, __: object, statement: str, *___: object) -> None:
        if statement.startswith("UPDATE") and not written:
            written.append(statement)
            change(settings, message="written by another run")

    with claimed_run(settings, kind="nightly") as run:
        event.listen(Engine, "after_cursor_execute", while_it_stands_still)
        try:
            assert run.renew()
        finally:
            event.remove(Engine, "after_cursor_execute", while_it_stands_still)
        assert [row.message for row in rows(settings)] == ["written by another run"]


def test_nobody_claims_while_something_is_published(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ops_store, "WAIT_SECONDS", 1)
    clock = SetClock()
    with claimed_run(settings, kind="nightly", clock=clock.as_clock()) as run, run.publishing():
        clock.pass_seconds(10 * settings.lease_seconds)
        with pytest.raises(Busy), claimed_run(settings, kind="nightly", clock=clock.as_clock()):
            pass
    with open_ops_store(settings).transaction() as connection:
        (recorded,) = connection.execute(select(publications)).all()
    assert (recorded.token, recorded.published_at) == (run.token, clock.wall)


def test_a_publication_that_failed_is_not_recorded_as_done(settings: Settings) -> None:
    with claimed_run(settings, kind="nightly") as run:
        with pytest.raises(OSError, match="full"), run.publishing():
            raise OSError("full")
        with run.publishing():
            pass
    with open_ops_store(settings).transaction() as connection:
        recorded = connection.execute(select(publications).order_by(publications.c.publication_id)).all()
    assert len(recorded) == 2
    assert [row.published_at is not None for row in recorded] == [False, True]


def test_the_time_of_a_store_is_naive_and_goes_on(settings: Settings) -> None:
    store = open_ops_store(settings)
    with store.transaction() as connection:
        before = store.now(connection)
        after = store.now(connection)
    assert before.tzinfo is None
    assert timedelta() <= after - before < timedelta(minutes=1)


def test_a_store_of_the_first_version_gains_the_new_tables_and_keeps_its_runs(settings: Settings) -> None:
    store = open_ops_store(settings)
    with claimed_run(settings, kind="nightly"):
        pass
    with store.transaction() as connection:
        for table in reversed(deliveries.all):
            table.drop(connection)
        connection.execute(delete(schema_version))
        connection.execute(insert(schema_version).values(version=1))
    upgraded = open_ops_store(settings)
    with upgraded.transaction() as connection:
        assert connection.scalar(select(func.max(schema_version.c.version))) == VERSION
        assert connection.scalar(select(func.count()).select_from(runs)) == 1
        for table in deliveries.all:
            assert connection.scalar(select(func.count()).select_from(table)) == 0


def test_a_store_of_the_third_version_gains_the_keys_of_the_api_and_keeps_its_runs(
    settings: Settings,
) -> None:
    store = open_ops_store(settings)
    with claimed_run(settings, kind="nightly") as run:
        token = run.token
    with store.transaction() as connection:
        for table in reversed(serving.all):
            table.drop(connection)
        connection.execute(delete(writers).where(writers.c.name == KEYS))
        connection.execute(delete(schema_version))
        connection.execute(insert(schema_version).values(version=3))
    upgraded = open_ops_store(settings)
    with upgraded.transaction() as connection:
        assert connection.scalar(select(func.max(schema_version.c.version))) == VERSION
        assert connection.scalars(select(runs.c.token)).all() == [token]
        for table in serving.all:
            assert connection.scalar(select(func.count()).select_from(table)) == 0
        tokens = {row.name: row.token for row in connection.execute(select(writers))}
    # the writer's token, which fences, goes on
    assert tokens["data"] == token
    assert tokens[KEYS] == 0


def test_reading_waits_for_no_writer(settings: Settings) -> None:
    store = open_ops_store(settings)
    with store.transaction() as writing:
        writing.execute(update(writers).values(token=writers.c.token + 1))
        with store.reading() as connection:
            assert set(connection.scalars(select(writers.c.token))) == {0}


def test_reading_writes_nothing(settings: Settings) -> None:
    with pytest.raises(AlmanacError), open_ops_store(settings).reading() as connection:
        connection.execute(update(writers).values(token=9))
