"""Rebuild a period's days from the source, whatever their fingerprints say, and tell what changed.

The page's remedy for "missing usage data". It is the night once more, as of the night that is published,
with the period's days copied and built again; nothing is rendered or sent. A run that dies is repeated:
months already landed stay landed, and the next build of any kind brings them into the marts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, nullcontext
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path

from flows.build import published_coverage
from flows.built import Built
from flows.coverage import start_of_day
from flows.dry_run import copies
from flows.errors import AlmanacError
from flows.landing_scope import DayRange
from flows.nightly import AUDIT, BUILD, PUBLISH, Night, Step, land_step
from flows.periods import Days, Month
from flows.preflight import require_room
from flows.settings import Settings
from flows.warehouse_postgres import connect

SHOWN_CHANGES = 40


@dataclass(frozen=True, slots=True)
class Change:
    """One measure of one team and complete day that is another one now; None: not known."""

    team_id: str
    day: str
    measure: str
    old_value: Decimal | None
    new_value: Decimal | None
    cause: str


@dataclass(frozen=True, slots=True)
class RecalculationReport:
    """What a recalculation changed; with `is_dry_run` what it would have changed."""

    days: Days
    team_id: str | None
    is_dry_run: bool
    changes: tuple[Change, ...]

    def __str__(self) -> str:
        whose = f" of team {self.team_id}" if self.team_id else ""
        if not self.changes:
            return f"{self.days}{whose}: every value is as it was published."
        verb = "would change" if self.is_dry_run else "changed"
        count = "1 value" if len(self.changes) == 1 else f"{len(self.changes):,} values"
        lines = [f"{self.days}{whose}: {count} {verb} (see the mart restatements)."]
        lines += [
            f"  {change.day}  {change.team_id}  {change.measure}: "
            f"{_shown(change.old_value)} -> {_shown(change.new_value)} ({change.cause})"
            for change in self.changes[:SHOWN_CHANGES]
        ]
        if len(self.changes) > SHOWN_CHANGES:
            lines.append(f"  and {len(self.changes) - SHOWN_CHANGES:,} more")
        return "\n".join(lines)


def recalculate(
    night: Night,
    days: Days,
    *,
    team_id: str | None = None,
    dry_run: bool = False,
    perform: Callable[[Step, Night], None] = lambda step, night: step.run(night),
) -> RecalculationReport:
    """Copy the days' rows from the source, build their periods, audit and publish.

    With `dry_run` all of it happens to copies, which are then removed. `team_id` limits what is reported,
    not what is rebuilt. Raises what the steps of a night raise.
    """
    require_room(night.settings, night.source if isinstance(night.source, Path) else None)
    with copies(night.settings, days) if dry_run else nullcontext(night.settings) as settings:
        night.settings = settings
        night.also = tuple(days)
        for month in _months(days):
            step = Step(f"land {month}", partial(_land, days=month))
            night.run.phase("land")
            perform(step, night)
        for step in (BUILD, AUDIT) if dry_run else (BUILD, AUDIT, PUBLISH):
            night.run.phase(step.name)
            perform(step, night)
        side_file = night.built if dry_run else settings.warehouse_path
        changes = _changes(settings, side_file, night.as_of, days)
    return RecalculationReport(
        days, team_id, dry_run, tuple(change for change in changes if team_id in (None, change.team_id))
    )


def _land(night: Night, *, days: Days) -> None:
    zone = night.settings.reporting_timezone
    first, end = start_of_day(days.first, zone), start_of_day(days.end, zone)
    # every UTC day that the local days overlap
    last = end if end.time() == time() else end + timedelta(days=1)
    land_step(night, recalculate=DayRange(first.date(), last.date()))


def _months(days: Days) -> Iterator[Days]:
    """The days month by month: each is landed on its own, so a long range needs no more room than that."""
    first = days.first
    while first < days.end:
        end = min(Month.containing(first).end_date, days.end)
        yield Days(first, end)
        first = end


# What this run restates; what the night it repeats had restated already is no change.
_CHANGES = """
select
  restated.team_id, cast(restated.period_start_date as varchar), restated.measure,
  case when told.measure is null then restated.old_value else told.new_value end, restated.new_value,
  restated.cause
from {marts}.restatements as restated
left join {raw}.published_restatements as told
  on told.team_id = restated.team_id and told.period_start_date = restated.period_start_date
  and told.measure = restated.measure and told.restated_as_of = restated.restated_as_of
where restated.restated_as_of = timestamp '{as_of}'
  and restated.period_start_date >= date '{days.first}' and restated.period_start_date < date '{days.end}'
  and (told.measure is null or told.new_value is distinct from restated.new_value)
order by restated.period_start_date, restated.team_id, restated.measure
"""


def _changes(settings: Settings, warehouse: Built | None, as_of: datetime, days: Days) -> list[Change]:
    if settings.target == "postgres":
        query = _CHANGES.format(marts="marts", raw="raw", as_of=as_of, days=days)
        with closing(connect(settings)) as connection:
            return [Change(*row) for row in connection.execute(query.encode()).fetchall()]
    import duckdb

    assert isinstance(warehouse, Path)
    query = _CHANGES.format(marts="warehouse.marts", raw="landing.raw", as_of=as_of, days=days)
    with duckdb.connect() as both:
        for name, path in (("warehouse", warehouse), ("landing", settings.landing_path)):
            quoted = str(path).replace("'", "''")
            both.execute(f"attach '{quoted}' as {name} (read_only)")
        return [Change(*row) for row in both.execute(query).fetchall()]


def last_published(settings: Settings) -> datetime:
    """The moment of the published night, which a recalculation repeats; AlmanacError without one."""
    covered = published_coverage(settings)
    if covered is None:
        raise AlmanacError(
            f"No night is published in {settings.data_dir} to recalculate. Run `almanac nightly` first."
        )
    return covered.as_of


def _shown(value: Decimal | None) -> str:
    return "not known" if value is None else f"{value.normalize():f}"
