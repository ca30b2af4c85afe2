"""The published night that a request reads: one night from its first query to its last, always the newest.

On DuckDB the file is opened read-only and shut off from everything else, and opened anew when a publication
has replaced it; whoever still reads the old night ends on it. On PostgreSQL a request is one transaction that
holds the published views, so that no publication comes between two of its queries.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from flows.errors import AlmanacError
from flows.night_name import NightName

if TYPE_CHECKING:
    import duckdb
    from psycopg_pool import ConnectionPool

    from flows.settings import Settings
    from flows.warehouse import Reader, Rows

T = TypeVar("T")

# Of one night, kept for the requests that come.
MOST_FOUND = 1000
# What DuckDB may hold of one night, beside the pages of the file that the system keeps.
MEMORY_LIMIT = "1GB"
# Connections to PostgreSQL, and seconds that a request waits for one.
POOL_SIZE = 8
POOL_WAIT_SECONDS = 5
# Seconds that a statement may take: no page asks for more than a few hundred milliseconds.
STATEMENT_SECONDS = 15


class Unavailable(AlmanacError):
    """Nothing is published, or it cannot be read now."""


class NothingPublished(Unavailable):
    """The first night has not run."""

    def __init__(self) -> None:
        super().__init__("Nothing is published yet; the first night has not run.")


class Found:
    """What requests have read of one night that others will ask for again, in bounded number."""

    def __init__(self) -> None:
        self._found: dict[tuple[Any, ...], Any] = {}

    def once(self, key: tuple[Any, ...], read: Callable[[], T]) -> T:
        """What was found before, else what `read` finds; None is asked for again."""
        if key in self._found:
            kept: T = self._found[key]
            return kept
        found = read()
        if found is not None and len(self._found) < MOST_FOUND:
            self._found[key] = found
        return found


_COVERAGE = "landing_number, as_of, reporting_timezone, models_fingerprint"


class Night:
    """One published night, open for the queries of one request.

    Tables are named in full (`warehouse.marts.team_usage_daily`), parameters are written as `?`.
    """

    def __init__(self, name: NightName, reader: Reader, found: Found) -> None:
        self.id = name.id
        self.as_of = name.as_of
        self.reporting_timezone = name.reporting_timezone
        self._reader = reader
        self.once = found.once

    def execute(self, query: str, parameters: list[Any] | None = None, /) -> Rows:
        return self._reader.execute(query, parameters or [])

    def rows(self, query: str, parameters: Sequence[Any] = ()) -> list[dict[str, Any]]:
        """All rows, each a dict of its columns; decimals keep their digits."""
        found = self.execute(query, list(parameters))
        names = [str(column[0]) for column in found.description or ()]
        return [dict(zip(names, row, strict=True)) for row in found.fetchall()]

    def row(self, query: str, parameters: Sequence[Any] = ()) -> dict[str, Any] | None:
        """The first row; None when there is none."""
        return next(iter(self.rows(query, parameters)), None)

    def close(self) -> None:
        """Does nothing: whoever opened the night ends it."""


class PublishedNights(Protocol):
    """What is published, as long as the service runs."""

    def reading(self) -> Any:
        """A context in which one Night is open. Raises Unavailable."""
        ...

    def current(self) -> NightName | None:
        """The newest night, None before the first; cheap enough to ask every second. Raises Unavailable."""
        ...

    def current_id(self) -> str | None:
        """The id of the newest night, None when there is none that can be read."""
        ...

    def follow(self) -> None:
        """Let go of a night that another one has replaced, though nobody asks; never an error."""
        ...

    def close(self) -> None: ...


def open_nights(settings: Settings) -> PublishedNights:
    """The nights of whichever engine the settings say. Nothing need be published yet."""
    return PostgresNights(settings) if settings.target == "postgres" else DuckdbNights(settings)


# --- DuckDB -------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _OpenFile:
    """A night's file, and how many requests read it."""

    signature: tuple[int, int, int]
    connection: duckdb.DuckDBPyConnection
    name: NightName
    found: Found = field(default_factory=Found)
    readers: int = 0
    is_retired: bool = False


