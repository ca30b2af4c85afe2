"""The files of a source folder: which there are, whether they are whole, which columns they hold.

Nothing is landed from a file that this module has not passed. No message shows a line of a file:
it may hold what must not be read.
"""

import codecs
import csv
import gzip
import io
import re
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Literal

from flows.errors import LandError
from flows.redaction import shown
from flows.source_reading import DuckDBReading
from flows.source_schema import SIDE_TABLES, TABLES, Table

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

Format = Literal["csv", "csv.gz", "parquet"]

# Longest first: `.csv.gz` is no `.gz`.
FORMATS: tuple[Format, ...] = ("csv.gz", "parquet", "csv")

CHUNK_BYTES = 1 << 20
# A row may hold prompts that are not landed. The reader's buffers, one for each thread, are twice as large.
LONGEST_ROW_BYTES = 32 << 20
# A header longer than this is not one.
HEADER_BYTES = 1 << 20

_AGAIN = "Export the table again, and land when the export has finished."


@dataclass(frozen=True, slots=True)
class SourceColumn:
    """Where a column of a file is found: a DuckDB expression over the reader, and its type."""

    expression: str
    sql_type: str
    # Text that a number type has printed: no need to see whether it is a number.
    is_printed_number: bool = False


@dataclass(frozen=True, slots=True)
class SourceFile:
    """One file of one table."""

    table: Table
    path: Path
    format: Format
    size: int

    @property
    def label(self) -> str:
        return f"{self.table.source}: {self.path}"


@dataclass(frozen=True, slots=True)
class Layout:
    """What a file's header promises."""

    columns: dict[str, SourceColumn]
    # Columns in the file, landed or not.
    width: int

    def landed(self, table: Table) -> dict[str, SourceColumn]:
        """Where each landed column is found, or what it is made of."""
        if table.made_of is None:
            return self.columns
        made = {}
        for column in table.columns:
            assert column.made_of is not None
            expression = column.made_of(self._reading)
            # one that is taken as it is keeps its type
            kept = [held for held in self.columns.values() if held.expression == expression]
            made[column.name] = SourceColumn(expression, kept[0].sql_type if kept else "VARCHAR")
        return made

    def only(self, table: Table) -> str | None:
        """Of the file's rows those that are read; None: all."""
        return None if table.only is None else table.only(self._reading)

    @property
    def _reading(self) -> DuckDBReading:
        return DuckDBReading({name: (held.expression, held.sql_type) for name, held in self.columns.items()})


# --- finding -----------------------------------------------------------------------------------------------


def find_files(source: Path) -> dict[str, tuple[SourceFile, ...]]:
    """The files of every table of the allow-list; a missing required table is an error that names all."""
    _require_folder(source)
    found = {table.name: _files_of(table, source) for table in (*TABLES, *SIDE_TABLES)}
    missing = [table.name for table in TABLES if table.required and not found[table.name]]
    if len(missing) == sum(table.required for table in TABLES):
        raise LandError(
            f"The source folder {source} holds none of the platform's tables. "
            "It must hold one <table>.csv, <table>.csv.gz or <table>.parquet for each of: "
            f"{', '.join(missing)}. Check the path given as source, or export the tables."
        )
    if missing:
        raise LandError(
            f"The source folder {source} has no file for: {', '.join(missing)}. "
            f"Add <table>.csv, <table>.csv.gz, <table>.parquet or a folder of such files for each; "
            "a table without rows is a file with a header only."
        )
    return found


def _require_folder(source: Path) -> None:
    if not source.exists():
        raise LandError(f"The source folder {source} does not exist. Check the path given as source.")
    if not source.is_dir():
        raise LandError(f"The source {source} is a file. Give the folder that holds one file for each table.")
    try:
        is_empty = not any(source.iterdir())
    except OSError as error:
        raise LandError(f"The source folder {source} cannot be read: {error.strerror}.") from None
    if is_empty:
        raise LandError(f"The source folder {source} is empty. Export the platform's tables into it.")


