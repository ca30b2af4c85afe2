"""Probes land once whatever happens; the uptime of components is the oracle's, night after night."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import astuple, replace
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from itertools import count
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import duckdb
import pandas
import psycopg
import pytest
from sqlalchemy import delete, insert, update

from flows import failpoints, land_probes, landing_store
from flows.build import build
from flows.failpoints import FailpointReached
from flows.land import land
from flows.mirror import mirror
from flows.ops_store import OpsStore, open_ops_store, probing
from flows.progress import SilentProgress
from flows.settings import Settings
from flows.small_landing import SmallLanding, land_small_window
from flows.source_location import PostgresUrl
from tests.canonical import canonical_differences
from tests.changing_platform import ChangingPlatform
from tests.engines import build_on_postgres
from tests.incremental import FULL, GENERATIONS, Warehouses
from tests.mirrored import mirrored_differences
from tests.oracle.platforms import Platform
from tests.oracle.uptime import Probe, Window, expected_uptime, expected_verdicts
from tests.postgres_server import PostgresServer

MARTS = tuple(f"component_uptime_{grain}" for grain in ("daily", "weekly", "monthly"))
RULES = ("alert_component_down", "alert_component_degraded")
COMPONENTS = 12
NIGHTS = 3
DAYS_BACK = 9
# Each with a change of the clocks, or a week's and a month's end, among its nights.
STARTS = {
    "Europe/Berlin": datetime(2026, 10, 24),
    "America/Havana": datetime(2026, 10, 31),
    "Pacific/Kiritimati": datetime(2026, 11, 29),
}
MINUTE = timedelta(minutes=1)


# --- histories ----------------------------------------------------------------------------------------------


class History:
    """What probers and people wrote into an ops store, drawn by dice."""

    def __init__(self, dice: random.Random, zone: str) -> None:
        self.dice = dice
        # a night builds the last days anyway: late rows and windows reach further back
        self.start = STARTS[zone] - timedelta(days=DAYS_BACK)
        midnight = datetime.combine(self.start.date(), time(), ZoneInfo(zone))
        # local midnights, to the microsecond: where days, weeks and months meet
        self.borders = [
            (midnight + timedelta(days=day)).astimezone(UTC).replace(tzinfo=None)
            for day in range(DAYS_BACK + NIGHTS + 2)
        ]
        self.ids = count(1)
        self.window_ids = count(1)

    def moment(self, until: datetime) -> datetime:
        near = self.dice.choice(self.borders)
        if self.dice.random() < 0.6 and near < until:
            return near + self.dice.choice((-1, 1)) * self.dice.choice(
                (timedelta(), timedelta(microseconds=1), 7 * MINUTE, timedelta(hours=5))
            )
        return self.start + self.dice.random() * (until - self.start)

    def probes(self, until: datetime, *, is_first: bool) -> list[Probe]:
        """A night's worth; some of them late, some of components that are new."""
        written = []
        for number in range(COMPONENTS):
            if self.dice.random() < 0.3:
                continue  # not yet there, its prober was away, or it is no longer configured
            # most are new: days that nothing late has reached must be told from those that it has
            is_late = is_first or self.dice.random() < 0.1
            at = self.moment(until) if is_late else until - self.dice.random() * timedelta(hours=20)
            interval = self.dice.choice((30, 60, 300, 3600, 86400, 0))
            for _ in range(self.dice.randrange(1, 9)):
                written.append(self.probe(f"component {number}", at, interval))
                at += self.dice.choice(
                    (interval, interval, interval, 2 * interval, 5 * interval, 50_000, 90_000)
                ) * timedelta(seconds=1) + self.dice.choice((timedelta(), timedelta(microseconds=3)))
                interval = interval if self.dice.random() < 0.8 else self.dice.choice((60, 7200))
        written.sort(key=lambda probe: probe.checked_at)
        written.append(self.probe("broken clock", self.dice.choice((datetime.min, until)), 60))
        return [replace(probe, probe_id=next(self.ids)) for probe in written]

    def probe(self, component: str, at: datetime, interval: int) -> Probe:
        verdict = self.dice.choices(
            ("up", "degraded", "down", "unknown", "strange"), weights=(10, 4, 8, 3, 1)
        )[0]
        latency = self.dice.choice((None, Decimal(self.dice.randrange(10**7)).scaleb(-3), Decimal("0.001")))
        return Probe(0, component, at, verdict, latency, None, True, interval)

    def windows(self, until: datetime) -> list[Window]:
        found = []
        for _ in range(self.dice.randrange(4)):
            start = self.moment(until + timedelta(days=1))
            lasts = self.dice.choice((-1, 0, 10, 60, 60, 1500, 4000)) * MINUTE
            component = None if self.dice.random() < 0.2 else f"component {self.dice.randrange(COMPONENTS)}"
            created = self.moment(until + timedelta(hours=2))
            found.append(
                Window(next(self.window_ids), component, start, start + lasts, "ann", "why", created)
            )
            if self.dice.random() < 0.4:  # one that touches it, and one inside it
                found.append(replace(found[-1], window_id=next(self.window_ids), starts_at=start + lasts))
                found[-1] = replace(found[-1], ends_at=start + lasts + 30 * MINUTE)
                found.append(replace(found[-2], window_id=next(self.window_ids), ends_at=start + lasts / 2))
        return found


