"""Periods and instants as people write them: what `2026-W47`, `2026-11` and an `--as-of` mean.

dbt pastes vars into SQL unescaped, so nothing that these functions did not accept may reach it.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Self

from flows.errors import UsageError

# Room below the calendar's own ends, so that no window or comparison period falls off them.
FIRST_YEAR = 1970
LAST_YEAR = 9000

_WEEK = re.compile(r"([0-9]{4})-W([0-9]{2})")
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_MONTH = re.compile(r"([0-9]{4})-([0-9]{2})")
_INSTANT = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
    r"([T ][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,6})?)?(Z|[+-][0-9]{2}:[0-9]{2})?)?"
)


@dataclass(frozen=True, order=True, slots=True)
class Week:
    """One ISO week, Monday to Sunday."""

    iso_year: int
    iso_week: int

    def __post_init__(self) -> None:
        _require_year(self.iso_year)
        date.fromisocalendar(self.iso_year, self.iso_week, 1)

    @classmethod
    def containing(cls, day: date) -> Self:
        iso = day.isocalendar()
        return cls(iso.year, iso.week)

    @property
    def start_date(self) -> date:
        return date.fromisocalendar(self.iso_year, self.iso_week, 1)

    @property
    def end_date(self) -> date:
        """The first day after the week."""
        return self.start_date + timedelta(days=7)

    @property
    def label(self) -> str:
        return f"{self.iso_year:04d}-W{self.iso_week:02d}"

    def previous(self, n: int = 1) -> Self:
        return self.containing(self.start_date - timedelta(weeks=n))


@dataclass(frozen=True, order=True, slots=True)
class Month:
    """One calendar month."""

    year: int
    month: int

    def __post_init__(self) -> None:
        _require_year(self.year)
        date(self.year, self.month, 1)

    @classmethod
    def containing(cls, day: date) -> Self:
        return cls(day.year, day.month)

    @property
    def start_date(self) -> date:
        return date(self.year, self.month, 1)

    @property
    def end_date(self) -> date:
        """The first day after the month."""
        return date(self.year + self.month // 12, self.month % 12 + 1, 1)

    @property
    def label(self) -> str:
        return f"{self.year:04d}-{self.month:02d}"

    def previous(self, n: int = 1) -> Self:
        year, month = divmod(self.year * 12 + self.month - 1 - n, 12)
        return type(self)(year, month + 1)


@dataclass(frozen=True, slots=True)
class Days:
    """Local days from `first` up to, not including, `end`."""

    first: date
    end: date

    def __post_init__(self) -> None:
        _require_year(self.first.year)
        _require_year(self.end.year)
        if self.first >= self.end:
            raise ValueError("the first day must come before the end")

    def __iter__(self) -> Iterator[date]:
        return (self.first + timedelta(days=n) for n in range((self.end - self.first).days))

    def __str__(self) -> str:
        last = self.end - timedelta(days=1)
        return f"{self.first}" if self.first == last else f"{self.first} to {last}"


def parse_days(first: str, last: str | None = None) -> Days:
    """The days of a month, week or day, or from the first day of one to the last day of another."""
    try:
        return Days(_days_of(first).first, _days_of(last or first).end)
    except ValueError:
        raise UsageError(f"{last} ends before {first} begins. Give the earlier period first.") from None


def _days_of(text: str) -> Days:
    if _MONTH.fullmatch(text):
        month = parse_month(text)
        return Days(month.start_date, month.end_date)
    if _WEEK.fullmatch(text):
        week = parse_week(text)
        return Days(week.start_date, week.end_date)
    try:
        if _DAY.fullmatch(text):
            day = date.fromisoformat(text)
            return Days(day, day + timedelta(days=1))
    except (ValueError, OverflowError):  # there is none, or none after it
        pass
    raise UsageError(
        f"{text!r} is not a period. Write a month (2025-10), a week (2025-W40) or a day (2025-10-05)."
    )


def parse_week(text: str) -> Week:
    """`2026-W47`, and nothing else."""
    match = _WEEK.fullmatch(text)
    try:
        if match:
            return Week(int(match[1]), int(match[2]))
    except ValueError:
        pass
    raise UsageError(f"{text!r} is not an ISO week. Write the year and the week, such as 2026-W47.")


def parse_month(text: str) -> Month:
    """`2026-11`, and nothing else."""
    match = _MONTH.fullmatch(text)
    try:
        if match:
            return Month(int(match[1]), int(match[2]))
    except ValueError:
        pass
    raise UsageError(f"{text!r} is not a month. Write the year and the month, such as 2026-11.")


def parse_as_of(text: str) -> datetime:
    """A date or an instant, as naive UTC; without an offset it is UTC already."""
    try:
        if _INSTANT.fullmatch(text):
            instant = datetime.fromisoformat(text)
            if instant.tzinfo is not None:
                instant = instant.astimezone(UTC).replace(tzinfo=None)
            _require_year(instant.year)
            return instant
    except (ValueError, OverflowError):
        pass
    raise UsageError(
        f"{text!r} is not a moment. Write a date or a time in UTC, such as 2026-11-23, "
        "2026-11-23T02:00:00 or 2026-11-23T03:00:00+01:00."
    )


def _require_year(year: int) -> None:
    if not FIRST_YEAR <= year <= LAST_YEAR:
        raise ValueError(f"the year must lie between {FIRST_YEAR} and {LAST_YEAR}")
