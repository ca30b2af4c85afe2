"""The models' own compiled SQL, run on any raw tables in an in-memory DuckDB.

Owns the short cut that lets hundreds of platforms be built in one process: dbt compiles
the project once, with marks where as_of and the time zone go; each build fills them in.
"""

from __future__ import annotations

import csv
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Collection, Mapping
from datetime import datetime
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import duckdb
import pandas
import pyarrow

from flows.landing_store import OPS_TABLES, create_side_tables
from tests.oracle.marts import MART_KEYS
from tests.oracle.tape import BOOLEAN, DECIMAL, RAW_COLUMNS, TEXT, TIME, WHOLE

ROOT = Path(__file__).resolve().parent.parent
AS_OF_MARK = "0002-02-02 02:02:02"
ZONE_MARK = "reporting-zone-mark"
# Where relations lie that were compiled for PostgreSQL: the profile's default.
POSTGRES_DATABASE = '"almanac".'
LANDING_DATABASES = {"duckdb": "landing", "postgres": POSTGRES_DATABASE.strip('".'), "spark": ""}
SQL_TYPES = {
    TEXT: "varchar",
    WHOLE: "bigint",
    DECIMAL: "decimal(28, 8)",
    BOOLEAN: "boolean",
    TIME: "timestamp",
}
ARROW_TYPES = {
    "varchar": pyarrow.string(),
    "bigint": pyarrow.int64(),
    "decimal(28, 8)": pyarrow.decimal128(28, 8),
    "boolean": pyarrow.bool_(),
    "timestamp": pyarrow.timestamp("us"),
    "date": pyarrow.date32(),
    "decimal(18, 3)": pyarrow.decimal128(18, 3),
}
VERSION_COLUMNS = {
    "team_versions": "team_id varchar, organization_id varchar, budget_mode varchar, "
    "cost_markup_percentage decimal(28, 8), credits_per_dollar decimal(28, 8), tokens_per_credit bigint, "
    "credit_limit bigint, status varchar, valid_from timestamp, missing_since timestamp",
    "organization_versions": "organization_id varchar, name varchar, status varchar, valid_from timestamp, "
    "missing_since timestamp",
    "landings": "landing_number bigint, as_of timestamp, source_kind varchar",
    "landed_tables": "table_name varchar, rows_read bigint, exact_duplicate_rows bigint, "
    "conflicting_duplicate_rows bigint, rows_landed bigint",
    "published_usage": "team_id varchar, period_start_date date, job_count bigint, "
    "completed_job_count bigint, failed_job_count bigint, call_count bigint, total_tokens bigint, "
    "provider_cost_usd decimal(28, 8), client_cost_usd decimal(28, 8), credits_used bigint, "
    "credits_added bigint",
    "published_nights": "as_of timestamp, complete_until date",
    "published_restatements": "team_id varchar, period_start_date date, measure varchar, "
    "old_value decimal(28, 8), new_value decimal(28, 8), cause varchar, published_as_of timestamp, "
    "restated_as_of timestamp",
    "landing_findings": "rule varchar, table_name varchar, row_key varchar, column_name varchar, "
    "row_created_at timestamp, detail varchar, affected_rows bigint",
    **{name: columns for name, columns in OPS_TABLES.items() if name != "landed_probes"},
}
SINCE_EVER = "timestamp '0001-01-01'"


def raw_columns(table: str) -> str:
    """The column definitions of one raw table, as SQL."""
    if table in VERSION_COLUMNS:
        return VERSION_COLUMNS[table]
    return ", ".join(f"{name} {SQL_TYPES[kind]}" for name, kind in RAW_COLUMNS[table].items())


