"""How readers open what the postgres target has published: read-only, by the names that DuckDB has too."""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING, Any

from flows.errors import AlmanacError, UsageError
from flows.redaction import redact
from flows.warehouse_postgres import connection_parameters, open_connection, place

if TYPE_CHECKING:
    import psycopg

    from flows.settings import Settings

# Seconds that a reading statement may take: it keeps the next night from being published.
READ_SECONDS = 600

# Statements that give rows one by one; explain and show give a few at once.
_STREAMED = ("select", "with", "values", "table")
_AT_ONCE = ("explain", "show")
_LEADING_COMMENTS = re.compile(r"(?:\s|--[^\n]*(?:\n|$)|/\*.*?\*/|\()*", re.DOTALL)


def open_published_in_postgres(settings: Settings) -> PostgresReader:
    """A connection in which the marts, then the compat tables, are found by their bare names."""
    parameters = connection_parameters(settings)
    options = {
        "default_transaction_read_only": "on",
        "search_path": "marts,compat",
        "statement_timeout": f"{READ_SECONDS}s",
        "lock_timeout": "60s",
        "idle_in_transaction_session_timeout": "60s",
        "timezone": "UTC",
    }
    given = " ".join(f"-c {name}={value}" for name, value in options.items())
    connection = open_connection(
        parameters, f"{parameters.get('options', '')} {given}".strip(), "almanac reader"
    )
    reader = PostgresReader(connection, place(parameters))
    if reader.execute("select to_regclass('marts.dim_dates')").fetchone() == (None,):
        reader.close()
        raise AlmanacError(
            f"Nothing is published in the warehouse {place(parameters)} yet. Run `almanac nightly` first."
        )
    return reader


class PostgresReader:
    """The few calls of a DuckDB connection that readers need, on PostgreSQL."""

    def __init__(self, connection: psycopg.Connection[Any], name: str) -> None:
        self._connection = connection
        self._name = name
        self._open_cursors = ExitStack()

    def execute(self, query: str, parameters: Sequence[Any] | None = None) -> _Rows:
        """Run one of the project's own statements, its parameters written as `?`."""
        # DuckDB's reader finds what is published in a catalog of that name; here it is the database itself
        query = query.replace("warehouse.", "")
        cursor = self._connection.cursor()
        with _explained(f"The published warehouse {self._name} could not be read"):
            if parameters:
                cursor.execute(query.replace("%", "%%").replace("?", "%s").encode(), parameters)
            else:
                cursor.execute(query.encode())
        return _Rows(cursor)

    def execute_given(self, query: str) -> _Rows:
        """Run one reading statement that a person gave; its rows are not held in memory.

        Raises UsageError for anything that is not one reading statement.
        """
        statement = query.strip().rstrip(";").rstrip()
        verb = _verb(statement)
        if verb not in (*_STREAMED, *_AT_ONCE):
            raise UsageError(
                f"The published marts are read-only: a statement that begins with {verb or 'nothing'!r} is "
                "refused. Use select, with, values, table, explain or show."
            )
        with _explained():
            if verb in _AT_ONCE:
                cursor = self._connection.cursor()
                # the extended protocol takes one statement only
                cursor.execute(statement.encode(), prepare=True)
                return _Rows(cursor)
            # the server's cursor lives in a transaction; closing the connection ends both
            self._connection.autocommit = False
            streamed = self._open_cursors.enter_context(self._connection.cursor("almanac_query"))
            streamed.execute(statement.encode())
            return _Rows(streamed)

    def close(self) -> None:
        import psycopg

        with suppress(psycopg.Error):
            self._open_cursors.close()
        self._connection.close()

    def __enter__(self) -> PostgresReader:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _Rows:
    """A cursor whose errors are the command's own."""

    def __init__(self, cursor: psycopg.Cursor[Any] | psycopg.ServerCursor[Any]) -> None:
        self._cursor = cursor

    @property
    def description(self) -> list[Any] | None:
        return self._cursor.description

    def fetchone(self) -> Any:
        with _explained():
            return self._cursor.fetchone()

    def fetchmany(self, size: int = 1) -> list[Any]:
        with _explained():
            return self._cursor.fetchmany(size)

    def fetchall(self) -> list[Any]:
        with _explained():
            return self._cursor.fetchall()


def _verb(statement: str) -> str:
    begin = _LEADING_COMMENTS.match(statement)
    word = re.match(r"[A-Za-z]+", statement[begin.end() :] if begin else statement)
    return word[0].lower() if word else ""


class _explained:
    """Turns the driver's errors into the command's, after a sentence that says what went wrong."""

    def __init__(self, sentence: str = "") -> None:
        self._sentence = f"{sentence}: " if sentence else ""

    def __enter__(self) -> None:
        return None

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        import psycopg

        if isinstance(error, psycopg.Error):
            raise AlmanacError(f"{self._sentence}{redact(str(error).strip())}") from None
