"""A platform built by Spark: owns the Spark side of the short cut of `tests.warehouse`.

The project is compiled once for Spark; its statements run in one session of this process, which reads the raw
tables from Parquet files that DuckDB writes.
"""

from __future__ import annotations

import shutil
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
import yaml

from flows.mirror import OF_LANDINGS
from tests.canonical import canonical_lines
from tests.engines import COMPARED_SCHEMAS, compiled_project
from tests.warehouse import ROOT

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

# What a cluster needs to share out work costs a small platform in one process more than the work.
SMALL = {
    "spark.master": "local[2]",
    "spark.sql.catalogImplementation": "in-memory",
    "spark.sql.shuffle.partitions": "1",
    "spark.default.parallelism": "1",
    "spark.sql.adaptive.enabled": "false",
    "spark.driver.memory": "4g",
    "spark.ui.showConsoleProgress": "false",
}
# Rows are few and statements many: compiling each one to Java takes longer than running it.
INTERPRETED = {"spark.sql.codegen.wholeStage": "false", "spark.sql.codegen.factoryMode": "NO_CODEGEN"}

_TYPES = {"VARCHAR": "string"}


def session_settings() -> dict[str, str]:
    """What dbt sets for a session of the profile's target `spark`, without what the environment names."""
    profile = yaml.safe_load((ROOT / "profiles.yml").read_text(encoding="utf-8"))
    settings = profile["llm_almanac"]["outputs"]["spark"]["server_side_parameters"]
    named = {name: str(value) for name, value in settings.items() if "env_var" not in str(value)}
    # dbt-spark turns it off, whatever a profile says
    return {**named, "spark.sql.ansi.enabled": "false"}


@contextmanager
def spark_session(folder: Path, more_settings: Mapping[str, str] = SMALL) -> Iterator[SparkSession]:
    """A session that keeps its tables below `folder`; in this process, unless the settings say otherwise."""
    from pyspark.sql import SparkSession

    builder = SparkSession.builder.appName("almanac-tests")
    places = {"spark.sql.warehouse.dir": str(folder / "warehouse"), "spark.local.dir": str(folder / "local")}
    for name, value in {**session_settings(), **places, **more_settings}.items():
        builder = builder.config(name, value)
    session = builder.getOrCreate()
    session.sparkContext.setLogLevel("OFF")
    try:
        yield session
    finally:
        session.stop()


def export_raw(landing: duckdb.DuckDBPyConnection, folder: Path) -> dict[str, str]:
    """Write the current catalog's schema raw, a folder of Parquet per table; Spark's columns of each."""
    landing.execute("set TimeZone = 'UTC'")
    columns_of = {}
    for (table,) in landing.execute(
        "select table_name from duckdb_tables() "
        "where schema_name = 'raw' and database_name = current_database()"
    ).fetchall():
        if table in OF_LANDINGS:
            continue
        columns = [(name, kind) for name, kind, *_ in landing.execute(f"describe raw.{table}").fetchall()]
        (folder / table).mkdir(parents=True)
        # Spark's timestamps are instants, those of the landing are UTC
        selected = ", ".join(
            f"{name} at time zone 'UTC' as {name}" if kind == "TIMESTAMP" else name for name, kind in columns
        )
        file = folder / table / "rows.parquet"
        landing.execute(f"copy (select {selected} from raw.{table}) to '{file}' (format parquet)")
        columns_of[table] = ", ".join(f"{name} {_TYPES.get(kind, kind)}" for name, kind in columns)
    return columns_of


def create_raw(session: SparkSession, folder: Path, columns_of: Mapping[str, str]) -> None:
    """Make schema raw of what `export_raw` wrote."""
    session.sql("create schema raw")
    for table, columns in columns_of.items():
        session.sql(f"create table raw.{table} ({columns}) using parquet location '{folder / table}'")


def build_on_spark(
    session: SparkSession,
    landing: duckdb.DuckDBPyConnection,
    folder: Path,
    *,
    as_of: datetime,
    reporting_timezone: str,
    schemas: Collection[str] = COMPARED_SCHEMAS,
) -> dict[str, list[str]]:
    """Every model of what `landing` has in schema raw, as canonical rows; leaves nothing in the session."""
    compiled = compiled_project("spark")
    raw = folder / "raw"
    try:
        create_raw(session, raw, export_raw(landing, raw))
        for statement in compiled.filled(as_of, reporting_timezone):
            session.sql(statement)
        return canonical_rows_of(session, schemas)
    finally:
        for schema in (*compiled.schemas, "raw"):
            session.sql(f"drop schema if exists {schema} cascade")
        shutil.rmtree(raw, ignore_errors=True)


def canonical_rows_of(
    session: SparkSession, schemas: Collection[str], leave_out: Collection[str] = ()
) -> dict[str, list[str]]:
    """`schema.relation`: its header and its sorted rows, as `tests.canonical.canonical_rows` has them."""
    relations = {}
    for schema in schemas:
        for listed in session.sql(f"show tables in {schema}").collect():
            rows = session.table(f"{schema}.{listed.tableName}").toArrow()
            columns = rows.column_names
            values = zip(*(column.to_pylist() for column in rows.columns), strict=True)
            relations[f"{schema}.{listed.tableName}"] = canonical_lines(columns, values, leave_out)
    return relations
