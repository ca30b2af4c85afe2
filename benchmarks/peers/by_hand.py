"""The same SQL by hand in DuckDB: the floor of the usage numbers."""

from contextlib import closing
from pathlib import Path
from string import Template

import duckdb

from benchmarks.peers.duckdb_answers import FILE, latency, review, summary
from benchmarks.peers.order import Order

HERE = Path(__file__).parent

__all__ = ["FILE", "build", "latency", "night", "review", "summary"]


def build(order: Order) -> None:
    """Everything, from the Parquet files into a new file."""
    order.out.mkdir(parents=True)
    _run(order, "by_hand.sql")


def night(order: Order) -> None:
    """The days since the first that may have changed, in the file that is there."""
    _run(order, "by_hand_new_day.sql")


def _run(order: Order, script: str) -> None:
    given = {"source": str(order.source).replace("'", "''"), "since": str(order.since)}
    with closing(duckdb.connect(str(order.out / FILE))) as connection:
        connection.execute(f"set memory_limit = '{order.memory_limit}'")
        for name in ("by_hand_rows.sql", script):
            text = HERE.joinpath(name).read_text(encoding="utf-8")
            connection.execute(Template(text).substitute(given))