def _files_of(table: Table, source: Path) -> tuple[SourceFile, ...]:
    forms = [source / f"{table.source}.{suffix}" for suffix in FORMATS]
    forms = [path for path in (*forms, source / table.source) if path.exists()]
    if len(forms) > 1:
        raise LandError(
            f"{table.source} is there {len(forms)} times: {' and '.join(str(path) for path in forms)}. "
            "Which is meant cannot be known: keep one and move the others away."
        )
    if not forms:
        return ()
    paths = _parts_of(table, forms[0]) if forms[0].is_dir() else [forms[0]]
    return tuple(_file(table, path) for path in paths)


def _parts_of(table: Table, folder: Path) -> list[Path]:
    parts = sorted(path for path in folder.iterdir() if path.name[0] not in "._")
    inner = [path for path in parts if path.is_dir()]
    if inner:
        raise LandError(
            f"{table.source}: the folder {folder} holds a folder of its own, {inner[0].name}. "
            "Put the table's files directly into it: files further down are not read."
        )
    files = [path for path in parts if _format(path) is not None]
    if not files:
        raise LandError(
            f"{table.source}: the folder {folder} holds no .csv, .csv.gz or .parquet file. "
            "Export the table into it; a table without rows is a file with a header only."
        )
    return files


def _format(path: Path) -> Format | None:
    return next((suffix for suffix in FORMATS if path.name.endswith(f".{suffix}")), None)


def _file(table: Table, path: Path) -> SourceFile:
    form = _format(path)
    if form is None or not path.is_file():
        raise LandError(
            f"{table.source}: {path} is not a file of a known form. Give a .csv, .csv.gz or .parquet."
        )
    return SourceFile(table, path, form, path.stat().st_size)


# --- what a file holds -------------------------------------------------------------------------------------


def layouts(files: Sequence[SourceFile]) -> dict[Path, Layout]:
    """The columns of every file; required columns that are absent are one error that names them all."""
    import duckdb

    with duckdb.connect() as connection:
        found = {
            file.path: _parquet_layout(connection, file) if file.format == "parquet" else _csv_layout(file)
            for file in files
        }
    problems = [problem for file in files if (problem := _missing_columns(file, found[file.path]))]
    if problems:
        raise LandError(
            "\n".join(problems)
            + "\nExport the tables with all columns; they are taken by name, in any order."
        )
    return found


def _missing_columns(file: SourceFile, layout: Layout) -> str | None:
    missing = [c.name for c in file.table.source_columns if c.required and c.name not in layout.columns]
    if not missing:
        return None
    hint = "" if layout.columns else " None of the table's columns is there: is the header line missing?"
    return f"{file.label} has no column {', '.join(missing)}.{hint}"


def _csv_layout(file: SourceFile) -> Layout:
    names = _header(file)
    wanted = {column.name for column in file.table.source_columns}
    if not wanted.isdisjoint(names):
        # Else it is no header at all, which is said with the missing columns.
        _require_each_once(file, names)
    # Positions, not the file's own names: nothing of a file becomes part of a query.
    columns = {name: SourceColumn(f"c{i}", "VARCHAR") for i, name in enumerate(names) if name in wanted}
    return Layout(columns, len(names))


def _header(file: SourceFile) -> list[str]:
    if file.size == 0:
        raise LandError(f"{file.label} is empty: it has not even a header. {_AGAIN}")
    with _readable(file), _opened(file) as stream:
        start = stream.read(HEADER_BYTES)
    try:
        text = codecs.getincrementaldecoder("utf-8-sig")().decode(start)
    except UnicodeDecodeError as error:
        raise _not_utf8(file, start.count(b"\n", 0, error.start) + 1) from None
    try:
        names = next(csv.reader(io.StringIO(text, newline=""), strict=True), [])
    except csv.Error:
        raise LandError(f"{file.label} has a header that is not CSV. {_AGAIN}") from None
    _require_good_header(file, names)
    return names


def _require_good_header(file: SourceFile, names: list[str]) -> None:
    if not names:
        raise LandError(f"{file.label} begins with an empty line instead of a header. {_AGAIN}")
    if len(names) == 1 and (used := next((mark for mark in ";\t|" if mark in names[0]), None)):
        raise LandError(
            f"{file.label} has a header of one column: it is separated by {used!r}, not by a comma. "
            "Export it with commas."
        )


