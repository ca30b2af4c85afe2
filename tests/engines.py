"""The same platform built by DuckDB and by PostgreSQL, to compare what comes out.

Owns the PostgreSQL side of the short cut of `tests.warehouse`: the project compiled once for PostgreSQL, its
statements run in a transaction that is rolled back.
"""

from __future__ import annotations

import tempfile
from collections.abc import Collection
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb

from tests.canonical import PUBLISHED_SCHEMAS, canonical_differences, canonical_rows
from tests.oracle.platforms import Platform
from tests.warehouse import (
    AS_OF_MARK,
    POSTGRES_DATABASE,
    ZONE_MARK,
    CompiledMarts,
    compile_project,
    load_raw,
)

if TYPE_CHECKING:
    import psycopg

    from tests.postgres_server import PostgresServer

# The rules of the alerts too, at the platform's own moment.
COMPARED_SCHEMAS = (*PUBLISHED_SCHEMAS, "alerts")

# Values compared need no type of their own: canonical_rows compares numbers by value.
_TYPES = {"varchar": 'text collate "C"', "decimal(28,8)": "numeric(28, 8)"}


@cache
def compiled_project(target: str, *marts: str) -> CompiledMarts:
    """Every model of the project, or what some marts need."""
    manifest = _manifest(target)
    names = [node["name"] for node in manifest["nodes"].values() if node["resource_type"] == "model"]
    return CompiledMarts(manifest, marts or names)


@cache
def _manifest(target: str) -> dict[str, Any]:
    """The project compiled for an engine, once for this process."""
    with tempfile.TemporaryDirectory() as folder:
        return compile_project(Path(folder), as_of=AS_OF_MARK, reporting_timezone=ZONE_MARK, target=target)


def engine_differences(connection: psycopg.Connection[Any], platform: Platform) -> list[str]:
    """How what PostgreSQL builds of the platform differs from what DuckDB builds, in lines."""
    with compiled_project("duckdb").build(
        platform.tables, as_of=platform.as_of, reporting_timezone=platform.reporting_timezone
    ) as duck:
        expected = canonical_rows(duck, schemas=COMPARED_SCHEMAS)
    try:
        build_on_postgres(connection, platform)
        actual = canonical_rows(connection, schemas=COMPARED_SCHEMAS)
    finally:
        connection.rollback()
    return canonical_differences(expected, actual)


def build_on_postgres(
    connection: psycopg.Connection[Any], platform: Platform, prefix: str = "", marts: Collection[str] = ()
) -> None:
    """Build every model of the platform, or what `marts` need, in schemas whose names begin with `prefix`."""
    compiled = compiled_project("postgres", *marts)
    with duckdb.connect() as landing:
        landing.execute("create schema raw")
        load_raw(landing, platform.tables, platform.as_of)
        connection.execute("create schema raw")
        tables = landing.execute(
            "select table_name from duckdb_tables() where schema_name = 'raw'"
        ).fetchall()
        for (table,) in tables:
            _copy_table(landing, connection, table)
    for schema in compiled.schemas:
        connection.execute(f"create schema {prefix}{schema}".encode())
    for statement in compiled.statements:
        filled = statement.replace(AS_OF_MARK, str(platform.as_of))
        for schema in compiled.schemas:
            filled = filled.replace(f'{POSTGRES_DATABASE}"{schema}".', f'"{prefix}{schema}".')
        # a database of any name: PostgreSQL only lets a statement name its own
        filled = filled.replace(POSTGRES_DATABASE, "").replace(ZONE_MARK, platform.reporting_timezone)
        connection.execute(filled.encode())


def create_database_of_another_language(server: PostgresServer, name: str) -> str:
    """A database that does not order text by bytes, where the server knows of any; its URL."""
    import psycopg

    try:
        server.execute(
            f"create database {name} template template0 encoding 'UTF8' "
            "locale_provider icu icu_locale 'en-US'"
        )
    except psycopg.errors.FeatureNotSupported:
        return server.create_database(name)
    return server.url(name)


def _copy_table(landing: duckdb.DuckDBPyConnection, connection: psycopg.Connection[Any], table: str) -> None:
    described = landing.execute(f"describe raw.{table}").fetchall()
    columns = [f"{name} {_TYPES.get(kind.lower(), kind)}" for name, kind, *_ in described]
    connection.execute(f"create table raw.{table} ({', '.join(columns)})".encode())
    with connection.cursor().copy(f"copy raw.{table} from stdin".encode()) as copy:
        for row in landing.execute(f"select * from raw.{table}").fetchall():
            copy.write_row(row)
