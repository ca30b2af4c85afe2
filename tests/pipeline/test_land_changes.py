"""Landing what has changed: from files and from a database, only what differs, and all that it touches."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from itertools import count
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flows.land import DayRange, LandError, LandReport, land
from flows.progress import SilentProgress
from flows.source_location import PostgresUrl, SourceLocation
from flows.source_schema import DAY_TABLES
from tests.changing_platform import (
    ChangingPlatform,
    Raw,
    at,
    day_of,
    expected_counts,
    expected_days,
    expected_related,
    key,
    landed,
    source_rows,
)
from tests.platform_ddl import ORM, create_platform
from tests.postgres_server import PostgresServer

KINDS = ("folder", "postgresql")

_databases = count(1)


@dataclass
class Nights:
    """Landings of one platform, one after the other."""

    kind: str
    folder: Path
    url: str
    platform: ChangingPlatform
    landing: Path
    nights: int = 0

    def write(self) -> SourceLocation:
        if self.kind == "postgresql":
            self.platform.write_database(self.url)
            return PostgresUrl(self.url)
        self.nights += 1
        return self.platform.write_folder(self.folder / f"night-{self.nights}")

    def land(self, as_of: datetime, **options: Any) -> LandReport:
        return land(self.write(), self.landing, as_of=as_of, progress=SilentProgress(), **options)

    def raw(self) -> Raw:
        return landed(self.landing)

    def first(self) -> Raw:
        """What a first landing of the source as it is would hold."""
        fresh = self.landing.with_name("first.duckdb")
        fresh.unlink(missing_ok=True)
        land(self.write(), fresh, as_of=at(0), progress=SilentProgress())
        return landed(fresh)


@pytest.fixture(scope="module")
def database(postgres_server: PostgresServer) -> Iterator[str]:
    """One platform's database for all tests here; each writes all of it."""
    name = f"changing_{next(_databases)}"
    url = postgres_server.create_database(name)
    create_platform(url, ORM)
    yield url
    postgres_server.drop_database(name)


@pytest.fixture
def start(tmp_path: Path, database: str) -> Callable[[str], Nights]:
    def begin(kind: str) -> Nights:
        return Nights(kind, tmp_path, database, four_jobs(), tmp_path / "landing.duckdb")

    return begin


@pytest.fixture(params=KINDS)
def nights(request: pytest.FixtureRequest, start: Callable[[str], Nights]) -> Nights:
    return start(request.param)


@pytest.fixture
def database_nights(start: Callable[[str], Nights]) -> Nights:
    return start("postgresql")


def four_jobs() -> ChangingPlatform:
    """Job 1 on day 0; job 2 over midnight of day 2; job 3 of a team without an organization; job 4 open."""
    platform = ChangingPlatform()
    platform.organization("org-a")
    platform.team("team-a")
    platform.team("team-b", organization_id=None)
    platform.alias("chat-fast")
    platform.alias("chat-slow")
    for number, job_at, later in ((1, at(0), at(0, 13)), (2, at(1, 23.9), at(2, 0.5))):
        platform.job(number, job_at)
        platform.call(number, number, later)
        platform.charge(number, number, later)
        platform.summary(number, later)
    platform.job(3, at(3), team_id="team-b")
    platform.call(3, 3, at(3, 13), model_group_used="chat-slow")
    platform.charge(3, 3, at(5), team_id="team-b", organization_id="org-a")
    platform.job(4, at(4), status="PENDING")
    return platform


def days(*numbers: int) -> set[date]:
    return {day_of(number) for number in numbers}


# --- what a change touches ---------------------------------------------------------------------------------

Change = Callable[[ChangingPlatform], object]