def write(store: OpsStore, probes: Sequence[Probe] = (), windows: Sequence[Window] = ()) -> None:
    with store.transaction() as connection:
        if probes:
            rows = [astuple(probe) for probe in probes]
            names = [column.name for column in probing.probes.columns]
            connection.execute(
                insert(probing.probes),
                [
                    dict(zip(names, row, strict=True)) | {"latency_ms": row[4] and float(row[4])}
                    for row in rows
                ],
            )
        if windows:
            names = [column.name for column in probing.maintenance_windows.columns]
            connection.execute(
                insert(probing.maintenance_windows),
                [dict(zip(names, astuple(window), strict=True)) for window in windows],
            )


def change_windows(store: OpsStore, dice: random.Random) -> None:
    """Somebody ends a window early, or takes one away."""
    windows = probing.maintenance_windows
    with store.transaction() as connection:
        rows = connection.execute(windows.select()).all()
        for row in dice.sample(rows, min(len(rows), 2)):
            chosen = windows.c.window_id == row.window_id
            if dice.random() < 0.5:
                connection.execute(delete(windows).where(chosen))
            else:
                ends_at = row.starts_at + (row.ends_at - row.starts_at) / 2
                connection.execute(update(windows).where(chosen).values(ends_at=ends_at))


def landed(landing: duckdb.DuckDBPyConnection, schema: str = "raw") -> tuple[list[Probe], list[Window]]:
    probes = landing.execute(f"select * from {schema}.health_probes").fetchall()
    windows = landing.execute(f"select * from {schema}.maintenance_windows").fetchall()
    return [Probe(*row) for row in probes], [Window(*row) for row in windows]


def rows_of(cursor: Any, mart: str) -> list[dict[str, Any]]:
    found = cursor.execute(f"select * from {mart}")
    names = [column[0] for column in found.description]
    rows = [dict(zip(names, row, strict=True)) for row in found.fetchall()]
    for row in rows:
        row.pop("built_at_as_of", None)
    return rows


