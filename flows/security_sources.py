"""What the alerts on security are made of: which of their sources there are, as the last landing found them.

One row per source in raw.security_sources. A rule whose source is absent says so instead of saying nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

TABLE = (
    "source_name varchar, is_present boolean, read_as_of timestamp, row_count bigint, "
    "newest_at timestamp, detail varchar"
)
ACCESS_LOG = "access_log"

_GRANTED = "export the table, or grant it (docs/alerts.md)"
# How each is switched on, for people.
SWITCHED_ON_BY = {
    ACCESS_LOG: "set ALMANAC_ACCESS_LOG to the log of the reverse proxy",
    "admin_sessions": _GRANTED,
    "admin_users": _GRANTED,
    "admin_audit_log": _GRANTED,
    "litellm_failures": 'export LiteLLM\'s "LiteLLM_SpendLogs", or grant it (docs/alerts.md)',
}
_CLOCKS = {
    ACCESS_LOG: "happened_at",
    "admin_sessions": "created_at",
    "admin_users": "created_at",
    "admin_audit_log": "created_at",
    "litellm_failures": "happened_at",
}


@dataclass(frozen=True, slots=True)
class SecuritySource:
    """One source; moments are naive UTC."""

    name: str
    is_present: bool
    # the moment of the last landing that read it
    read_as_of: datetime | None
    row_count: int
    newest_at: datetime | None
    # what was wrong with it, else null
    detail: str | None

    def __str__(self) -> str:
        if not self.is_present:
            return f"{self.name}: no source: {self.detail or SWITCHED_ON_BY[self.name]}"
        newest = f", the newest of {self.newest_at:%Y-%m-%d %H:%M} UTC" if self.newest_at else ""
        return f"{self.name}: {self.row_count:,} rows{newest}" + (f"; {self.detail}" if self.detail else "")


def note(
    connection: DuckDBPyConnection,
    name: str,
    *,
    is_present: bool,
    read_as_of: datetime | None,
    detail: str | None = None,
) -> None:
    """Write down what a landing found of a source; what it read before stays known when it is gone."""
    before = connection.execute(
        "select read_as_of from raw.security_sources where source_name = ?", [name]
    ).fetchone()
    # not the later of both: a landing whose clock was ahead must not look fresh for as long
    known = read_as_of or (before[0] if before else None)
    connection.execute("delete from raw.security_sources where source_name = ?", [name])
    connection.execute(
        f"insert into raw.security_sources select ?, ?, ?, count(*), max({_CLOCKS[name]}), ? from raw.{name}",
        [name, is_present, known, detail],
    )


def security_sources(landing_path: Path) -> list[SecuritySource]:
    """Every source by name, also those that no landing has looked for yet; none while it is being written."""
    import duckdb

    found: dict[str, SecuritySource] = {}
    if landing_path.is_file():
        try:
            with duckdb.connect(str(landing_path), read_only=True) as landing:
                rows = landing.execute(
                    "select source_name, is_present, read_as_of, row_count, newest_at, detail "
                    "from raw.security_sources"
                ).fetchall()
        except duckdb.CatalogException:
            # landed by a version that knew none
            rows = []
        except duckdb.Error:
            return []
        found = {row[0]: SecuritySource(*row) for row in rows}
    return [found.get(name) or SecuritySource(name, False, None, 0, None, None) for name in SWITCHED_ON_BY]