CHANGES: dict[str, tuple[Change, set[date]]] = {
    "a new call of an old job": (lambda p: p.call(9, 1, at(6)), days(0, 6)),
    "a corrected cost": (lambda p: p.call(2, 2, at(2, 0.5), cost_usd=Decimal("0.25")), days(1, 2)),
    "a late completion": (lambda p: p.job(4, at(4), completed_at=at(6)), days(4)),
    "a credit_applied that flips": (lambda p: p.job(2, at(1, 23.9), credit_applied=False), days(1, 2)),
    "a call that goes": (lambda p: p.drop("llm_calls", key("c", 2)), days(1, 2)),
    "a charge that goes": (lambda p: p.drop("credit_transactions", key("t", 1)), days(0)),
    "a call that moves to another day": (lambda p: p.call(1, 1, at(4, 1)), days(0, 4)),
    "a call that moves to another job": (lambda p: p.call(1, 2, at(0, 13)), days(0, 1, 2)),
    "a job that moves to another day": (lambda p: p.job(1, at(5)), days(0, 5)),
    "a call before midnight": (lambda p: p.call(9, 1, at(3, 24) - timedelta(seconds=0.5)), days(0, 3, 4)),
    "a summary": (lambda p: p.summary(2, at(2, 0.5), total_calls=7), days(1, 2)),
    "a summary that goes": (lambda p: p.drop("job_cost_summaries", key("j", 2)), days(1, 2)),
    "a mark-up since the update": (
        lambda p: p.team("team-a", cost_markup_percentage=Decimal(30), updated_at=at(8)),
        days(8),
    ),
    "a new team": (lambda p: p.team("team-c"), set()),
    "a team of jobs that had none": (lambda p: p.team("team-z"), days(8)),
    "a model's alias": (lambda p: p.alias("chat-slow", actual_model="other"), days(3)),
    "an alias that goes": (lambda p: p.drop("model_aliases", "chat-slow"), days(3)),
    "an alias's display name": (lambda p: p.alias("chat-slow", display_name="Slow"), set()),
    "a charge of a team without organization": (
        lambda p: p.charge(4, None, at(7), team_id="team-b"),
        days(3, 5, 7),
    ),
    "a charge of such a team that names none": (
        lambda p: p.charge(4, None, at(7), team_id="team-b", organization_id=None),
        days(7),
    ),
    "a charge that names one no longer": (
        lambda p: p.charge(10, None, at(6), team_id="team-t", organization_id=None),
        days(6, 8),
    ),
    "a charge of such a team that is gone": (
        lambda p: p.drop("credit_transactions", key("t", 10)),
        days(6, 8),
    ),
    "a charge that leaves such a team": (
        lambda p: p.charge(10, None, at(6), team_id="team-a"),
        days(6, 8),
    ),
    "a charge that comes to such a team": (
        lambda p: p.charge(1, 1, at(0, 13), team_id="team-t"),
        days(0, 6, 8),
    ),
    "a charge that two of one instant may follow": (
        lambda p: p.charge(4, None, at(7), team_id="team-t", organization_id=None),
        days(6, 7, 8),
    ),
    "an organization's name": (lambda p: p.organization("org-a", name="New"), set()),
    "a balance": (lambda p: p.team("team-a", credits_used=9), set()),
    "nothing": (lambda p: None, set()),
}


@pytest.fixture(scope="module", params=KINDS)
def landed_once(
    request: pytest.FixtureRequest, database: str, tmp_path_factory: pytest.TempPathFactory
) -> Nights:
    """A platform of which nobody misses a row or two, landed once for the tests of single changes."""
    folder = tmp_path_factory.mktemp("landed")
    nights = Nights(request.param, folder, database, four_jobs(), folder / "landing.duckdb")
    nights.platform.job(8, at(8), team_id="team-z")
    nights.platform.team("team-t", organization_id=None)
    nights.platform.charge(10, None, at(6), team_id="team-t", organization_id="org-a")
    nights.platform.charge(11, None, at(6), team_id="team-t", organization_id="org-b")
    nights.platform.job(9, at(8), team_id="team-t")
    for number in range(20, 30):
        nights.platform.job(number, at(8))
        nights.platform.call(number, 8, at(8, 13))
        nights.platform.charge(number, 8, at(8, 13))
        nights.platform.summary(number, at(8))
    nights.land(at(7, 23))
    return nights


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_touches_its_days(landed_once: Nights, tmp_path: Path, name: str) -> None:
    change, expected = CHANGES[name]
    nights = replace(
        landed_once,
        folder=tmp_path,
        platform=deepcopy(landed_once.platform),
        landing=Path(shutil.copy(landed_once.landing, tmp_path)),
    )
    before = nights.raw()
    change(nights.platform)
    report = nights.land(at(9, 1))
    after = nights.raw()
    assert set(report.touched_days) == expected
    assert expected_days(before, after) == expected
    assert {row["day"] for row in after["touched_days"] if row["landing_number"] == 2} == expected


