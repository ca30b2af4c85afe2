"""Landing: the platform's tables from a folder into schema `raw` of landing.duckdb, all or nothing.

One transaction: a landing that fails leaves the one before it as it was. The clock is `as_of` alone,
so the same files land as the same rows.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flows import landing_sql, version_history
from flows.errors import Busy, LandError
from flows.progress import Advance, Progress
from flows.redaction import shown
from flows.source_files import (
    Layout,
    SourceFile,
    find_files,
    layouts,
    reader,
    require_unchanged,
    require_whole,
    stamp,
    unreadable,
)
from flows.source_schema import ACTIVITY_TABLES, TABLES, Table

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

__all__ = ["LandError", "LandReport", "LandingBusy", "TableCount", "land_folder"]

# Bad values that an error shows; it says how many more there are.
SHOWN_BAD_VALUES = 5

# Of a value that is not text at all, so much that it can be found again.
SHOWN_VALUE_CHARACTERS = 40


class LandingBusy(Busy, LandError):
    """Another process or connection has the landing database open."""


@dataclass(frozen=True, slots=True)
class TableCount:
    """What became of the rows of one table; read = the sum of the other three."""

    table_name: str
    rows_read: int
    exact_duplicate_rows: int
    conflicting_duplicate_rows: int
    rows_landed: int


@dataclass(frozen=True, slots=True)
class LandReport:
    """One landing that was done."""

    landing_number: int
    as_of: datetime
    tables: tuple[TableCount, ...]
    unusable_numbers: int

    @property
    def rows_read(self) -> int:
        return sum(table.rows_read for table in self.tables)

    @property
    def exact_duplicate_rows(self) -> int:
        return sum(table.exact_duplicate_rows for table in self.tables)

    @property
    def conflicting_duplicate_rows(self) -> int:
        return sum(table.conflicting_duplicate_rows for table in self.tables)

    @property
    def rows_landed(self) -> int:
        return sum(table.rows_landed for table in self.tables)


def land_folder(source: Path, landing_path: Path, *, as_of: datetime, progress: Progress) -> LandReport:
    """Land every table of the folder, or raise LandError and land nothing. `as_of` is naive UTC."""
    if as_of.tzinfo is not None:
        raise ValueError("as_of must be naive UTC")
    found = find_files(source)
    files = [file for parts in found.values() for file in parts]
    held = layouts(files)
    # Every byte is looked at once to see whether the file is whole, and read once.
    total = 2 * sum(file.size for file in files)
    with progress.stage("land", total) as advance, _transaction(landing_path) as connection:
        _prepare(connection)
        for table in TABLES:
            _land_table(connection, table, found[table.name], held, advance)
        _require_activity(connection, source)
        report = _report(connection, _record(connection, as_of), as_of)
    return report


# --- the database ------------------------------------------------------------------------------------------


@contextmanager
def _transaction(landing_path: Path) -> Iterator["DuckDBPyConnection"]:
    """The landing database in one transaction that ends with the block, well or not at all."""
    import duckdb

    connection = _open(landing_path)
    try:
        # A text without an offset is then UTC. Nothing may be fetched to read a file.
        connection.execute("set TimeZone = 'UTC'")
        connection.execute("set autoinstall_known_extensions = false")
        connection.execute("begin")
        yield connection
        connection.execute("commit")
    except duckdb.Error as error:
        raise LandError(
            f"The landing database {landing_path} cannot be written: {type(error).__name__}: "
            f"{shown(str(error).splitlines()[0], 200)}. Nothing was landed. "
            "Check the memory, the space left on the disk and the permissions of its folder."
        ) from None
    finally:
        # An open transaction is rolled back; a committed one is moved from the log into the file.
        connection.close()


def _open(landing_path: Path) -> "DuckDBPyConnection":
    import duckdb

    try:
        _create_if_missing(landing_path)
        return duckdb.connect(str(landing_path))
    except OSError as error:
        raise LandError(
            f"The landing database {landing_path} cannot be created: {error.strerror}. "
            "Check the path and the permissions of its folder (ALMANAC_DATA_DIR)."
        ) from None
    except duckdb.Error as error:
        raise _not_opened(landing_path, str(error)) from None


def _not_opened(landing_path: Path, message: str) -> LandError:
    if "Could not set lock" in message or "different configuration" in message:
        return LandingBusy(
            f"The landing database {landing_path} is open in another process. "
            "Wait until the other run has ended, or close the program that has it open."
        )
    if "not a valid DuckDB database" in message:
        return LandError(
            f"The landing database {landing_path} cannot be opened: it is damaged or not a DuckDB database. "
            "Restore it from a backup, or move it away and land again; without a backup the history of "
            "teams and organizations begins anew."
        )
    return LandError(
        f"The landing database {landing_path} cannot be opened: {shown(message.splitlines()[0], 200)}. "
        "Check that it is a file that this DuckDB wrote, and its permissions."
    )


def _create_if_missing(landing_path: Path) -> None:
    """Create the file beside its place: a process killed while creating it leaves no half a database."""
    import duckdb

    if landing_path.exists():
        return
    landing_path.parent.mkdir(parents=True, exist_ok=True)
    new = landing_path.with_name(f"{landing_path.name}.new")
    new.unlink(missing_ok=True)
    duckdb.connect(str(new)).close()
    new.replace(landing_path)


def _prepare(connection: "DuckDBPyConnection") -> None:
    connection.execute("create schema if not exists raw")
    connection.execute(
        "create table if not exists raw.landings "
        "(landing_number bigint, as_of timestamp, source_kind varchar)"
    )
    connection.execute(
        "create table if not exists raw.landed_tables (table_name varchar, rows_read bigint, "
        "exact_duplicate_rows bigint, conflicting_duplicate_rows bigint, rows_landed bigint)"
    )
    # What the last landing held; the rest of this one overwrites it.
    connection.execute("create or replace temp table landed_before as from raw.landed_tables")
    connection.execute("delete from raw.landed_tables")
    connection.execute(f"create or replace table raw.landing_findings ({landing_sql.FINDINGS_COLUMNS})")


# --- one table ---------------------------------------------------------------------------------------------


def _land_table(
    connection: "DuckDBPyConnection",
    table: Table,
    files: Sequence[SourceFile],
    held: dict[Path, Layout],
    advance: Advance,
) -> None:
    connection.execute(landing_sql.create_staged(table))
    for file in files:
        _load(connection, file, held[file.path], advance)
    connection.execute(landing_sql.create_repeated(table))
    connection.execute(landing_sql.create_kept(table))
    connection.execute(landing_sql.create_landed(table))
    connection.execute(landing_sql.insert_counts(table))
    if _scalar(connection, "select exists (from repeated)"):
        connection.execute(landing_sql.insert_duplicates(table))
    if _scalar(connection, landing_sql.any_unusable(table)):
        connection.execute(landing_sql.insert_unusable(table))
    connection.execute("drop view kept")
    connection.execute("drop table repeated")
    connection.execute("drop table staged")


def _load(connection: "DuckDBPyConnection", file: SourceFile, layout: Layout, advance: Advance) -> None:
    """Add one file's rows to `staged`, or say why not."""
    import duckdb

    advance(0, file.table.name)
    before = stamp(file)
    nul_line = require_whole(file, advance)
    rows = landing_sql.typed_rows(file.table, layout.columns, reader(file, layout))
    try:
        connection.execute(landing_sql.insert_staged(file.table, rows))
    except duckdb.Error as error:
        if _is_about_room(error):
            raise
        raise unreadable(file, str(error)) from None
    _require_readable_values(connection, file, rows)
    if nul_line is not None:
        raise LandError(
            f"{file.label} holds a NUL byte in line {nul_line}, in a column that is not landed. "
            "The file is damaged: export the table again."
        )
    require_unchanged(file, before)
    advance(file.size, file.table.name)