class DuckdbNights:
    """The published file, opened anew when it is another one."""

    def __init__(self, settings: Settings) -> None:
        self._path = settings.warehouse_path
        self._lock = threading.Lock()
        self._opening = threading.Lock()
        self._current: _OpenFile | None = None

    @contextmanager
    def reading(self) -> Iterator[Night]:
        file = self._acquire()
        try:
            cursor = file.connection.cursor()
            try:
                yield Night(file.name, cursor, file.found)
            finally:
                cursor.close()
        finally:
            self._release(file)

    def current(self) -> NightName | None:
        try:
            return self._newest().name
        except NothingPublished:
            return None

    def current_id(self) -> str | None:
        try:
            return self._newest().name.id
        except AlmanacError:
            return None

    def follow(self) -> None:
        # a file that is open here cannot become the next night's side file
        with suppress(AlmanacError):
            if self._current is not None:
                self._newest()

    def close(self) -> None:
        with self._lock:
            if self._current is not None:
                self._retire(self._current)
                self._current = None

    def _acquire(self) -> _OpenFile:
        while True:
            file = self._newest()
            with self._lock:
                # another request may have retired it in between
                if not file.is_retired:
                    file.readers += 1
                    return file

    def _release(self, file: _OpenFile) -> None:
        with self._lock:
            file.readers -= 1
            if file.is_retired and file.readers == 0:
                file.connection.close()

    def _retire(self, file: _OpenFile) -> None:
        """With the lock held: no new reader, and closed with its last one."""
        file.is_retired = True
        if file.readers == 0:
            file.connection.close()

    def _newest(self) -> _OpenFile:
        current, signature = self._current, self._signature()
        if current is not None and current.signature == signature:
            return current
        # while one request opens the new night, the others go on reading the one before
        if not self._opening.acquire(blocking=current is None):
            assert current is not None
            return current
        try:
            current = self._current
            if current is not None and current.signature == signature:
                return current
            opened = self._open(signature)
            with self._lock:
                if self._current is not None:
                    self._retire(self._current)
                self._current = opened
            return opened
        finally:
            self._opening.release()

    def _signature(self) -> tuple[int, int, int]:
        try:
            found = os.stat(self._path)
        except OSError:
            raise NothingPublished from None
        return found.st_ino, found.st_mtime_ns, found.st_size

    def _open(self, signature: tuple[int, int, int]) -> _OpenFile:
        import duckdb

        from flows.warehouse import open_published

        connection = open_published(self._path, memory_limit=MEMORY_LIMIT)
        try:
            row = connection.execute(f"select {_COVERAGE} from warehouse.kept.coverage").fetchone()
        except duckdb.Error as error:
            connection.close()
            raise Unavailable("The published warehouse cannot be read.") from error
        if row is None:
            connection.close()
            raise Unavailable("The published warehouse does not say which night it is.")
        return _OpenFile(signature, connection, NightName.of(*row))


# --- PostgreSQL ---------------------------------------------------------------------------------------------


class PostgresNights:
    """The published views; each request is one read-only transaction."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._pool: ConnectionPool[Any] | None = None
        self._lock = threading.Lock()
        self._found: tuple[str, Found] = ("", Found())

    @contextmanager
    def reading(self) -> Iterator[Night]:
        from flows.read_postgres import PostgresReader

        with self._connected() as (connection, where):
            name = self._begin(connection)
            # not PostgresReader.close: the connection is the pool's
            yield Night(name, PostgresReader(connection, where), self._found_of(name))

    def current(self) -> NightName | None:
        with self._connected() as (connection, _):
            # waits for no publication, since it uses none of the views
            return self._published(connection)

    def current_id(self) -> str | None:
        try:
            found = self.current()
        except AlmanacError:
            return None
        return None if found is None else found.id

    def follow(self) -> None:
        """Nothing is held between two requests."""

    def close(self) -> None:
        with self._lock:
            if self._pool is not None:
                self._pool.close()
                self._pool = None

    def _begin(self, connection: Any) -> NightName:
        """The night of this transaction; from here on no publication can end before the transaction does.

        A publication replaces every view, and waits for whoever has used one of them in an open transaction.
        """
        import psycopg

        try:
            connection.execute("select 1 from marts.dim_dates limit 1")
        except (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName):
            raise NothingPublished from None
        name = self._published(connection)
        if name is None:
            raise NothingPublished
        if self._settings.warehouse_readers is not None:
            # what readers may see, and no more
            connection.execute("select set_config('role', %s, true)", [self._settings.warehouse_readers])
        return name

    def _found_of(self, name: NightName) -> Found:
        night_id, found = self._found
        if night_id != name.id:
            found = Found()
            self._found = (name.id, found)
        return found

    def _published(self, connection: Any) -> NightName | None:
        """What is published, by the transaction's own sight; None before the first night."""
        import psycopg

        try:
            row = connection.execute(
                f"select {_COVERAGE} from ops.generations where is_published".encode()
            ).fetchone()
        except (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName):
            return None
        return None if row is None else NightName.of(*row)

    @contextmanager
    def _connected(self) -> Iterator[tuple[Any, str]]:
        """A connection of the pool in a transaction, and where it leads; Unavailable when there is none."""
        import psycopg
        from psycopg_pool import PoolTimeout

        from flows.warehouse_postgres import connection_parameters, place

        where = place(connection_parameters(self._settings))
        try:
            with self._opened().connection(timeout=POOL_WAIT_SECONDS) as connection:
                yield connection, where
        except (psycopg.OperationalError, PoolTimeout) as error:
            # where it is is for operators: the cause goes to stderr alone
            raise Unavailable("The warehouse cannot be read now.") from AlmanacError(
                f"{where}, {type(error).__name__}"
            )

    def _opened(self) -> ConnectionPool[Any]:
        from psycopg_pool import ConnectionPool

        from flows.warehouse_postgres import connection_parameters

        with self._lock:
            if self._pool is None:
                parameters = connection_parameters(self._settings)
                options = (
                    f"{parameters.get('options', '')} -c default_transaction_read_only=on "
                    f"-c statement_timeout={STATEMENT_SECONDS}s -c lock_timeout={STATEMENT_SECONDS}s "
                    f"-c idle_in_transaction_session_timeout={STATEMENT_SECONDS}s -c timezone=UTC -c jit=off"
                ).strip()
                self._pool = ConnectionPool(
                    kwargs={
                        "connect_timeout": 5,
                        "keepalives_idle": 30,
                        **parameters,
                        "options": options,
                        "application_name": "almanac api",
                    },
                    min_size=1,
                    max_size=POOL_SIZE,
                    # the server may have been restarted while nobody asked
                    check=ConnectionPool.check_connection,
                    open=True,
                    name="almanac-api",
                )
            return self._pool
