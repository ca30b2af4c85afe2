"""How readers open the published warehouse: read-only, and shut off from everything else."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from flows.errors import AlmanacError

if TYPE_CHECKING:
    import duckdb

    from flows.settings import Settings


class Rows(Protocol):
    """What a query gave."""

    @property
    def description(self) -> Sequence[Any] | None: ...
    def fetchone(self) -> Any: ...
    def fetchmany(self, size: int = 1) -> list[Any]: ...
    def fetchall(self) -> list[Any]: ...


class Reader(Protocol):
    """What is published, open for reading; DuckDB's connection and PostgresReader are both one.

    Marts are found by their bare names, others as `warehouse.reviews.<name>`; parameters are written as `?`.
    """

    def execute(self, query: str, parameters: list[Any] | None = None, /) -> Rows: ...
    def close(self) -> None: ...


def open_warehouse(settings: Settings) -> Reader:
    """Open what is published, in whichever engine the settings say."""
    if settings.target == "postgres":
        from flows.read_postgres import open_published_in_postgres

        return open_published_in_postgres(settings)
    return open_published(settings.warehouse_path)


def warehouse_name(settings: Settings) -> str:
    """Where the published warehouse is, for people; without a secret."""
    if settings.target == "postgres":
        from flows.warehouse_postgres import connection_parameters, place

        return place(connection_parameters(settings))
    return str(settings.warehouse_path)


def open_published(warehouse_path: Path, *, memory_limit: str | None = None) -> duckdb.DuckDBPyConnection:
    """A connection in which the marts, then the compat tables, are found by their bare names.

    The file is attached read-only to an empty in-memory database; then files, extensions and settings are
    locked, so that no SQL read from a person can reach anything but the published tables.
    `memory_limit`, such as 1GB, is for a process that stays; without it DuckDB takes what it finds.
    """
    import duckdb  # 0.1 s to import; only readers pay

    if not warehouse_path.is_file():
        raise AlmanacError(
            f"No warehouse is published at {warehouse_path}. "
            "Run `almanac demo`, or `almanac nightly` with your own source, first."
        )
    config: dict[str, str | bool | int | float | list[str]] = {
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
    }
    if memory_limit is not None:
        config["memory_limit"] = memory_limit
    connection = duckdb.connect(config=config)
    try:
        path = str(warehouse_path).replace("'", "''")
        connection.execute(f"attach '{path}' as warehouse (read_only)")
        connection.execute("set search_path = 'memory.main,warehouse.marts,warehouse.compat'")
        connection.execute("set TimeZone = 'UTC'")
        # DuckDB draws it on stdout, which is the answer's
        connection.execute("set enable_progress_bar = false")
        connection.execute("set enable_external_access = false")
        connection.execute("set lock_configuration = true")
    except duckdb.Error as error:
        connection.close()
        raise AlmanacError(
            f"The published warehouse {warehouse_path} cannot be read: {error}\n"
            "Run `almanac nightly` again; it replaces the file."
        ) from error
    return connection