def test_the_first_landing_touches_every_day(nights: Nights) -> None:
    report = nights.land(at(9))
    assert set(report.touched_days) == days(0, 1, 2, 3, 4, 5)
    assert report.is_full_comparison
    raw = nights.raw()
    assert {(row["day"], row["related_day"]) for row in raw["related_days"]} == expected_related(raw)
    assert (day_of(1), day_of(2)) in expected_related(raw)


def test_only_replaced_days_bear_the_landing_number(nights: Nights) -> None:
    nights.land(at(9))
    nights.platform.call(2, 2, at(2, 0.5), cost_usd=Decimal("0.25"))
    report = nights.land(at(9, 13))
    landed_days = nights.raw()["landed_days"]
    assert [(row["table_name"], row["day"]) for row in landed_days if row["landing_number"] == 2] == [
        ("llm_calls", day_of(2))
    ]
    by_table = {table.table_name: table for table in report.tables}
    calls = by_table["llm_calls"]
    assert (calls.rows_added, calls.rows_changed, calls.rows_deleted) == (0, 1, 0)
    if nights.kind == "postgresql":
        assert report.days_copied == 1
        assert all(row["source_fingerprint"] for row in landed_days)


def test_an_unchanged_source_changes_nothing(nights: Nights) -> None:
    nights.land(at(9))
    before = nights.raw()
    report = nights.land(at(9))
    after = nights.raw()
    assert [row["landing_number"] for row in after.pop("landings")] == [1, 2]
    before.pop("landings")
    assert after == before
    assert report.touched_days == ()
    assert report.days_copied == (0 if nights.kind == "postgresql" else 6)


def test_a_row_in_two_days_of_the_source_is_landed_once(database_nights: Nights) -> None:
    """The old day is not compared, and still holds no second row of the key."""
    database_nights.platform.job(30, at(0))
    database_nights.platform.summary(30, at(0, 1))
    database_nights.land(at(20))
    database_nights.platform.job(30, at(20, 1), status="FAILED")
    report = database_nights.land(at(21), lookback_days=2)
    raw = database_nights.raw()
    assert not report.is_full_comparison
    assert [row["created_at"] for row in raw["jobs"] if row["job_id"] == key("j", 30)] == [at(20, 1)]
    assert set(report.touched_days) == days(0, 20)
    assert {(r["table_name"], r["day"]): r["row_count"] for r in raw["landed_days"] if r["row_count"]} == (
        expected_counts(raw)
    )


def test_a_row_that_moves_to_a_day_that_is_not_compared_is_there(nights: Nights) -> None:
    moved = nights.platform
    moved.job(30, at(20))
    moved.call(30, 30, at(20, 13))
    moved.charge(30, 30, at(20, 14))
    moved.summary(30, at(20, 15))
    nights.land(at(20, 20))
    moved.job(30, at(1))
    moved.call(30, 30, at(2))
    moved.charge(30, 30, at(3))
    report = nights.land(at(21), lookback_days=2)
    assert report.is_full_comparison is (nights.kind == "folder")
    assert source_rows(nights.raw()) == source_rows(nights.first())
    assert set(report.touched_days) == days(1, 2, 3, 20)
    assert report.rows_deleted == 0
    assert nights.land(at(22), lookback_days=2).touched_days == ()


def test_a_row_that_moves_to_before_the_horizon_is_there(nights: Nights) -> None:
    """Beside those that the source has purged there, and those that it still has."""
    nights.platform.call(30, 4, at(8))
    nights.platform.call(31, 1, at(0, 1))
    nights.land(at(9))
    nights.platform.drop("llm_calls", key("c", 1))
    nights.platform.call(30, 4, at(0))
    report = nights.land(at(9, 1), retention_days=5, accept_deletes=True)
    calls = {row["call_id"]: row["created_at"] for row in nights.raw()["llm_calls"]}
    assert calls[key("c", 30)] == at(0)
    assert {key("c", 1), key("c", 31)} <= calls.keys()
    assert day_of(0) in report.touched_days


def test_rows_that_move_after_each_other_are_all_there(database_nights: Nights) -> None:
    """A day that is copied because a row came to it lets others go."""
    nights = database_nights
    nights.platform.job(30, at(20))
    nights.land(at(20, 20))
    nights.platform.job(30, at(3))
    nights.platform.job(3, at(1), team_id="team-b")
    report = nights.land(at(21), lookback_days=2)
    assert not report.is_full_comparison
    assert source_rows(nights.raw()) == source_rows(nights.first())
    assert {day_of(1), day_of(3), day_of(20)} <= set(report.touched_days)


