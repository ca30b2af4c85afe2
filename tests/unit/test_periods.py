"""Periods and instants: exact, or refused with a sentence."""

from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows.errors import UsageError
from flows.periods import Month, Week, parse_as_of, parse_month, parse_week

DAYS = st.dates(min_value=date(1970, 1, 5), max_value=date(9000, 12, 1))
INSTANTS = st.datetimes(min_value=datetime(1970, 1, 3), max_value=datetime(9000, 12, 29))
# Arbitrary text, and text that nearly is a period.
TEXTS = st.one_of(
    st.text(max_size=20),
    st.from_regex(r"\d{3,5}-?W?\d{1,3}\s?", fullmatch=True),
    st.from_regex(r"\d{4}-\d\d-\d\d[T ]?(\d\d:\d\d(:\d\d(\.\d+)?)?)?(Z|[+-]\d\d:?\d\d)?\n?", fullmatch=True),
)


@given(DAYS)
def test_a_week_holds_its_days_and_is_read_back_from_its_label(day: date) -> None:
    week = Week.containing(day)
    assert week.start_date <= day < week.end_date
    assert week.start_date.isoweekday() == 1
    assert week.end_date - week.start_date == timedelta(days=7)
    assert parse_week(week.label) == week


@given(DAYS)
def test_a_month_holds_its_days_and_is_read_back_from_its_label(day: date) -> None:
    month = Month.containing(day)
    assert month.start_date <= day < month.end_date
    assert month.end_date.day == 1
    assert Month.containing(month.end_date - timedelta(days=1)) == month
    assert parse_month(month.label) == month


@given(DAYS.filter(lambda day: day.year > 1990), st.integers(min_value=0, max_value=1000))
def test_previous_periods_are_as_many_periods_back(day: date, n: int) -> None:
    week = Week.containing(day).previous(n % 200)
    assert Week.containing(day).start_date - week.start_date == timedelta(weeks=n % 200)
    month = Month.containing(day)
    assert month.previous().end_date == month.start_date
    assert month.previous(n % 200).previous(-(n % 200)) == month


@given(TEXTS)
def test_any_text_is_an_exact_week_or_refused(text: str) -> None:
    try:
        week = parse_week(text)
    except UsageError:
        pass
    else:
        assert week.label == text


@given(TEXTS)
def test_any_text_is_an_exact_month_or_refused(text: str) -> None:
    try:
        month = parse_month(text)
    except UsageError:
        pass
    else:
        assert month.label == text


@given(TEXTS)
def test_any_text_is_a_moment_in_naive_utc_or_refused(text: str) -> None:
    try:
        moment = parse_as_of(text)
    except UsageError:
        pass
    else:
        assert moment.tzinfo is None
        assert text[:2].isdigit()
        assert set(text) <= set("0123456789-+:.TZ ")


@given(INSTANTS, st.integers(min_value=-23 * 60, max_value=23 * 60))
def test_a_moment_with_an_offset_is_the_same_moment_in_utc(instant: datetime, minutes: int) -> None:
    elsewhere = instant.replace(tzinfo=UTC).astimezone(timezone(timedelta(minutes=minutes)))
    assert parse_as_of(elsewhere.isoformat()) == instant
    assert parse_as_of(instant.isoformat()) == instant
    assert parse_as_of(instant.isoformat() + "Z") == instant


def test_a_date_alone_is_its_first_moment_in_utc() -> None:
    assert parse_as_of("2026-11-23") == datetime(2026, 11, 23)


@pytest.mark.parametrize(
    "text",
    [
        "2026-W53\n",
        "2025-W53",
        "2026-W00",
        "2026-W54",
        "2026-w47",
        "2026W47",
        " 2026-W47",
        "٢٠٢٦-W47",
        "0000-W01",
    ],
)
def test_weeks_that_do_not_exist_are_refused(text: str) -> None:
    with pytest.raises(UsageError, match="such as 2026-W47"):
        parse_week(text)


def test_a_leap_week_and_the_turn_of_the_iso_year() -> None:
    assert parse_week("2026-W53").end_date == date(2027, 1, 4)
    assert parse_week("2025-W01").start_date == date(2024, 12, 30)
    assert Week.containing(date(2027, 1, 1)) == Week(2026, 53)


@pytest.mark.parametrize(
    "text", ["2026-13", "2026-00", "2026-1", "2026-11-01", "1969-12", "9999-12", "'; drop"]
)
def test_months_that_do_not_exist_are_refused(text: str) -> None:
    with pytest.raises(UsageError, match="such as 2026-11"):
        parse_month(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "now",
        "2026-02-29",
        "2026-11-23T25:00:00",
        "20261123",
        "2026-W47-1",
        "9999-12-31",
        "1970-01-01T00:00:00+05:00",
    ],
)
def test_moments_that_do_not_exist_are_refused(text: str) -> None:
    with pytest.raises(UsageError, match="such as 2026-11-23"):
        parse_as_of(text)
