"""Our own models' compiled SQL as one plain script: the floor of a full build, without dbt.

`script` writes it from the project's manifest; `python -m benchmarks.model_sql SCRIPT LANDING OUT` runs it in
one process, one statement after the other, on what a night has landed. What a build does besides is left
out: dbt itself, contracts, comments, data tests, laws.
"""

import sys
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any

from benchmarks.platform import quoted
from flows.build_duckdb import STORAGE_VERSION
from tests.warehouse import compile_project, evaluated_at_function, nodes_in_order, seed_query

END_OF_STATEMENT = "\n;;\n"


def script(path: Path, *, as_of: datetime, work: Path) -> int:
    """Write every model and seed in an order in which they can be built; how many they are."""
    manifest = compile_project(work, as_of=f"{as_of:%Y-%m-%d %H:%M:%S.%f}", reporting_timezone="UTC")
    names = {node["name"] for node in manifest["nodes"].values()}
    nodes = nodes_in_order(manifest, names)
    schemas = sorted({node["schema"] for node in nodes})
    made = [text for node in nodes if (text := _statement(node))]
    before = [*(f"create schema if not exists {schema}" for schema in schemas), evaluated_at_function(as_of)]
    path.write_text(END_OF_STATEMENT.join(before + made), encoding="utf-8")
    return len(made)


def _statement(node: dict[str, Any]) -> str | None:
    materialized = node["config"]["materialized"]
    if materialized == "ephemeral":
        return None  # a part of what reads it
    if node["resource_type"] == "seed":
        return f"create table {node['relation_name']} as {seed_query(node)}"
    kind = "view" if materialized == "view" else "table"
    return f"create {kind} {node['relation_name']} as {node['compiled_code']}"


def run(path: Path, landing: Path, out: Path) -> None:
    """Run a script into a new file, in the format of a published warehouse."""
    import duckdb

    with closing(duckdb.connect()) as connection:
        connection.execute(f"set TimeZone = 'UTC'; set temp_directory = '{quoted(out)}.spill'")
        connection.execute(f"attach '{quoted(landing)}' as landing (read_only)")
        connection.execute(f"attach '{quoted(out)}' as warehouse (storage_version '{STORAGE_VERSION}')")
        connection.execute("use warehouse")
        for statement in path.read_text(encoding="utf-8").split(END_OF_STATEMENT):
            connection.execute(statement)


if __name__ == "__main__":
    run(*(Path(argument) for argument in sys.argv[1:]))