def _require_each_once(file: SourceFile, names: list[str]) -> None:
    twice = [name for name, n in Counter(name.lower() for name in names).items() if n > 1]
    if twice:
        names_shown = ", ".join(shown(name, 40) for name in twice[:5])
        raise LandError(
            f"{file.label} names a column more than once: {names_shown}. "
            "Which is meant cannot be known: export each column once."
        )


def _parquet_layout(connection: "DuckDBPyConnection", file: SourceFile) -> Layout:
    import duckdb

    try:
        described = connection.execute(f"describe select * from {parquet_reader(file.path)}").fetchall()
    except duckdb.Error:
        raise LandError(f"{file.label} is not a whole Parquet file. {_AGAIN}") from None
    wanted = {column.name for column in file.table.source_columns}
    columns = {
        name: SourceColumn(f'"{name}"', str(sql_type)) for name, sql_type, *_ in described if name in wanted
    }
    return Layout(columns, len(described))


# --- readers -----------------------------------------------------------------------------------------------


def reader(file: SourceFile, layout: Layout) -> str:
    """The DuckDB relation of the file's rows that are read, with nothing left to guess."""
    rows = parquet_reader(file.path) if file.format == "parquet" else _csv_reader(file, layout)
    only = layout.only(file.table)
    return rows if only is None else f"(select * from {rows} where {only})"


def _csv_reader(file: SourceFile, layout: Layout) -> str:
    columns = ", ".join(f"'c{i}': 'VARCHAR'" for i in range(layout.width))
    compression = "gzip" if file.format == "csv.gz" else "none"
    return (
        f"read_csv({_path_literal(file.path)}, auto_detect = false, header = true, columns = {{{columns}}}, "
        "delim = ',', quote = '\"', escape = '\"', nullstr = '', allow_quoted_nulls = false, "
        "strict_mode = true, null_padding = false, ignore_errors = false, encoding = 'utf-8', "
        f"compression = '{compression}', hive_partitioning = false, "
        f"max_line_size = {LONGEST_ROW_BYTES}, buffer_size = {2 * LONGEST_ROW_BYTES})"
    )


def parquet_reader(path: Path) -> str:
    # Without it a folder called `day=1` above the file would become a column.
    return f"read_parquet({_path_literal(path)}, hive_partitioning = false)"


def _path_literal(path: Path) -> str:
    """The path as one file: DuckDB reads `*`, `?` and `[` in it as a pattern."""
    pattern = "".join(f"[{letter}]" if letter in "*?[" else letter for letter in str(path.absolute()))
    return "'" + pattern.replace("'", "''") + "'"


def unreadable(file: SourceFile, message: str) -> LandError:
    """What DuckDB's message about a file means. Its own words quote the row, so they are not passed on."""
    if file.format == "parquet":
        return LandError(f"{file.label} is not a whole Parquet file. {_AGAIN}")
    record = re.search(r"CSV Error on Line: ([0-9]+)", message)
    # The header is record 1.
    where = f"data row {int(record[1]) - 1}" if record else "a row"
    if counts := re.search(r"Expected Number of Columns: ([0-9]+) Found: ([0-9]+)", message):
        # The reader stops counting at the first column too many.
        has = "more" if int(counts[2]) > int(counts[1]) else f"only {counts[2]}"
        problem = f"{where} has {has} columns, the header has {counts[1]}"
    elif "unterminated quote" in message:
        problem = f'{where} has a quote (") that is never closed, or text after a closing quote'
    elif "Maximum line size" in message:
        return LandError(
            f"{file.label}: {where} is longer than {LONGEST_ROW_BYTES >> 20} MiB. "
            "Export the table without the columns that hold messages: they are not landed."
        )
    else:
        problem = f"{where} is not regular CSV (line ends of two kinds, or a quote inside a field)"
    return LandError(f"{file.label}: {problem}. {_AGAIN}")


# --- whether a file is whole -------------------------------------------------------------------------------


