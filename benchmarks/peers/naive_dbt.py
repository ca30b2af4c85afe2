"""dbt as one starts with it: every model a table that is built anew, on DuckDB, by `dbt run`."""

import json
import os
import subprocess
import sys
from pathlib import Path

from benchmarks.peers.duckdb_answers import FILE, latency, review, summary
from benchmarks.peers.order import Order

PROJECT = Path(__file__).parents[1] / "naive_dbt"

__all__ = ["FILE", "build", "latency", "night", "review", "summary"]


def build(order: Order) -> None:
    """`dbt run` into a new file; RuntimeError with the end of its output when it fails."""
    order.out.mkdir(parents=True)
    _run_dbt(order)


def night(order: Order) -> None:
    """`dbt run` again, in the same file."""
    _run_dbt(order)


def _run_dbt(order: Order) -> None:
    command = [
        *(str(Path(sys.executable).with_name("dbt")), "run"),
        *("--project-dir", str(PROJECT), "--profiles-dir", str(PROJECT)),
        *("--target-path", str(order.out / "target"), "--log-path", str(order.out / "logs")),
        *("--vars", json.dumps({"source": str(order.source)})),
    ]
    ended = subprocess.run(
        command,
        env=os.environ
        | {"NAIVE_DBT_FILE": str(order.out / FILE), "NAIVE_DBT_MEMORY_LIMIT": order.memory_limit},
        capture_output=True,
        text=True,
        check=False,
    )
    if ended.returncode:
        raise RuntimeError(f"dbt ended with code {ended.returncode}:\n{ended.stdout[-3000:]}")
