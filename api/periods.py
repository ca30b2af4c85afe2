"""The period of a question: `2025-10`, `2025-W40` or `2025-10-05`, and the marts that answer for it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import Query

from api.problems import NotFound, Wrong
from flows.errors import UsageError
from flows.periods import parse_days

if TYPE_CHECKING:
    from api.nights import Night

PeriodText = Annotated[
    str,
    Query(
        description="A month (2025-10), an ISO week (2025-W40) or a day (2025-10-05) in the reporting zone.",
        # told to programs; people are told in words, by parse_period
        json_schema_extra={"pattern": r"^[0-9]{4}-(W[0-9]{2}|[0-9]{2}|[0-9]{2}-[0-9]{2})$"},
        examples=["2025-10", "2025-W40", "2025-10-05"],
        max_length=100,
    ),
]

# By the length of what people write.
_GRAINS = {len("2025-10"): "monthly", len("2025-W40"): "weekly", len("2025-10-05"): "daily"}


@dataclass(frozen=True, slots=True)
class AskedPeriod:
    """A period and its grain: daily, weekly or monthly, as the marts' names end."""

    label: str
    grain: str
    start_date: date
    end_date: date

    @property
    def previous(self) -> AskedPeriod | None:
        """The period of the same grain before; None where the calendar begins."""
        from flows.review_scopes import Kind

        try:
            if self.grain == "daily":
                day = date.fromordinal(self.start_date.toordinal() - 1)
                return AskedPeriod(day.isoformat(), self.grain, day, self.start_date)
            before = Kind(self.grain).containing(self.start_date).previous()
            return AskedPeriod(before.label, self.grain, before.start_date, before.end_date)
        except ValueError:
            return None


def parse_period(text: str) -> AskedPeriod:
    """The period that somebody wrote; Wrong for anything else."""
    try:
        days = parse_days(text)
    except UsageError as error:
        raise Wrong(str(error)) from None
    return AskedPeriod(text, _GRAINS[len(text)], days.first, days.end)


def published(night: Night, period: AskedPeriod) -> dict[str, Any] | None:
    """The platform's row of the period, which every published period has; None of any other."""
    return night.once(
        ("platform_usage", period.grain, period.start_date),
        lambda: night.row(
            f"select * from warehouse.marts.platform_usage_{period.grain} where period_start_date = ?",
            [period.start_date],
        ),
    )


def require_published(night: Night, period: AskedPeriod) -> dict[str, Any]:
    """The same; NotFound says which periods there are."""
    row = published(night, period)
    if row is None:
        span = night.row(
            "select min(period_start_date) as first, max(period_start_date) as last "
            "from warehouse.marts.platform_usage_daily"
        )
        assert span is not None
        if span["first"] is None:
            raise NotFound(f"Nothing is published of {period.label}; no day is.")
        raise NotFound(
            f"Nothing is published of {period.label}; the published days go from {span['first']} "
            f"to {span['last']}."
        )
    return row