# --- which days are compared -------------------------------------------------------------------------------


def test_a_small_landing_brings_the_last_days_alone(nights: Nights) -> None:
    nights.land(at(12))
    nights.platform.job(30, at(12, 14))
    nights.platform.call(30, 30, at(12, 15))
    nights.platform.call(1, 1, at(0, 13), cost_usd=Decimal("0.25"))
    report = nights.land(at(13), lookback_days=1, is_small=True)
    assert not report.is_full_comparison
    assert set(report.touched_days) == days(12)
    nights.platform.drop("llm_calls", key("c", 30))
    assert set(
        nights.land(at(13, 14), lookback_days=1, is_small=True, accept_deletes=True).touched_days
    ) == days(12)
    assert days(0) <= set(nights.land(at(20)).touched_days)
    assert source_rows(nights.raw()) == source_rows(nights.first())


def test_skipped_nights_are_compared(database_nights: Nights) -> None:
    database_nights.land(at(9))
    database_nights.platform.call(9, 1, at(9, 20))
    database_nights.platform.call(10, 1, at(11))
    report = database_nights.land(at(14), lookback_days=1)
    assert not report.is_full_comparison
    assert set(report.touched_days) == days(0, 9, 11)


def test_an_old_change_is_found_within_a_week(database_nights: Nights) -> None:
    nights = database_nights
    nights.land(at(9))
    nights.platform.call(1, 1, at(0, 13), cost_usd=Decimal("0.25"))
    for night in range(10, 16):
        report = nights.land(at(night), lookback_days=1)
        assert (report.is_full_comparison, report.touched_days) == (False, ())
    report = nights.land(at(16), lookback_days=1)
    assert (report.is_full_comparison, set(report.touched_days)) == (True, days(0))
    assert not nights.land(at(17), lookback_days=1).is_full_comparison


def test_open_jobs_are_watched_however_old(database_nights: Nights) -> None:
    database_nights.land(at(12))
    assert database_nights.land(at(13), lookback_days=1).days_copied == 0
    database_nights.platform.job(4, at(4), status="FAILED", completed_at=at(13))
    database_nights.platform.job(1, at(0), status="FAILED")
    report = database_nights.land(at(14), lookback_days=1)
    assert set(report.touched_days) == days(4)
    # And one that is open again.
    database_nights.platform.job(1, at(0), status="IN_PROGRESS")
    assert set(database_nights.land(at(15), lookback_days=1).touched_days) == days(0)


def test_an_earlier_as_of_compares_everything(database_nights: Nights) -> None:
    database_nights.land(at(12))
    database_nights.platform.call(1, 1, at(0, 13), cost_usd=Decimal("0.25"))
    report = database_nights.land(at(11), lookback_days=1)
    assert (report.is_full_comparison, set(report.touched_days)) == (True, days(0))


def test_a_change_of_source_compares_everything(start: Callable[[str], Nights]) -> None:
    nights = start("folder")
    nights.land(at(12))
    nights.kind = "postgresql"
    report = nights.land(at(13), lookback_days=1)
    assert (report.is_full_comparison, report.touched_days) == (True, ())
    assert nights.land(at(14), lookback_days=1).days_copied == 0


def test_a_folder_after_a_database_is_read_as_a_whole(start: Callable[[str], Nights]) -> None:
    nights = start("folder")
    folder = nights.write()
    for number, source in enumerate((folder, None, folder, folder)):
        if source is None:
            nights.platform.call(9, 1, at(4))
            nights.platform.write_database(nights.url)
        land(
            source or PostgresUrl(nights.url),
            nights.landing,
            as_of=at(8 + number),
            progress=SilentProgress(),
            # Of the folder first the last days alone.
            is_small=number == 2,
            lookback_days=1,
        )
        has_call = any(row["call_id"] == key("c", 9) for row in nights.raw()["llm_calls"])
        assert has_call is (number in (1, 2))


def test_recalculated_days_are_copied_whatever_is_known_of_them(database_nights: Nights) -> None:
    nights = database_nights
    nights.land(at(12))
    with duckdb.connect(str(nights.landing)) as connection:
        connection.execute("update raw.llm_calls set prompt_tokens = 99")
    assert nights.land(at(13), lookback_days=1).touched_days == ()
    report = nights.land(at(14), lookback_days=1, recalculate=DayRange(day_of(1), day_of(3)))
    assert set(report.touched_days) == days(1, 2)
    assert {row["prompt_tokens"] for row in nights.raw()["llm_calls"]} == {5, 99}