def load_raw(
    connection: duckdb.DuckDBPyConnection, tables: dict[str, pandas.DataFrame], as_of: datetime
) -> None:
    """Fill schema raw of the current catalog as one landing at `as_of` would."""
    for table in [*RAW_COLUMNS, *VERSION_COLUMNS]:
        connection.execute(f"create table raw.{table} ({raw_columns(table)})")
        frame = tables.get(table)
        if frame is not None and len(frame):
            columns = [column.split()[0] for column in re.split(r", (?=[a-z])", raw_columns(table))]
            names = [name for name in columns if name in frame.columns]
            types = dict(column.split(maxsplit=1) for column in re.split(r", (?=[a-z])", raw_columns(table)))
            rows = pyarrow.table(
                {name: pyarrow.array(list(frame[name]), ARROW_TYPES[types[name]]) for name in names}
            )
            connection.register("rows_to_land", rows)
            connection.execute(f"insert into raw.{table} ({', '.join(names)}) select * from rows_to_land")
            connection.unregister("rows_to_land")
    create_side_tables(connection)
    if tables.get("team_versions") is None:
        connection.execute(
            "insert into raw.team_versions select team_id, organization_id, budget_mode, "
            "cost_markup_percentage, credits_per_dollar, tokens_per_credit, credit_limit, status, "
            f"{SINCE_EVER}, null from raw.team_credits"
        )
    connection.execute(
        f"insert into raw.organization_versions select organization_id, name, status, {SINCE_EVER}, null "
        "from raw.organizations"
    )
    connection.execute("insert into raw.landings values (1, ?, 'folder')", [as_of])
    for table in RAW_COLUMNS:
        connection.execute(
            f"insert into raw.landed_tables select '{table}', count(*), 0, 0, count(*) from raw.{table}"
        )


def nodes_in_order(manifest: dict[str, Any], marts: Collection[str]) -> list[dict[str, Any]]:
    """The models and seeds that `marts` need, themselves included, in an order in which they can be built."""
    models = {
        name: node for name, node in manifest["nodes"].items() if node["resource_type"] in ("model", "seed")
    }
    wanted = [name for name, node in models.items() if node["name"] in marts]
    nodes: dict[str, Any] = {}
    while wanted:
        name = wanted.pop()
        nodes[name] = models[name]
        wanted += [parent for parent in models[name]["depends_on"].get("nodes", []) if parent in models]
    done: list[str] = []
    while len(done) < len(nodes):
        done += [
            name
            for name, node in nodes.items()
            if name not in done
            and all(parent in done or parent not in nodes for parent in node["depends_on"].get("nodes", []))
        ]
    return [nodes[name] for name in done]


def evaluated_at_function(as_of: datetime, catalog: str = "warehouse") -> str:
    """What set_evaluated_at makes before the models, as SQL."""
    return (
        f"create or replace macro {catalog}.alerts.evaluated_at() as "
        f"coalesce(cast(getvariable('almanac_as_of') as timestamp), timestamp '{as_of}')"
    )


class CompiledMarts:
    """The compiled models that `marts` need, themselves included, in the order in which they can be built."""

    def __init__(self, manifest: dict[str, Any], marts: Collection[str]) -> None:
        nodes = nodes_in_order(manifest, marts)
        self.statements = [statement for node in nodes for statement in _statements(node)]
        self.schemas = sorted({node["schema"] for node in nodes})
        self._keeps_rules = manifest["metadata"]["adapter_type"] == "duckdb"

    def build(
        self, tables: dict[str, pandas.DataFrame], *, as_of: datetime, reporting_timezone: str
    ) -> duckdb.DuckDBPyConnection:
        """Build every mart of the raw `tables`; the connection's current catalog holds them."""
        connection = duckdb.connect()
        connection.execute("set TimeZone = 'UTC'; set threads = 1")
        connection.execute(
            "attach ':memory:' as landing; attach ':memory:' as warehouse; create schema landing.raw"
        )
        connection.execute("use landing")
        load_raw(connection, tables, as_of)
        connection.execute("use warehouse")
        for statement in self.filled(as_of, reporting_timezone):
            connection.execute(statement)
        return connection

    def filled(self, as_of: datetime, reporting_timezone: str) -> list[str]:
        """The statements that make the schemas and build everything in them."""
        return [
            *(f"create schema {schema}" for schema in self.schemas),
            *([evaluated_at_function(as_of)] if self._keeps_rules and "alerts" in self.schemas else []),
            *(
                statement.replace(AS_OF_MARK, str(as_of)).replace(ZONE_MARK, reporting_timezone)
                for statement in self.statements
            ),
        ]


