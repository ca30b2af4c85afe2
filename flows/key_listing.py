"""Keys of the API for people: the list of them, and whether anybody will see anything with one."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from flows.errors import AlmanacError
from flows.key_records import KeyRecord
from flows.review_scopes import PLATFORM, Scope
from reports.formats import safe_label

if TYPE_CHECKING:
    from flows.settings import Settings


def as_table(records: Sequence[KeyRecord], now: datetime) -> str:
    """One line per key; moments in UTC, to the minute. What people wrote stands last, however long it is."""
    if not records:
        return "No key. `almanac keys create` makes one."
    rows = [("prefix", "state", "created", "expires", "last used", "scope", "name")]
    for record in records:
        scope = str(PLATFORM) if record.scope == PLATFORM else safe_label(str(record.scope), 60)
        times = (
            _moment(record.created_at, ""),
            _moment(record.expires_at, "never"),
            _moment(record.last_used_at, "never"),
        )
        rows.append((record.prefix, record.state(now).value, *times, scope, safe_label(record.name, 60)))
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def as_json(records: Sequence[KeyRecord], now: datetime) -> str:
    """A list of objects, one per key; moments as ISO 8601 in UTC, null where there is none."""
    return json.dumps(
        [
            {
                "prefix": record.prefix,
                "name": record.name,
                "scope": str(record.scope),
                "state": record.state(now).value,
                "created_at": _instant(record.created_at),
                "created_by": record.created_by,
                "expires_at": _instant(record.expires_at),
                "last_used_at": _instant(record.last_used_at),
                "revoked_at": _instant(record.revoked_at),
                "revoked_by": record.revoked_by,
            }
            for record in records
        ],
        indent=2,
    )


def doubt(settings: Settings, scope: Scope) -> str | None:
    """Why a key for this scope may show nothing; None when what is published knows the scope."""
    if scope == PLATFORM:
        return None
    import duckdb  # 0.1 s to import

    from flows.warehouse import open_warehouse

    table = {"team": "dim_teams", "organization": "dim_organizations"}[scope.kind]
    sql = f"select 1 from {table} where {scope.kind}_id = ? limit 1"
    try:
        reader = open_warehouse(settings)
        try:
            found = reader.execute(sql, [scope.id]).fetchone() is not None
        finally:
            reader.close()
    except (AlmanacError, duckdb.Error) as error:
        return f"Whether there is a {scope} was not checked: {error}"
    if found:
        return None
    return f"The published marts know no {scope}: until they do, the key shows nothing. Check the id."


def _moment(value: datetime | None, missing: str) -> str:
    return missing if value is None else f"{value:%Y-%m-%d %H:%M}"


def _instant(value: datetime | None) -> str | None:
    return None if value is None else value.isoformat(timespec="seconds") + "Z"
