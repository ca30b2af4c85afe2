"""`almanac status`: what is published, how far it reaches, and whether it is fresh."""

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
    is_stale: bool


def read_status(settings: Settings, *, now: datetime) -> Status:
    """The published warehouse as it is at `now` (naive UTC)."""
    import duckdb

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
    return Status(
        warehouse=warehouse,
        as_of=row[0],
        first_day=row[1],
        last_complete_day=row[2],
        newest_job_at=row[3],
        newest_call_at=row[4],
        newest_transaction_at=row[5],
        age_hours=round(age / timedelta(hours=1), 2),
        is_stale=age > STALE_AFTER,
    )


def as_json(status: Status) -> str:
    values = {
        name: value.isoformat() if isinstance(value, date) else value
        for name, value in asdict(status).items()
    }
    return json.dumps(values, indent=2)


def as_text(status: Status) -> str:
    stale_hours = STALE_AFTER // timedelta(hours=1)
    verdict = f"stale: older than {stale_hours} h; run `almanac nightly`" if status.is_stale else "fresh"
    lines = {
        "warehouse": status.warehouse,
        "as of": f"{status.as_of} UTC ({status.age_hours:.1f} h ago)",
        "days": f"{status.first_day} to {status.last_complete_day} (the last complete day)",
        "newest job": _instant(status.newest_job_at),
        "newest call": _instant(status.newest_call_at),
        "newest ledger row": _instant(status.newest_transaction_at),
        "state": verdict,
    }
    return "\n".join(f"{name:<18} {value}" for name, value in lines.items())


def _instant(value: datetime | None) -> str:
    return "none" if value is None else f"{value} UTC"
