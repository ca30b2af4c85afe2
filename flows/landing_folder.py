"""A folder of files as a landing's source: what changed in it, and the rows of those days into `staged`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from flows import landing_changes, landing_sql
from flows.errors import LandError
from flows.landed_files import LandedFile, known_files, replace_files, stamp_of
from flows.landing_scope import (
    DAY,
    FULL_COMPARISON_DAYS,
    DayRange,
    Scope,
    contains,
    merged,
    portions,
    ranges_of,
)
from flows.landing_store import scalar
from flows.progress import Advance
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
from flows.source_schema import SIDE_TABLES, TABLES, Table

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

# DuckDB's share of the memory; beyond it spills to disk.
LANDING_MEMORY = "1500MB"
# Each thread that inserts holds row groups that it cannot spill.
LANDING_THREADS = 4

# Rows of Parquet files that are compared at a time, a longer day aside. A CSV file is read as a whole.
PORTION_ROWS = 500_000

# Bad values that an error shows; it says how many more there are.
SHOWN_BAD_VALUES = 5

# Of a value that is not text at all, so much that it can be found again.
SHOWN_VALUE_CHARACTERS = 40


@dataclass(slots=True)
class _TableFiles:
    """The files of one table: as they are, and as they were when they landed."""

    files: dict[str, SourceFile]
    known: dict[str, LandedFile]
    # Of the files that are read: what changes when one is written to, and whether it can be known again.
    changed: dict[str, LandedFile] = field(default_factory=dict)

    @property
    def gone(self) -> set[str]:
        """Names of files that landed and are not there any more."""
        return self.known.keys() - self.files.keys()

    @property
    def is_same(self) -> bool:
        return not self.changed and not self.gone

    def days(self, name: str) -> dict[date, int]:
        """Rows of a file by day, as it is now."""
        return (self.changed.get(name) or self.known[name]).row_counts

    @property
    def row_count(self) -> int:
        """Rows of all files; right once the changed ones have been counted."""
        return sum(sum(self.days(name).values()) for name in self.files)

    def left_days(self) -> set[date]:
        """Days of files that changed or are gone, as they were."""
        return {day for name in (*self.changed, *self.gone) for day in self._days_before(name)}

    def _days_before(self, name: str) -> Iterable[date]:
        return self.known[name].row_counts if name in self.known else ()


class FolderSource:
    """The files of one folder, and what is new in them since they landed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.bytes_read = 0
        # Days of the files' own clocks whose rows were compared.
        self.days: set[date] = set()
        self._files = find_files(folder)
        self._tables: dict[str, _TableFiles] = {}
        self._layouts: dict[Path, Layout] = {}
        self._stamps: dict[Path, tuple[int, int]] = {}
        # Of a file that is read: the line of its first NUL byte.
        self._nul_lines: dict[Path, int | None] = {}

    def find_changes(self, connection: DuckDBPyConnection, scope: Scope) -> None:
        """Decide which files are read, and check their headers; LandError for one that cannot be read."""
        known = known_files(connection)
        for table in (*TABLES, *SIDE_TABLES):
            files = {str(file.path.relative_to(self.folder)): file for file in self._files[table.name]}
            found = _TableFiles(files, known.get(table.name, {}))
            for name, file in files.items():
                self._stamps[file.path] = stamp(file)
                stamp_now = stamp_of(file)
                if _is_read(found.known.get(name), stamp_now, scope):
                    found.changed[name] = LandedFile(stamp_now, scope.as_of)
            self._tables[table.name] = found
        self._layouts = layouts([file for found in self._tables.values() for file in _changed(found)])

    @property
    def work(self) -> int:
        """Every byte of a changed file is looked at once to see whether the file is whole, and read once."""
        return 2 * sum(file.size for found in self._tables.values() for file in _changed(found))

    def has_table(self, table: Table) -> bool:
        """False for an optional table without a file."""
        return bool(self._files[table.name])

    def is_same(self, table: Table) -> bool:
        """Whether nothing of the table is read: its files are as they were when they landed."""
        return self._tables[table.name].is_same

    def row_count(self, table: Table) -> int:
        """Rows of all files of a table that is compared by day, once it has landed."""
        return self._tables[table.name].row_count

    # --- tables that are compared whole ----------------------------------------------------------------

    def stage_whole(
        self,
        connection: DuckDBPyConnection,
        table: Table,
        advance: Advance,
        *,
        since: datetime | None = None,
    ) -> None:
        """Add every row of the table to `staged`, or raise LandError.

        `since` (naive UTC): of a table that is landed by its clock only those rows.
        """
        # one without a clock that can be read is said, and not left out
        clock = f"t_{table.created_by}"
        only = None if since is None else f"({clock} >= timestamp '{since}' or {clock} is null)"
        found = self._tables[table.name]
        for name, file in found.files.items():
            if name in found.changed:
                self._look_at(file, advance)
            self._stage(connection, file, only=only)
            require_unchanged(file, self._stamps[file.path])
            if name in found.changed:
                advance(file.size, table.name)
        replace_files(connection, table, gone=found.gone, landed=found.changed)

    # --- tables that are compared by day ---------------------------------------------------------------

    def land_days(self, connection: DuckDBPyConnection, table: Table, scope: Scope, advance: Advance) -> None:
        """Bring the days of changed files, and those of the scope, in `raw` to what the files hold."""
        found = self._tables[table.name]
        if found.is_same and not self._asked_days(found, scope):
            return
        self._count_days(connection, found, advance)
        ranges = self._ranges(found, scope)
        landing_changes.postpone_keys_of_several_days(connection, table, ranges)
        is_last_days = scope.since is not None
        cut = list(portions(ranges, self._row_counts(found, ranges), PORTION_ROWS))
        if any(file.format != "parquet" for file in self._holding(found, ranges)):
            cut = [tuple(ranges)]
        for portion in cut:
            connection.execute(landing_sql.create_staged(table))
            for file in self._holding(found, portion):
                self._stage(connection, file, portion)
            landing_changes.take_days(connection, table, scope, portion, of_folder=True)
            connection.execute("drop table staged")
        if scope.is_first and len(cut) > 1:
            landing_changes.postpone_repeated(connection, table)
        if scalar(connection, "select exists (from postponed)"):
            self._land_postponed(connection, table, scope, ranges)
        for file in self._holding(found, ranges):
            require_unchanged(file, self._stamps[file.path])
        for name in found.changed:
            advance(found.files[name].size, table.name)
        if is_last_days:
            self._note_last_days(connection, table)
        else:
            replace_files(connection, table, gone=found.gone, landed=found.changed)

    def _land_postponed(
        self, connection: DuckDBPyConnection, table: Table, scope: Scope, ranges: Sequence[DayRange]
    ) -> None:
        found = self._tables[table.name]
        days = merged([*ranges, *ranges_of(landing_changes.days_of_postponed(connection, table))])
        connection.execute(landing_sql.create_staged(table))
        for file in self._holding(found, days):
            self._stage(connection, file, days, only=f"t_{table.key} in (from postponed)")
        landing_changes.take_postponed(connection, table, scope)
        connection.execute("drop table staged")

    def _note_last_days(self, connection: DuckDBPyConnection, table: Table) -> None:
        """What changed was not landed as a whole: it stays to be read, and its days to be compared."""
        found = self._tables[table.name]
        if not found.known:
            # The next night compares everything.
            return
        landed = {}
        for name, now in found.changed.items():
            before = found.known.get(name)
            days = Counter(now.row_counts)
            days.update(before.row_counts if before else {})
            landed[name] = LandedFile(None, now.read_as_of, dict(days))
        replace_files(connection, table, gone=(), landed=landed)

    def _asked_days(self, found: _TableFiles, scope: Scope) -> set[date]:
        """Days that are compared whatever is known of the files."""
        if scope.forced is None or scope.since is not None:
            return set()
        return {day for file in found.known.values() for day in file.row_counts if scope.is_forced(day)}

    def _count_days(self, connection: DuckDBPyConnection, found: _TableFiles, advance: Advance) -> None:
        for name, changed in found.changed.items():
            file = found.files[name]
            self._look_at(file, advance)
            rows = _typed_rows(file, self._layout(file))
            with _readable(file):
                counted = connection.execute(landing_sql.count_days(file.table, rows)).fetchall()
            changed.row_counts.update(counted)

    def _ranges(self, found: _TableFiles, scope: Scope) -> tuple[DayRange, ...]:
        """The days to compare."""
        if scope.since is not None:
            return (DayRange(scope.since, None),)
        if scope.is_first or not found.known:
            return (DayRange(None, None),)
        days = found.left_days() | self._asked_days(found, scope)
        for name in found.changed:
            days.update(found.days(name))
        return tuple(ranges_of(days))

    def _row_counts(self, found: _TableFiles, ranges: Sequence[DayRange]) -> Counter[date]:
        counts: Counter[date] = Counter()
        for name in found.files:
            counts.update({day: n for day, n in found.days(name).items() if contains(ranges, day)})
        self.days.update(counts)
        return counts

    def _holding(self, found: _TableFiles, ranges: Sequence[DayRange]) -> list[SourceFile]:
        """The files with rows on one of the days."""
        return [
            file
            for name, file in found.files.items()
            if any(contains(ranges, day) for day in found.days(name))
        ]

    # --- one file --------------------------------------------------------------------------------------

    def _layout(self, file: SourceFile) -> Layout:
        if file.path not in self._layouts:
            # One that is the same, and holds days that another one has changed.
            self._layouts |= layouts([file])
        return self._layouts[file.path]

    def _look_at(self, file: SourceFile, advance: Advance) -> None:
        advance(0, file.table.name)
        self._nul_lines[file.path] = require_whole(file, advance)
        self.bytes_read += file.size

    def _stage(
        self,
        connection: DuckDBPyConnection,
        file: SourceFile,
        days: Sequence[DayRange] | None = None,
        *,
        only: str | None = None,
    ) -> None:
        """Add the file's rows of some days (None: all) to `staged`, or say why not."""
        layout = self._layout(file)
        rows = _typed_rows(file, layout)
        with _readable(file):
            connection.execute(landing_sql.insert_staged(file.table, rows, days, only=only))
        _require_readable_values(connection, file, rows)
        if (nul_line := self._nul_lines.get(file.path)) is not None:
            raise LandError(
                f"{file.label} holds a NUL byte in line {nul_line}, in a column that is not landed. "
                "The file is damaged: export the table again."
            )


