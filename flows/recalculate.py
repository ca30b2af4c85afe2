"""Rebuild a period's days from the source, whatever their fingerprints say, and tell what changed.

The page's remedy for "missing usage data". It is the night once more, as of the night that is published,
with the period's days copied and built again; nothing is rendered or sent. A run that dies is repeated:
months already landed stay landed, and the next build of any kind brings them into the marts.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path

from flows.build import published_coverage
from flows.built import Built
from flows.coverage import start_of_day
from flows.errors import AlmanacError, UsageError
from flows.landing_scope import DayRange
from flows.nightly import AUDIT, BUILD, PUBLISH, Night, Step, land_step
from flows.periods import Days, Month
from flows.preflight import require_room
from flows.settings import Settings
from flows.warehouse import open_published
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
    if dry_run and night.settings.target == "postgres":
        raise UsageError("A dry run is not possible with ALMANAC_TARGET=postgres. Leave --dry-run out.")
    require_room(night.settings, night.source if isinstance(night.source, Path) else None)
    with _copies(night.settings) if dry_run else _itself(night.settings) as settings:
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
        return RecalculationReport(
            days, team_id, dry_run, _changes(settings, side_file, night, days, team_id)
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


def _changes(
    settings: Settings, warehouse: Built | None, night: Night, days: Days, team_id: str | None
) -> tuple[Change, ...]:
    query = (
        "select team_id, cast(period_start_date as varchar), measure, old_value, new_value, cause "
        f"from marts.restatements where restated_as_of = timestamp '{night.as_of}' "
        f"and period_start_date >= date '{days.first}' and period_start_date < date '{days.end}' "
        "order by period_start_date, team_id, measure"
    )
    if settings.target == "postgres":
        with closing(connect(settings)) as connection:
            rows = connection.execute(query.encode()).fetchall()
    else:
        assert isinstance(warehouse, Path)
        with closing(open_published(warehouse)) as connection:
            rows = connection.execute(query).fetchall()
    return tuple(Change(*row) for row in rows if team_id in (None, row[0]))


@contextmanager
def _itself(settings: Settings) -> Iterator[Settings]:
    yield settings


@contextmanager
def _copies(settings: Settings) -> Iterator[Settings]:
    """A data folder beside the real one, with copies of what a night reads and writes."""
    folder = settings.build_dir / f"dry-run-{os.getpid()}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        for path in (settings.landing_path, settings.warehouse_path):
            if path.is_file():
                shutil.copyfile(path, folder / path.name)
        yield settings.model_copy(update={"data_dir": folder})
    finally:
        shutil.rmtree(folder, ignore_errors=True)


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