# --- minutes of a day --------------------------------------------------------------------------------------


@pytest.fixture
def busy_day(database_nights: Nights) -> Nights:
    """Day 5 has a call in each of its 40 half-hours from noon, and is landed."""
    for number in range(40):
        database_nights.platform.call(number + 20, 1, at(5, number / 4))
    database_nights.land(at(6))
    return database_nights


def bytes_of_calls(nights: Nights, **options: Any) -> int:
    """What a landing reads of the calls, beside the small tables."""
    quiet = nights.land(at(6, 13)).bytes_read
    nights.platform.call(30, 1, at(5, 2.5), prompt_tokens=7)
    read = nights.land(at(6, 14), **options).bytes_read - quiet
    assert source_rows(nights.raw()) == source_rows(nights.first())
    return read


def test_of_a_day_that_differs_the_differing_minutes_are_copied(busy_day: Nights) -> None:
    assert 0 < bytes_of_calls(busy_day) < 1_000


def test_minutes_that_are_not_those_of_the_day_are_not_believed(busy_day: Nights) -> None:
    with duckdb.connect(str(busy_day.landing)) as connection:
        connection.execute(
            "update raw.llm_calls set prompt_tokens = 99 where created_at >= '2026-11-06 09:00'"
        )
        connection.execute(
            "update raw.landed_days set source_fingerprint = null where table_name = 'llm_calls'"
        )
    assert set(busy_day.land(at(6, 12)).touched_days) == days(0, 5)
    with duckdb.connect(str(busy_day.landing)) as connection:
        connection.execute(
            "update raw.landed_minutes set minutes = '600 1 17' where table_name = 'llm_calls'"
        )
    # Equal days are noted again; what they said of their minutes is then right again.
    assert 0 < bytes_of_calls(busy_day) < 1_000


def test_recalculated_days_are_copied_whole(busy_day: Nights) -> None:
    assert bytes_of_calls(busy_day, recalculate=DayRange(day_of(5), day_of(6))) > 4_000


@pytest.mark.parametrize(
    "change",
    [
        lambda p: p.drop("llm_calls", key("c", 30)),
        lambda p: p.call(30, 1, at(5, 9.9)),
        lambda p: p.call(30, 1, at(5, 2.5), job_id=key("j", 2)),
        lambda p: p.call(99, 1, at(5, 23.9999)),
        lambda p: p.job(2, at(1, 22)),
        lambda p: (p.drop("jobs", key("j", 2)), p.drop("job_cost_summaries", key("j", 2))),
        lambda p: p.summary(2, at(4), total_calls=7),
    ],
)
def test_whatever_differs_lies_in_a_minute_that_differs(busy_day: Nights, change: Change) -> None:
    before = busy_day.raw()
    change(busy_day.platform)
    report = busy_day.land(at(6, 13), accept_deletes=True)
    _check(before, busy_day.raw(), report)
    assert source_rows(busy_day.raw()) == source_rows(busy_day.first())


# --- what is missing ---------------------------------------------------------------------------------------


def test_a_summary_whose_job_was_lost_here_stays(database_nights: Nights) -> None:
    """Without its job it lies on the day of calculated_at; at the source it is on its job's day."""
    nights = database_nights
    nights.platform.job(30, at(2))
    nights.platform.summary(30, at(2, 1))
    nights.land(at(12))
    with duckdb.connect(str(nights.landing)) as connection:
        connection.execute("delete from raw.jobs where job_id = ?", [key("j", 2)])
    for day in (2, 1):
        report = nights.land(at(14), lookback_days=1, recalculate=DayRange(day_of(day), day_of(day + 1)))
        assert report.rows_deleted == 0
        assert key("j", 2) in {row["job_id"] for row in nights.raw()["job_cost_summaries"]}
    assert source_rows(nights.raw()) == source_rows(nights.first())


# --- what is gone ------------------------------------------------------------------------------------------


def test_what_the_source_purged_is_kept(nights: Nights) -> None:
    """With 5 days of retention, on day 9 the source has purged what came before day 5, or is about to."""
    nights.platform.call(7, 3, at(5, 1))
    nights.platform.call(6, 3, at(4, 1))
    nights.land(at(7), retention_days=5)
    for number in range(1, 8):
        nights.platform.drop("llm_calls", key("c", number))
    report = nights.land(at(9, 2), retention_days=5, accept_deletes=True)
    kept = {row["call_id"] for row in nights.raw()["llm_calls"]}
    assert kept == {key("c", number) for number in (1, 2, 3, 6)}
    assert set(report.touched_days) == days(3, 4, 5)


