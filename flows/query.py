"""`almanac query`: one read-only statement on the published marts, as a table, CSV or JSON."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal, TextIO

from flows.errors import AlmanacError, UsageError
from flows.warehouse import Rows, open_published
from reports.csv_cells import csv_cell, json_text, plain

if TYPE_CHECKING:
    import duckdb

    from flows.settings import Settings

Format = Literal["table", "csv", "json"]

# A table is for eyes; the other formats stream every row.
TABLE_ROWS = 1000
_FETCH_ROWS = 2000

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


@dataclass(frozen=True, slots=True)
class Result:
    columns: tuple[str, ...]
    rows: Iterable[tuple[Any, ...]]


def run_query(sql: str, settings: Settings, *, output_format: Format, out: TextIO, story: TextIO) -> None:
    """Write the answer of one SQL statement to `out`; a shortened table says so on `story`."""
    with _answered(sql, settings) as rows:
        columns = tuple(str(column[0]) for column in rows.description or ())
        result = Result(_unambiguous(columns), _stream(rows))
        if output_format == "csv":
            _write_csv(result, out)
        elif output_format == "json":
            _write_json(result, out)
        else:
            _write_table(result, out, story)


@contextmanager
def _answered(sql: str, settings: Settings) -> Iterator[Rows]:
    """The rows of one reading statement in the engine's own SQL, as long as the block lasts."""
    if settings.target == "postgres":
        from flows.read_postgres import open_published_in_postgres

        with open_published_in_postgres(settings) as reader:
            yield reader.execute_given(sql)
        return
    import duckdb

    connection = open_published(settings.warehouse_path)
    try:
        yield connection.execute(_single_reading_statement(sql))
    except duckdb.InterruptException:
        raise KeyboardInterrupt from None
    except duckdb.Error as error:
        raise AlmanacError(str(error)) from None
    finally:
        connection.close()


def _single_reading_statement(sql: str) -> duckdb.Statement:
    import duckdb

    statements = duckdb.extract_statements(sql)
    if len(statements) != 1:
        raise UsageError(f"Give one SQL statement; here are {len(statements)}.")
    if statements[0].type not in (duckdb.StatementType.SELECT, duckdb.StatementType.EXPLAIN):
        raise UsageError(
            f"The published marts are read-only: a {statements[0].type.name} statement is refused. "
            "Use select, with, describe, show, summarize or explain."
        )
    return statements[0]


def _stream(rows_of_query: Rows) -> Iterator[tuple[Any, ...]]:
    while rows := rows_of_query.fetchmany(_FETCH_ROWS):
        yield from rows


def _unambiguous(columns: tuple[str, ...]) -> tuple[str, ...]:
    """`a, a` becomes `a, a_2`: a JSON object would silently lose the first."""
    seen: set[str] = set()
    names = []
    for column in columns:
        name, number = column, 1
        while name in seen:
            number += 1
            name = f"{column}_{number}"
        seen.add(name)
        names.append(name)
    return tuple(names)


def _write_csv(result: Result, out: TextIO) -> None:
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([csv_cell(column) for column in result.columns])
    writer.writerows([csv_cell(value) for value in row] for row in result.rows)


def _write_json(result: Result, out: TextIO) -> None:
    separator = "[\n  "
    for row in result.rows:
        out.write(separator + json_text(dict(zip(result.columns, row, strict=True))))
        separator = ",\n  "
    out.write("[]\n" if separator.startswith("[") else "\n]\n")


def _write_table(result: Result, out: TextIO, story: TextIO) -> None:
    rows: list[tuple[Any, ...]] = []
    is_short = False
    for row in result.rows:
        if len(rows) == TABLE_ROWS:
            is_short = True
            break
        rows.append(row)

    # Names and error texts are tenants' input: their control characters stay off the terminal.
    cells = [
        ["null" if value is None else _CONTROL.sub("\ufffd", plain(value)) for value in row] for row in rows
    ]
    header = [_CONTROL.sub("\ufffd", column) for column in result.columns]
    widths = [max([len(name), *(len(row[i]) for row in cells)]) for i, name in enumerate(header)]
    is_number = [
        any(row[i] is not None for row in rows)
        and all(row[i] is None or isinstance(row[i], int | float | Decimal) for row in rows)
        for i in range(len(header))
    ]

    def line(values: list[str]) -> str:
        aligned = (
            value.rjust(width) if right else value.ljust(width)
            for value, width, right in zip(values, widths, is_number, strict=True)
        )
        return "  ".join(aligned).rstrip() + "\n"

    out.write(line(header))
    out.write(line(["-" * width for width in widths]))
    out.writelines(line(row) for row in cells)
    if is_short:
        story.write(f"Only the first {TABLE_ROWS} rows are shown; --format csv or json writes all.\n")