def _typed_rows(file: SourceFile, layout: Layout) -> str:
    return landing_sql.typed_rows(file.table, layout.landed(file.table), reader(file, layout))


def _changed(found: _TableFiles) -> list[SourceFile]:
    return [found.files[name] for name in found.changed]


def _is_read(known: LandedFile | None, stamp_now: str | None, scope: Scope) -> bool:
    """Whether a file must be read: it is not known to be the same, or was not looked at for a week."""
    if known is None or stamp_now is None or known.stamp != stamp_now:
        return True
    if scope.since is not None:
        return False
    if any(scope.is_forced(day) for day in known.row_counts):
        return True
    is_due = scope.as_of - known.read_as_of >= FULL_COMPARISON_DAYS * DAY
    return is_due and any(day >= scope.horizon for day in known.row_counts)


@contextmanager
def _readable(file: SourceFile) -> Iterator[None]:
    """Say in our words why a file's rows cannot be read."""
    import duckdb

    try:
        yield
    except duckdb.Error as error:
        if _is_about_room(error):
            raise
        raise unreadable(file, str(error)) from None


def _is_about_room(error: Exception) -> bool:
    """Memory or disk ran out: no fault of the file that was being read."""
    import duckdb

    out_of_disk = isinstance(error, duckdb.IOException) and (
        "No space left" in str(error) or "write" in str(error)
    )
    return out_of_disk or isinstance(error, duckdb.OutOfMemoryException)