def test_an_earlier_as_of_does_not_bring_the_horizon_back(nights: Nights) -> None:
    nights.platform.call(9, 4, at(12))
    nights.land(at(12, 13), retention_days=5)
    before = nights.raw()
    for number in (1, 2, 3):
        nights.platform.drop("llm_calls", key("c", number))
    nights.land(at(3), retention_days=5)
    assert nights.raw()["llm_calls"] == before["llm_calls"]


def test_a_far_as_of_by_mistake_does_no_harm(nights: Nights) -> None:
    nights.land(at(9))
    nights.land(at(4000))
    nights.platform.drop("llm_calls", key("c", 1))
    nights.platform.call(9, 1, at(9, 1))
    nights.platform.call(10, 1, at(9, 1))
    nights.land(at(10), accept_deletes=True)
    assert source_rows(nights.raw()) == source_rows(nights.first())


@pytest.mark.parametrize("is_there", [True, False])
def test_recalculating_an_old_day_follows_the_source_if_it_has_one(nights: Nights, is_there: bool) -> None:
    nights.platform.call(8, 1, at(0, 14))
    nights.land(at(7))
    nights.platform.drop("llm_calls", key("c", 1))
    if not is_there:
        nights.platform.drop("llm_calls", key("c", 8))
    nights.land(at(9), retention_days=2)
    assert {key("c", 1), key("c", 8)} <= {row["call_id"] for row in nights.raw()["llm_calls"]}
    nights.land(at(9), retention_days=2, recalculate=DayRange(day_of(0), day_of(1)), accept_deletes=True)
    kept = {row["call_id"] for row in nights.raw()["llm_calls"]}
    assert (key("c", 1) in kept) is not is_there
    assert key("c", 8) in kept


def test_a_large_loss_stops_the_landing(nights: Nights) -> None:
    for number in range(10, 17):
        nights.platform.job(number, at(3))
    nights.land(at(7))
    before = nights.raw()
    for number in (10, 11, 12, 13):
        nights.platform.drop("jobs", key("j", number))
    with pytest.raises(LandError) as caught:
        nights.land(at(8))
    message = str(caught.value)
    assert "jobs: 4 of 11 rows" in message
    assert "--accept-deletes" in message
    assert "llm_calls" not in message
    assert nights.raw() == before
    report = nights.land(at(8), accept_deletes=True)
    assert report.rows_deleted == 4
    assert set(report.touched_days) == days(3)
    # 3 of 11 would have been no alarm: 30 % may go.
    nights.platform.drop("jobs", key("j", 14))
    assert nights.land(at(9)).rows_deleted == 1


def test_a_small_table_that_is_emptied_stops_the_landing(nights: Nights) -> None:
    nights.land(at(7))
    for name in ("team-a", "team-b"):
        nights.platform.drop("team_credits", name)
    with pytest.raises(LandError, match="team_credits: 2 of 2 rows"):
        nights.land(at(8))
    nights.land(at(8), accept_deletes=True)
    assert {row["missing_since"] for row in nights.raw()["team_versions"]} == {at(8)}


def test_jobs_that_vanish_can_be_confirmed(nights: Nights) -> None:
    nights.land(at(7))
    for number in (1, 2, 3, 4):
        nights.platform.drop("jobs", key("j", number))
        nights.platform.drop("job_cost_summaries", key("j", number))
    with pytest.raises(LandError, match="jobs"):
        nights.land(at(8))
    nights.land(at(8), accept_deletes=True)
    assert nights.raw()["jobs"] == []


def test_a_source_of_nothing_is_never_landed(nights: Nights) -> None:
    nights.platform = ChangingPlatform()
    with pytest.raises(LandError, match="The source is empty"):
        nights.land(at(8), accept_deletes=True)


# --- the accounts of the whole -----------------------------------------------------------------------------


