"""A folder of files as a landing's source: its rows, all or those of the last days, go into `staged`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from flows import landing_sql
from flows.errors import LandError
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
from flows.source_schema import Table

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

# Bad values that an error shows; it says how many more there are.
SHOWN_BAD_VALUES = 5

# Of a value that is not text at all, so much that it can be found again.
SHOWN_VALUE_CHARACTERS = 40


class FolderSource:
    """The files of one folder, found and their headers checked, not yet read."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._files = find_files(folder)
        self._layouts: dict[Path, Layout] = layouts(self._all_files)

    @property
    def _all_files(self) -> Sequence[SourceFile]:
        return [file for parts in self._files.values() for file in parts]

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in self._all_files)

    @property
    def work(self) -> int:
        """Every byte is looked at once to see whether the file is whole, and read once."""
        return 2 * self.size

    def has_table(self, table: Table) -> bool:
        """False for an optional table without a file."""
        return bool(self._files[table.name])

    def stage(
        self, connection: DuckDBPyConnection, table: Table, advance: Advance, *, since: date | None = None
    ) -> None:
        """Add every row of the table, or those of a UTC day and later, to `staged`, or raise LandError."""
        for file in self._files[table.name]:
            _load(connection, file, self._layouts[file.path], advance, since)


def _load(
    connection: DuckDBPyConnection, file: SourceFile, layout: Layout, advance: Advance, since: date | None
) -> None:
    """Add one file's rows to `staged`, or say why not."""
    import duckdb

    advance(0, file.table.name)
    before = stamp(file)
    nul_line = require_whole(file, advance)
    rows = landing_sql.typed_rows(file.table, layout.columns, reader(file, layout))
    try:
        connection.execute(landing_sql.insert_staged(file.table, rows, since))
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


def _require_readable_values(connection: DuckDBPyConnection, file: SourceFile, rows: str) -> None:
    if not scalar(connection, "select exists (select 1 from staged where is_bad)"):
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
