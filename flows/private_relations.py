"""The inner relations of a warehouse file between two builds: not published, but kept by their definitions.

Staging and intermediate views and tables are the builder's own and read the landing file, so they are dropped
from what is published. The next build of the file would make most of them as they were; it takes them from
here, without rows, and makes anew only what differs from build to build (see flows.built).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from duckdb import DuckDBPyConnection

SCHEMAS = ("staging", "intermediate")
_DEFINITIONS = "kept.private_relations"
_PRIVATE = f"database_name = current_database() and schema_name in {SCHEMAS}"


def put_aside(warehouse: DuckDBPyConnection) -> None:
    """Note how the private relations are made, and drop them; what was put aside already stays noted."""
    found = warehouse.execute(
        f"select sql, 1 as step, schema_name, table_name as name from duckdb_tables() where {_PRIVATE} "
        f"union all select sql, 2, schema_name, view_name from duckdb_views() where {_PRIVATE} "
        "order by step, schema_name, name"
    ).fetchall()
    # all or nothing: who is killed in between finds them again
    warehouse.execute("begin")
    if found:
        warehouse.execute("create schema if not exists kept")
        warehouse.execute(
            f"create or replace table {_DEFINITIONS} "
            "(sql varchar, step integer, schema_name varchar, name varchar)"
        )
        warehouse.executemany(f"insert into {_DEFINITIONS} values (?, ?, ?, ?)", found)
    for schema in SCHEMAS:
        warehouse.execute(f"drop schema if exists {schema} cascade")
    warehouse.execute("commit")


def take_back(landing: DuckDBPyConnection, warehouse_path: Path) -> bool:
    """Make them again in a file, empty; False when that cannot be, and the file is to be built anew.

    `landing` is open on landing.duckdb, which the views read by that name.
    """
    import duckdb

    path = str(warehouse_path).replace("'", "''")
    # by the name that dbt builds the file under
    landing.execute(f"attach '{path}' as \"{warehouse_path.stem}\"")
    try:
        own = landing.execute("select current_database()").fetchone()
        landing.execute(f'use "{warehouse_path.stem}"')
        try:
            return _make(landing)
        except duckdb.Error:
            return False  # a file of an earlier release has none
        finally:
            landing.execute(f'use "{own[0] if own else "landing"}"')
    finally:
        landing.execute(f'detach "{warehouse_path.stem}"')


def _make(connection: DuckDBPyConnection) -> bool:
    import duckdb

    rows = connection.execute(f"select sql from {_DEFINITIONS} order by step, schema_name, name").fetchall()
    for schema in SCHEMAS:
        connection.execute(f"create schema if not exists {schema}")
    if not rows:
        return False
    waiting = [str(sql) for (sql,) in rows]
    # what reads one that is not made yet waits for the next turn
    while waiting:
        left = []
        for sql in waiting:
            try:
                connection.execute(sql)
            except duckdb.CatalogException:
                left.append(sql)
        if len(left) == len(waiting):
            return False
        waiting = left
    return True