def test_findings_of_days_that_are_not_compared_stay(database_nights: Nights) -> None:
    nights = database_nights
    nights.platform.call(1, 1, at(0, 13), cost_usd=Decimal("NaN"))
    nights.platform.call(4, 4, at(12), cost_usd=Decimal("NaN"))
    nights.land(at(12, 13))
    nights.platform.call(4, 4, at(12), cost_usd=Decimal(1))
    nights.platform.call(5, 4, at(13), cost_usd=Decimal("NaN"))
    report = nights.land(at(13, 14), lookback_days=2)
    raw = nights.raw()
    assert [row["row_key"] for row in raw["landing_findings"]] == [key("c", 1), key("c", 5)]
    assert report.unusable_numbers == 2
    assert {row["table_name"]: row["rows_read"] for row in raw["landed_tables"]} == {
        table: len(rows) for table, rows in source_rows(raw).items()
    }


def test_duplicates_of_kept_rows_stay_in_the_accounts(start: Callable[[str], Nights]) -> None:
    nights = start("folder")
    folder = nights.write()
    assert isinstance(folder, Path)
    lines = (folder / "llm_calls.csv").read_text().splitlines()
    (folder / "llm_calls.csv").write_text("\n".join([*lines, lines[1], lines[1], lines[3]]) + "\n")
    land(folder, nights.landing, as_of=at(9), progress=SilentProgress(), retention_days=6)
    nights.platform.drop("llm_calls", key("c", 1))
    nights.land(at(9), retention_days=6)
    raw = nights.raw()
    calls = next(row for row in raw["landed_tables"] if row["table_name"] == "llm_calls")
    assert (calls["rows_read"], calls["exact_duplicate_rows"], calls["rows_landed"]) == (5, 2, 3)
    assert [(row["row_key"], row["affected_rows"]) for row in raw["landing_findings"]] == [(key("c", 1), 2)]


def test_a_landing_of_version_0_1_is_taken_up(nights: Nights) -> None:
    nights.land(at(9))
    raw = nights.raw()
    with duckdb.connect(str(nights.landing)) as connection:
        for name in ("landed_days", "touched_days", "related_days"):
            connection.execute(f"drop table raw.{name}")
        connection.execute("alter table raw.landings drop column is_full_comparison")
        connection.execute("create or replace table raw.jobs as from raw.jobs order by job_id desc")
    nights.platform.call(9, 1, at(6))
    report = nights.land(at(10))
    assert report.is_full_comparison
    assert set(report.touched_days) == days(0, 6)
    after = nights.raw()
    assert {row["landing_number"] for row in after["landed_days"]} == {1, 2}
    assert {(row["day"], row["related_day"]) for row in after["related_days"]} == expected_related(after)
    assert after["jobs"] == raw["jobs"]


# --- a run that dies ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("place", ["land.table:2", "land.before_commit"])
def test_a_killed_landing_leaves_the_one_before(
    start: Callable[[str], Nights], kind: str, place: str
) -> None:
    nights = start(kind)
    nights.land(at(9))
    before = nights.raw()
    nights.platform.call(9, 1, at(6))
    nights.platform.drop("llm_calls", key("c", 3))
    source = nights.write()
    location = f"PostgresUrl({nights.url!r})" if kind == "postgresql" else f"Path({str(source)!r})"
    script = (
        "from datetime import datetime; from pathlib import Path; from flows.land import land; "
        "from flows.progress import SilentProgress; from flows.source_location import PostgresUrl; "
        f"land({location}, Path({str(nights.landing)!r}), as_of=datetime(2026, 11, 10, 13), "
        "progress=SilentProgress(), accept_deletes=True)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "ALMANAC_FAILPOINT": place},
        timeout=60,
        check=False,
    )
    assert done.returncode == -signal.SIGKILL
    assert nights.raw() == before
    report = nights.land(at(9, 13), accept_deletes=True)
    assert report.landing_number == 2
    assert source_rows(nights.raw()) == source_rows(nights.first())


# --- any history -------------------------------------------------------------------------------------------