def require_whole(file: SourceFile, advance: Callable[[int], None]) -> int | None:
    """Refuse a half-written CSV; return the line of its first NUL byte, if it has one.

    A NUL is reported by the caller, who can say in which column it is. Parquet says itself when it is cut.
    """
    if file.format == "parquet":
        advance(file.size)
        return None
    check = _Check(file)
    with _readable(file):
        for chunk in _chunks(file, advance):
            check.look_at(chunk)
    check.finish()
    return check.nul_line


def require_unchanged(file: SourceFile, before: tuple[int, int]) -> None:
    """Refuse a file that was written to while it was read."""
    if stamp(file) != before:
        raise LandError(f"{file.label} was changed while it was read. Land when the export has finished.")


def stamp(file: SourceFile) -> tuple[int, int]:
    """What changes when the file is written to."""
    try:
        status = file.path.stat()
    except OSError:
        raise LandError(f"{file.label} was removed while it was read. {_AGAIN}") from None
    return status.st_size, status.st_mtime_ns


class _Check:
    """Looks at a CSV's bytes in passing: everything that makes a cut file look like a shorter whole one."""

    def __init__(self, file: SourceFile) -> None:
        self.file = file
        self.nul_line: int | None = None
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self._lines_before = 0
        self._quotes = 0
        self._last = b""

    def look_at(self, chunk: bytes) -> None:
        try:
            self._decoder.decode(chunk)
        except UnicodeDecodeError as error:
            # The decoder may have carried up to three bytes over from the chunk before: the line stays right.
            raise _not_utf8(self.file, self._line(chunk, error.start)) from None
        if self.nul_line is None and (at := chunk.find(b"\0")) >= 0:
            self.nul_line = self._line(chunk, at)
        self._lines_before += chunk.count(b"\n")
        self._quotes += chunk.count(b'"')
        self._last = chunk[-1:]

    def finish(self) -> None:
        label = self.file.label
        if not self._last:
            raise LandError(f"{label} is empty: it has not even a header. {_AGAIN}")
        if self._last not in (b"\n", b"\r"):
            raise LandError(f"{label} ends in the middle of a row: its last line has no line end. {_AGAIN}")
        if self._quotes % 2:
            raise LandError(f'{label} has a quote (") that is never closed. {_AGAIN}')
        try:
            self._decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            raise _not_utf8(self.file, self._lines_before + 1) from None

    def _line(self, chunk: bytes, position: int) -> int:
        return self._lines_before + chunk.count(b"\n", 0, position) + 1


def _not_utf8(file: SourceFile, line: int) -> LandError:
    return LandError(f"{file.label} is not UTF-8: line {line} holds other bytes. Export it as UTF-8.")


def _chunks(file: SourceFile, advance: Callable[[int], None]) -> Iterator[bytes]:
    """The file's bytes, decompressed; progress is told in bytes of the file itself."""
    with file.path.open("rb") as raw:
        stream: IO[bytes] = gzip.GzipFile(fileobj=raw) if file.format == "csv.gz" else raw  # type: ignore[assignment]
        told = 0
        while chunk := stream.read(CHUNK_BYTES):
            yield chunk
            position = raw.tell()
            advance(position - told)
            told = position
        advance(max(0, file.size - told))


@contextmanager
def _opened(file: SourceFile) -> Iterator[IO[bytes]]:
    with file.path.open("rb") as raw:
        if file.format == "csv.gz":
            yield gzip.GzipFile(fileobj=raw)  # type: ignore[misc]
        else:
            yield raw


@contextmanager
def _readable(file: SourceFile) -> Iterator[None]:
    """Say what cannot be read in our words."""
    try:
        yield
    except EOFError:
        raise LandError(f"{file.label} ends early: the compressed data is cut off. {_AGAIN}") from None
    except (gzip.BadGzipFile, zlib.error):
        raise LandError(f"{file.label} is damaged or not compressed by gzip. {_AGAIN}") from None
    except OSError as error:
        raise LandError(
            f"{file.label} cannot be read: {error.strerror}. Check the file's permissions."
        ) from None
