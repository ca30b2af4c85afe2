"""What a publication drops of a warehouse file, the next build of it makes again from its definitions."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from flows.private_relations import put_aside, take_back


@pytest.fixture
def landing(tmp_path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(str(tmp_path / "landing.duckdb")) as connection:
        connection.execute("create schema raw; create table raw.jobs as select 1 as job_id")
        yield connection


@pytest.fixture
def warehouse(landing: duckdb.DuckDBPyConnection, tmp_path: Path) -> Path:
    """A file with a table, and views of which the first by name reads the last one."""
    path = tmp_path / "warehouse.duckdb"
    landing.execute(f"attach '{path}' as warehouse")
    landing.execute("use warehouse")
    for statement in (
        "create schema staging; create schema intermediate; create schema marts; create schema kept",
        "create view staging.jobs as select * from landing.raw.jobs",
        "create table intermediate.walked as select 7 as position",
        "create view intermediate.z as select job_id from staging.jobs",
        "create view intermediate.a as select job_id, position from intermediate.z, intermediate.walked",
        "create table marts.fct_jobs as select * from staging.jobs",
    ):
        landing.execute(statement)
    put_aside(landing)
    landing.execute("use landing")
    landing.execute("detach warehouse")
    return path


def relations(path: Path) -> list[tuple[str, str]]:
    with duckdb.connect(str(path), read_only=True) as connection:
        return connection.execute(
            "select table_schema, table_name from information_schema.tables order by all"
        ).fetchall()


def test_they_are_dropped_and_made_again_without_rows(
    landing: duckdb.DuckDBPyConnection, warehouse: Path
) -> None:
    published = [("kept", "private_relations"), ("marts", "fct_jobs")]
    assert relations(warehouse) == published
    assert take_back(landing, warehouse)
    private = [("intermediate", name) for name in ("a", "walked", "z")] + [("staging", "jobs")]
    assert relations(warehouse) == sorted([*published, *private])
    landing.execute(f"attach '{warehouse}' as warehouse")
    assert landing.execute("select * from warehouse.intermediate.z").fetchall() == [(1,)]
    assert landing.execute("select * from warehouse.intermediate.a").fetchall() == []


def test_a_publication_that_is_repeated_loses_no_definition(
    landing: duckdb.DuckDBPyConnection, warehouse: Path
) -> None:
    with duckdb.connect(str(warehouse)) as connection:
        put_aside(connection)
    assert take_back(landing, warehouse)


@pytest.mark.parametrize(
    "damage",
    [
        "delete from kept.private_relations",
        "drop table kept.private_relations",
        "delete from kept.private_relations where name = 'z'",
        "update kept.private_relations set sql = 'create view staging.jobs as nonsense' where name = 'jobs'",
    ],
)
def test_what_cannot_be_made_again_is_told(
    landing: duckdb.DuckDBPyConnection, warehouse: Path, damage: str
) -> None:
    with duckdb.connect(str(warehouse)) as connection:
        connection.execute(damage)
    assert not take_back(landing, warehouse)
    assert landing.execute("select current_database()").fetchone() == ("landing",)
    assert landing.execute("select * from raw.jobs").fetchall() == [(1,)]