def _is_about_room(error: Exception) -> bool:
    """Memory or disk ran out: no fault of the file that was being read."""
    import duckdb

    out_of_disk = isinstance(error, duckdb.IOException) and (
        "No space left" in str(error) or "write" in str(error)
    )
    return out_of_disk or isinstance(error, duckdb.OutOfMemoryException)


def _require_readable_values(connection: "DuckDBPyConnection", file: SourceFile, rows: str) -> None:
    if not _scalar(connection, "select exists (select 1 from staged where is_bad)"):
        return
    # Only a file that is refused is read a second time, for the places.
    bad = connection.execute(landing_sql.bad_values(file.table, rows, SHOWN_BAD_VALUES)).fetchall()
    lines = [f"{file.label} holds {'a value' if len(bad) == 1 else 'values'} that cannot be read:"]
    for data_row, column, problem, value, _ in bad:
        lines.append(f"  data row {data_row}, column {column}: {_value(value)} {problem}")
    if (more := bad[0][4] - len(bad)) > 0:
        lines.append(f"  and {more} more")
    lines.append(
        "Nothing was landed. Correct these in the source, or export the table again "
        "(NULL as an empty field without quotes), and land once more."
    )
    raise LandError("\n".join(lines))


def _value(value: str | None) -> str:
    return "the field" if value is None else shown(value, SHOWN_VALUE_CHARACTERS)


# --- the whole ---------------------------------------------------------------------------------------------


def _require_activity(connection: "DuckDBPyConnection", source: Path) -> None:
    """Refuse what is empty although it cannot be: an export that went wrong, not a quiet platform."""
    rows = " + ".join(f"(select count(*) from raw.{name})" for name in ACTIVITY_TABLES)
    if not _scalar(connection, f"select {rows}"):
        raise LandError(
            f"The source is empty: {', '.join(ACTIVITY_TABLES)} in {source} have no rows. "
            "Nothing was landed. Check that the export read the right database, with the right to read it."
        )
    before = _scalar(connection, "select rows_landed from landed_before where table_name = 'jobs'")
    if before and not _scalar(connection, "select count(*) from raw.jobs"):
        raise LandError(
            f"jobs in {source} has no rows, the last landing had {before}. Nothing was landed. "
            "Check the export; a platform that was really emptied is landed into a new data directory."
        )


def _record(connection: "DuckDBPyConnection", as_of: datetime) -> int:
    """Bring the histories up to date and add the landing to the list; its number."""
    previous = connection.execute(
        "select landing_number, as_of from raw.landings order by landing_number desc limit 1"
    ).fetchone()
    number, previous_as_of = (previous[0] + 1, previous[1]) if previous else (1, None)
    version_history.remember(connection, as_of=as_of, previous_as_of=previous_as_of)
    connection.execute("insert into raw.landings values (?, ?, 'folder')", [number, as_of])
    return int(number)


def _report(connection: "DuckDBPyConnection", number: int, as_of: datetime) -> LandReport:
    counts = connection.execute("from raw.landed_tables").fetchall()
    unusable = _scalar(connection, "select count(*) from raw.landing_findings where rule = 'unusable_number'")
    return LandReport(number, as_of, tuple(TableCount(*row) for row in counts), unusable)


def _scalar(connection: "DuckDBPyConnection", query: str) -> Any:
    row = connection.execute(query).fetchone()
    return row[0] if row else None
