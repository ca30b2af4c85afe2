"""A generated platform in a real PostgreSQL, with the platform's own tables and indexes.

`load` fills an empty database by COPY; `apply_day` brings it from one day to the next, as the platform would.
"""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import duckdb
import psycopg
from psycopg import sql

from benchmarks.new_day import CHANGING_TABLES, changes_path
from benchmarks.platform import quoted
from tests.platform_ddl import LOAD_ORDER, ORM, create_platform

BLOCK_BYTES = 1 << 20

# The platform generates it.
NOT_WRITTEN = frozenset({"credits_remaining"})


def load(url: str, folder: Path) -> None:
    """Make the platform's tables in the empty database at `url` and fill them from the folder.

    Rows lie in the order of their creation, as a platform writes them; indexes are made at the end.
    """
    create_platform(url, ORM)
    with psycopg.connect(url) as connection:
        # The rows refer to each other as they should: the generator's tests say so.
        connection.execute("set session_replication_role = replica")
        with _without_indexes(connection):
            for table in LOAD_ORDER:
                for path in sorted((folder / table).glob("*.parquet")):
                    _copy(connection, table, table, path)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("vacuum (analyze)")


def apply_day(url: str, folder: Path) -> None:
    """Insert, update and delete what `benchmarks.new_day` wrote into `changes/`, in one transaction."""
    keys = CHANGING_TABLES | {"team_credits": "team_id"}
    with psycopg.connect(url) as connection:
        for table in reversed(CHANGING_TABLES):
            _staged(connection, table, changes_path(folder, table, "removed"))
            connection.execute(_delete(table, keys[table]))
        for table in CHANGING_TABLES:
            _copy(connection, table, table, changes_path(folder, table, "added"))
        for table in keys:
            columns = _staged(connection, table, changes_path(folder, table, "changed"))
            connection.execute(_update(table, keys[table], columns))


@contextmanager
def _without_indexes(connection: psycopg.Connection[Any]) -> Iterator[None]:
    """Drop the indexes that no constraint needs, and make them again."""
    indexes = connection.execute(
        "select indexrelid::regclass::text, pg_get_indexdef(indexrelid) from pg_index "
        "join pg_class on pg_class.oid = indrelid "
        "where relnamespace = 'public'::regnamespace and not indisunique"
    ).fetchall()
    for name, _ in indexes:
        connection.execute(sql.SQL("drop index {}").format(sql.SQL(name)))
    yield
    for _, definition in indexes:
        connection.execute(sql.SQL(definition))


def _staged(connection: psycopg.Connection[Any], table: str, path: Path) -> list[str]:
    """A temporary table `staged` with the file's rows; its columns."""
    connection.execute("drop table if exists staged")
    connection.execute(
        sql.SQL("create temp table staged as select * from public.{} limit 0").format(sql.Identifier(table))
    )
    return _copy(connection, table, "staged", path)


def _delete(table: str, key: str) -> sql.Composed:
    return sql.SQL("delete from {} using staged where {} = {}").format(
        sql.Identifier(table), sql.Identifier(table, key), sql.Identifier("staged", key)
    )


def _update(table: str, key: str, columns: list[str]) -> sql.Composed:
    return sql.SQL("update {} set {} from staged where {} = {}").format(
        sql.Identifier(table),
        sql.SQL(", ").join(
            sql.SQL("{} = staged.{}").format(sql.Identifier(name), sql.Identifier(name)) for name in columns
        ),
        sql.Identifier(table, key),
        sql.Identifier("staged", key),
    )


def _copy(connection: psycopg.Connection[Any], table: str, target: str, path: Path) -> list[str]:
    """COPY a Parquet file's rows into a table, oldest first; the columns."""
    with TemporaryDirectory(dir=path.parents[1]) as scratch, closing(duckdb.connect()) as reader:
        names = [row[0] for row in reader.execute(f"describe from '{quoted(path)}'").fetchall()]
        columns = [name for name in names if name not in NOT_WRITTEN]
        order = "order by created_at" if "created_at" in columns else ""
        csv = Path(scratch) / f"{table}.csv"
        rows = f"select {', '.join(columns)} from '{quoted(path)}' {order}"
        reader.execute(f"copy ({rows}) to '{quoted(csv)}' (header false)")
        statement = sql.SQL("copy {} ({}) from stdin (format csv)").format(
            sql.Identifier(target), sql.SQL(", ").join(map(sql.Identifier, columns))
        )
        with csv.open("rb") as file, connection.cursor().copy(statement) as copy:
            while block := file.read(BLOCK_BYTES):
                copy.write(block)
    return columns
