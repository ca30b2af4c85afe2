"""Compares marts in a DuckDB connection with the oracle's frames, cell by cell: owns what counts as equal."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from tests.oracle.marts import MART_KEYS, plain

if TYPE_CHECKING:
    import duckdb
    import pandas

Key = tuple[Any, ...]


def kind_of(value: Any) -> str:
    """Values are equal only within a kind: 5 and 5.000 may be; True and 1, 0.5 and a float, never."""
    for kind in (bool, int, Decimal, datetime, date):  # bool before int, datetime before date
        if isinstance(value, kind):
            return "number" if kind in (int, Decimal) else kind.__name__
    return type(value).__name__


def same(expected: Any, actual: Any) -> bool:
    if expected is None or actual is None:
        return expected is actual
    return kind_of(expected) == kind_of(actual) and bool(expected == actual)


def shown(value: Any) -> str:
    if isinstance(value, Decimal):
        return f"{value:f}"
    return str(value) if isinstance(value, (date, datetime)) else repr(value)


def mart_differences(
    connection: duckdb.DuckDBPyConnection, name: str, expected: pandas.DataFrame, columns: set[str]
) -> list[str]:
    """Every way in which one mart differs; extra columns of the SQL side are its own."""
    if not columns:
        return [f"marts.{name}: does not exist"]
    wanted = [str(column) for column in expected.columns]
    lines = [f"marts.{name}: has no column {column}" for column in wanted if column not in columns]
    keys = MART_KEYS[name]
    if not columns.issuperset(keys):
        return lines
    present = [column for column in wanted if column in columns]
    places = [present.index(key) for key in keys]

    def label(key: Key) -> str:
        return ", ".join(f"{column}={shown(value)}" for column, value in zip(keys, key, strict=True))

    def keyed(rows: list[tuple[Any, ...]], side: str) -> dict[Key, tuple[Any, ...]]:
        by_key: dict[Key, tuple[Any, ...]] = {}
        for row in rows:
            key = tuple(row[place] for place in places)
            if key in by_key:
                lines.append(f"marts.{name} [{label(key)}]: twice in the {side}")
            by_key[key] = row
        return by_key

    names = ", ".join(f'"{column}"' for column in present)
    in_sql = keyed(connection.execute(f'select {names} from marts."{name}"').fetchall(), "SQL mart")
    cells = [[plain(value) for value in expected[column].tolist()] for column in present]
    in_oracle = keyed(list(zip(*cells, strict=True)), "oracle")

    lines += [f"marts.{name} [{label(key)}]: only in the oracle" for key in in_oracle if key not in in_sql]
    lines += [f"marts.{name} [{label(key)}]: only in the SQL mart" for key in in_sql if key not in in_oracle]
    for key, row in in_oracle.items():
        for column, oracle, sql in zip(present, row, in_sql.get(key, row), strict=True):
            if not same(oracle, sql):
                values = f"oracle {shown(oracle)}, SQL {shown(sql)}"
                lines.append(f"marts.{name} [{label(key)}] {column}: {values}")
    return lines


def differences(connection: duckdb.DuckDBPyConnection, expected: Mapping[str, pandas.DataFrame]) -> list[str]:
    """Every difference between schema `marts` and the oracle, one readable line each."""
    columns: dict[str, set[str]] = {}
    catalog = "select table_name, column_name from information_schema.columns where table_schema = 'marts'"
    for table, column in connection.execute(catalog).fetchall():
        columns.setdefault(table, set()).add(column)
    return [
        line
        for name, frame in expected.items()
        for line in mart_differences(connection, name, frame, columns.get(name, set()))
    ]


def report(lines: list[str], limit: int = 25) -> str:
    """The first differences, and how many there are in which mart."""
    counts: dict[str, int] = {}
    for line in lines:
        mart = line.split(" ")[0].rstrip(":")
        counts[mart] = counts.get(mart, 0) + 1
    summary = ", ".join(f"{mart} {count}" for mart, count in counts.items())
    return "\n".join([f"{len(lines)} differences: {summary}", *lines[:limit]])