def in_order(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(rows, key=lambda row: (row["component"], row["period_start_date"]))


# --- nights -------------------------------------------------------------------------------------------------


@pytest.fixture
def store(tmp_path: Path) -> OpsStore:
    return open_ops_store(Settings(data_dir=tmp_path))


@pytest.fixture
def source(tmp_path: Path) -> Path:
    platform = ChangingPlatform()
    platform.organization("org-a")
    platform.team("team-a")
    platform.job(1, datetime(2026, 10, 20))
    return platform.write_folder(tmp_path / "source")


def land_night(source: Path, landing: Path, store: OpsStore | None, as_of: datetime) -> int:
    report = land(source, landing, as_of=as_of, progress=SilentProgress(), ops_store=store)
    return report.probes_landed


@pytest.mark.parametrize("zone", STARTS)
def test_uptime_is_the_oracles_night_after_night_on_both_engines(
    zone: str, tmp_path: Path, source: Path, store: OpsStore, postgres_server: PostgresServer
) -> None:
    dice = random.Random(zone)
    history = History(dice, zone)
    landing = tmp_path / "landing.duckdb"
    warehouses = Warehouses(landing, reporting_timezone=zone, marts=MARTS)
    try:
        for night in range(1, NIGHTS + 1):
            as_of = STARTS[zone] + timedelta(days=night, hours=dice.choice((0, 0, 9)))
            for check in (as_of - timedelta(hours=4), as_of):
                probes_then = history.probes(check + timedelta(hours=1), is_first=night == 1)
                write(store, probes_then, history.windows(check))
                if check < as_of and night > 1:
                    land_probes.land_alone(landing, store, as_of=check, before_commit=lambda: None)
            if night > 1:
                change_windows(store, dice)
            land_night(source, landing, store, as_of)
            assert warehouses.build(GENERATIONS[0], as_of) is (night > 1)
            lines = canonical_differences(*warehouses.compare(GENERATIONS[0], as_of))
            assert not lines, (night, lines, warehouses.last_touched)
            with duckdb.connect(str(landing), read_only=True) as connection:
                probes, windows = landed(connection)
            expected = expected_uptime(
                probes, windows, as_of=as_of, covered_until=as_of, reporting_timezone=zone
            )
            for mart in MARTS:
                actual = rows_of(warehouses.connection, f"{FULL}.marts.{mart}")
                assert in_order(actual) == in_order(expected[mart]), (night, mart)
        assert len(expected[MARTS[0]]) > 3 * COMPONENTS, "there is something to compare"
        assert any(row["maintenance_seconds"] for row in expected[MARTS[2]])
        # of two probes of one moment, which only a raw table can hold, the last one counts
        doubled = [
            replace(probe, probe_id=probe.probe_id + 10**6, verdict=dice.choice(("up", "down")))
            for probe in dice.sample(probes, 20)
        ]
        recent = [
            replace(history.probe(f"recent {number % 30}", at, 3600), probe_id=2 * 10**6 + number)
            for number, at in enumerate(as_of - dice.random() * timedelta(hours=2) for _ in range(300))
        ]
        ending = Window(10**6, "recent 1", as_of - 9 * MINUTE, as_of, "ann", "why", as_of - MINUTE)
        compare_on_postgres(postgres_server, [*probes, *doubled, *recent], [*windows, ending], as_of, zone)
    finally:
        warehouses.close()


def compare_on_postgres(
    server: PostgresServer, probes: list[Probe], windows: list[Window], as_of: datetime, zone: str
) -> None:
    tables = {
        "health_probes": pandas.DataFrame(probes, dtype=object),
        "maintenance_windows": pandas.DataFrame(windows, dtype=object),
    }
    expected = expected_uptime(probes, windows, as_of=as_of, covered_until=as_of, reporting_timezone=zone)
    with psycopg.connect(server.url()) as connection:
        try:
            build_on_postgres(connection, Platform(tables, as_of, zone), marts=(*MARTS, *RULES))
            for mart in MARTS:
                actual = rows_of(connection, f"marts.{mart}")
                assert in_order(actual) == in_order(expected[mart]), mart
            said = {
                (row["rule"], row["scope_id"]): (row["verdict"], row["observed_value"])
                for rule in RULES
                for row in rows_of(connection, f"alerts.{rule}")
            }
        finally:
            connection.rollback()
    verdicts = expected_verdicts(probes, windows, as_of=as_of)
    assert said == verdicts
    assert {verdict for verdict, _ in verdicts.values()} == {"breach", "holding", "clear", "unknown"}


# --- landing ------------------------------------------------------------------------------------------------

NOON = datetime(2026, 11, 20, 12)


def probe(number: int, at: datetime = NOON, **changed: Any) -> Probe:
    return replace(
        Probe(number, "api", at + number * MINUTE, "up", Decimal("1.5"), None, True, 60), **changed
    )


@contextmanager
def armed(name: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as patch:
        patch.setattr(failpoints, "_name", name)
        patch.setattr(failpoints, "_action", "raise")
        patch.setattr(failpoints, "_passings_left", 1)
        with pytest.raises(FailpointReached):
            yield


def landed_ids(landing: Path) -> list[int]:
    with duckdb.connect(str(landing), read_only=True) as connection:
        rows = connection.execute("select probe_id from raw.health_probes order by probe_id").fetchall()
    return [number for (number,) in rows]


def land_alone(landing: Path, store: OpsStore, at: datetime = NOON + timedelta(days=1)) -> int:
    return land_probes.land_alone(landing, store, as_of=at, before_commit=lambda: None)


@pytest.mark.parametrize("place", ["land.probes", "land.before_commit", "land.committed"])
@pytest.mark.parametrize("is_alone", [True, False])
def test_a_landing_that_dies_loses_and_doubles_no_probe(
    place: str, is_alone: bool, source: Path, store: OpsStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    landing = tmp_path / "landing.duckdb"
    write(store, [probe(1), probe(2)])
    land_night(source, landing, store, NOON)
    write(store, [probe(3)], [Window(1, None, NOON, NOON + MINUTE, "ann", "why", NOON)])

    def again() -> int:
        if is_alone:
            return land_alone(landing, store)
        return land_night(source, landing, store, NOON + timedelta(days=1))

    with armed(place, monkeypatch):
        again()
    was_committed = place == "land.committed"
    assert landed_ids(landing) == ([1, 2, 3] if was_committed else [1, 2])
    assert again() == (0 if was_committed else 1)
    assert landed_ids(landing) == [1, 2, 3]
    with duckdb.connect(str(landing), read_only=True) as connection:
        assert len(landed(connection)[1]) == 1


def test_a_landing_that_another_run_took_over_lands_nothing(
    source: Path, store: OpsStore, tmp_path: Path
) -> None:
    landing = tmp_path / "landing.duckdb"
    land_night(source, landing, store, NOON)
    write(store, [probe(1)])

    def fenced() -> None:
        raise RuntimeError("a newer run")

    with pytest.raises(RuntimeError):
        land_probes.land_alone(landing, store, as_of=NOON, before_commit=fenced)
    assert landed_ids(landing) == []


def test_late_ids_of_a_second_prober_land_too(source: Path, store: OpsStore, tmp_path: Path) -> None:
    landing = tmp_path / "landing.duckdb"
    write(store, [probe(1), probe(4)])
    land_night(source, landing, store, NOON)
    write(store, [probe(3, component="proxy"), probe(5)])
    assert land_alone(landing, store) == 2
    assert landed_ids(landing) == [1, 3, 4, 5]


def test_a_probe_of_one_moment_lands_once(source: Path, store: OpsStore, tmp_path: Path) -> None:
    landing = tmp_path / "landing.duckdb"
    write(store, [probe(1), probe(2, NOON - MINUTE, verdict="down")])
    assert land_night(source, landing, store, NOON) == 1
    write(store, [probe(3, NOON - 2 * MINUTE)])
    assert land_alone(landing, store) == 0


def test_what_is_no_number_is_no_latency(source: Path, store: OpsStore, tmp_path: Path) -> None:
    landing = tmp_path / "landing.duckdb"
    write(store, [probe(1, latency_ms=float("inf")), probe(2, latency_ms=1e300), probe(3)])
    land_night(source, landing, store, NOON)
    with duckdb.connect(str(landing), read_only=True) as connection:
        rows = connection.execute("select latency_ms from raw.health_probes order by all").fetchall()
    assert rows == [(Decimal("1.500"),), (None,), (None,)]


def test_a_store_that_was_made_anew_or_restored_goes_on_behind_what_has_landed(
    source: Path, store: OpsStore, tmp_path: Path
) -> None:
    landing = tmp_path / "landing.duckdb"
    write(store, [probe(number) for number in range(1, 6)])
    land_night(source, landing, store, NOON)
    another = open_ops_store(Settings(data_dir=tmp_path / "another"))
    # a backup of yesterday: some of its rows have landed, one that came after it has not
    write(another, [probe(1), probe(2), probe(3, NOON + timedelta(hours=1))])
    assert land_alone(landing, another) == 1
    assert landed_ids(landing) == [1, 2, 3, 4, 5, 8]
    write(another, [probe(4, NOON + timedelta(hours=1))])
    assert land_alone(landing, another) == 1
    assert landed_ids(landing) == [1, 2, 3, 4, 5, 8, 9]


def test_probes_that_the_store_has_forgotten_stay_landed(
    source: Path, store: OpsStore, tmp_path: Path
) -> None:
    landing = tmp_path / "landing.duckdb"
    write(store, [probe(1), probe(2)])
    land_night(source, landing, store, NOON)
    with store.transaction() as connection:
        connection.execute(delete(probing.probes))
    assert land_alone(landing, store) == 0
    write(store, [probe(3)])
    assert land_alone(landing, store) == 1
    assert landed_ids(landing) == [1, 2, 3]


def test_what_a_landing_touches(source: Path, store: OpsStore, tmp_path: Path) -> None:
    landing = tmp_path / "landing.duckdb"
    write(store, [probe(1), probe(2, component="proxy")])
    land_night(source, landing, store, NOON)
    window = Window(1, "api", NOON, NOON + timedelta(days=2), "ann", "why", NOON)
    early = NOON - timedelta(days=4)
    for number, (added, windows, days) in enumerate(
        (
            # it holds, and may begin or end a run of failures, on the day after too
            ([probe(3)], [], [20, 21]),
            # a component's days begin with its first probe, and are there up to what was the first one
            ([probe(4, early, component="proxy")], [], [16, 17, 18, 19, 20]),
            ([], [window], [20, 21, 22, 23]),
            # one of a broken clock is on no day
            ([probe(5, datetime(1, 1, 1)), probe(6, datetime(9999, 1, 1))], [], []),
        ),
        start=2,
    ):
        write(store, added, windows)
        land_night(source, landing, store, NOON + timedelta(days=10, minutes=number))
        with duckdb.connect(str(landing), read_only=True) as connection:
            found = connection.execute(
                "select day from raw.touched_days where landing_number = ? order by day", [number]
            ).fetchall()
        assert [day.day for (day,) in found] == days, number
    with store.transaction() as connection_of_store:
        connection_of_store.execute(delete(probing.maintenance_windows))
    # one that is written down after the moment of the landing that brings it counts from the next one on
    late = replace(window, window_id=2, ends_at=NOON + MINUTE, created_at=NOON + timedelta(days=11, hours=1))
    write(store, [], [late])
    for number, days in ((6, [20, 21, 22, 23]), (7, [20, 21]), (8, [])):
        land_night(source, landing, store, NOON + timedelta(days=5 + number))
        with duckdb.connect(str(landing), read_only=True) as connection:
            found = connection.execute(
                "select day from raw.touched_days where landing_number = ? order by day", [number]
            ).fetchall()
        assert [day.day for (day,) in found] == days, number


def without_ops_tables(landing: Path) -> None:
    with duckdb.connect(str(landing)) as connection:
        for table in landing_store.OPS_TABLES:
            connection.execute(f"drop table raw.{table}")


def test_a_landing_database_of_an_earlier_release_takes_probes(
    source: Path, store: OpsStore, tmp_path: Path
) -> None:
    landing = tmp_path / "landing.duckdb"
    land_night(source, landing, None, NOON)
    without_ops_tables(landing)
    write(store, [probe(1)])
    assert land_alone(landing, store) == 1
    without_ops_tables(landing)
    assert land_night(source, landing, store, NOON) == 1


def test_a_landing_database_of_an_earlier_release_can_be_built_without_a_landing(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings(data_dir=tmp_path)
    land_night(source, settings.landing_path, None, NOON)
    without_ops_tables(settings.landing_path)

    def build_side_file(settings: Settings, **_: Any) -> Path:
        with duckdb.connect(str(settings.landing_path), read_only=True) as landing:
            assert landed(landing) == ([], [])
        return settings.landing_path

    monkeypatch.setattr("flows.build.build_side_file", build_side_file)
    assert build(settings, as_of=NOON, progress=SilentProgress()) == settings.landing_path


def test_the_mirror_carries_probes_that_landed_alone(
    source: Path, store: OpsStore, tmp_path: Path, postgres_server: PostgresServer
) -> None:
    landing = tmp_path / "landing.duckdb"
    write(store, [probe(1), probe(4)])
    land_night(source, landing, store, NOON)
    name = f"mirrored_{tmp_path.name}"
    url = postgres_server.create_database(name)
    with psycopg.connect(url, autocommit=True) as warehouse:
        mirror(landing, warehouse)
        assert mirrored_differences(landing, warehouse) == []
        # one with a late id, and one whose component is maintained
        write(store, [probe(3), probe(5)], [Window(1, "api", NOON, NOON + MINUTE, "ann", "why", NOON)])
        assert land_alone(landing, store) == 2
        mirror(landing, warehouse)
        assert mirrored_differences(landing, warehouse) == []
        assert warehouse.execute("select count(*) from raw.health_probes").fetchone() == (4,)
    postgres_server.drop_database(name)


# --- between nights -----------------------------------------------------------------------------------------


def small_landing(settings: Settings, source: Path | PostgresUrl | None) -> SmallLanding:
    return land_small_window(settings, source, as_of=NOON + timedelta(days=1), progress=SilentProgress())


def test_a_check_lands_probes_whatever_the_source_does(source: Path, tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    store = open_ops_store(settings)
    land_night(source, settings.landing_path, store, NOON)
    write(store, [probe(1)])
    first = small_landing(settings, source)
    assert first.is_landed
    assert first.story.endswith("; 1 new health probes")
    write(store, [probe(2), probe(3)])
    unchanged = small_landing(settings, source)
    assert unchanged.is_landed
    assert unchanged.story == "no file of the source has changed since it was landed; 2 new health probes"
    nowhere = PostgresUrl("postgresql://nobody@127.0.0.1:1/none")
    for number, missing in enumerate((None, tmp_path / "missing", nowhere), start=4):
        write(store, [probe(number)])
        landed_then = small_landing(settings, missing)
        assert not landed_then.is_landed
        assert landed_then.story.startswith("nothing of the source was landed")
        assert landed_then.story.endswith("; 1 new health probes")
    assert landed_ids(settings.landing_path) == [1, 2, 3, 4, 5, 6]
    with duckdb.connect(str(settings.landing_path), read_only=True) as landing:
        # what landed alone is no landing of the source, and its days wait for the next one
        assert landing.execute("select max(landing_number) from raw.landings").fetchone() == (2,)
        touched = landing.execute("select max(landing_number) from raw.touched_days").fetchone()
    assert touched == (3,)


def test_a_check_copies_probes_into_the_warehouse(
    source: Path, tmp_path: Path, postgres_server: PostgresServer
) -> None:
    name = f"checked_{tmp_path.name}"
    settings = Settings(
        data_dir=tmp_path, target="postgres", warehouse_url=postgres_server.create_database(name)
    )
    store = open_ops_store(settings)
    land_night(source, settings.landing_path, store, NOON)
    write(store, [probe(1)])
    assert small_landing(settings, None).story.endswith("; 1 new health probes")
    assert postgres_server.execute("select probe_id from raw.health_probes", name) == [(1,)]
    postgres_server.drop_database(name)
