"""When a review may go out: its period is closed, landed to its end, audited and published.

The clock alone never says so.
"""

from __future__ import annotations

from datetime import datetime

from flows.coverage import local_day
from flows.review_reader import query
from flows.review_scopes import Kind, Period
from flows.warehouse import Reader


def due_period(kind: Kind, as_of: datetime, reporting_timezone: str) -> Period:
    """The last period of the kind that had ended at a moment (naive UTC), in the reporting time zone."""
    return kind.containing(local_day(as_of, reporting_timezone)).previous()


def why_not_ready(connection: Reader, kind: Kind, period: Period) -> str | None:
    """Why the published night has no review of a period to send; None when it has.

    What is published has passed its audit: nothing else is ever published.
    """
    rows = query(
        connection,
        "select period_start_date, is_complete, has_activity, built_at_as_of "
        "from warehouse.reviews.review_verdicts where review_kind = ? and scope_kind = 'platform' "
        "and period_start_date <= ? order by period_start_date desc limit 2",
        [kind.value, period.start_date],
    )
    if not rows or rows[0][0] != period.start_date:
        return f"the published data does not reach {period.label} yet"
    _, is_complete, has_activity, as_of = rows[0]
    if not is_complete:
        return f"{period.label} is not complete in the published data, which is as of {as_of} UTC"
    if not has_activity and len(rows) > 1 and rows[1][2]:
        return (
            f"{period.label} is empty in the published data (no job, no call), and the {kind.noun} before "
            "was not: the source may have lost its rows"
        )
    return None