def _require_readable_values(connection: DuckDBPyConnection, file: SourceFile, rows: str) -> None:
    if not scalar(connection, "select exists (select 1 from staged where is_bad)"):
        return
    # Only a file that is refused is read a second time, for the places.
    # of a file of which not every row is read the key tells which, and no number
    named_by: Literal["data_row", "row_key"] = "data_row" if file.table.only is None else "row_key"
    query = landing_sql.bad_values(file.table, rows, SHOWN_BAD_VALUES, named_by=named_by)
    bad = connection.execute(query).fetchall()
    lines = [f"{file.label} holds {'a value' if len(bad) == 1 else 'values'} that cannot be read:"]
    for name, column, problem, value, _ in bad:
        place = f"data row {name}" if named_by == "data_row" else f"{file.table.key} {shown(str(name))}"
        lines.append(f"  {place}, column {column}: {_value(value)} {problem}")
    if (more := bad[0][4] - len(bad)) > 0:
        lines.append(f"  and {more} more")
    lines.append(
        "Nothing was landed. Correct these in the source, or export the table again "
        "(NULL as an empty field without quotes), and land once more."
    )
    raise LandError("\n".join(lines))


def _value(value: str | None) -> str:
    return "the field" if value is None else shown(value, SHOWN_VALUE_CHARACTERS)
