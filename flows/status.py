"""`almanac status`: what is published, how far it reaches, and whether whoever watches is alive."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING

from flows.errors import AlmanacError
from flows.warehouse import open_warehouse, warehouse_name

if TYPE_CHECKING:
    from flows.settings import Settings

# A night a day, and two hours for a slow one.
STALE_AFTER = timedelta(hours=26)


@dataclass(frozen=True, slots=True)
class Status:
    warehouse: str
    as_of: datetime
    first_day: date | None
    last_complete_day: date | None
    newest_job_at: datetime | None
    newest_call_at: datetime | None
    newest_transaction_at: datetime | None
    age_hours: float
    # whether the last good night is too old
    is_stale: bool
    newest_check_at: datetime | None
    newest_probe_at: datetime | None
    # of all components; null where nothing is probed
    health: str | None
    not_up: tuple[str, ...]
    # what is too old, each with what to do; empty when all is well
    problems: tuple[str, ...]


def read_status(settings: Settings, *, now: datetime) -> Status:
    """The published warehouse and the monitor as they are at `now` (naive UTC)."""
    import duckdb

    from flows.liveness import read_liveness
    from flows.probe_config import load_probes

    probes = None if settings.probes is None else load_probes(settings.probes)
    warehouse = warehouse_name(settings)
    connection = open_warehouse(settings)
    try:
        row = connection.execute(
            """
            select
                max(built_at_as_of),
                min(period_start_date),
                max(period_start_date) filter (where is_complete),
                (select max(created_at) from compat.jobs),
                (select max(created_at) from compat.llm_calls),
                (select max(created_at) from compat.credit_transactions)
            from marts.platform_usage_daily
            """
        ).fetchone()
    except duckdb.Error as error:
        raise AlmanacError(
            f"{warehouse} does not hold the marts that status reads: {error}\n"
            "Run `almanac nightly` to publish them again."
        ) from error
    finally:
        connection.close()

    if row is None or row[0] is None:
        raise AlmanacError(f"{warehouse} holds no day at all. Check the source, then run `almanac nightly`.")
    age = now - row[0]
    is_stale = age > STALE_AFTER
    liveness = read_liveness(settings, probes, now=now)
    problems = list(liveness.problems)
    if is_stale:
        stale_hours = STALE_AFTER // timedelta(hours=1)
        problems.insert(0, f"the last good night is older than {stale_hours} h; run `almanac nightly`")
    return Status(
        warehouse=warehouse,
        as_of=row[0],
        first_day=row[1],
        last_complete_day=row[2],
        newest_job_at=row[3],
        newest_call_at=row[4],
        newest_transaction_at=row[5],
        age_hours=round(age / timedelta(hours=1), 2),
        is_stale=is_stale,
        newest_check_at=liveness.newest_check_at,
        newest_probe_at=liveness.newest_probe_at,
        health=liveness.health,
        not_up=liveness.not_up,
        problems=tuple(problems),
    )


def as_json(status: Status) -> str:
    values = {
        name: value.isoformat() if isinstance(value, date) else value
        for name, value in asdict(status).items()
    }
    return json.dumps(values, indent=2)


def as_text(status: Status) -> str:
    lines = {
        "warehouse": status.warehouse,
        "as of": f"{status.as_of} UTC ({status.age_hours:.1f} h ago)",
        "days": f"{status.first_day} to {status.last_complete_day} (the last complete day)",
        "newest job": _instant(status.newest_job_at),
        "newest call": _instant(status.newest_call_at),
        "newest ledger row": _instant(status.newest_transaction_at),
    }
    if status.newest_check_at is not None:
        lines["newest alert check"] = _instant(status.newest_check_at)
    if status.health is not None:
        lines["newest probe"] = _instant(status.newest_probe_at)
        lines["health"] = ": ".join([status.health, ", ".join(status.not_up)][: 2 if status.not_up else 1])
    lines["state"] = f"\n{'':<19}".join(status.problems) or "fresh"
    return "\n".join(f"{name:<18} {value}" for name, value in lines.items())


def _instant(value: datetime | None) -> str:
    return "none" if value is None else f"{value} UTC"
