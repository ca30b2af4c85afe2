"""One text and one hash of everything that is published, the same on every engine.

Owns what counts as the same published state: every relation of the published schemas, its columns by name,
its rows in an order of their own, numbers by their value and not by the type that an engine chose.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

PUBLISHED_SCHEMAS = ("marts", "reviews", "compat")
SHOWN_ROWS = 3


def canonical_rows(
    connection: Any, *, leave_out: Collection[str] = (), schemas: Collection[str] = PUBLISHED_SCHEMAS
) -> dict[str, list[str]]:
    """`schema.relation`: its header and its sorted rows, each as one text.

    `connection` is a DuckDB or a psycopg connection whose current database is the warehouse; columns
    named in `leave_out` (such as built_at_as_of) are not looked at.
    """
    listed = ", ".join(f"'{schema}'" for schema in schemas)
    names = connection.execute(
        "select table_schema, table_name from information_schema.tables "
        f"where table_catalog = current_database() and table_schema in ({listed}) order by 1, 2"
    ).fetchall()
    relations = {}
    for schema, name in names:
        cursor = connection.execute(f'select * from "{schema}"."{name}"')
        columns = [str(column[0]) for column in cursor.description]
        relations[f"{schema}.{name}"] = canonical_lines(columns, cursor.fetchall(), leave_out)
    return relations


def canonical_lines(
    columns: Sequence[str], rows: Iterable[Sequence[Any]], leave_out: Collection[str] = ()
) -> list[str]:
    """One relation of `canonical_rows`: its header, then its sorted rows."""
    places = sorted((column, place) for place, column in enumerate(columns) if column not in leave_out)
    lines = sorted(json.dumps([_text(row[place]) for _, place in places], ensure_ascii=False) for row in rows)
    return [json.dumps([column for column, _ in places]), *lines]


def canonical_hash(
    connection: Any, *, leave_out: Collection[str] = (), schemas: Collection[str] = PUBLISHED_SCHEMAS
) -> str:
    """The hash of `canonical_rows`: equal when, and only when, a reader could tell no difference."""
    return hash_of(canonical_rows(connection, leave_out=leave_out, schemas=schemas))


def hash_of(relations: Mapping[str, list[str]]) -> str:
    digest = hashlib.sha256()
    for name in sorted(relations):
        digest.update(json.dumps([name, len(relations[name])]).encode())
        for line in relations[name]:
            digest.update(line.encode("utf-8", "surrogatepass") + b"\n")
    return digest.hexdigest()


def canonical_differences(expected: Mapping[str, list[str]], actual: Mapping[str, list[str]]) -> list[str]:
    """What differs, in lines for a failing test; empty when nothing does."""
    lines = [f"{name}: is missing" for name in sorted(expected.keys() - actual.keys())]
    lines += [f"{name}: is new" for name in sorted(actual.keys() - expected.keys())]
    for name in sorted(expected.keys() & actual.keys()):
        if expected[name] == actual[name]:
            continue
        for label, rows, others in (
            ("only expected", expected[name], actual[name]),
            ("only actual", actual[name], expected[name]),
        ):
            only = sorted(set(rows) - set(others))
            lines += [f"{name}: {label}: {row}" for row in only[:SHOWN_ROWS]]
            if len(only) > SHOWN_ROWS:
                lines.append(f"{name}: {label}: and {len(only) - SHOWN_ROWS} more rows")
        if set(expected[name]) == set(actual[name]):
            lines.append(f"{name}: the same rows, some of them more often")
    return lines


def _text(value: Any) -> Any:
    """A value with its kind: null, b(oolean), n(umber), f(loat), d(ate), t(imestamp), s(tring)."""
    if value is None:
        return None
    if isinstance(value, bool):  # before int, which it is
        return f"b:{value}"
    if isinstance(value, (int, Decimal)):
        return f"n:{_plain(Decimal(value))}"
    if isinstance(value, float):
        return f"f:{value!r}"
    if isinstance(value, datetime):  # before date, which it is
        moment = value.astimezone(UTC).replace(tzinfo=None) if value.tzinfo else value
        return f"t:{moment.isoformat()}"
    if isinstance(value, date):
        return f"d:{value.isoformat()}"
    if isinstance(value, (list, tuple)):
        return [_text(part) for part in value]
    if isinstance(value, dict):
        return {str(name): _text(part) for name, part in sorted(value.items())}
    return f"s:{value}"


def _plain(number: Decimal) -> str:
    """The number without an exponent, trailing zeros or the sign of a zero; NaN as it is."""
    text = f"{number:f}" if number else "0"
    return text.rstrip("0").rstrip(".") if "." in text else text
