"""What is known of the files that landed: which they were, and on which days their rows lie.

A file that is the same is not read again. The same means, of a Parquet file: size, time of the last write and
footer (which holds the sizes, places and limits of all its blocks), wherever it lies; of another file: size,
times of the last write and of the last change, and inode. A file that was written just before it was looked
at may be written again within one tick of the file system's clock, so it is read again.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import cache
from typing import TYPE_CHECKING

from flows import redaction
from flows.source_files import SourceFile

if TYPE_CHECKING:
    from pathlib import Path

    from duckdb import DuckDBPyConnection

    from flows.source_schema import Table

TABLES = {
    # stamp: null of a file that is to be read again. read_as_of: of the landing that read it.
    "landed_files": "table_name varchar, file varchar, stamp varchar, read_as_of timestamp",
    # UTC days of the table's own clock; one without a time counts for NO_DAY
    "landed_file_days": "table_name varchar, file varchar, day date, row_count bigint",
    # keys that more than one row of the source holds, on days that are not the same
    "keys_of_several_days": "table_name varchar, row_key varchar, day date",
}

# Longer than a tick of any file system's clock.
_TICK_NS = 2_000_000_000

# A Parquet file ends with its footer, the footer's length, and a mark.
_END_BYTES = 8


@dataclass(frozen=True, slots=True)
class LandedFile:
    """A file as it was when it landed."""

    stamp: str | None
    read_as_of: datetime
    row_counts: dict[date, int] = field(default_factory=dict)


def known_files(connection: DuckDBPyConnection) -> dict[str, dict[str, LandedFile]]:
    """The files that landed, by table and by name in the folder."""
    known: dict[str, dict[str, LandedFile]] = {}
    for table_name, file, stamp, read_as_of in connection.execute("from raw.landed_files").fetchall():
        known.setdefault(table_name, {})[file] = LandedFile(stamp, read_as_of)
    for table_name, file, day, row_count in connection.execute("from raw.landed_file_days").fetchall():
        known[table_name][file].row_counts[day] = row_count
    return known


def replace_files(
    connection: DuckDBPyConnection, table: Table, *, gone: Iterable[str], landed: dict[str, LandedFile]
) -> None:
    """Forget the files that are gone, and write down those that were landed."""
    names = [*gone, *landed]
    if not names:
        return
    for name in ("landed_files", "landed_file_days"):
        connection.execute(
            f"delete from raw.{name} where table_name = ? and file in (select unnest(?::varchar[]))",
            [table.name, names],
        )
    files = [(table.name, name, file.stamp, file.read_as_of) for name, file in landed.items()]
    if files:
        connection.executemany("insert into raw.landed_files values (?, ?, ?, ?)", files)
    days = [(name, day, count) for name, file in landed.items() for day, count in file.row_counts.items()]
    if days:
        connection.execute(
            "insert into raw.landed_file_days "
            "select ?, unnest(?::varchar[]), unnest(?::date[]), unnest(?::bigint[])",
            [table.name, *map(list, zip(*days, strict=True))],
        )


def forget_files(connection: DuckDBPyConnection) -> None:
    """Know no file any more: another source lands, and what it brings lies in none."""
    for name in ("landed_files", "landed_file_days"):
        connection.execute(f"delete from raw.{name}")


def stamp_of(file: SourceFile) -> str | None:
    """What tells whether a file is the same; None when that cannot be known."""
    try:
        status = file.path.stat()
        if file.format == "parquet":
            content = _footer(file.path)
            changed_ns = status.st_mtime_ns
        else:
            content = f"{status.st_ctime_ns} {status.st_ino}"
            changed_ns = max(status.st_mtime_ns, status.st_ctime_ns)
    except OSError:
        return None
    if changed_ns > time.time_ns() - _TICK_NS:
        return None
    described = f"{status.st_size} {status.st_mtime_ns} {content} {_landed_as(file.table)}"
    return hashlib.sha256(described.encode()).hexdigest()


def _footer(path: Path) -> str:
    with path.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(max(0, size - _END_BYTES))
        end = file.read()
        length = int.from_bytes(end[:4], "little")
        file.seek(max(0, size - _END_BYTES - length))
        return hashlib.sha256(file.read()).hexdigest()


@cache
def _landed_as(table: Table) -> str:
    """Changes when the same file would land as something else: other columns, kinds or redaction."""
    return f"{table.columns} {redaction.KEPT_CHARACTERS}{redaction.RULES}"
