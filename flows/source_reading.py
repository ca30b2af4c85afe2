"""What a landed column may be made of: expressions over the source's own columns, in its own SQL.

What DuckDB and PostgreSQL write alike (coalesce, nullif, left, regexp_replace) is written as it is; the rest
has a method here. No value of a source becomes part of a query.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol


class Reading(Protocol):
    """One table of one source."""

    def column(self, name: str) -> str:
        """The source's column; a null where an older source lacks it."""

    def json_text(self, name: str, *path: str) -> str:
        """The text at a path of a JSON column; null where nothing is there, or the value is no JSON."""

    def sha256(self, text: str) -> str:
        """The hash of a text as 64 hexadecimal digits."""

    def matches(self, text: str, pattern: str) -> str:
        """Whether a pattern is found in the text, whatever the case of its letters."""


class DuckDBReading:
    """Of a file: `columns` are its expressions and their types by name."""

    def __init__(self, columns: Mapping[str, tuple[str, str]]) -> None:
        self._columns = columns

    def column(self, name: str) -> str:
        return self._columns[name][0] if name in self._columns else "null"

    def json_text(self, name: str, *path: str) -> str:
        if name not in self._columns:
            return "null"
        expression, sql_type = self._columns[name]
        # Parquet may hold the object as a struct
        value = f"to_json({expression})" if "(" in sql_type else f"try_cast({expression} as json)"
        found = f"json_extract_string({value}, '$.{'.'.join(path)}')"
        # of a text that no database can hold, the rest
        return f"replace({found}, chr(0), '')"

    def sha256(self, text: str) -> str:
        return f"sha256({text})"

    def matches(self, text: str, pattern: str) -> str:
        return f"regexp_matches({text}, '{pattern}', 'i')"


class PostgresReading:
    """Of a table: `types` are its columns' types by name."""

    def __init__(self, types: Mapping[str, str]) -> None:
        self._types = types

    def column(self, name: str) -> str:
        return f't."{name}"' if name in self._types else "null"

    def json_text(self, name: str, *path: str) -> str:
        if name not in self._types:
            return "null"
        steps = ", ".join(f"'{step}'" for step in path)
        return f"{self._types[name]}_extract_path_text({self.column(name)}, {steps})"

    def sha256(self, text: str) -> str:
        return f"encode(sha256(convert_to({text}, 'UTF8')), 'hex')"

    def matches(self, text: str, pattern: str) -> str:
        return f"({text} ~* '{pattern}')"