small = st.integers(0, 3)
hours = st.sampled_from([0.0, 12.0, 23.9999])
_moments = st.builds(at, st.integers(0, 4), hours)
_changes: list[st.SearchStrategy[Change]] = [
    st.builds(
        lambda n, when, status, team: lambda p: p.job(n, when, status=status, team_id=team),
        small,
        _moments,
        st.sampled_from(["PENDING", "COMPLETED", "FAILED"]),
        st.sampled_from("ab"),
    ),
    st.builds(
        lambda n, job, when, cost: lambda p: p.call(n, job, when, cost_usd=cost),
        st.integers(0, 5),
        small,
        _moments,
        st.sampled_from([Decimal(1), Decimal(2), Decimal("NaN")]),
    ),
    st.builds(
        lambda n, job, when, team: lambda p: p.charge(n, job, when, team_id=team),
        small,
        st.none() | small,
        _moments,
        st.sampled_from("abc"),
    ),
    st.builds(
        lambda job, when, calls: lambda p: p.summary(job, when, total_calls=calls), small, _moments, small
    ),
    st.builds(
        lambda team, organization, markup: (
            lambda p: p.team(team, organization_id=organization, cost_markup_percentage=Decimal(markup))
        ),
        st.sampled_from("ab"),
        st.sampled_from([None, "org-a"]),
        small,
    ),
    st.builds(
        lambda name, model: lambda p: p.alias(name, actual_model=model),
        st.sampled_from(["chat-fast", "gpt-4o-mini"]),
        st.sampled_from(["x", "y"]),
    ),
    st.builds(
        lambda kind, n: lambda p: p.drop(*kind(n)),
        st.sampled_from(
            [
                lambda n: ("jobs", key("j", n)),
                lambda n: ("llm_calls", key("c", n)),
                lambda n: ("credit_transactions", key("t", n)),
                lambda n: ("job_cost_summaries", key("j", n)),
                lambda n: ("team_credits", "ab"[n % 2]),
                lambda n: ("model_aliases", "chat-fast"),
            ]
        ),
        small,
    ),
]
_history = st.lists(
    st.tuples(st.lists(st.one_of(*_changes), max_size=4), st.integers(0, 3)), min_size=1, max_size=4
)


@pytest.mark.parametrize("kind", KINDS)
def test_any_history_lands_as_its_last_state(
    kind: str, database: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Nights of changes, and small landings between; what each touches is computed again in loops, and the
    end is a first landing."""

    @settings(max_examples=8, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
    @given(history=_history)
    def run(history: list[tuple[list[Change], int]]) -> None:
        folder = tmp_path_factory.mktemp("history")
        nights = Nights(kind, folder, database, four_jobs(), folder / "landing.duckdb")
        as_of = at(5)
        nights.land(as_of)
        # The last night is a full comparison: it finds what the others could not see.
        for changes, skipped in [*history, ([], 8)]:
            before = nights.raw()
            for change in changes:
                change(nights.platform)
            _obey_foreign_key(nights.platform)
            as_of += timedelta(days=1 + skipped)
            is_small = skipped % 2 == 1
            report = nights.land(as_of, accept_deletes=True, lookback_days=2, is_small=is_small)
            _check(before, nights.raw(), report)
        assert source_rows(nights.raw()) == source_rows(nights.first())

    run()


def _obey_foreign_key(platform: ChangingPlatform) -> None:
    """The database promises that a summary has a job."""
    for job in list(platform.rows["job_cost_summaries"]):
        if job not in platform.rows["jobs"]:
            platform.drop("job_cost_summaries", job)


def _check(before: Raw, after: Raw, report: LandReport) -> None:
    assert set(report.touched_days) == expected_days(before, after)
    assert {(row["day"], row["related_day"]) for row in after["related_days"]} == expected_related(after)
    assert len(after["related_days"]) == len(expected_related(after))
    counted = {(r["table_name"], r["day"]): r["row_count"] for r in after["landed_days"] if r["row_count"]}
    assert counted == expected_counts(after)
    for table in DAY_TABLES:
        keys = [row[table.key] for row in after[table.name]]
        assert len(keys) == len(set(keys))
    numbers = {(r["table_name"], r["day"]): r["landing_number"] for r in after["landed_days"]}
    known = {(r["table_name"], r["day"]): r["landing_number"] for r in before["landed_days"]}
    replaced = {place for place in numbers if numbers[place] != known.get(place)}
    assert replaced == _replaced(before, after)


def _replaced(before: Raw, after: Raw) -> set[tuple[str, date]]:
    """Tables and days whose rows are not the same any more."""
    contents = []
    for raw in (before, after):
        jobs = {row["job_id"]: row["created_at"] for row in raw["jobs"]}
        contents.append(
            {
                (
                    table.name,
                    (row.get("created_at") or jobs.get(row["job_id"]) or row["calculated_at"]).date(),
                    str(deepcopy(row)),
                )
                for table in DAY_TABLES
                for row in raw[table.name]
            }
        )
    return {(name, day) for name, day, _ in contents[0] ^ contents[1]}
