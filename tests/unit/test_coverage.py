"""What the next build of a warehouse must touch: ranges, local days, and when all of it is built anew."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any

import duckdb
import pytest

from flows import coverage
from flows.coverage import (
    Coverage,
    Touched,
    audited_with,
    landed_coverage,
    local_day,
    local_days_of,
    merged,
    models_fingerprint,
    portions_of,
    start_of_day,
    touched_since,
    week_in_turn,
)
from flows.errors import AlmanacError

AS_OF = datetime(2026, 11, 20, 2)
NIGHT = timedelta(days=1)


def day(text: str) -> date:
    return date.fromisoformat(text)


def instant(text: str) -> datetime:
    return datetime.fromisoformat(text)


# --- ranges -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ranges", "expected"),
    [
        ([], ()),
        ([(5, 6), (1, 2)], ((1, 2), (5, 6))),
        ([(1, 2), (2, 3)], ((1, 3),)),
        ([(1, 9), (2, 3)], ((1, 9),)),
        ([(1, None), (7, 8)], ((1, None),)),
        ([(1, 3), (2, None)], ((1, None),)),
        ([(1, 2), (3, None), (3, 4)], ((1, 2), (3, None))),
    ],
    ids=["none", "in-order", "adjacent", "inside", "after-the-open-one", "into-the-open-one", "same-start"],
)
def test_ranges_are_merged(ranges: list[Any], expected: tuple[Any, ...]) -> None:
    assert merged(ranges) == expected


def test_weeks_and_months_are_those_of_the_days_and_the_ledger_goes_on_to_the_end() -> None:
    touched = Touched(
        days=((day("2026-10-31"), day("2026-11-02")), (day("2026-12-30"), None)),
        read={
            "read": ((instant("2026-10-30T22:59:59"), None),),
            "read_ledger_jobs": ((instant("2026-10-30T23:00:00"), instant("2026-11-02T00:00:00")),),
        },
        ledger=((instant("2026-10-30T23:00:00"), None),),
        ledger_days=((day("2026-10-31"), None),),
    )
    assert touched.variables == {
        "day": [["2026-10-31", "2026-11-02"], ["2026-12-30", None]],
        "week": [["2026-10-26", "2026-11-02"], ["2026-12-28", None]],
        "month": [["2026-10-01", None]],
        "read": [["2026-10-30 22:59:59", None]],
        "read_ledger_jobs": [["2026-10-30 23:00:00", "2026-11-02 00:00:00"]],
        "ledger": [["2026-10-30 23:00:00", None]],
        "ledger_day": [["2026-10-31", None]],
        "ledger_week": [["2026-10-26", None]],
        "ledger_month": [["2026-10-01", None]],
    }


def test_closed_days_end_where_they_are_asked_to() -> None:
    touched = Touched(
        days=((day("2026-11-01"), day("2026-11-03")), (day("2026-11-05"), None)),
        read={},
        ledger=(),
        ledger_days=(),
    )
    assert touched.closed_days(day("2026-11-07")) == [
        day("2026-11-01"),
        day("2026-11-02"),
        day("2026-11-05"),
        day("2026-11-06"),
    ]
    assert touched.closed_days(day("2026-11-02")) == [day("2026-11-01")]


# --- local days ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("zone", "local", "first_instant"),
    [
        ("UTC", "2026-11-20", "2026-11-20T00:00:00"),
        ("Europe/Berlin", "2026-10-25", "2026-10-24T22:00:00"),
        ("Europe/Berlin", "2026-10-26", "2026-10-25T23:00:00"),
        ("Europe/Berlin", "2027-03-29", "2027-03-28T22:00:00"),
        ("Asia/Kolkata", "2026-11-20", "2026-11-19T18:30:00"),
        ("America/Havana", "2026-11-01", "2026-11-01T04:00:00"),
        ("America/Havana", "2026-11-02", "2026-11-02T05:00:00"),
        ("America/Havana", "2027-03-14", "2027-03-14T05:00:00"),
        ("Asia/Beirut", "2026-10-25", "2026-10-24T22:00:00"),
        ("Asia/Beirut", "2027-03-28", "2027-03-27T22:00:00"),
    ],
)
def test_a_local_day_starts_at_its_first_instant(zone: str, local: str, first_instant: str) -> None:
    start = start_of_day(day(local), zone)
    assert start == instant(first_instant)
    assert local_day(start, zone) == day(local)
    assert local_day(start - timedelta.resolution, zone) == day(local) - NIGHT


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "Asia/Kolkata", "America/Havana", "Asia/Beirut"])
def test_the_models_start_a_day_at_the_same_instant(zone: str) -> None:
    with duckdb.connect() as connection:
        connection.execute("set TimeZone = 'UTC'")
        for n in range(0, 400):
            local = day("2026-03-01") + n * NIGHT
            row = connection.execute(
                "select timezone('UTC', timezone(?, cast(? as timestamp) - interval '1 microsecond')) "
                "+ interval '1 microsecond'",
                [zone, local],
            ).fetchone()
            assert row == (start_of_day(local, zone),), local


def test_a_utc_day_overlaps_its_local_days() -> None:
    assert local_days_of(day("2026-11-20"), "UTC") == [day("2026-11-20")]
    assert local_days_of(day("2026-11-20"), "Asia/Kolkata") == [day("2026-11-20"), day("2026-11-21")]
    assert local_days_of(day("2026-11-20"), "America/Havana") == [day("2026-11-19"), day("2026-11-20")]
    assert local_days_of(day("2026-10-25"), "Europe/Berlin") == [day("2026-10-25"), day("2026-10-26")]


# --- what is touched ----------------------------------------------------------------------------------------


@pytest.fixture
def landing() -> Iterator[duckdb.DuckDBPyConnection]:
    """One landing at AS_OF of a job on November 10 and one on November 18, their calls the day after."""
    with duckdb.connect() as connection:
        connection.execute("create schema raw")
        for table in ("jobs", "llm_calls", "credit_transactions"):
            connection.execute(
                f"create table raw.{table} (row_id varchar, job_id varchar, team_id varchar, "
                "organization_id varchar, created_at timestamp)"
            )
        connection.execute("create table raw.team_versions (team_id varchar, organization_id varchar)")
        connection.execute("insert into raw.team_versions values ('acme', 'org'), ('loose', null)")
        connection.execute("create table raw.landings (landing_number bigint, as_of timestamp)")
        connection.execute("create table raw.touched_days (landing_number bigint, day date)")
        connection.execute("create table raw.related_days (day date, related_day date)")
        for row in (("j1", "2026-11-10 12:00"), ("j2", "2026-11-18 12:00")):
            connection.execute("insert into raw.jobs values (?, ?, 'loose', null, ?)", [row[0], *row])
        connection.execute(
            "insert into raw.related_days values ('2026-11-10', '2026-11-11'), ('2026-11-18', '2026-11-19')"
        )
        connection.execute("insert into raw.landings values (1, ?)", [AS_OF])
        yield connection


def land(landing: duckdb.DuckDBPyConnection, as_of: datetime, *touched: str) -> None:
    landing.execute("insert into raw.landings select max(landing_number) + 1, ? from raw.landings", [as_of])
    for text in touched:
        landing.execute(
            "insert into raw.touched_days select max(landing_number), ? from raw.landings", [text]
        )


def covered(landing: duckdb.DuckDBPyConnection, as_of: datetime = AS_OF, zone: str = "UTC") -> Coverage:
    return landed_coverage(landing, as_of=as_of, reporting_timezone=zone)


def touched_days(touched: Touched | None) -> list[tuple[str, str | None]]:
    assert touched is not None
    return [(str(first), None if end is None else str(end)) for first, end in touched.days]


def test_coverage_says_what_was_landed(landing: duckdb.DuckDBPyConnection) -> None:
    assert covered(landing) == Coverage(1, AS_OF, AS_OF, "UTC", models_fingerprint(), day("2026-11-10"))
    assert covered(landing, zone="Asia/Kolkata").first_day == day("2026-11-10")
    assert covered(landing, as_of=instant("2026-11-01T00:00:00")).first_day is None


def test_nothing_landed_is_an_error() -> None:
    with duckdb.connect() as connection:
        connection.execute("create schema raw")
        connection.execute("create table raw.landings (landing_number bigint, as_of timestamp)")
        with pytest.raises(AlmanacError, match="almanac land"):
            covered(connection)


def test_a_quiet_night_touches_the_days_that_were_open(landing: duckdb.DuckDBPyConnection) -> None:
    built = covered(landing)
    land(landing, AS_OF + NIGHT)
    # a job may have become stuck since: open ones of the day before count too
    assert touched_days(touched_since(landing, built, covered(landing, AS_OF + NIGHT))) == [
        ("2026-11-19", None)
    ]


def test_a_landing_as_of_an_earlier_moment_opens_days_again(landing: duckdb.DuckDBPyConnection) -> None:
    built = covered(landing)
    land(landing, AS_OF - 5 * NIGHT)
    assert touched_days(touched_since(landing, built, covered(landing, AS_OF + NIGHT))) == [
        ("2026-11-15", None)
    ]


def test_landings_since_the_build_are_touched_and_read_with_what_belongs_to_them(
    landing: duckdb.DuckDBPyConnection,
) -> None:
    built = covered(landing)
    land(landing, AS_OF + NIGHT, "2026-11-11")
    land(landing, AS_OF + 2 * NIGHT, "2026-11-12")
    touched = touched_since(landing, built, covered(landing, AS_OF + 2 * NIGHT))
    assert touched_days(touched) == [("2026-11-11", "2026-11-13"), ("2026-11-19", None)]
    assert touched is not None
    # the eleventh's calls belong to a job of the tenth; a second more, for pairs over midnight
    assert touched.read["read"][0] == (instant("2026-11-09T23:59:59"), instant("2026-11-13T00:00:00"))
    assert touched.ledger == ((instant("2026-11-11T00:00:00"), None),)
    assert touched.ledger_days == ((day("2026-11-11"), None),)


def test_what_is_read_reaches_as_far_as_what_is_related(landing: duckdb.DuckDBPyConnection) -> None:
    # of the week of the eleventh a call is of a job of the second, whose charge is of the fourth
    landing.execute(
        "insert into raw.related_days values ('2026-11-02', '2026-11-09'), ('2026-11-02', '2026-11-04')"
    )
    landing.execute("create table raw.days_of_jobs (table_name varchar, job_day date, day date)")
    landing.execute(
        "insert into raw.days_of_jobs values ('job_cost_summaries', '2026-11-11', '2026-12-24'), "
        "('job_cost_summaries', '2026-11-09', '2026-12-26'), ('llm_calls', '2026-11-11', '2026-11-30')"
    )
    built = covered(landing)
    land(landing, AS_OF + NIGHT, "2026-11-11")
    touched = touched_since(landing, built, covered(landing, AS_OF + NIGHT))
    assert touched is not None
    reads = touched.variables
    assert ["2026-11-01 23:59:59", "2026-11-03 00:00:00"] not in reads["read"]
    assert reads["read_week"][0] == ["2026-11-01 23:59:59", "2026-11-03 00:00:00"]
    assert reads["read_month"] == [["2026-10-31 23:59:59", None]]
    assert reads["read_summaries"] == [["2026-12-24 00:00:00", "2026-12-25 00:00:00"]]
    # ledger rows of the eleventh and later are of jobs of the tenth and later
    assert reads["read_ledger_jobs"] == [["2026-11-10 00:00:00", None]]
    assert reads["read_ledger_charges"] == [["2026-11-10 00:00:00", None]]


def test_charges_are_looked_for_where_the_jobs_of_touched_ledger_rows_have_any(
    landing: duckdb.DuckDBPyConnection,
) -> None:
    landing.execute(
        "insert into raw.related_days values ('2026-11-02', '2026-11-12'), ('2026-11-02', '2026-11-04')"
    )
    built = covered(landing)
    land(landing, AS_OF + NIGHT, "2026-11-12")
    touched = touched_since(landing, built, covered(landing, AS_OF + NIGHT))
    assert touched is not None
    job, charge = (
        ["2026-11-02 00:00:00", "2026-11-03 00:00:00"],
        ["2026-11-04 00:00:00", "2026-11-05 00:00:00"],
    )
    assert touched.variables["read_ledger_jobs"] == [job, ["2026-11-12 00:00:00", None]]
    assert touched.variables["read_ledger_charges"] == [job, charge, ["2026-11-12 00:00:00", None]]


def test_summaries_of_a_landing_that_keeps_no_pairs_are_all_read(landing: duckdb.DuckDBPyConnection) -> None:
    built = covered(landing)
    touched = touched_since(landing, built, covered(landing, AS_OF + NIGHT))
    assert touched is not None
    assert touched.variables["read_summaries"] == [["0001-01-01 00:00:00", None]]


def test_a_utc_day_touches_both_its_local_days(landing: duckdb.DuckDBPyConnection) -> None:
    built = covered(landing, zone="Asia/Kolkata")
    land(landing, AS_OF + NIGHT, "2026-11-12")
    touched = touched_since(landing, built, covered(landing, AS_OF + NIGHT, "Asia/Kolkata"))
    assert touched_days(touched) == [("2026-11-12", "2026-11-14"), ("2026-11-19", None)]


def test_rows_that_waited_touch_their_jobs_and_the_other_rows_of_these(
    landing: duckdb.DuckDBPyConnection,
) -> None:
    landing.execute(
        "insert into raw.related_days values ('2026-11-05', '2026-11-20'), ('2026-11-05', '2026-11-07')"
    )
    built = covered(landing)
    touched = touched_since(landing, built, covered(landing, AS_OF + NIGHT))
    assert touched_days(touched) == [
        ("2026-11-05", "2026-11-06"),
        ("2026-11-07", "2026-11-08"),
        ("2026-11-19", None),
    ]


@pytest.mark.parametrize(("team", "is_touched"), [("loose", True), ("acme", False)])
def test_a_ledger_row_that_waited_touches_all_days_of_a_team_that_it_assigns(
    landing: duckdb.DuckDBPyConnection, team: str, is_touched: bool
) -> None:
    landing.execute(
        "insert into raw.credit_transactions values ('t1', null, ?, 'org', ?)", [team, AS_OF + NIGHT / 2]
    )
    touched = touched_since(landing, covered(landing), covered(landing, AS_OF + NIGHT))
    job_days = [("2026-11-10", "2026-11-11"), ("2026-11-18", None)]
    assert touched_days(touched) == (job_days if is_touched else [("2026-11-19", None)])


@pytest.mark.parametrize(
    ("first_row", "expected"),
    [
        ("2026-11-07 10:00", [("2026-11-07", "2026-11-10"), ("2026-11-19", None)]),
        ("2026-11-12 10:00", [("2026-11-10", "2026-11-12"), ("2026-11-19", None)]),
    ],
    ids=["earlier", "later"],
)
def test_days_are_touched_by_which_the_calendar_became_longer_or_shorter(
    landing: duckdb.DuckDBPyConnection, first_row: str, expected: list[tuple[str, str | None]]
) -> None:
    built = covered(landing)
    landing.execute("update raw.jobs set created_at = ? where row_id = 'j1'", [first_row])
    land(landing, AS_OF + NIGHT)
    assert touched_days(touched_since(landing, built, covered(landing, AS_OF + NIGHT))) == expected


# --- when everything is built -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "change",
    [
        {"reporting_timezone": "Europe/Berlin"},
        {"models_fingerprint": "other models"},
        {"as_of": AS_OF + 3 * NIGHT},
        {"as_of": AS_OF - NIGHT},
        {"first_day": None},
        {"landing_as_of": AS_OF - NIGHT},
        {"landing_number": 7},
    ],
    ids=[
        "zone",
        "models",
        "as-of-back",
        "before-its-landing",
        "empty",
        "another-database",
        "newer-than-landed",
    ],
)
def test_a_warehouse_that_cannot_go_on_is_built_whole(
    landing: duckdb.DuckDBPyConnection, change: dict[str, Any]
) -> None:
    built = covered(landing)
    land(landing, AS_OF + NIGHT)
    wanted = covered(landing, AS_OF + NIGHT)
    assert touched_since(landing, built, wanted) is not None
    assert touched_since(landing, replace(built, **change), wanted) is None


def test_a_platform_without_a_row_any_more_is_built_whole(landing: duckdb.DuckDBPyConnection) -> None:
    built = covered(landing)
    landing.execute("delete from raw.jobs")
    land(landing, AS_OF + NIGHT)
    assert touched_since(landing, built, covered(landing, AS_OF + NIGHT)) is None


# --- what is audited ----------------------------------------------------------------------------------------


def history(first_day: str, as_of: datetime = AS_OF, zone: str = "UTC") -> Coverage:
    return Coverage(1, as_of, as_of, zone, "models", day(first_day))


@pytest.mark.parametrize("first_day", ["2026-11-20", "2026-08-24", "2026-08-23", "2026-02-01", "2024-08-11"])
def test_every_week_has_its_turn_in_every_second_night_too(first_day: str) -> None:
    first_week = day(first_day) - timedelta(days=day(first_day).weekday())
    weeks = {first_week + n * 7 * NIGHT for n in range((AS_OF.date() - first_week).days // 7 + 1)}
    # turns: the weeks of the grown history, and at most 26 more; twice, since every second night is left out
    nights = 2 * (2 * len(weeks) + 2 * 13)
    found = [week_in_turn(history(first_day, AS_OF + 2 * n * NIGHT)) for n in range(nights)]
    met = [week for week in found if week is not None]
    assert weeks <= {start for start, _ in met}
    assert {end - start for start, end in met} == {7 * NIGHT}
    assert all(start.weekday() == 0 for start, _ in met)


def test_the_week_in_turn_depends_on_the_local_day_alone() -> None:
    early, late = AS_OF.replace(hour=0), AS_OF.replace(hour=23, minute=59)
    assert week_in_turn(history("2026-01-01", early)) == week_in_turn(history("2026-01-01", late))
    # where it is the next day already
    there, next_day = history("2026-01-01", late, "Asia/Kolkata"), history("2026-01-01", early + NIGHT)
    assert week_in_turn(there) == week_in_turn(next_day)


def test_an_audit_looks_at_what_was_rebuilt_and_at_the_week_in_turn(
    landing: duckdb.DuckDBPyConnection,
) -> None:
    built = covered(landing)
    land(landing, AS_OF + NIGHT, "2026-11-11")
    touched = touched_since(landing, built, covered(landing))
    assert touched is not None
    turns = {week_in_turn(one): one for n in range(40) if (one := history("2026-08-01", AS_OF + n * NIGHT))}
    week = (day("2026-09-07"), day("2026-09-14"))
    audited = audited_with(touched, landing, turns[week])
    assert audited.days == (week, *touched.days)
    assert audited.ledger == (tuple(start_of_day(end, "UTC") for end in week), *touched.ledger)
    assert audited.variables["ledger_day"][0] == [str(week[0]), str(week[1])]
    assert audited.read["read"][0][0] == start_of_day(week[0], "UTC") - timedelta(seconds=1)


# --- portions -----------------------------------------------------------------------------------------------


def test_portions_are_of_whole_months_and_together_of_all_time(
    landing: duckdb.DuckDBPyConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(coverage, "PORTION_CALLS", 10)
    landing.execute("create table raw.landed_days (table_name varchar, day date, row_count bigint)")
    assert [portion[0][1:] for portion in portions_of(landing)] == [["0001-01-01", "9999-12-31"]]
    landing.execute(
        "insert into raw.landed_days values ('llm_calls', '2026-01-31', 4), ('llm_calls', '2026-02-01', 3), "
        "('llm_calls', '2026-02-28', 3), ('llm_calls', '2026-03-01', 1), ('llm_calls', '2026-05-01', 30), "
        "('llm_calls', '2026-06-01', 1), ('jobs', '2026-07-01', 99)"
    )
    portions = portions_of(landing)
    bounds = {
        kind: [(first, end) for portion in portions for name, first, end in portion if name == kind]
        for kind in ("day", "week", "month")
    }
    assert (
        bounds["day"]
        == bounds["month"]
        == [
            ("0001-01-01", "2026-03-01"),
            ("2026-03-01", "2026-05-01"),
            ("2026-05-01", "2026-06-01"),
            ("2026-06-01", "9999-12-31"),
        ]
    )
    # the first of March is a Sunday, of May a Friday, of June a Monday
    assert bounds["week"] == [
        ("0001-01-01", "2026-02-23"),
        ("2026-02-23", "2026-04-27"),
        ("2026-04-27", "2026-06-01"),
        ("2026-06-01", "9999-12-31"),
    ]