def _statements(node: dict[str, Any]) -> list[str]:
    relation = node["relation_name"]
    if node["config"]["materialized"] == "ephemeral":
        return []  # a part of what reads it
    if node["resource_type"] == "seed":
        return [f"create table {relation} as {seed_query(node)}"]
    kind = "view" if node["config"]["materialized"] == "view" else "table"
    if relation.startswith(POSTGRES_DATABASE) and kind == "table" and node["contract"]["enforced"]:
        # as dbt-postgres does; a type decides what a number looks like as text
        columns = {name: column["data_type"] for name, column in node["columns"].items()}
        typed = ", ".join(
            name + (' text collate "C"' if data_type == "string" else f" {data_type}")
            for name, data_type in columns.items()
        )
        select = f"select {', '.join(columns)} from ({node['compiled_code']}) as model"
        return [f"create table {relation} ({typed})", f"insert into {relation} {select}"]
    return [f"create {kind} {relation} as {node['compiled_code']}"]


def seed_query(node: dict[str, Any]) -> str:
    """A select of a seed's rows."""
    path = ROOT / node["original_file_path"]
    with path.open(encoding="utf-8", newline="") as file:
        header, *rows = csv.reader(file)
    if not rows:
        types = node["config"]["column_types"]
        columns = ", ".join(f"cast(null as {types[name]}) as {name}" for name in header)
        return f"select {columns} where false"
    types = node["config"]["column_types"]
    columns = ", ".join(
        f"cast({name} as {types[name]}) as {name}" if name in types else name for name in header
    )
    # without rows: one of nulls, which the condition keeps out
    cells = rows or [[""] * len(header)]
    # a column of texts may hold numbers too
    plain = [all(_PLAIN.fullmatch(row[place]) for row in cells) for place in range(len(header))]
    values = ", ".join(
        "(" + ", ".join(_literal(cell, is_plain) for cell, is_plain in zip(row, plain, strict=True)) + ")"
        for row in cells
    )
    return f"select {columns} from (values {values}) as seed ({', '.join(header)}) where {bool(rows)}"


_PLAIN = re.compile(r"(?:\d+|true|false)?")


def _literal(cell: str, is_plain: bool) -> str:
    if cell == "":
        return "null"
    return cell if is_plain else "'" + cell.replace("'", "''") + "'"


def compile_project(
    target_path: Path,
    *,
    as_of: str,
    reporting_timezone: str,
    target: str = "duckdb",
    more_variables: Mapping[str, Any] | None = None,
    project: Path = ROOT,
) -> dict[str, Any]:
    """dbt's manifest of the whole project, every model compiled for one engine without a database."""
    variables = json.dumps(
        {
            "as_of": as_of,
            "reporting_timezone": reporting_timezone,
            "landing_database": LANDING_DATABASES[target],
            **(more_variables or {}),
        }
    )
    environment = {
        **os.environ,
        "ALMANAC_TARGET": target,
        "ALMANAC_BUILD_PATH": str(target_path / "warehouse.duckdb"),
        "ALMANAC_LANDING_PATH": "",
    }
    if target == "spark" and find_spec("pyspark") is None:
        # dbt-spark only looks whether it is there: nothing is asked of a session that compiles
        (target_path / "modules" / "pyspark").mkdir(parents=True)
        environment["PYTHONPATH"] = os.pathsep.join(
            [str(target_path / "modules"), *filter(None, [os.environ.get("PYTHONPATH")])]
        )
    options = ["--profiles-dir", str(project), "--project-dir", str(project), "--vars", variables]
    options += ["--target-path", str(target_path), "--log-path", str(target_path), "--no-introspect"]
    command = [
        str(Path(sys.executable).with_name("dbt")),
        "--quiet",
        "compile",
        *options,
        "--no-populate-cache",
    ]
    result = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=300, check=False
    )
    assert result.returncode == 0, result.stdout + result.stderr
    manifest: dict[str, Any] = json.loads((target_path / "manifest.json").read_text(encoding="utf-8"))
    return manifest


@cache
def compiled_marts() -> CompiledMarts:
    """The marts that the oracle knows, compiled once for this process."""
    with tempfile.TemporaryDirectory() as folder:
        manifest = compile_project(Path(folder), as_of=AS_OF_MARK, reporting_timezone=ZONE_MARK)
    return CompiledMarts(manifest, MART_KEYS)
